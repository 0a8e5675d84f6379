"""Directories whose files may be lost if the machine stops, until they are settled.

Files that are renamed into place may be there, and of their size, but with zeros in them
after a crash. To wait for the disk would hold up whoever made them; so a directory says of
itself that it is not settled, which this machine need not mind until it is started again.
"""

import contextlib
import errno
import os

from biofuse.errors import BiofuseError
from biofuse.trust import open_folder, open_plain

MARK = "unsettled"
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
# In place of a boot's ID: no machine may use the directory.
_NOBODY = ""
# Some file systems have no way to sync a folder.
_NOT_FOR_FOLDERS = (errno.EINVAL, errno.EBADF, errno.ENOTSUP)


def _this_boot() -> str:
    try:
        with open(_BOOT_ID) as f:
            return f.read().strip()
    except OSError:
        return _NOBODY


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of some bytes where a descriptor is.

    Raises
    ------
    OSError
        If not all can be written.
    """
    left = memoryview(data)
    # One that is empty cannot be cast.
    left = left.cast("B") if left.nbytes else left
    while left:
        left = left[os.write(fd, left) :]


def sync_folder(folder: int) -> None:
    """Have the names in an open folder on disk, where its file system can."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in _NOT_FOR_FOLDERS:
            raise


def mark_unsettled(directory: str) -> None:
    """Say that the files of a directory may not be on disk yet.

    Raises
    ------
    OSError
        If that cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(os.path.join(directory, MARK), flags, 0o600), "w") as f:
        f.write(_this_boot())


def is_intact(directory: str) -> bool:
    """Whether no crash can have damaged the files: it is settled, or was made since the start."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(os.path.join(directory, MARK), flags), errors="replace") as f:
            made_by = f.read()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return made_by != _NOBODY and made_by == _this_boot()


def settle(directory: str) -> None:
    """Wait until the files are on disk, and say so. Leaves a directory alone that says it.

    One of which a file cannot be written is for nobody to use from then on.
    """
    with contextlib.suppress(OSError, BiofuseError):
        # By its descriptor: another process may put another in its place.
        folder = open_folder(directory)
        try:
            if MARK in os.listdir(folder):
                _settle(folder)
        finally:
            os.close(folder)


def _settle(folder: int) -> None:
    try:
        for name in os.listdir(folder):
            fd = open_plain(name, folder)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
    except OSError:
        # The kernel tells of an error once.
        fd = os.open(MARK, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW, dir_fd=folder)
        os.close(fd)
        return
    sync_folder(folder)
    os.unlink(MARK, dir_fd=folder)
