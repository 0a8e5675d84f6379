"""Files of a view as Python's binary file objects."""

import io
import os
import threading
from collections.abc import Callable
from typing import Any

from biofuse.api.errors import public

# What `peek` shows, for those who read lines.
_PEEK = 8 << 10


class ViewFile(io.BufferedIOBase):
    """A file of a view, read-only. Thread-safe.

    `read`, `read1` and `readinto` go on from a position that all threads share, and give as
    much as was asked for wherever the file has it; `pread` reads at an offset and leaves the
    position alone.

    Parameters
    ----------
    name : str
        As a mount shows it.
    size : int
        In bytes.
    read_into : callable
        Given an offset and a buffer, puts as many bytes there as it holds; all are within the
        file.
    close : callable, optional
        Called when the file is closed.
    """

    mode = "rb"

    def __init__(
        self,
        name: str,
        size: int,
        read_into: Callable[[int, memoryview], None],
        close: Callable[[], None] = lambda: None,
    ):
        self.name = name
        self.size = size
        self._read_into = read_into
        self._let_go = close
        self._position = 0
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"<ViewFile {self.name!r}>"

    def readable(self) -> bool:
        """Always."""
        self._check()
        return True

    def seekable(self) -> bool:
        """Always."""
        self._check()
        return True

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if not self.closed:
                super().close()
                self._let_go()

    def _check(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def tell(self) -> int:
        """The position, in bytes from the file's begin."""
        self._check()
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position. Returns the new one.

        Raises
        ------
        ValueError
            If it were before the file's begin.
        """
        self._check()
        with self._lock:
            bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}
            if whence not in bases:
                raise ValueError(f"invalid whence ({whence}, should be 0, 1 or 2)")
            position = bases[whence] + offset
            if position < 0:
                raise ValueError(f"negative seek position {position}")
            self._position = position
            return position

    def read(self, size: int | None = -1) -> bytes:
        """Bytes from the position on: so many, fewer at the file's end; all where -1 or None.

        Raises
        ------
        BiofuseError
            If they cannot be made.
        """
        self._check()
        with self._lock:
            data = self.pread(self.size if size is None or size < 0 else size, self._position)
            self._position += len(data)
        return data

    def read1(self, size: int = -1) -> bytes:
        """As `read`; where -1, some."""
        return self.read(_PEEK if size < 0 else size)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the position on. Returns how many bytes, fewer at the file's end.

        Raises
        ------
        BiofuseError
            If they cannot be made.
        """
        self._check()
        with self._lock, memoryview(buffer) as view, view.cast("B") as out:
            count = max(0, min(len(out), self.size - self._position))
            self._fill(self._position, out[:count])
            self._position += count
        return count

    readinto1 = readinto

    def peek(self, size: int = 0) -> bytes:
        """Some bytes from the position on, which stays."""
        self._check()
        return self.pread(max(size, _PEEK), self._position)

    def pread(self, size: int, offset: int) -> bytes:
        """Bytes at an offset, fewer at the file's end. Any number of threads at a time.

        Raises
        ------
        BiofuseError
            If they cannot be made.
        """
        self._check()
        if size < 0 or offset < 0:
            raise ValueError("size and offset are 0 or more")
        data = bytearray(max(0, min(size, self.size - offset)))
        self._fill(offset, memoryview(data))
        return bytes(data)

    def _fill(self, offset: int, out: memoryview) -> None:
        if out:
            with public():
                self._read_into(offset, out)
