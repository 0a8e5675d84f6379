"""Stores that zarr-python reaches: object stores, URLs and Icechunk repositories."""

import asyncio
from collections.abc import Sequence

import zarr.core.buffer
import zarr.core.sync

from biofuse.stores.base import Piece, Range


class ZarrStore:
    """Any zarr-python store, read one whole object at a time and many at once."""

    ranged = False

    def __init__(self, store):
        self._store = store
        self._prototype = zarr.core.buffer.default_buffer_prototype()

    def get_many(self, ranges: Sequence[Range]) -> list[Piece | None]:
        return zarr.core.sync.sync(self._get_all([r.key for r in ranges]))

    async def _get_all(self, keys: list[str]) -> list[Piece | None]:
        buffers = await asyncio.gather(*(self._store.get(key, self._prototype) for key in keys))
        pieces: list[Piece | None] = []
        for buffer in buffers:
            if buffer is None:
                pieces.append(None)
                continue
            data = buffer.to_bytes()
            pieces.append(Piece(data, 0, len(data), None))
        return pieces

    def hint(self, keys: Sequence[str]) -> None:
        pass

    def signature(self, keys: Sequence[str]) -> str | None:
        return None

    def close(self) -> None:
        self._store.close()
