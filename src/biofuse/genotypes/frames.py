"""The fast path: chunks as Blosc frames, of which only the needed blocks are read."""

import math
import threading
from dataclasses import dataclass
from typing import cast

from biofuse import native
from biofuse.errors import BiofuseError, DamagedError
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.cache import ByteCache
from biofuse.genotypes.touches import Touches
from biofuse.stores import FarStore, Piece, Range, Store
from biofuse.stores.limits import encoded

# Enough for the offset table of a frame of half a GiB, in one read with the header.
_HEAD_SIZE = 4096
# A frame is read whole if at least this part of its rows is wanted: one read, not two.
_WHOLE_FRACTION = 0.6
# Frames of a chunk row of a store at some distance are kept if they fit this part of the cache.
_KEPT_PART = 4
# In the cache, in place of a chunk that a store at some distance does not have.
_ABSENT = Piece(b"", 0, 0, "absent")
# The largest block that is read here.
_MAX_BLOCK = 8 << 20
# What blocks have, but for those that were made to be larger.
_USUAL_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class _Shape:
    """Bytes of a chunk row's frames, and of the largest block that they have."""

    encoded: int
    block: int


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
    sample_chunks : list of int
        Those that are read.
    cache : ByteCache
        Holds offset tables, and whole frames that are no larger than one; of a store at some
        distance all frames of a chunk row that is read on in, if they are small.
    """

    def __init__(
        self, store: Store, array: GenotypeArray, sample_chunks: list[int], cache: ByteCache
    ):
        self._store = store
        self._array = array
        self._sample_chunks = sample_chunks
        self._cache = cache
        self._item_size = array.item_size
        self._row_size = array.chunks[1] * array.ploidy * array.item_size
        self._raw_size = array.chunks[0] * self._row_size
        # From this many rows on, a frame is read whole.
        self._whole_rows = max(1, math.ceil(_WHOLE_FRACTION * array.chunks[0]))
        self._touches = Touches()
        self._fetching = (threading.Lock(), threading.Lock())

    def read(self, chunk_row: int, sizes, first: int, last: int) -> list[Frame | None]:
        """Frames with the blocks of rows `first` to `last`, inclusive.

        None stands for a chunk that is not stored.

        Parameters
        ----------
        sizes : sequence of int
            Samples that are read of each sample chunk.

        Raises
        ------
        BiofuseError
            If a frame is malformed, or is not stored where it was when planned.
        native.NativeError
            With `unsupported` set, if a frame is of another kind than the metadata says.
        """
        keys = self._keys(chunk_row)
        if self._keeps(chunk_row, first):
            heads = self._kept(chunk_row, keys)
        else:
            heads = self._heads(keys, last - first + 1 >= self._whole_rows)
        spans = []
        frames: list[Frame | None] = [None] * len(keys)
        wanted: list[Range] = []
        for i, (key, head) in enumerate(zip(keys, heads, strict=True)):
            if head is None:
                self._array.check_absent(chunk_row, self._sample_chunks[i])
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
            assert want.stop is not None
            span = None if piece is None else piece.slice(want.start, want.stop)
            if piece is None or span is None or piece.version != head.version:
                self._cache.drop(want.key)
                raise BiofuseError(f"{want.key} changed while it was read")
            frames[i] = _frame(index, span, want.start, piece)
        return frames

    def rows_within(self, chunk_row: int, row: int, size: int) -> int:
        """How many rows, from this one on, can be read in so many bytes.

        At least those that end in the block in which this one does: they are read with it.

        Raises
        ------
        BiofuseError
            If a frame is malformed.
        native.NativeError
            As `read`.
        """
        shape = self._shape(chunk_row)
        rows = int(size / max(1, shape.encoded) * self._array.chunks[0])
        if rows >= self._array.chunks[0]:
            return rows
        # A block that is begun is read to its end, on either side.
        rows -= 2 * -(-shape.block // self._row_size)
        if shape.block:
            ends_in = ((row + 1) * self._row_size - 1) // shape.block
            rows = max(rows, (ends_in + 1) * shape.block // self._row_size - row)
        return max(1, min(rows, self._whole_rows - 1))

    def block_size(self, chunk_row: int) -> int:
        """Bytes of a decompressed block; as large as can be where no frame tells."""
        largest = min(self._raw_size, _MAX_BLOCK)
        if self._store.far:
            # Which would be a round of requests.
            return min(largest, _USUAL_BLOCK)
        try:
            return self._shape(chunk_row).block or largest
        except (BiofuseError, native.NativeError):
            # Whoever reads it will say so.
            return largest

    def _keys(self, chunk_row: int) -> list[str]:
        return [self._array.key(chunk_row, c) for c in self._sample_chunks]

    def _shape(self, chunk_row: int) -> "_Shape":
        """What is known of the frames of a chunk row before they are read."""
        key = ("shape", self._array.path, chunk_row)
        shape = self._cache.get(key)
        if shape is None:
            heads = [head for head in self._heads(self._keys(chunk_row), False) if head]
            blocks = [native.frame_block_size(head.data) for head in heads]
            shape = _Shape(sum(head.size for head in heads), max(blocks, default=0))
            self._cache.put(key, shape, 256)
        return shape

    def _keeps(self, chunk_row: int, row: int) -> bool:
        """Whether frames are read whole, and kept for the blocks that are read next."""
        if not self._store.far:
            return False
        size = self._shape(chunk_row).encoded
        if size > self._cache.limit // _KEPT_PART:
            return False
        position = row * self._row_size
        per_delay = cast(FarStore, self._store).bytes_per_delay
        return self._touches.suffice(chunk_row, position, size, per_delay)

    def _kept(self, chunk_row: int, keys: list[str]) -> list[Piece | None]:
        """The whole frames, of two chunk rows at a time: read once where several threads want them.

        So what is not in the cache yet is never more than twice the part of it that a row may
        take.
        """
        with self._fetching[chunk_row % 2]:
            found = [self._cache.get(key) for key in keys]
            missing = [
                i for i, piece in enumerate(found) if piece is None or len(piece.data) < piece.size
            ]
            most = encoded(self._raw_size)
            pieces = self._store.get_many([Range(keys[i], 0, most) for i in missing])
            for i, piece in zip(missing, pieces, strict=True):
                found[i] = self._keep(keys[i], piece)
        return [None if piece is _ABSENT else piece for piece in found]

    def _keep(self, key: str, piece: Piece | None) -> Piece | None:
        """Put what was read, or that there is nothing, into the cache, and return it."""
        if piece is None:
            if not self._store.far:
                # It may come to be there, which the store sees.
                return None
            piece = _ABSENT
        self._cache.put(key, piece, len(piece.data) + 256)
        return piece

    def _heads(self, keys: list[str], whole: bool) -> list[Piece | None]:
        heads: list[Piece | None] = [self._cache.get(key) for key in keys]
        missing = [
            i for i, head in enumerate(heads) if head is None or (whole and head is not _ABSENT)
        ]
        # Of what is no such frame, no more than one has is read before that is told.
        stop = encoded(self._raw_size) if whole else _HEAD_SIZE
        pieces = self._store.get_many([Range(keys[i], 0, stop) for i in missing])
        for i, piece in zip(missing, pieces, strict=True):
            heads[i] = piece
            if not whole:
                complete = None if piece is None else self._complete(keys[i], piece)
                heads[i] = self._keep(keys[i], complete)
        return [None if head is _ABSENT else head for head in heads]

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
            raise DamagedError(f"{key}: {error}", [key]) from error

    def _locate(
        self, key: str, head: Piece, first: int, last: int, num_samples: int
    ) -> tuple[memoryview, int, int]:
        index = memoryview(head.data)[: self._index_size(key, head)]
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
            raise DamagedError(f"{key}: {error}", [key]) from error
        return index, start, stop
