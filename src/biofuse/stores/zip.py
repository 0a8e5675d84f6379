"""Stores in one zip file."""

import os
import threading
import zipfile
from collections.abc import Sequence

from biofuse.stores.base import Piece, Range


class ZipStore:
    """A store whose objects are members of a zip file."""

    ranged = False

    def __init__(self, path: str):
        self._archive = zipfile.ZipFile(path)
        self._path = path
        self._lock = threading.Lock()

    def get_many(self, ranges: Sequence[Range]) -> list[Piece | None]:
        return [self._get(r) for r in ranges]

    def _get(self, wanted: Range) -> Piece | None:
        # A ZipFile's members share one file position.
        with self._lock:
            try:
                data = self._archive.read(wanted.key)
            except KeyError:
                return None
        return Piece(data, 0, len(data), None)

    def hint(self, keys: Sequence[str]) -> None:
        pass

    def signature(self, keys: Sequence[str]) -> str | None:
        status = os.stat(self._path)
        return f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"

    def close(self) -> None:
        self._archive.close()
