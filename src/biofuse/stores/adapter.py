"""A local store as zarr-python wants it: what it reads comes from here, checked."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import zarr.abc.store
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype

from biofuse.stores import limits
from biofuse.stores.base import Range, read_whole
from biofuse.stores.files import StoreFiles
from biofuse.stores.metadata import is_metadata


class ReadOnlyStore(zarr.abc.store.Store):
    """Reads through a `Store`.

    So there is one way to a store's files, whoever wants them: nothing that is no file is
    opened, what cannot be opened is an error and not the fill value, and metadata is of the
    form that it must have. What an array's own metadata says holds, not a copy of it for all
    arrays, which may be of another time.

    Parameters
    ----------
    files : StoreFiles
    name : str
        What messages call it.
    """

    supports_writes = False
    supports_deletes = False
    supports_listing = True
    supports_consolidated_metadata = False

    def __init__(self, files: StoreFiles, name: str):
        super().__init__(read_only=True)
        self._files = files
        self._store = files.store
        self._name = name
        self._is_open = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReadOnlyStore) and self._store is other._store

    def __str__(self) -> str:
        return self._name

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: Any = None,
    ) -> Buffer | None:
        """The object, or a part of it; None if it does not exist."""
        prototype = prototype or default_buffer_prototype()
        if is_metadata(key):
            # It is small, and waiting for a thread takes longer.
            data = self._files.read_metadata(key)
            return None if data is None else prototype.buffer.from_bytes(data)
        found = await asyncio.to_thread(self._read, key, byte_range)
        return None if found is None else prototype.buffer.from_bytes(bytes(found))

    def _read(self, key: str, wanted: Any) -> memoryview | bytes | None:
        if wanted is None:
            [whole] = read_whole(self._store, [key], limits.most_encoded())
            return None if whole is None else whole.data
        start, stop = 0, None
        if isinstance(wanted, RangeByteRequest):
            start, stop = wanted.start, wanted.end
        elif isinstance(wanted, OffsetByteRequest):
            start = wanted.offset
        elif isinstance(wanted, SuffixByteRequest):
            [piece] = self._store.get_many([Range(key, 0, 1)])
            if piece is None:
                return None
            start = max(0, piece.size - wanted.suffix)
        most = limits.most_encoded()
        stop = start + most if stop is None else min(stop, start + most)
        [piece] = self._store.get_many([Range(key, start, stop)])
        # There may be more of it.
        return None if piece is None else piece.slice(start, min(stop, piece.size))

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, Any]]
    ) -> list[Buffer | None]:
        """Parts of objects."""
        return [await self.get(key, prototype, wanted) for key, wanted in key_ranges]

    async def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        return self._store.get_many([Range(key, 0, 1)])[0] is not None

    async def getsize(self, key: str) -> int:
        """Bytes of an object."""
        [piece] = self._store.get_many([Range(key, 0, 1)])
        if piece is None:
            raise FileNotFoundError(key)
        return piece.size

    async def set(self, key: str, value: Buffer) -> None:
        """Nothing is written."""
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        """Nothing is removed."""
        raise NotImplementedError

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Names of the folders below a prefix: there is no array where there is no folder."""
        folder = prefix.rstrip("/")
        found = self._store.list_folders(folder) if folder else self._files.list_folders()
        for name in found:
            yield name

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Not needed to read arrays."""
        raise NotImplementedError
        yield prefix

    async def list(self) -> AsyncIterator[str]:
        """Not needed to read arrays."""
        raise NotImplementedError
        yield ""
