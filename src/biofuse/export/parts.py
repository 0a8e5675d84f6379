"""What a compressed file is made of: parts of the file that a mount shows, each for itself.

Of a `.bgen` they are its records, of a `.bcf` blocks of BGZF. Specifications:
https://www.chg.ox.ac.uk/~gav/bgen_format/spec/v1.2.html,
https://samtools.github.io/hts-specs/SAMv1.pdf, section 4.1.
"""

from array import array
from dataclasses import dataclass
from typing import Protocol

from biofuse import native
from biofuse.bgzf import BLOCK, END
from biofuse.encode.records import Records
from biofuse.errors import BiofuseError

# Where a BGEN's header has its flags, whose two lowest bits say how data are compressed.
_FLAGS = 20
_FLAG = {"zlib": 1, "zstd": 2}
# Formats of which there are compressed files, and the suffix of the index beside each.
INDEXES = {".bgen": ".bgen.bgi", ".bcf": ".bcf.csi"}


class Parts(Protocol):
    """The parts of a file as a mount shows it.

    Attributes
    ----------
    format : str
    tail : bytes
        What is behind the last one.
    """

    @property
    def format(self) -> str: ...

    @property
    def tail(self) -> bytes: ...

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    def start(self, part: int) -> int:
        """Offset of a part; of the last one's end for the one after it."""
        ...

    def at(self, offset: int) -> int:
        """The part that holds the byte at an offset from the first one on."""
        ...

    def header(self, method: str) -> bytes:
        """What is before the first one, in a file whose parts are compressed."""
        ...


class BgenParts:
    """Records of a `.bgen`.

    Parameters
    ----------
    records : Records
    header : bytes
    """

    format = "bgen"
    tail = b""

    def __init__(self, records: Records, header: bytes):
        self._records = records
        self._header = header
        self.count = records.count
        self.start = records.start
        self.at = records.at

    def header(self, method: str) -> bytes:
        """The header, which says how data are compressed."""
        header = self._header
        flags = int.from_bytes(header[_FLAGS : _FLAGS + 4], "little") & ~3 | _FLAG[method]
        return header[:_FLAGS] + flags.to_bytes(4, "little") + header[_FLAGS + 4 :]


@dataclass(frozen=True)
class BcfParts:
    """Blocks of a `.bcf`.

    Parameters
    ----------
    size : int
        Of the file, in bytes.
    """

    size: int
    format = "bcf"
    tail = END

    @property
    def count(self) -> int:
        """Blocks, but for the empty one at the end."""
        return -(-(self.size - len(END)) // BLOCK)

    def start(self, part: int) -> int:
        """Offset of a block."""
        return min(part * BLOCK, self.size - len(END))

    def at(self, offset: int) -> int:
        """The block that holds a byte."""
        return offset // BLOCK

    def header(self, method: str) -> bytes:
        """Nothing: the header is in blocks too."""
        return b""


def compress_parts(
    format_name: str, data: memoryview, ends: "array[int]", method: str, level: int
) -> tuple[bytes, "array[int]"]:
    """Compress some parts.

    Parameters
    ----------
    format_name : str
    data : memoryview of uint8
        One after another.
    ends : array of uint64
        Where each ends.
    method : str
        zlib or zstd; of a `.bcf` zlib.
    level : int

    Returns
    -------
    parts : bytes
    sizes : array of uint64
        Bytes of each.

    Raises
    ------
    BiofuseError
        If one is malformed.
    """
    try:
        if format_name == "bcf":
            made, sizes = native.bgzf_compress(data, ends, level)
        else:
            made, sizes = native.bgen_compress(data, ends, method, level)
    except native.NativeError as error:
        raise BiofuseError(str(error)) from error
    return bytes(made), sizes
