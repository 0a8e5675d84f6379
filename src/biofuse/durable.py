"""Directories whose files may be lost if the machine stops, until they are settled.

Files that are renamed into place may be there, and of their size, but with zeros in them
after a crash. To wait for the disk would hold up whoever made them; so a directory says of
itself that it is not settled, which this machine need not mind until it is started again.
"""

import contextlib
import os

_MARK = "unsettled"
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def _this_boot() -> str:
    with open(_BOOT_ID) as f:
        return f.read().strip()


def mark_unsettled(directory: str) -> None:
    """Say that the files of a directory may not be on disk yet."""
    with open(os.path.join(directory, _MARK), "w") as f:
        f.write(_this_boot())


def is_intact(directory: str) -> bool:
    """Whether no crash can have damaged the files: it is settled, or was made since the start."""
    try:
        with open(os.path.join(directory, _MARK)) as f:
            return f.read() == _this_boot()
    except FileNotFoundError:
        return True


def settle(directory: str) -> None:
    """Wait until the files are on disk, and say so. Leaves a directory alone that says it."""
    mark = os.path.join(directory, _MARK)
    if not os.path.exists(mark):
        return
    # Another process may have replaced it, or be as far.
    with contextlib.suppress(OSError):
        for entry in os.scandir(directory):
            _sync(entry.path)
        _sync(directory)
        os.unlink(mark)


def _sync(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
