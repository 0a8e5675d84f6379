"""The model: bytes of real files, and which of them come from which chunks."""

import mmap
import sqlite3
import struct
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

# Of a `.bgi`: it has the time in it at which it was made, so it is listed and never read.
_UNREAD = ".bgi"
_BGZF_HEADER = 18
_BGZF_STORED = 5
_BGZF_END = 8


@dataclass
class ViewFile:
    """A file of a view.

    Attributes
    ----------
    name : str
    size : int
    data : mmap.mmap
        What it has to be.
    edges : tuple of int
        Where something begins in it: records, and rows of chunks.
    rows : tuple of (int, int)
        Of each chunk row, the bytes that are made of it: first, and one past the last. None of
        a sidecar, which is made of no chunk that a fault meets.
    """

    name: str
    size: int
    data: mmap.mmap
    edges: tuple[int, ...]
    rows: tuple[tuple[int, int], ...] = ()

    @property
    def is_streamed(self) -> bool:
        return bool(self.rows)

    def touched(self, first: int, last: int) -> set[int]:
        """The chunk rows that bytes first to last, without the last, are made of."""
        return {row for row, (begin, end) in enumerate(self.rows) if begin < last and first < end}


@dataclass
class Oracle:
    """Files of a view of a store.

    Attributes
    ----------
    listed : dict of str to int
        Names and sizes.
    files : list of ViewFile
        Those that are read.
    """

    listed: dict[str, int]
    files: list[ViewFile] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        folder: Path,
        variants: int,
        samples: int,
        chunk: int,
        sizes: dict[str, int] | None = None,
    ) -> "Oracle":
        """The oracle that a folder of real files is.

        Parameters
        ----------
        folder : Path
        variants, samples : int
        chunk : int
            Variants in a chunk.
        sizes : dict of str to int, optional
            Of files whose real ones are of another size: an index has the time in it.
        """
        listed = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
        self = cls({**listed, **(sizes or {})})
        for name, size in listed.items():
            if name.endswith(_UNREAD) or not size:
                continue
            with open(folder / name, "rb") as f:
                data = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
            starts = _record_starts(folder / name, data, variants, samples)
            if starts is None:
                self.files.append(ViewFile(name, size, data, ()))
                continue
            rows = _rows(starts, chunk, _blocks(data) if name.endswith(".bcf") else None)
            begins = [begin for begin, _ in rows]
            some = [begin for begin, _ in starts[:: max(1, len(starts) // 200)]]
            self.files.append(ViewFile(name, size, data, tuple(begins + some), tuple(rows)))
        return self


def _record_starts(
    path: Path, data: mmap.mmap, variants: int, samples: int
) -> list[tuple[int, int]] | None:
    """Where each record lies in its file, or in the stream that a `.bcf` is of."""
    packed = -(-samples // 4)
    fixed = {".bed": 3, ".pgen": len(data) - variants * packed}
    if path.suffix in fixed:
        first = fixed[path.suffix]
        assert first + variants * packed == len(data)
        return [(first + i * packed, first + (i + 1) * packed) for i in range(variants)]
    if path.suffix == ".bgen":
        index = f"file:{path}.bgi?mode=ro&immutable=1"
        with closing(sqlite3.connect(index, uri=True)) as database:
            lines = "SELECT file_start_position, size_in_bytes FROM Variant ORDER BY 1"
            found = [(at, at + size) for at, size in database.execute(lines)]
        assert len(found) == variants
        return found
    if path.suffix == ".bcf":
        return _bcf_records(b"".join(data[begin:end] for begin, end, _ in _blocks(data)))
    return None


def _blocks(data: mmap.mmap) -> list[tuple[int, int, int]]:
    """Of each BGZF block of stored data: where its payload is, and where it ends."""
    found = []
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from("<H", data, at + 16)
        end = at + size + 1
        begin = at + _BGZF_HEADER + _BGZF_STORED
        # The last one is empty, and compressed.
        found.append((begin, max(begin, end - _BGZF_END), end))
        at = end
    return found


def _bcf_records(stream: bytes) -> list[tuple[int, int]]:
    (header,) = struct.unpack_from("<I", stream, 5)
    at, found = 9 + header, []
    while at + 8 <= len(stream):
        shared, individual = struct.unpack_from("<II", stream, at)
        found.append((at, at + 8 + shared + individual))
        at = found[-1][1]
    return found


def _rows(
    records: Sequence[tuple[int, int]], chunk: int, blocks: list[tuple[int, int, int]] | None
) -> list[tuple[int, int]]:
    """The bytes that each chunk row is in; in blocks, all of each, which ends in a checksum."""
    spans = []
    for i in range(0, len(records), chunk):
        part = records[i : i + chunk]
        spans.append((part[0][0], part[-1][1]))
    if blocks is None:
        return spans
    starts, total = [], 0
    for begin, end, _ in blocks:
        starts.append(total)
        total += end - begin
    ends = [0, *(end for _, _, end in blocks)]

    def block(at: int) -> int:
        return bisect_right(starts, at) - 1

    return [(ends[block(begin)], ends[block(end - 1) + 1]) for begin, end in spans]
