"""Where records and blocks lie in a streamed file."""

import errno
import os
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

from biofuse.manifest import StreamedFile

# Elements of a table that are read at a time where all of them are wanted.
_READ_ELEMENTS = 8192
# Blocks of a sparse selection touch at most this many of the store's chunk rows.
_MAX_CHUNK_ROWS = 8


class Table(Sequence[int]):
    """A file of uint64 as a sequence that takes no memory: each element is read when wanted.

    Parameters
    ----------
    fd : int
        The file, which stays open.
    """

    def __init__(self, fd: int):
        self._fd = fd
        self._length = os.fstat(fd).st_size // 8

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[int]:
        for start in range(0, self._length, _READ_ELEMENTS):
            stop = min(start + _READ_ELEMENTS, self._length)
            data = os.pread(self._fd, 8 * (stop - start), 8 * start)
            if len(data) < 8 * (stop - start):
                missing = start + len(data) // 8
                raise OSError(errno.EIO, f"a table of the plan ends at element {missing}")
            values = array("Q", data)
            if sys.byteorder == "big":
                values.byteswap()
            yield from values

    def __getitem__(self, index):
        if not 0 <= index < self._length:
            raise IndexError(index)
        data = os.pread(self._fd, 8, 8 * index)
        if len(data) < 8:
            raise OSError(errno.EIO, f"a table of the plan ends at element {index}")
        return int.from_bytes(data, "little")


class Records:
    """Byte offsets of a streamed file's records.

    Parameters
    ----------
    file : manifest.StreamedFile
    offsets : sequence of int, optional
        records + 1 offsets, where records differ in size.
    """

    def __init__(self, file: StreamedFile, offsets: Sequence[int] | None):
        self.header_size = file.header_size
        self.size = file.size
        self.count = file.records
        self._record_size = file.record_size or 0
        self._offsets = offsets

    def start(self, record: int) -> int:
        """Offset of a record; of the file's end for the one after the last."""
        if self._offsets is not None:
            return self._offsets[record]
        return self.header_size + record * self._record_size

    def at(self, offset: int) -> int:
        """The record that holds the byte at an offset past the header."""
        if self._offsets is not None:
            return bisect_right(self._offsets, offset) - 1
        return (offset - self.header_size) // self._record_size


def cut_blocks(records: Records, chunk_starts, slot: int) -> array:
    """Cut a file into runs of whole records that fit a slot, aligned with the store's chunks.

    A chunk row that is too large is cut into parts of about one size; small ones are put
    together.

    Parameters
    ----------
    records : Records
    chunk_starts : sequence of int
        First record of each of the store's chunk rows, ascending.
    slot : int
        Bytes of a slot; no record is larger.

    Returns
    -------
    array of uint64
        First record of every block, and the number of records.
    """
    starts = array("Q")
    begin, chunks = 0, 0
    begin_offset = offset = records.header_size
    rows = pairwise(chain(chunk_starts, [records.count])) if records.count else ()
    for start, stop in rows:
        end = records.start(stop)
        if chunks and (chunks == _MAX_CHUNK_ROWS or end - begin_offset > slot):
            starts.append(begin)
            chunks = 0
        if not chunks:
            begin, begin_offset = start, offset
        if end - offset > slot:
            starts.extend(_cut(records, start, stop, slot))
            chunks = 0
        else:
            chunks += 1
        offset = end
    if chunks:
        starts.append(begin)
    starts.append(records.count)
    return starts


def _cut(records: Records, start: int, stop: int, slot: int) -> list[int]:
    """First records of parts that each fit a slot."""
    parts = -(-(records.start(stop) - records.start(start)) // slot)
    while True:
        per_part = -(-(stop - start) // parts)
        firsts = list(range(start, stop, per_part))
        lasts = [*firsts[1:], stop]
        if all(
            records.start(last) - records.start(first) <= slot
            for first, last in zip(firsts, lasts, strict=True)
        ):
            return firsts
        parts += 1
