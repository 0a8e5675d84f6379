"""The slow path: chunks of any array that zarr-python reads, decoded whole, one at a time.

Those of one plain codec are decoded without it.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from biofuse import native
from biofuse.errors import BiofuseError, DamagedError, one_line
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.cache import ByteCache
from biofuse.genotypes.plain import decode, most_decoded
from biofuse.genotypes.texts import TextChunk
from biofuse.memory import format_size
from biofuse.stores import Location, Range, Store, read_whole
from biofuse.stores.limits import encoded, only

logger = logging.getLogger("biofuse.encode")

# What is kept of a chunk row leaves room for the next one's first chunks.
_ROOM = 1.25
# A decoded chunk is larger, and its place in the heap would stay taken by what comes after.
_LARGE = 1 << 20


class WholeChunks:
    """Decodes chunks of all arrays of a store, and keeps what is made of their rows.

    One chunk is decoded at a time, whatever the number of arrays and threads. What is kept
    of it is a range of rows such that this range of all sample chunks fits the cache: so a
    chunk is decoded once a range, not once a call.

    Parameters
    ----------
    store : Store
        Tells whether a chunk changed.
    location : Location
        The same store, for zarr-python.
    cache : ByteCache
    """

    def __init__(self, store: Store, location: Location, cache: ByteCache):
        self._store = store
        self._location = location
        self._cache = cache
        self._arrays: dict = {}
        self._begun: set[str] = set()
        self._lock = threading.RLock()

    def range_rows(self, array: GenotypeArray, row_bytes: int) -> int:
        """Rows of a range.

        Parameters
        ----------
        array : GenotypeArray
        row_bytes : int
            What is kept of a row of all sample chunks, in bytes.
        """
        height = array.chunks[0]
        ranges = -(-int(_ROOM * height * row_bytes) // max(1, self._cache.limit))
        return -(-height // min(height, max(1, ranges)))

    def kept(
        self,
        array: GenotypeArray,
        chunk_row: int,
        sample_chunk: int,
        row: int,
        row_bytes: Callable[[], int],
        make: Callable,
    ):
        """What is made of the range that a row of a chunk lies in. Call under `alone`.

        Parameters
        ----------
        row_bytes : callable
            As for `range_rows`; asked again when the chunk was looked at.
        make : callable
            Called with all rows of the chunk as a numpy array, or a `TextChunk` if they are
            texts, and with a callable that gives the first and last row, exclusive, of the
            range to keep, and makes room for it. Returns an object with `nbytes`, which must
            not refer to that array.

        Raises
        ------
        BiofuseError
            If the array has no such row, or the chunk cannot be decoded.
        """
        chunk = (array.path, chunk_row, sample_chunk)
        rows = min(array.chunks[0], array.shape[0] - chunk_row * array.chunks[0])
        if not 0 <= row < rows:
            raise BiofuseError(
                f"{array.key(chunk_row, sample_chunk)}: the array has no row {row} in this chunk"
            )

        def bounds() -> tuple[int, int]:
            size = self.range_rows(array, row_bytes())
            first = row // size * size
            return first, min(first + size, rows)

        key = ("whole", chunk, bounds())
        found = self._cache.get(key)
        if found is not None:
            return found
        share = array.chunks[1] / max(1, array.shape[1])

        def begin() -> tuple[int, int]:
            first, last = bounds()
            self._cache.make_room(int((last - first) * row_bytes() * min(1.0, share)))
            return first, last

        made = make(self.decode(array, chunk_row, sample_chunk), begin)
        self._cache.put(("whole", chunk, bounds()), made, made.nbytes)
        return made

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Have no other thread decode a chunk until the block ends."""
        with self._lock:
            yield

    def decode(self, array: GenotypeArray, chunk_row: int, sample_chunk: int):
        """A whole chunk, but for what of it is beyond the array's edge. Call under `alone`.

        Returns
        -------
        ndarray or TextChunk

        Raises
        ------
        BiofuseError
            If it cannot be read; the text has its key.
        """
        key = array.key(chunk_row, sample_chunk)
        part = tuple(
            slice(number * size, min((number + 1) * size, whole))
            for number, size, whole in zip(
                (chunk_row, sample_chunk), array.chunks, array.shape, strict=False
            )
        )
        self._begin(array, key)
        try:
            values = self._decode_plain(array, key, part)
            if values is not None and self._store.far:
                # Which has told with the answer that it is what it was.
                return values
            if values is None:
                values = self._open(array)(*part)
                if array.code == "s":
                    values = TextChunk(array, values, values.shape[:2])
        except BiofuseError:
            raise
        except Exception as error:
            self._is_stored(key)
            text = f"{key}: the chunk cannot be read: {one_line(error)}"
            raise DamagedError(text, [key]) from error
        if not self._is_stored(key):
            array.check_absent(chunk_row, sample_chunk)
        return values

    def _decode_plain(self, array: GenotypeArray, key: str, part: tuple[slice, ...]):
        """Decode a chunk that is not zarr-python's business; None if it is, or is not stored."""
        import numpy as np

        if array.plain is None:
            return None
        [piece] = read_whole(self._store, [key], encoded(most_decoded(array)))
        if piece is None:
            return None
        shape = (part[0].stop - part[0].start, part[1].stop - part[1].start)
        values = decode(array, piece.data)
        if not isinstance(values, np.ndarray):
            return TextChunk(array, values, shape)
        values = values[: shape[0], : shape[1]]
        return TextChunk(array, values, shape) if array.code == "s" else values

    def _is_stored(self, key: str) -> bool:
        """Whether a chunk is there; `StoreChangedError` if it was changed after the mount."""
        return self._store.get_many([Range(key, 0, 1)]) != [None]

    def _begin(self, array: GenotypeArray, key: str) -> None:
        """Prepare for the first chunk of an array; say so if its metadata promised better."""
        if array.path in self._begun:
            return
        if array.fast:
            if not self._is_stored(key):
                return
            logger.warning(
                "%s has chunks that are not what its metadata says: they are decoded whole, "
                "%s each",
                array.path,
                format_size(array.decoded_size),
            )
        self._begun.add(array.path)
        native.give_back_blocks_of(_LARGE)

    def _open(self, array: GenotypeArray) -> Callable:
        opened = self._arrays.get(array.path)
        if opened is None:
            from biofuse.genotypes.capture import capture
            from biofuse.stores.location import open_group

            zarr_array = open_group(self._location, plain=False)[array.path]

            def opened(*selection):
                with only(zarr_array):
                    return capture(zarr_array, selection)

            self._arrays[array.path] = opened
        return opened
