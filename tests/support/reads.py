"""Reads of a live file, one after another, against what it must hold."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class View:
    """A live streamed file and what it must hold."""

    path: Path
    expected: bytes
    status: object


def read_uncached(fd: int, offset: int, size: int) -> bytes:
    """One `pread` that the page cache does not answer."""
    os.posix_fadvise(fd, offset, size, os.POSIX_FADV_DONTNEED)
    return os.pread(fd, size, offset)


def check(view: View, reads, advice=os.POSIX_FADV_NORMAL) -> None:
    """Make reads on a handle of their own, one after another."""
    fd = os.open(view.path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, advice)
        for offset, size in reads:
            data = read_uncached(fd, offset, size)
            assert data == view.expected[offset : offset + size], (offset, size)
    finally:
        os.close(fd)
