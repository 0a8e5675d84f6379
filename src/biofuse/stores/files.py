"""What is read of a local store before any array is: its metadata, checked."""

import json
from typing import Any

from biofuse.stores.base import ListedStore, read_whole
from biofuse.stores.metadata import MAX_BYTES, check_metadata


class StoreFiles:
    """The metadata of a local store, each object read once.

    Parameters
    ----------
    store : ListedStore

    Attributes
    ----------
    store : ListedStore
    """

    def __init__(self, store: ListedStore):
        self.store = store
        self._read: dict[str, bytes | None] = {}

    def read_metadata(self, key: str) -> bytes | None:
        """A metadata object; None if it does not exist.

        Raises
        ------
        BiofuseError
            If it cannot be read, or is not of the form that Zarr asks for.
        """
        if key not in self._read:
            [piece] = read_whole(self.store, [key], MAX_BYTES)
            data = None if piece is None else bytes(piece.data)
            if data is not None:
                check_metadata(key, data)
            self._read[key] = data
        return self._read[key]

    def group_format(self) -> int | None:
        """The Zarr format of the group at the root; None if there is no group."""
        text = self.read_metadata("zarr.json")
        if text is not None:
            return 3 if json.loads(text)["node_type"] == "group" else None
        return 2 if self.read_metadata(".zgroup") is not None else None

    def group_attributes(self) -> dict[str, Any]:
        """The attributes of the group at the root."""
        text = self.read_metadata("zarr.json")
        if text is not None:
            return dict(json.loads(text).get("attributes") or {})
        text = self.read_metadata(".zattrs")
        return {} if text is None else dict(json.loads(text))

    def list_folders(self) -> list[str]:
        """Names of the folders at the root."""
        return self.store.list_folders("")
