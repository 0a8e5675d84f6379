"""BGEN records made by the kernels, as a file that a parser takes apart."""

import math
import struct
from dataclasses import dataclass

import numpy as np
from support import bgen

from biofuse import native


@dataclass(frozen=True)
class Kind:
    """Which records are made: the arguments of `native.BgenEncoder`."""

    field: str = "GT"
    bits: int = 8
    as_diploid: bool = False


@dataclass(frozen=True)
class Names:
    """What variants are called, one tuple a variant: varid, rsid, chromosome, position, alleles."""

    rows: list[tuple]

    def __len__(self) -> int:
        return len(self.rows)

    def heads(self):
        varids, rsids, chroms, positions, alleles = map(list, zip(*self.rows, strict=True))
        refs, alts = map(list, zip(*alleles, strict=True))
        numbers = np.array(positions, dtype=np.int64)
        before = [native.Texts.of(texts) for texts in (varids, rsids, chroms)]
        after = [native.Texts.of(texts) for texts in (refs, alts)]
        return native.bgen_heads(*before, numbers, *after)


def plain_names(count: int) -> Names:
    return Names([(".", f"rs{i}", "1", i + 1, ("A", "C" * (i % 3 + 1))) for i in range(count)])


def data_size(num_samples: int, num_values: int, bits: int) -> int:
    """Bytes of a record from its C field on, by the specifications of BGEN, zlib and DEFLATE."""
    payload = 4 + 2 + 1 + 1 + num_samples + 1 + 1 + num_values * bits // 8
    stream = 2 + payload + 5 * math.ceil(payload / 65535) + 4
    return 4 + 4 + stream


class Records:
    """The encoder of a file of records of one size of data, and where they lie in it.

    Parameters
    ----------
    kind : Kind
    names : Names
    num_samples, ploidy : int
        Of each record.
    start : int
        Where the first one begins.
    """

    def __init__(self, kind: Kind, names: Names, num_samples: int, ploidy: int, start: int = 0):
        heads, sizes = names.heads()
        sized = native.BgenEncoder(kind.field, kind.bits, kind.as_diploid)
        self.data_size = sized.data_size(num_samples, ploidy)
        ends = start + np.cumsum([0, *(size + self.data_size for size in sizes)], dtype=np.uint64)
        self.offsets = ends.astype(np.uint64)
        self.num_samples = num_samples
        self.encoder = native.BgenEncoder(
            kind.field, kind.bits, kind.as_diploid, self.offsets, heads
        )

    def encode(self, rows: native.Rows, wanted, first=0, **extra) -> bytes:
        """Records `first` and those after it, of the rows wanted."""
        offsets = self.offsets[first : first + len(wanted) + 1]
        size = int(offsets[-1] - offsets[0])
        out = bytearray(b"\xee" * (size + 3))
        numbers = np.array(wanted, dtype=np.uint32)
        rows.encode(self.encoder, numbers, first, 0, out, offsets, **extra)
        assert out[size:] == b"\xee" * 3
        return bytes(out[:size])

    def parse(self, body: bytes, count: int) -> list[bgen.Stored]:
        """Take records apart as those of a whole file."""
        header = struct.pack("<IIII4sI", 20, 20, count, self.num_samples, b"bgen", 1 | 2 << 2)
        return bgen.parse(header + body).variants
