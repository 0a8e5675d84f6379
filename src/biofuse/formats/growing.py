"""Files that are written bit by bit."""

import os
from contextlib import suppress
from typing import IO


class GrowingFile:
    """A new file that is written bit by bit, and need not be open all the while.

    Parameters
    ----------
    path : str

    Attributes
    ----------
    path : str
    size : int
        Bytes that were written.
    """

    def __init__(self, path: str):
        self.path = path
        self.size = 0
        # Open until it rests.
        self._file: IO[bytes] | None = open(path, "wb")  # noqa: SIM115

    def write(self, data: bytes | memoryview) -> None:
        """Add bytes."""
        if self._file is None:
            self._file = open(self.path, "ab")  # noqa: SIM115
        self._file.write(data)
        self.size += memoryview(data).nbytes

    def rest(self) -> None:
        """Close it until there is more."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """Close and remove it, unless it is gone."""
        self.rest()
        with suppress(FileNotFoundError):
            os.unlink(self.path)
