"""The `.bcf.csi` of a compressed file, from that of the file that a mount shows.

Specification: https://samtools.github.io/hts-specs/CSIv1.pdf.
"""

import gzip
import struct
from collections.abc import Sequence

from biofuse.bgzf import BLOCK, compressed
from biofuse.errors import BiofuseError

_MAGIC = b"CSI\1"


def moved_index(data: bytes, offsets: Sequence[int]) -> bytes:
    """An index of the same records in other blocks.

    Parameters
    ----------
    data : bytes
        An index of a file whose blocks are of `BLOCK` bytes.
    offsets : sequence of int
        Where each of its blocks begins in the other file, and the last one ends.

    Raises
    ------
    BiofuseError
        If it is malformed.
    """
    try:
        return compressed(bytes(_move(gzip.decompress(data), offsets)))
    except (struct.error, IndexError, EOFError, OSError) as error:
        raise BiofuseError(f"the .csi index is malformed: {error}") from error


def _count(number: int) -> int:
    if number < 0:
        raise BiofuseError(f"the .csi index is malformed: it has a count of {number}")
    return number


def _move(data: bytes, offsets: Sequence[int]) -> bytearray:
    out = bytearray(data)
    if data[:4] != _MAGIC:
        raise BiofuseError("the .csi index is malformed: it does not begin with CSI")
    _, depth, num_aux = struct.unpack_from("<3i", data, 4)
    # What counts records is in a bin of its own, beyond all others.
    counting = ((1 << 3 * (depth + 1)) - 1) // 7 + 1
    at = 16 + _count(num_aux)
    (num_contigs,) = struct.unpack_from("<i", data, at)
    at += 4

    def move(place: int) -> None:
        (virtual,) = struct.unpack_from("<Q", data, place)
        block = (virtual >> 16) // BLOCK
        struct.pack_into("<Q", out, place, offsets[block] << 16 | virtual & 0xFFFF)

    for _ in range(_count(num_contigs)):
        (num_bins,) = struct.unpack_from("<i", data, at)
        at += 4
        for _ in range(_count(num_bins)):
            number, _, num_chunks = struct.unpack_from("<IQi", data, at)
            if number != counting:
                move(at + 4)
            at += 16
            for chunk in range(_count(num_chunks)):
                if number != counting or chunk == 0:
                    move(at)
                    move(at + 8)
                at += 16
    return out
