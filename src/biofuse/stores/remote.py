"""Stores that zarr-python reaches: object stores, URLs and Icechunk repositories."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future

import zarr.core.buffer
from zarr.abc.store import RangeByteRequest

from biofuse.errors import BiofuseError
from biofuse.stores.base import Part, Piece, Range
from biofuse.stores.icechunk import icechunk_error
from biofuse.stores.link import Link
from biofuse.stores.listing import Listing
from biofuse.stores.loop import answer, event_loop
from biofuse.stores.metadata import is_metadata

# Requests under way at a time, of one call.
_AT_ONCE = 32
# Sizes of objects that are remembered.
_MAX_SIZES = 10_000
# How long a list of names may take, in seconds: a server that has none to give answers in pages.
_LIST_TIME = 5.0


class ZarrStore:
    """Any zarr-python store."""

    far = True

    def __init__(self, store):
        self._store = store
        self._prototype = zarr.core.buffer.default_buffer_prototype()
        self._sizes: dict[str, int] = {}
        self.link = Link()

    @property
    def bytes_per_delay(self) -> int:
        return self.link.bytes_per_delay

    def get(self, key: str, most: int, ahead: bool = False) -> "Future[Piece | None]":
        return event_loop().submit(self._whole(key, most))

    def hold(self, size: int) -> None:
        pass

    def size(self, key: str) -> int | None:
        return self._sizes.get(key)

    def signature_soon(self, keys: Sequence[str], known: str = "") -> "Future[str] | None":
        return None

    async def _whole(self, key: str, most: int) -> Piece | None:
        began = self.link.began()
        size = None
        try:
            found = await self._get(Range(key, 0, most))
            self.link.answered(began)
            size = 0 if found is None else len(found.data)
            self.link.received(size)
        finally:
            self.link.ended(began, size)
        return found

    def get_many(self, ranges: Sequence[Range]) -> list[Piece | None]:
        return event_loop().submit(self._get_all(ranges)).result()

    async def _get_all(self, ranges: Sequence[Range]) -> list[Piece | None]:
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def get(wanted: Range) -> Piece | None:
            async with at_once:
                return await self._get(wanted)

        return list(await asyncio.gather(*(get(wanted) for wanted in ranges)))

    async def _get(self, wanted: Range) -> Piece | None:
        known = self._sizes.get(wanted.key)
        if known is None and wanted.start == 0 and wanted.stop != 0:
            return await self._get_beginning(wanted)
        size = await self._size(wanted.key) if known is None else known
        if size is None:
            return None
        stop = size if wanted.stop is None else min(wanted.stop, size)
        if stop <= wanted.start:
            return Piece(b"", wanted.start, size, size)
        whole = wanted.start == 0 and stop == size
        data = await self._read(wanted.key, None if whole else (wanted.start, stop))
        if data is None:
            return None
        # Some servers answer with the whole object, whatever was asked for.
        start = 0 if len(data) == size else wanted.start
        return Piece(data, start, size, size)

    async def _get_beginning(self, wanted: Range) -> Piece | None:
        """The beginning of an object of unknown size, or all of it: without asking for the size.

        An object that is shorter than what was asked for tells it itself.
        """
        data = await self._read(wanted.key, None if wanted.stop is None else (0, wanted.stop))
        if data is None:
            return None
        if wanted.stop is None or len(data) != wanted.stop:
            size: int | None = len(data)
        else:
            size = await self._size(wanted.key)
        if size is None:
            return None
        self._remember(wanted.key, size)
        return Piece(data, 0, size, size)

    async def _size(self, key: str) -> int | None:
        """Bytes of an object; None if there is none."""
        try:
            size = int(await answer(lambda: self._store.getsize(key)))
        except FileNotFoundError:
            return None
        self._remember(key, size)
        return size

    def _remember(self, key: str, size: int) -> None:
        if len(self._sizes) >= _MAX_SIZES:
            self._sizes.clear()
        self._sizes[key] = size

    async def _read(self, key: str, part: tuple[int, int] | None) -> memoryview | None:
        """An object, or a part of it; None if there is none."""
        request = None if part is None else RangeByteRequest(*part)
        buffer = await answer(lambda: self._store.get(key, self._prototype, request))
        return None if buffer is None else memoryview(buffer.as_numpy_array()).cast("B")

    def part(self, key: str) -> Part | None:
        return None

    def hint(self, keys: Sequence[str]) -> None:
        pass

    def listing(self, folder: str) -> Listing | None:
        if not self._store.supports_listing:
            return None
        try:
            names = answer(lambda: self._names(f"{folder}/"))
            found = event_loop().submit(asyncio.wait_for(names, _LIST_TIME)).result()
        except Exception:
            # What a server does not tell is asked of each object when it is read.
            return None
        # A server of plain HTTP has its own idea of what a list is.
        metadata = {".zarray", ".zattrs", "zarr.json"}
        return Listing(found) if metadata.intersection(found) else None

    async def _names(self, prefix: str) -> list[str]:
        return [
            name.rpartition(prefix)[2] if not name.startswith(prefix) else name[len(prefix) :]
            async for name in self._store.list_prefix(prefix)
        ]

    def signature(self, keys: Sequence[str]) -> str | None:
        return None

    def close(self) -> None:
        self._store.close()


class IcechunkStore(ZarrStore):
    """A session of an Icechunk repository, of one snapshot.

    It knows the sizes of all chunks, without a request. What is asked for must lie within an
    object: beyond its end there are errors, or bytes that nobody has written.
    """

    async def _get(self, wanted: Range) -> Piece | None:
        key = wanted.key
        try:
            # An absent chunk is said to have no bytes, one of no array is an error of its own.
            size = None if is_metadata(key) else self._sizes.get(key) or await self._size(key)
            if size:
                return await super()._get(wanted)
            data = await self._read(key, None)
        except KeyError:
            return None
        except Exception as error:
            raise BiofuseError(f"{key} cannot be read: {icechunk_error(error)}") from error
        return None if data is None else Piece(data, 0, len(data), len(data))
