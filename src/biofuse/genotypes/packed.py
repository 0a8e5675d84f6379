"""The slow path: any array that zarr-python reads, packed to the same planes."""

import threading

from biofuse import native
from biofuse.errors import BiofuseError, one_line
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.cache import ByteCache
from biofuse.stores import Location, Range, Store


class PackedReader:
    """Reads one sample chunk at a time through zarr-python and packs its rows.

    One chunk is decoded at a time, whatever the number of threads, so that no more
    than one decoded chunk is ever in memory.

    Parameters
    ----------
    store : Store
        Tells whether a chunk changed.
    location : Location
        The same store, for zarr-python.
    array : GenotypeArray
    cache : ByteCache
        Holds packed rows.
    """

    def __init__(self, store: Store, location: Location, array: GenotypeArray, cache: ByteCache):
        self._store = store
        self._location = location
        self._array = array
        self._cache = cache
        self._zarr_array = None
        self._lock = threading.Lock()

    def read(self, chunk_row: int, sample_chunk: int, first: int, last: int) -> native.PackedRows:
        """Rows `first` to `last`, inclusive, of a chunk; more where they fit the cache."""
        key = ("packed", self._array.key(chunk_row, sample_chunk))
        with self._lock:
            packed = self._cache.get(key)
            if packed is not None and packed.first_row <= first and last < packed.last_row:
                return packed
            if self._fits_whole():
                first, last = 0, self._array.chunks[0] - 1
            packed = self._read(chunk_row, sample_chunk, first, last)
            self._cache.put(key, packed, packed.nbytes)
            return packed

    def _fits_whole(self) -> bool:
        """Whether the planes of a chunk row fit the cache, with room for the next one's first."""
        bits = self._array.chunks[0] * self._array.shape[1] * self._array.ploidy
        return 1.25 * 2 * (bits // 8) <= self._cache.limit

    def _read(self, chunk_row: int, sample_chunk: int, first: int, last: int):
        import numpy as np

        variants, samples, _ = self._array.shape
        chunk_rows, chunk_samples, _ = self._array.chunks
        start = chunk_row * chunk_rows
        key = self._array.key(chunk_row, sample_chunk)
        try:
            values = self._open()[
                start + first : min(start + last + 1, variants),
                sample_chunk * chunk_samples : min((sample_chunk + 1) * chunk_samples, samples),
            ]
        except Exception as error:
            self._check_unchanged(key)
            raise BiofuseError(f"{key}: zarr cannot read the chunk: {one_line(error)}") from error
        self._check_unchanged(key)
        if values.dtype != np.int8:
            # Alleles beyond int8 can be shown in no format; clipping keeps them so.
            values = np.clip(values, -128, 127).astype(np.int8)
        rows = values.shape[0]
        flat = np.ascontiguousarray(values).reshape(rows, -1)
        return native.PackedRows(flat, first)

    def _check_unchanged(self, key: str) -> None:
        """Raise `StoreChangedError` if the chunk was changed since the store was mounted."""
        self._store.get_many([Range(key, 0, 1)])

    def _open(self):
        if self._zarr_array is None:
            from biofuse.stores.location import zarr_group

            self._zarr_array = zarr_group(self._location)[self._array.path]
        return self._zarr_array
