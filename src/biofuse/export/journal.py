"""What of an export is on disk, for whoever goes on with it."""

import contextlib
import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from typing import Any

from biofuse.durable import write_all
from biofuse.errors import BiofuseError

# (first byte, byte after the last)
Span = tuple[int, int]


class Journal:
    """A file of lines: which export it is, then what was done of it. Locked while it is open.

    Parameters
    ----------
    path : str
    key : str
        Of the export. What another has left is forgotten, and what was copied from elsewhere.
    durable : bool
        Whether what is done is to be on disk.
    folder : int, optional
        A descriptor of the folder that it is in: whatever has the folder's name, it is there.

    Attributes
    ----------
    began_ns : int
        When the export began, in nanoseconds since 1970: what it has written is of the store as
        it was then.

    Raises
    ------
    BiofuseError
        If another process is at it.
    OSError
        If it cannot be written.
    """

    def __init__(self, path: str, key: str, durable: bool = True, folder: int | None = None):
        self._path = path
        self._folder = folder
        self._name = path if folder is None else os.path.basename(path)
        self._durable = durable
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        self._fd = os.open(self._name, flags, 0o600, dir_fd=folder)
        # Of each file, what was done since it was last begun.
        self._files: dict[str, list[dict[str, Any]]] = {}
        try:
            self._lock()
            self._read(key)
        except BaseException:
            os.close(self._fd)
            raise

    def _lock(self) -> None:
        """Lock it; FileNotFoundError if who had it locked has removed it since."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BiofuseError(
                f"another process exports to the same files: it holds {self._path}"
            ) from None
        except OSError:
            # A file system without locks: no two exports can be told from each other there.
            pass
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            raise BiofuseError(f"{self._path} is not a regular file: remove it")
        if os.stat(self._name, dir_fd=self._folder, follow_symlinks=False).st_ino != status.st_ino:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._path)

    def _read(self, key: str) -> None:
        with open(os.dup(self._fd), "rb") as file:
            file.seek(0)
            lines = file.read().split(b"\n")
        found: list[Any] = []
        # What follows the last end of a line was cut off, and what no disk had may be anything.
        whole = 0
        with contextlib.suppress(ValueError):
            for line in lines[:-1]:
                found.append(json.loads(line))
                whole += len(line) + 1
        first = {"key": key, "inode": os.fstat(self._fd).st_ino}
        if not _begins(found, first):
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            self.began_ns = time.time_ns()
            self._append({**first, "began_ns": self.began_ns})
            return
        self.began_ns = found[0]["began_ns"]
        for entry in found[1:]:
            self._keep(entry)
        os.ftruncate(self._fd, whole)
        os.lseek(self._fd, 0, os.SEEK_END)

    def add(self, entry: dict[str, Any], durable: bool = True) -> None:
        """Say what is done of a file, of which everything is on disk.

        Parameters
        ----------
        entry : dict
            With `file`, and with `draft` if it is begun.
        durable : bool
            Whether that it was done is to be on disk too: not where it may be done again.
        """
        if "draft" not in entry:
            entry = {**entry, "of": self._draft_of(entry["file"])}
        self._append(entry, durable)
        self._keep(entry)

    def _draft_of(self, name: str) -> Any:
        begun = self.of(name)
        return begun[0].get("draft") if begun else None

    def _keep(self, entry: dict[str, Any]) -> None:
        name = entry["file"]
        if "draft" in entry:
            self._files[name] = [entry]
        elif entry.get("of") == self._draft_of(name):
            # Another one is by who writes here too, where files cannot be locked.
            self._files.setdefault(name, []).append(entry)

    def _append(self, entry: dict[str, Any], durable: bool = True) -> None:
        end = os.lseek(self._fd, 0, os.SEEK_END)
        data = json.dumps(entry).encode() + b"\n"
        try:
            write_all(self._fd, data)
            if durable:
                self.sync(self._fd)
        except OSError:
            # Half a line would spoil the next one.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, end)
                os.lseek(self._fd, end, os.SEEK_SET)
            raise

    def sync(self, fd: int) -> None:
        """Have a file on disk, if what is done is to be there."""
        if self._durable:
            os.fdatasync(fd)

    def of(self, name: str) -> list[dict[str, Any]]:
        """What was done of a file since it was last begun."""
        return self._files.get(name, [])

    @property
    def names(self) -> list[str]:
        """Of the files of which anything was done."""
        return list(self._files)

    def spans(self, name: str) -> list[Span]:
        """What was done of a file, in order and without overlaps."""
        found = sorted(
            (entry["start"], entry["stop"]) for entry in self.of(name) if "start" in entry
        )
        return list(_merged(found))

    def close(self) -> None:
        """Let another process go on."""
        os.close(self._fd)

    def remove(self) -> None:
        """Forget everything: it is complete."""
        os.unlink(self._name, dir_fd=self._folder)


def _begins(found: list[Any], first: dict[str, Any]) -> bool:
    """Whether a journal that was read is one, and of the export that begins so."""
    if not found or not all(isinstance(entry, dict) for entry in found):
        return False
    if not all(isinstance(entry.get("file"), str) for entry in found[1:]):
        return False
    return "began_ns" in found[0] and found[0].items() >= first.items()


def _merged(spans: list[Span]) -> Iterator[Span]:
    start, stop = 0, 0
    for first, last in spans:
        if first > stop:
            if stop > start:
                yield start, stop
            start, stop = first, last
        stop = max(stop, last)
    if stop > start:
        yield start, stop


def missing_spans(size: int, done: list[Span], most: int) -> Iterator[Span]:
    """Spans of a file that are not done, none longer than `most`."""
    at = 0
    for start, stop in [*done, (size, size)]:
        while at < min(start, size):
            end = min(at + most, start, size)
            yield at, end
            at = end
        at = max(at, stop)
