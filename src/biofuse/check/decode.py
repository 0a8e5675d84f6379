"""Stored bytes of any Zarr array to values, by zarr-python and numcodecs alone."""

import zlib
from math import prod
from typing import Any

import numpy as np
import zarr
from zarr.core.buffer import default_buffer_prototype

from biofuse.errors import one_line
from biofuse.plan.grid import Grid
from biofuse.stores.decompress import frame_size

# The most that a chunk of strings may come to.
_MAX_TEXT = 1 << 30


class DecodingError(Exception):
    """A chunk's bytes are not what the array's metadata says."""


class Decoder:
    """Decodes the chunks of one array. Safe to use from several threads.

    zarr-python reads them from a store in memory that has only the chunk at hand, so that what
    is read, and whether it is there, is decided elsewhere.

    Parameters
    ----------
    array : zarr.Array
    """

    def __init__(self, array: "zarr.Array[Any]"):
        self._prototype = default_buffer_prototype()
        self._objects: dict[str, Any] = dict(array.metadata.to_buffer_dict(self._prototype))
        self._grid = Grid(array)
        self._array = zarr.open_array(zarr.storage.MemoryStore(self._objects), mode="r")
        self._codec = None if array.shards is not None else _last_codec(array.metadata)
        kind = array.dtype.kind
        self.decoded_size = prod(self._grid.size) * array.dtype.itemsize
        self._exact = self._codec is not None and kind in "biufcSUmM" and not _filtered(array)

    def decode(self, number: int, data: bytes | memoryview) -> np.ndarray:
        """Values of a chunk, or shard, within the array's shape.

        Raises
        ------
        DecodingError
            If it cannot be decoded, or would come to another size than it should.
        """
        if self._codec is not None:
            self._check_size(bytes(data) if self._codec in ("gzip", "zlib") else data)
        name = self._grid.chunk_name(number)
        self._objects[name] = self._prototype.buffer.from_bytes(bytes(data))
        try:
            return np.asarray(self._array[self._grid.part(number)])
        except Exception as error:
            raise DecodingError(f"cannot be decoded: {one_line(error)}") from error
        finally:
            del self._objects[name]

    def _check_size(self, data: bytes | memoryview) -> None:
        """Compare what a chunk says of its size with what it is, before it is believed."""
        if self._codec == "blosc":
            if len(data) < 16 or frame_size(data) != len(data):
                raise DecodingError(
                    f"is of {len(data)} bytes, and by its header of "
                    + (str(frame_size(data)) if len(data) >= 16 else "16 or more")
                )
            self._check_decoded(int.from_bytes(data[4:8], "little"))
        elif self._codec in ("gzip", "zlib"):
            limit = self.decoded_size if self._exact else _MAX_TEXT
            stream = zlib.decompressobj(47)
            try:
                size = len(stream.decompress(data, limit + 1))
            except zlib.error as error:
                raise DecodingError(f"cannot be decoded: {error}") from error
            if not stream.eof and size <= limit:
                raise DecodingError("cannot be decoded: its compressed data end too early")
            self._check_decoded(size)
        elif self._codec == "zstd":
            declared = _zstd_size(data)
            if declared is not None:
                self._check_decoded(declared)
        elif self._codec == "lz4":
            self._check_decoded(int.from_bytes(data[:4], "little"))
        elif self._codec == "none":
            self._check_decoded(len(data))

    def _check_decoded(self, size: int) -> None:
        if self._exact and size != self.decoded_size:
            raise DecodingError(f"comes to {size} bytes, not {self.decoded_size}")
        if not self._exact and size > _MAX_TEXT:
            raise DecodingError(f"comes to {size} bytes")


def _zstd_size(data: bytes | memoryview) -> int | None:
    """What a zstd frame comes to by its header (RFC 8878, 3.1.1.1); None if it does not say."""
    if len(data) < 14 or bytes(data[:4]) != b"\x28\xb5\x2f\xfd":
        return None
    flags = data[4]
    single, dictionary = flags >> 5 & 1, (0, 1, 2, 4)[flags & 3]
    width = (single, 2, 4, 8)[flags >> 6]
    start = 5 + (0 if single else 1) + dictionary
    if not width:
        return None
    return int.from_bytes(data[start : start + width], "little") + (256 if width == 2 else 0)


def _last_codec(metadata: Any) -> str | None:
    """The codec that wrote a chunk's bytes."""
    if metadata.zarr_format == 2:
        compressor = metadata.compressor
        return "none" if compressor is None else str(compressor.get_config().get("id"))
    names = [codec.to_dict()["name"] for codec in metadata.codecs]
    return "none" if len(names) == 1 else str(names[-1])


def _filtered(array: "zarr.Array[Any]") -> bool:
    """Whether other codecs change a chunk's size."""
    metadata: Any = array.metadata
    if metadata.zarr_format == 2:
        return bool(metadata.filters)
    names = [codec.to_dict()["name"] for codec in metadata.codecs]
    return names[0] != "bytes" or len(names) > 2
