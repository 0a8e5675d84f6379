"""The model: bytes of real files, and which of them come from which chunks."""

import mmap
import sqlite3
import struct
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

# It has the time in it at which it was made.
_WITH_TIME = ".bgi"
# Variants of the model's stores lie so far from each other, from here on: so a record's position
# tells which one it is of.
_STEP = 7
# Of a `.pgen` whose records may differ in size.
_ANY_RECORDS = 0x10
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
    data : mmap.mmap or bytes
        What it has to be; of one that has the time of its making in it, what a face has given
        first, whose tables have to be those of the real file.
    edges : tuple of int
        Where something begins in it: records, and rows of chunks.
    rows : tuple of (int, int)
        Of each row of chunks or shards, see `layout.Layout`, the bytes that are made of it: first,
        and one past the last. None of a sidecar, which is made of no chunk that a fault meets.
    """

    name: str
    size: int
    data: mmap.mmap | bytes
    edges: tuple[int, ...]
    rows: tuple[tuple[int, int], ...] = ()

    @property
    def has_time(self) -> bool:
        """Whether the time at which it was made is in it."""
        return self.name.endswith(_WITH_TIME)

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
        reads: Mapping[str, Sequence[int]] | None = None,
    ) -> "Oracle":
        """The oracle that a folder of real files is.

        Parameters
        ----------
        folder : Path
        variants, samples : int
            Of the store.
        chunk : int
            Variants in a chunk or shard.
        reads : dict of str to sequence of int, optional
            By a file's suffix, the numbers of the arrays that it is made of; of others the first.
        """
        listed = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
        self = cls(listed)
        heights = -(-variants // chunk)
        for name, size in listed.items():
            if not size:
                continue
            path = folder / name
            with open(path, "rb") as f:
                data = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
            records = _records(path, data)
            if records is None:
                self.files.append(ViewFile(name, size, data, ()))
                continue
            spans = _rows(records, chunk, _blocks(data) if path.suffix == ".bcf" else None)
            numbers = (reads or {}).get(path.suffix, (0,))
            rows = [(0, 0)] * (heights * (1 + max(numbers)))
            for number in numbers:
                for row, span in spans.items():
                    rows[number * heights + row] = span
            begins = [begin for begin, _ in spans.values()]
            some = [each.begin for each in records[:: max(1, len(records) // 200)]]
            self.files.append(ViewFile(name, size, data, tuple(begins + some), tuple(rows)))
        return self


def index_tables(index: bytes) -> list[object]:
    """What is in a `.bgi`, but for the times in it."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(index)
        told = "filename, file_size, first_1000_bytes"
        return [
            list(database.execute(f"SELECT {told} FROM Metadata")),
            list(database.execute("SELECT * FROM Variant")),
        ]


class _Record(NamedTuple):
    """Where a record lies in its file, or in the stream that a `.bcf` is of, and of which variant
    of the store it is."""

    begin: int
    end: int
    variant: int


def _records(path: Path, data: mmap.mmap) -> list[_Record] | None:
    """A file's records; None of a sidecar."""
    if path.suffix == ".bed":
        positions = _column(path.with_suffix(".bim"), 3)
        return _fixed(3, len(data), positions)
    if path.suffix == ".pgen":
        positions = _column(path.with_suffix(".pvar"), 1)
        first = 12
        if data[2] == _ANY_RECORDS:
            # Of which the first block of records begins where the first of offsets tells.
            (first,) = struct.unpack_from("<Q", data, 12)
        return _fixed(first, len(data), positions)
    if path.suffix == ".bgen":
        index = f"file:{path}.bgi?mode=ro&immutable=1"
        with closing(sqlite3.connect(index, uri=True)) as database:
            lines = "SELECT file_start_position, size_in_bytes, position FROM Variant ORDER BY 1"
            return [
                _Record(at, at + size, _variant(position))
                for at, size, position in database.execute(lines)
            ]
    if path.suffix == ".bcf":
        return _bcf_records(b"".join(data[begin:end] for begin, end, _ in _blocks(data)))
    return None


def _variant(position: int) -> int:
    return position // _STEP - 1


def _column(path: Path, number: int) -> list[int]:
    """The positions of a text file."""
    lines = path.read_text().splitlines()
    return [int(line.split("\t")[number]) for line in lines if not line.startswith("#")]


def _fixed(first: int, end: int, positions: Sequence[int]) -> list[_Record]:
    """Records of one size from a place on."""
    size, rest = divmod(end - first, len(positions))
    assert not rest
    return [
        _Record(first + i * size, first + (i + 1) * size, _variant(position))
        for i, position in enumerate(positions)
    ]


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


def _bcf_records(stream: bytes) -> list[_Record]:
    (header,) = struct.unpack_from("<I", stream, 5)
    at, found = 9 + header, []
    while at + 8 <= len(stream):
        shared, individual, _, position = struct.unpack_from("<IIii", stream, at)
        end = at + 8 + shared + individual
        found.append(_Record(at, end, _variant(position + 1)))
        at = end
    return found


def _rows(
    records: Sequence[_Record], chunk: int, blocks: list[tuple[int, int, int]] | None
) -> dict[int, tuple[int, int]]:
    """The bytes that each chunk row is in; in blocks, all of each, which ends in a checksum."""
    spans: dict[int, tuple[int, int]] = {}
    for each in records:
        row = each.variant // chunk
        begin, _ = spans.get(row, (each.begin, 0))
        spans[row] = (begin, each.end)
    if blocks is None:
        return spans
    starts, total = [], 0
    for begin, end, _ in blocks:
        starts.append(total)
        total += end - begin
    ends = [0, *(end for _, _, end in blocks)]

    def block(at: int) -> int:
        return bisect_right(starts, at) - 1

    return {
        row: (ends[block(begin)], ends[block(end - 1) + 1]) for row, (begin, end) in spans.items()
    }
