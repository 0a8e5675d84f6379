"""Stores in a local directory."""

import os
from collections.abc import Sequence

from biofuse.stores.base import Piece, Range


class LocalStore:
    """A store whose objects are files below a directory.

    Reads go to the page cache and nothing is kept open, so that no number of
    chunks meets a limit on open files.
    """

    ranged = True

    def __init__(self, root: str):
        self.root = os.path.abspath(root)

    def get_many(self, ranges: Sequence[Range]) -> list[Piece | None]:
        return [self._get(r) for r in ranges]

    def _get(self, wanted: Range) -> Piece | None:
        try:
            fd = os.open(os.path.join(self.root, wanted.key), os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            status = os.fstat(fd)
            stop = status.st_size if wanted.stop is None else min(wanted.stop, status.st_size)
            data = _pread_all(fd, wanted.start, stop - wanted.start)
        finally:
            os.close(fd)
        version = (status.st_ino, status.st_size, status.st_mtime_ns)
        return Piece(data, wanted.start, status.st_size, version)

    def signature(self, keys: Sequence[str]) -> str | None:
        found = []
        for key in keys:
            try:
                status = os.stat(os.path.join(self.root, key))
            except FileNotFoundError:
                found.append("-")
            else:
                found.append(f"{status.st_ino}:{status.st_mtime_ns}")
        return " ".join(found)

    def close(self) -> None:
        pass


def _pread_all(fd: int, start: int, size: int) -> bytes:
    """Read up to `size` bytes, fewer only where the file ends."""
    if size <= 0:
        return b""
    data = os.pread(fd, size, start)
    while len(data) < size:
        more = os.pread(fd, size - len(data), start + len(data))
        if not more:
            break
        data += more
    return data
