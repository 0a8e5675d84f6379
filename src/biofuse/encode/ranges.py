"""Byte ranges of streamed files, from whole records that an encoder makes."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from biofuse.bgzf import BLOCK, END, PAYLOAD, framed_size, stored_block
from biofuse.encode.encoder import Encoder
from biofuse.encode.records import Records
from biofuse.errors import BiofuseError, as_errno, one_line
from biofuse.manifest import Plan

Buffer = bytes | memoryview
# Of a framed file, blocks that are made at a time.
_BLOCKS = 16


class AnswerError(Exception):
    """Bytes of a streamed file cannot be made.

    Attributes
    ----------
    errno : int
    record : int
        The first record of those that could not be made.
    """

    def __init__(self, error: Exception, record: int):
        super().__init__(one_line(error))
        self.errno = as_errno(error)
        self.record = record


@dataclass(frozen=True)
class Use:
    """What was made and kept since a worker began.

    Attributes
    ----------
    records_encoded, bytes_encoded : int
    plane_hits, plane_misses : int
        Blocks whose planes were there, or had to be decompressed.
    chunk_hits, chunk_misses : int
        Offset tables, and parts of chunks that were decoded whole, that were there or not.
    cache_size : int
        Bytes that are kept.
    """

    records_encoded: int = 0
    bytes_encoded: int = 0
    plane_hits: int = 0
    plane_misses: int = 0
    chunk_hits: int = 0
    chunk_misses: int = 0
    cache_size: int = 0


class Answers:
    """Makes any bytes of a plan's streamed files. Thread-safe.

    Parameters
    ----------
    plan : Plan
    tables : dict of str to memoryview
        The plan's tables by file name, as bytes.
    encoder : Encoder
    kept_bytes : int
        What may be kept of records that a range has only the beginning of: the next range of
        a run of reads has the rest.
    """

    def __init__(
        self,
        plan: Plan,
        tables: dict[str, memoryview],
        encoder: Encoder,
        kept_bytes: int,
    ):
        self._files = [Records(streamed, tables) for streamed in plan.streamed]
        self._headers = [tables[streamed.header] for streamed in plan.streamed]
        self._encoder = encoder
        self._lock = Lock()
        # By file, and record or, of one that is framed, "block" and its number.
        self._kept: OrderedDict[tuple[int, int | str], bytes] = OrderedDict()
        self._kept_bytes = kept_bytes
        self._kept_size = 0
        self._records = self._bytes = 0

    @property
    def use(self) -> Use:
        """What was made and is kept."""
        caches = self._encoder.cache_use
        return Use(
            self._records,
            self._bytes,
            caches.plane_hits,
            caches.plane_misses,
            caches.chunk_hits,
            caches.chunk_misses,
            caches.size + self._kept_size,
        )

    def answer(self, file: int, offset: int, size: int) -> Sequence[Buffer]:
        """Bytes of a file, in pieces; offset and size are within it.

        Raises
        ------
        AnswerError
            If any of them cannot be made.
        """
        records = self._files[file]
        if records.stream is None:
            return self._read(file, offset, size)
        return self._read_framed(file, offset, offset + size, records.stream)

    def _read_framed(self, file: int, offset: int, stop: int, stream: int) -> list[Buffer]:
        """Bytes of a file whose stream is framed."""
        end = framed_size(stream) - len(END)
        pieces: list[Buffer] = []
        while offset < min(stop, end):
            block = offset // BLOCK
            # What is wanted of whole blocks is made at once, about a mebibyte at a time.
            count = min(_BLOCKS, (min(stop, end) - 1) // BLOCK - block + 1)
            made = self._blocks(file, block, count, stream)
            start = block * BLOCK
            pieces.append(memoryview(made)[offset - start : stop - start])
            offset = min(stop, start + len(made))
        if stop > end:
            pieces.append(END[offset - end : stop - end])
        return pieces

    def _blocks(self, file: int, first: int, count: int, stream: int) -> bytes:
        """Some blocks, or the first one if that is kept; the last one is kept."""
        kept = self._take(file, f"block {first}")
        if kept is not None:
            return kept
        start = first * PAYLOAD
        size = min(count * PAYLOAD, stream - start)
        data = b"".join(self._read(file, start, size))
        blocks = [stored_block(data[at : at + PAYLOAD]) for at in range(0, size, PAYLOAD)]
        self._keep(file, f"block {first + len(blocks) - 1}", blocks[-1])
        return b"".join(blocks)

    def _read(self, file: int, offset: int, size: int) -> list[Buffer]:
        """Bytes of a file, or of its stream."""
        records = self._files[file]
        stop = offset + size
        pieces: list[Buffer] = []
        if offset < records.header_size:
            wanted = min(stop, records.header_size) - offset
            pieces.append(self._headers[file][offset : offset + wanted])
            offset += wanted
        if offset == stop:
            return pieces
        first, last = records.at(offset), records.at(stop - 1) + 1
        start = records.start(first)
        kept = self._take(file, first)
        if kept is not None:
            pieces.append(memoryview(kept)[offset - start : stop - start])
            first, start = first + 1, start + len(kept)
            offset = min(start, stop)
        if first < last:
            made = self._make(file, first, last, records.start(last) - start)
            pieces.append(made[offset - start : stop - start])
            edge = records.start(last - 1)
            if records.start(last) > stop:
                self._keep(file, last - 1, bytes(made[edge - start :]))
        return pieces

    def _make(self, file: int, first: int, last: int, size: int) -> memoryview:
        if not 0 <= size <= (last - first) * self._files[file].max_record:
            raise AnswerError(BiofuseError("the plan's table of offsets is damaged"), first)
        made = memoryview(bytearray(size))
        try:
            self._encoder.encode(file, first, last, made)
        except Exception as error:
            raise AnswerError(error, first) from error
        with self._lock:
            self._records += last - first
            self._bytes += size
        return made

    def _take(self, file: int, record: int | str) -> bytes | None:
        with self._lock:
            data = self._kept.get((file, record))
            if data is not None:
                self._kept.move_to_end((file, record))
            return data

    def _keep(self, file: int, record: int | str, data: bytes) -> None:
        with self._lock:
            if (file, record) in self._kept:
                return
            self._kept[file, record] = data
            self._kept_size += len(data)
            while self._kept_size > self._kept_bytes:
                _, dropped = self._kept.popitem(last=False)
                self._kept_size -= len(dropped)
