"""Files that a selection is read from: of samples, regions and targets.

They are read once, by the process that a user started: what is given may be a pipe. What
they say travels with the selection, and so is in the plan's key.
"""

import base64
import gzip
import io
import os
import re
import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from biofuse.errors import BiofuseError, one_line
from biofuse.options import RegionsFile, SamplesFile, Selection

# Options that name a file, and what standard input is called.
_FILE_OPTIONS = {"regions_file": "-R", "targets_file": "-T", "samples_file": "-S"}
STANDARD_INPUT_NAME = "standard input"
STANDARD_INPUT = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
# Options of which one can be given.
_EXCLUSIVE = (
    ("regions", "-r", "regions_file", "-R"),
    ("targets", "-t", "targets_file", "-T"),
    ("samples", "-s", "samples_file", "-S"),
)
# How lines of BED begin that are for genome browsers.
_FOR_BROWSERS = (b"track ", b"browser ")
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
# No position is larger than this.
MAX_POSITION = 1 << 62
_NUMBER = re.compile(r"\s*([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,2})|([kKmMgG]))?")
_POWERS = {"k": 3, "m": 6, "g": 9}


def read_selection(**options: Any) -> Selection:
    """The selection that a command's options ask for, with what their files say.

    Parameters
    ----------
    **options
        Values by the names of `Selection`'s fields; files are named, `-` is standard input,
        and a leading `^` leaves out what a file of samples or targets has.

    Raises
    ------
    BiofuseError
        If a file cannot be read or understood, or options do not go together.
    """
    given = {
        name: options[name]
        for name in Selection.__dataclass_fields__
        if options.get(name) is not None
    }
    for text, short, file, short_file in _EXCLUSIVE:
        if text in given and file in given:
            raise BiofuseError(f"{short} and {short_file} cannot be given together")
    from_input = [
        f"{short} {given[name]}"
        for name, short in _FILE_OPTIONS.items()
        if name in given and given[name].removeprefix("^") in STANDARD_INPUT
    ]
    if len(from_input) > 1:
        raise BiofuseError(
            f"{' and '.join(from_input)}: one option only can be given standard input"
        )
    for name in _FILE_OPTIONS:
        if name in given:
            read = read_samples_file if name == "samples_file" else read_regions_file
            given[name] = read(given[name], may_exclude=name != "regions_file")
    return Selection(**given)


def read_samples_file(path: str, may_exclude: bool = True) -> SamplesFile:
    """Read a file of samples, one a line.

    Raises
    ------
    BiofuseError
        If it cannot be read.
    """
    path, exclude = _split_mark(path, may_exclude)
    lines = []
    with _open_lines(path) as file:
        for line in file:
            text = line.rstrip(b"\r\n")
            if text.strip():
                lines.append(_as_text(text))
    return SamplesFile(path, exclude, lines)


def read_regions_file(path: str, may_exclude: bool = True) -> RegionsFile:
    """Read a file of regions: tab-delimited, BED or VCF, as bcftools takes them.

    Raises
    ------
    BiofuseError
        If it cannot be read, has a line that is not understood, or no region.
    """
    path, exclude = _split_mark(path, may_exclude)
    # Contigs in their order, with bounds of intervals: first, last, first, last, ...
    found: dict[bytes, array[int]] = {}
    with _open_lines(path) as file:
        columns = _Columns.of(path)
        for number, line in enumerate(file, 1):
            line = line.rstrip(b"\r\n")
            if number == 1 and line.startswith(b"##fileformat=VCF"):
                columns = _Columns(with_end=False)
            if line[:1] in columns.no_data or number <= columns.skip:
                continue
            region = columns.parse(line)
            if region is None:
                if not line.strip() or (columns.zero_based and line.startswith(_FOR_BROWSERS)):
                    continue
                shown = line[:60].decode(errors="replace").replace("\t", " ")
                raise BiofuseError(
                    f"line {number} of {path} is no region: {shown!r}; {columns.expected}"
                )
            contig, first, last = region
            if contig not in found:
                found[contig] = array("q")
            found[contig].append(first)
            found[contig].append(last)
    if not found:
        raise BiofuseError(f"{path} has no regions")
    return RegionsFile(
        name=path,
        exclude=exclude,
        contigs=[_as_text(contig) for contig in found],
        counts=[len(bounds) // 2 for bounds in found.values()],
        bounds=_packed(found.values()),
    )


def unpack_bounds(packed: str) -> bytes:
    """The bounds of a `RegionsFile`: pairs of native int64."""
    return zlib.decompress(base64.b64decode(packed))


def parse_position(text: str) -> int | None:
    """A number as bcftools takes it (5000, 5e3, 5k, 1.5M), or None if it is none.

    The fraction of what is no whole number is left out.
    """
    if text.isascii() and text.isdigit():
        return min(int(text[:30]), MAX_POSITION)
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    sign, whole, fraction, exponent, unit = found.groups()
    digits = whole + (fraction or "")
    if not digits:
        return None
    power = int(exponent or _POWERS.get((unit or "").lower(), 0)) - len(fraction or "")
    value: int = int(digits[:30]) * 10 ** max(power, 0) // 10 ** max(-power, 0)
    return (-1 if sign == "-" else 1) * min(value, MAX_POSITION)


def _split_mark(path: str, may_exclude: bool) -> tuple[str, bool]:
    if may_exclude and path.startswith("^"):
        return path[1:], True
    return path, False


def _as_text(name: bytes) -> str:
    return name.decode(errors="surrogateescape")


def _packed(parts: "Iterable[array[int]]") -> str:
    packer = zlib.compressobj(1)
    data = bytearray()
    for bounds in parts:
        data += packer.compress(bounds)
    data += packer.flush()
    return base64.b64encode(data).decode()


class _Columns:
    """Where the lines of a file of regions have what.

    Parameters
    ----------
    contig, first, last : int
        Numbers of columns, from 0.
    with_end : bool, optional
        Whether there are ends; by default the first line tells.
    zero_based : bool
        Whether positions are 0-based and ends not included, as in BED.
    comment : bytes
        First character of lines that are none, beside #.
    skip : int
        Lines before the first.
    """

    def __init__(
        self,
        contig: int = 0,
        first: int = 1,
        last: int = 2,
        *,
        with_end: bool | None = None,
        zero_based: bool = False,
        comment: bytes = b"#",
        skip: int = 0,
    ):
        self._contig, self._first, self._last = contig, first, last
        self._with_end = with_end
        self.zero_based = zero_based
        self.no_data = (b"", b"#", comment)
        self.skip = skip
        self._only_positions = False
        self._least = max(contig, first)
        self._most = max(contig, first, last) + 1

    @classmethod
    def of(cls, path: str) -> "_Columns":
        """Those of a file: as its tabix index says, else as its name does."""
        for suffix in (".csi", ".tbi"):
            if path not in STANDARD_INPUT and os.path.isfile(path + suffix):
                found = cls._of_index(path + suffix)
                if found is not None:
                    return found
        if path.lower().endswith((".bed", ".bed.gz")):
            return cls(zero_based=True, with_end=True)
        return cls()

    @classmethod
    def _of_index(cls, path: str) -> "_Columns | None":
        try:
            with gzip.open(path) as file:
                data = file.read(44)
            start = {b"TBI\x01": 8, b"CSI\x01": 16}[data[:4]]
            if start == 16 and struct.unpack_from("<i", data, 12)[0] < 24:
                return None
            kind, contig, first, last, comment, skip = struct.unpack_from("<6i", data, start)
        except (OSError, EOFError, zlib.error, KeyError, struct.error):
            return None
        if contig < 1 or first < 1:
            return None
        has_end = last > 0 and last != first
        return cls(
            contig - 1,
            first - 1,
            last - 1 if has_end else first - 1,
            with_end=has_end,
            zero_based=bool(kind & 0x10000),
            comment=bytes([comment & 0xFF]),
            skip=skip,
        )

    @property
    def expected(self) -> str:
        """What a line should be."""
        if self.zero_based and self._with_end:
            return "BED has CHROM, START (from 0) and END, separated by tabs"
        if self._with_end:
            return "CHROM, POS and END are wanted, separated by tabs, as in the lines before"
        if self._only_positions:
            return "the lines before have no END, so it may have none"
        return "CHROM, POS and, if wanted, END are to be separated by tabs"

    def parse(self, line: bytes) -> tuple[bytes, int, int] | None:
        """Contig, first and last position, from 1; None if the line is not understood."""
        fields = line.split(b"\t", self._most)
        if len(fields) == 1:
            fields = line.split(None, self._most)
        if len(fields) <= self._least:
            return None
        first = _position(fields[self._first])
        if first is None:
            return None
        last = None
        # bcftools goes by the first line, and would take a later one's END for a name.
        if (self._with_end is not False or self._only_positions) and len(fields) > self._last:
            last = _position(fields[self._last])
        if (last is None) if self._with_end else (self._only_positions and last is not None):
            return None
        if self._with_end is None:
            self._with_end = last is not None
            self._only_positions = len(fields) <= self._last
        return (
            fields[self._contig],
            first + self.zero_based,
            first + self.zero_based if last is None else last,
        )


def _position(field: bytes) -> int | None:
    return int(field) if field.isdigit() and len(field) < 18 else parse_position(_as_text(field))


@contextmanager
def _open_lines(path: str) -> Iterator[BinaryIO]:
    """A file's lines, decompressed; what goes wrong while they are read is told.

    Raises
    ------
    BiofuseError
        If the file cannot be read, or is no text.
    """
    if not path:
        raise BiofuseError("the name of a file of the selection is empty")
    shown = STANDARD_INPUT_NAME if path in STANDARD_INPUT else path
    try:
        with _open(path) as raw:
            yield _decompressed(raw, shown)
    except BiofuseError:
        raise
    except OSError as error:
        raise BiofuseError(f"cannot read {shown}: {error.strerror or one_line(error)}") from error
    except (EOFError, zlib.error) as error:
        raise BiofuseError(f"cannot read {shown}: {one_line(error)}") from error


def _open(path: str) -> io.FileIO:
    if path in STANDARD_INPUT:
        return open(0, "rb", 0, closefd=False)
    return open(path, "rb", 0)


def _decompressed(raw: io.FileIO, shown: str) -> BinaryIO:
    source = io.BufferedReader(_Rest(raw), 1 << 17)
    if source.peek(2)[:2] != _GZIP:
        return _checked(source, shown)
    return _checked(io.BufferedReader(gzip.GzipFile(fileobj=source), 1 << 17), shown)


def _checked(file: Any, shown: str) -> BinaryIO:
    """The file, after its first bytes have been looked at."""
    head = file.peek(4)
    if head.startswith((b"BCF", b"\xff\xfe", b"\xfe\xff")) or b"\0" in head:
        kind = "a BCF" if head.startswith(b"BCF") else "no text in UTF-8"
        raise BiofuseError(f"{shown} is {kind}; a file of a selection is text, may be gzipped")
    if head.startswith(_BOM):
        file.read(len(_BOM))
    lines: BinaryIO = file
    return lines


class _Rest(io.RawIOBase):
    """A file or pipe, of which the first read has two bytes at least unless it ends."""

    def __init__(self, raw: io.FileIO):
        self._raw = raw
        self._head = b""
        while len(self._head) < 4:
            more = raw.read(4 - len(self._head))
            if not more:
                break
            self._head += more

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._head:
            return self._raw.readinto(buffer) or 0
        size = min(len(buffer), len(self._head))
        buffer[:size] = self._head[:size]
        self._head = self._head[size:]
        return size
