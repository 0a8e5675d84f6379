"""Variant fields of a store, a slab of variants at a time.

A store has thousands of small chunks of these, and zarr-python spends half a
millisecond on each; decoding Zarr v2 chunks with their codecs directly takes a tenth
of that. Everything else is read through zarr-python.
"""

from math import prod

import numpy as np

from biofuse.errors import BiofuseError, one_line
from biofuse.plan.grid import Grid
from biofuse.stores import Range, Store, read_whole
from biofuse.stores.decompress import frame_size
from biofuse.stores.limits import most_encoded, only


def as_text(values: np.ndarray) -> np.ndarray:
    """An array with byte strings decoded; any other as it is."""
    if values.dtype.kind != "S":
        return values
    return np.char.decode(values, "utf-8", "surrogateescape").astype(object)


def read_field(group, name: str) -> np.ndarray:
    """A whole field of a store; byte strings as text.

    Raises
    ------
    BiofuseError
        If it cannot be read.
    """
    try:
        with only(group[name]):
            return as_text(group[name][:])
    except Exception as error:
        raise BiofuseError(f"{name} cannot be read: {one_line(error)}") from error


class Column:
    """A field over the variants.

    Parameters
    ----------
    array : zarr.Array
        Of shape (variants,) or (variants, n).
    store : Store
        That the array is in.
    """

    def __init__(self, array, store: Store):
        self._array = array
        self._store = store
        metadata = array.metadata
        self._direct = (
            metadata.zarr_format == 2
            and metadata.order == "C"
            and array.chunks[1:] == array.shape[1:]
        )
        self.chunk = max(1, array.chunks[0])

    def read(self, start: int, stop: int) -> np.ndarray:
        """Values of variants start to stop; byte strings as text."""
        with only(self._array):
            return self._read(start, stop)

    def _read(self, start: int, stop: int) -> np.ndarray:
        if self._direct:
            values = self._read_direct(start, stop)
            if values is not None:
                return as_text(values)
        try:
            return as_text(self._array[start:stop])
        except Exception as error:
            raise BiofuseError(f"{self._array.path} cannot be read: {one_line(error)}") from error

    def absent_key(self, variant: int) -> str | None:
        """Key of the chunk that a variant's value is in, the first one, if it is not stored."""
        grid = Grid(self._array)
        key = grid.key(variant // grid.size[0] * prod(grid.counts[1:]))
        return key if self._store.get_many([Range(key, 0, 1)]) == [None] else None

    def _read_direct(self, start: int, stop: int) -> np.ndarray | None:
        """The values, or None if a chunk is not stored."""
        chunks = range(start // self.chunk, -(-stop // self.chunk))
        tail = self._array.metadata.dimension_separator.join(["", *("0" * (self._array.ndim - 1))])
        keys = [f"{self._array.path}/{i}{tail}" for i in chunks]
        found = read_whole(self._store, keys, most_encoded())
        pieces = [piece for piece in found if piece is not None]
        if not keys or len(pieces) < len(keys):
            return None
        values = np.concatenate(
            [self._decode(key, piece.data) for key, piece in zip(keys, pieces, strict=True)]
        )
        first = chunks.start * self.chunk
        return values[start - first : stop - first]

    def _decode(self, key: str, data) -> np.ndarray:
        metadata = self._array.metadata
        compressor = metadata.compressor
        blosc = compressor is not None and compressor.codec_id == "blosc"
        if blosc and frame_size(data) != len(data):
            raise BiofuseError(f"{key} is damaged: its size differs from the one in its header")
        try:
            if compressor is not None:
                data = compressor.decode(data)
            for codec in reversed(metadata.filters or ()):
                data = codec.decode(data)
            if not (isinstance(data, np.ndarray) and data.dtype == object):
                data = np.frombuffer(data, dtype=metadata.dtype.to_native_dtype())
            return data.reshape(self._array.chunks)
        except Exception as error:
            raise BiofuseError(f"{key} cannot be decoded: {one_line(error)}") from error
