"""Stores in a local directory."""

import contextlib
import os
from collections.abc import Sequence

from biofuse.errors import MOUNT_AGAIN, BiofuseError, StoreChangedError
from biofuse.stores.base import Part, Piece, Range
from biofuse.stores.listing import Listing, list_local
from biofuse.stores.regular import check_absent, open_regular

# Enough for a disk to be busy with, and far from any limit on open files.
_OPEN_AT_ONCE = 32


class LocalStore:
    """A store whose objects are files below a directory.

    Nothing is kept open or in memory: the page cache does that.

    Parameters
    ----------
    root : str
    opened_ns : int, optional
        Time in nanoseconds since 1970; to read a file that was changed later is a
        `StoreChangedError`.
    """

    far = False

    def __init__(self, root: str, opened_ns: int | None = None):
        self.root = os.path.abspath(root)
        self._opened_ns = opened_ns

    def get_many(self, ranges: Sequence[Range]) -> list[Piece | None]:
        pieces = []
        for i in range(0, len(ranges), _OPEN_AT_ONCE):
            pieces.extend(self._get_some(ranges[i : i + _OPEN_AT_ONCE]))
        return pieces

    def _get_some(self, ranges: Sequence[Range]) -> list[Piece | None]:
        opened: list[int | None] = []
        try:
            for wanted in ranges:
                fd = self._open(wanted.key)
                opened.append(fd)
                if fd is not None:
                    # The disk works on all of them while the first is read.
                    length = 0 if wanted.stop is None else wanted.stop - wanted.start
                    os.posix_fadvise(fd, wanted.start, length, os.POSIX_FADV_WILLNEED)
            return [
                None if fd is None else self._read(fd, wanted)
                for fd, wanted in zip(opened, ranges, strict=True)
            ]
        finally:
            for fd in opened:
                if fd is not None:
                    os.close(fd)

    def _open(self, key: str) -> int | None:
        path = os.path.join(self.root, key)
        try:
            return open_regular(path, key)
        except (FileNotFoundError, NotADirectoryError):
            self._check_unchanged(path, key)
            check_absent(self.root, key)
            return None

    def _check_unchanged(self, path: str, key: str) -> None:
        """Raise `StoreChangedError` if an absent file's folder was changed since."""
        if self._opened_ns is None:
            return
        while path != self.root:
            path = os.path.dirname(path)
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                if os.stat(path).st_ctime_ns > self._opened_ns:
                    raise StoreChangedError(
                        f"{key} is not there and its folder was changed after the store was "
                        f"mounted; {MOUNT_AGAIN}"
                    )
                return
        raise StoreChangedError(f"the store {self.root} is gone")

    def _was_moved_to(self, key: str) -> bool:
        """Whether another folder may have taken the place of an object's since.

        An array's own is watched by who reads it; the store's may have more put into it.
        """
        folder = os.path.dirname(key)
        if self._opened_ns is None or "/" not in folder:
            return False
        try:
            return os.stat(os.path.join(self.root, folder)).st_ctime_ns > self._opened_ns
        except OSError:
            return True

    def _read(self, fd: int, wanted: Range) -> Piece:
        status = os.fstat(fd)
        if self._opened_ns is not None and (
            status.st_ctime_ns > self._opened_ns or self._was_moved_to(wanted.key)
        ):
            raise StoreChangedError(
                f"{wanted.key} was changed after the store was mounted "
                f"(or the file server's clock is ahead); {MOUNT_AGAIN}"
            )
        stop = status.st_size if wanted.stop is None else min(wanted.stop, status.st_size)
        try:
            data = pread_all(fd, wanted.start, stop - wanted.start)
        except OSError as error:
            raise BiofuseError(f"{wanted.key} cannot be read: {error.strerror}") from error
        version = (status.st_ino, status.st_size, status.st_mtime_ns)
        return Piece(data, wanted.start, status.st_size, version)

    def part(self, key: str) -> Part | None:
        return None

    def hint(self, keys: Sequence[str]) -> None:
        for key in keys:
            # What cannot be opened is told to who reads it.
            with contextlib.suppress(BiofuseError, OSError):
                fd = open_regular(os.path.join(self.root, key), key)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_WILLNEED)
                os.close(fd)

    def listing(self, folder: str) -> Listing | None:
        return list_local(self.root, folder)

    def signature(self, keys: Sequence[str]) -> str | None:
        found = []
        for key in keys:
            try:
                status = os.stat(os.path.join(self.root, key))
            except FileNotFoundError:
                found.append("-")
            except OSError as error:
                found.append(f"error {error.errno}")
            else:
                found.append(f"{status.st_ino}:{status.st_mtime_ns}")
        return " ".join(found)

    def list_folders(self, key: str) -> list[str]:
        """Names of the folders, and of links, in a folder; a link to nothing may be meant as one.

        Raises
        ------
        BiofuseError
            If it cannot be listed.
        """
        try:
            with os.scandir(os.path.join(self.root, key)) as entries:
                return [e.name for e in entries if e.is_symlink() or e.is_dir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            name = key or self.root
            raise BiofuseError(f"{name} cannot be listed: {error.strerror}") from error

    def close(self) -> None:
        pass


def pread_all(fd: int, start: int, size: int) -> bytes:
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
