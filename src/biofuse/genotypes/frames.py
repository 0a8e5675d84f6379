"""The fast path: chunks as Blosc frames, of which only the needed blocks are read."""

from dataclasses import dataclass

from biofuse import native
from biofuse.errors import BiofuseError
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.cache import ByteCache
from biofuse.stores import Piece, Range, Store

# Enough for the offset table of a frame of half a GiB, in one read with the header.
_HEAD_SIZE = 4096
# A frame is read whole if at least this part of its rows is wanted: one read, not two.
_WHOLE_FRACTION = 0.6


@dataclass(frozen=True, slots=True)
class Frame:
    """What `native.Rows.set_frame` takes.

    Attributes
    ----------
    index : memoryview
        The frame's header and offset table.
    span : memoryview
        Its bytes from `span_start` on.
    size : int
        Bytes of the whole frame.
    version : int
        Differs, as good as surely, if the frame was replaced.
    """

    index: memoryview
    span: memoryview
    span_start: int
    size: int
    version: int


def _frame(index: memoryview, span: memoryview, start: int, piece: Piece) -> Frame:
    return Frame(index, span, start, piece.size, hash(piece.version) & 0xFFFF_FFFF_FFFF_FFFF)


class FrameReader:
    """Reads the frames of a chunk row.

    Parameters
    ----------
    store : Store
    array : GenotypeArray
    cache : ByteCache
        Holds offset tables and, where the backend reads whole objects only, those.
    """

    def __init__(self, store: Store, array: GenotypeArray, cache: ByteCache):
        self._store = store
        self._array = array
        self._cache = cache
        self._item_size = array.item_size
        self._row_size = array.chunks[1] * array.ploidy * array.item_size
        self._row_bytes: float | None = None
        self._raw_size = array.chunks[0] * self._row_size

    def read(
        self, chunk_row: int, sample_chunks: list[int], sizes, first: int, last: int
    ) -> list[Frame | None]:
        """Frames with the blocks of rows `first` to `last`, inclusive.

        None stands for a chunk that is not stored.

        Raises
        ------
        BiofuseError
            If a frame is malformed.
        native.NativeError
            With `unsupported` set, if a frame is of another kind than the metadata says.
        """
        keys = [self._array.key(chunk_row, c) for c in sample_chunks]
        part = (last - first + 1) / self._array.chunks[0]
        whole = self._store.ranged and part >= _WHOLE_FRACTION
        heads = self._heads(keys, whole)
        self._note_sizes(heads)
        spans = []
        frames: list[Frame | None] = [None] * len(keys)
        wanted = []
        for i, (key, head) in enumerate(zip(keys, heads, strict=True)):
            if head is None:
                continue
            index, start, stop = self._locate(key, head, first, last, sizes[i])
            span = head.slice(start, stop)
            if span is not None:
                frames[i] = _frame(index, span, start, head)
            else:
                spans.append((i, head, index))
                wanted.append(Range(key, start, stop))
        for (i, head, index), want, piece in zip(
            spans, wanted, self._store.get_many(wanted), strict=True
        ):
            span = None if piece is None else piece.slice(want.start, want.stop)
            if piece is None or span is None or piece.version != head.version:
                self._cache.drop(want.key)
                raise BiofuseError(f"{want.key} changed while it was read")
            frames[i] = _frame(index, span, want.start, piece)
        return frames

    def row_bytes(self, chunk_row: int, sample_chunks: list[int]) -> float:
        """Encoded bytes of a row of these chunks, at most as far as was seen until now.

        Raises
        ------
        BiofuseError
            If a frame is malformed.
        native.NativeError
            As `read`.
        """
        if self._row_bytes is None:
            heads = self._heads([self._array.key(chunk_row, c) for c in sample_chunks], False)
            self._note_sizes(heads)
        return self._row_bytes or 0

    def _note_sizes(self, heads: list[Piece | None]) -> None:
        total = sum(head.size for head in heads if head is not None)
        self._row_bytes = max(self._row_bytes or 0, total / self._array.chunks[0])

    def _heads(self, keys: list[str], whole: bool) -> list[Piece | None]:
        heads: list[Piece | None] = [self._cache.get(key) for key in keys]
        missing = [i for i, head in enumerate(heads) if head is None or whole]
        stop = None if whole else _HEAD_SIZE
        pieces = self._store.get_many([Range(keys[i], 0, stop) for i in missing])
        for i, piece in zip(missing, pieces, strict=True):
            heads[i] = piece
            if piece is not None and not whole:
                piece = heads[i] = self._complete(keys[i], piece)
                self._cache.put(keys[i], piece, len(piece.data) + 256)
        return heads

    def _complete(self, key: str, piece: Piece) -> Piece:
        """The piece, read again if the offset table does not lie in it."""
        size = self._index_size(key, piece)
        if size <= len(piece.data):
            if len(piece.data) == piece.size:
                return piece
            return Piece(bytes(memoryview(piece.data)[:size]), 0, piece.size, piece.version)
        (again,) = self._store.get_many([Range(key, 0, size)])
        if again is None or len(again.data) < size:
            raise BiofuseError(f"{key} changed while it was read")
        return again

    def _index_size(self, key: str, piece: Piece) -> int:
        try:
            return native.frame_index_size(piece.data, self._raw_size, piece.size, self._item_size)
        except native.NativeError as error:
            if error.unsupported:
                raise
            raise BiofuseError(f"{key}: {error}") from error

    def _locate(
        self, key: str, head: Piece, first: int, last: int, num_samples: int
    ) -> tuple[memoryview, int, int]:
        index = head.slice(0, min(self._index_size(key, head), len(head.data)))
        try:
            start, stop = native.frame_span(
                index,
                self._raw_size,
                head.size,
                first * self._row_size,
                last * self._row_size + num_samples * self._array.ploidy * self._item_size - 1,
                self._item_size,
            )
        except native.NativeError as error:
            raise BiofuseError(f"{key}: {error}") from error
        return index, start, stop
