"""The records of streamed files: where they lie, what they are made of, and the kernels that do."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping

from biofuse import native
from biofuse.bgzf import stream_offset
from biofuse.formats import get_format
from biofuse.manifest import StreamedFile


class Records:
    """Where the records of a streamed file, or of its stream if it is framed, lie.

    Parameters
    ----------
    streamed : StreamedFile
    tables : dict of str to memoryview
        The plan's tables by file name, as bytes.

    Attributes
    ----------
    count : int
    max_record : int
        Bytes of the largest.
    header_size : int
    stream : int or None
        Bytes of the stream; None if the file is not framed.
    variants : memoryview of uint32 or None
        The store's index of each record, ascending.
    first : int
        Else, that of the first one; others follow.

    Raises
    ------
    ValueError
        If they do not lie between the header and the file's end.
    """

    def __init__(self, streamed: StreamedFile, tables: Mapping[str, memoryview]):
        self.count = streamed.records
        self.max_record = streamed.max_record
        self.header_size = streamed.header_size
        self.stream = streamed.stream
        self._record_size = streamed.record_size or 0
        self._offsets = tables[streamed.offsets].cast("Q") if streamed.offsets else None
        end = streamed.size if self.stream is None else self.stream
        if (self.start(0), self.start(self.count)) != (self.header_size, end):
            raise ValueError(f"the records of {streamed.name} are at other places")
        self.first = streamed.first
        self.variants = None
        if streamed.variants:
            stop = streamed.first + streamed.records
            self.variants = tables[streamed.variants].cast("I")[streamed.first : stop]

    def variant(self, record: int) -> int:
        """The store's index of a record."""
        return self.first + record if self.variants is None else self.variants[record]

    def record_from(self, variant: int, first: int = 0, last: int | None = None) -> int:
        """The first of some records whose variant is not before this one."""
        last = self.count if last is None else last
        if self.variants is None:
            return min(max(variant - self.first, first), last)
        return bisect_left(self.variants, variant, first, last)

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

    def place(self, offset: int) -> int:
        """The place in the stream, if there is one, of a byte of the file."""
        return offset if self.stream is None else stream_offset(offset, self.stream)


def open_encoder(streamed: StreamedFile, tables: Mapping[str, memoryview]) -> native.RecordEncoder:
    """The kernel that makes a file's records.

    Parameters
    ----------
    streamed : StreamedFile
    tables : mapping of str to memoryview
        The plan's tables by file name, as bytes.
    """
    offsets = tables[streamed.offsets].cast("Q") if streamed.offsets else None
    heads = tables[streamed.heads] if streamed.heads else None
    made: native.RecordEncoder = get_format(streamed.format).record_encoder(
        streamed.params, offsets, heads
    )
    if streamed.alts is None:
        return made
    stop = streamed.first + streamed.records
    alts = tables[streamed.alts].cast("H")[2 * streamed.first : 2 * stop]
    return native.SplitEncoder(made, alts, streamed.others_missing)
