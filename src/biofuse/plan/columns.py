"""Variant fields of a store, a slab of variants at a time.

A store has thousands of small chunks of these, and zarr-python spends half a
millisecond on each; decoding Zarr v2 chunks with their codecs directly takes a tenth
of that. Everything else is read through zarr-python.
"""

from math import prod
from typing import TypeAlias

import numpy as np

from biofuse import native
from biofuse.errors import BiofuseError, one_line
from biofuse.plan.grid import Grid
from biofuse.plan.texts import TextArray, as_text
from biofuse.stores import Range, Store, read_whole
from biofuse.stores.decompress import frame_size
from biofuse.stores.limits import most_encoded, only


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


_Bytes: TypeAlias = bytes | memoryview
_Chunks: TypeAlias = tuple[list[str], list[_Bytes | None]]


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
        filters = (metadata.filters or ()) if self._direct else ()
        self._is_vlen = [codec.codec_id for codec in filters] == ["vlen-utf8"]
        # What an absent chunk holds, where that is known without zarr-python.
        self._fill = None
        if self._direct and (not filters or (self._is_vlen and metadata.fill_value == "")):
            self._fill = metadata.fill_value
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

    def read_texts(self, start: int, stop: int) -> TextArray:
        """Texts of variants start to stop."""
        with only(self._array):
            if self._is_vlen:
                found = self._chunks(start, stop)
                if found is not None:
                    texts = self._texts(*found)
                    first = start // self.chunk * self.chunk
                    return texts[start - first : stop - first]
            return TextArray.from_values(self._read(start, stop))

    def absent_key(self, variant: int) -> str | None:
        """Key of the chunk that a variant's value is in, the first one, if it is not stored."""
        grid = Grid(self._array)
        key = grid.key(variant // grid.size[0] * prod(grid.counts[1:]))
        return key if self._store.get_many([Range(key, 0, 1)]) == [None] else None

    def _read_direct(self, start: int, stop: int) -> np.ndarray | None:
        """The values, or None if a chunk is not stored."""
        found = self._chunks(start, stop)
        if found is None:
            return None
        values = self._values(*found)
        first = start // self.chunk * self.chunk
        return values[start - first : stop - first]

    def _chunks(self, start: int, stop: int) -> _Chunks | None:
        """Keys and bytes of the chunks that have these variants.

        The bytes are None for one that is not stored, where `_fill` says what it holds; where
        that is not known, there are no chunks if one is not stored.
        """
        chunks = range(start // self.chunk, -(-stop // self.chunk))
        tail = self._array.metadata.dimension_separator.join(["", *("0" * (self._array.ndim - 1))])
        keys = [f"{self._array.path}/{i}{tail}" for i in chunks]
        found = read_whole(self._store, keys, most_encoded())
        if not keys or (self._fill is None and None in found):
            return None
        return keys, [None if piece is None else piece.data for piece in found]

    def _values(self, keys: list[str], chunks: list[_Bytes | None]) -> np.ndarray:
        return np.concatenate([self._decode(*each) for each in zip(keys, chunks, strict=True)])

    def _texts(self, keys: list[str], chunks: list[_Bytes | None]) -> TextArray:
        """The chunks' texts, where they are in the decompressed bytes."""
        shape = self._array.chunks
        starts = np.empty((len(keys), prod(shape)), dtype=np.uint64)
        sizes = np.empty(starts.shape, dtype=np.uint32)
        whole = []
        base = 0
        for i, (key, chunk) in enumerate(zip(keys, chunks, strict=True)):
            if chunk is None:
                starts[i], sizes[i] = 0, 0
                continue
            data = self._decompress(key, chunk)
            try:
                native.vlen_texts(data, base, starts[i], sizes[i])
            except native.NativeError:
                # The codec says what is wrong with it.
                return TextArray.from_values(self._values(keys, chunks))
            whole.append(data)
            base += memoryview(data).nbytes
        joined = whole[0] if len(whole) == 1 else b"".join(whole)
        shape = (-1, *shape[1:])
        return TextArray(memoryview(joined).cast("B"), starts.reshape(shape), sizes.reshape(shape))

    def _decompress(self, key: str, data):
        compressor = self._array.metadata.compressor
        if compressor is None:
            return data
        if compressor.codec_id == "blosc" and frame_size(data) != len(data):
            raise BiofuseError(f"{key} is damaged: its size differs from the one in its header")
        try:
            return compressor.decode(data)
        except Exception as error:
            raise BiofuseError(f"{key} cannot be decoded: {one_line(error)}") from error

    def _decode(self, key: str, data) -> np.ndarray:
        metadata = self._array.metadata
        if data is None:
            dtype = object if self._is_vlen else metadata.dtype.to_native_dtype()
            return np.full(self._array.chunks, self._fill, dtype=dtype)
        data = self._decompress(key, data)
        try:
            for codec in reversed(metadata.filters or ()):
                data = codec.decode(data)
            if not (isinstance(data, np.ndarray) and data.dtype == object):
                data = np.frombuffer(data, dtype=metadata.dtype.to_native_dtype())
            return data.reshape(self._array.chunks)
        except Exception as error:
            raise BiofuseError(f"{key} cannot be decoded: {one_line(error)}") from error
