"""Files and folders that nobody else can have made or changed: this user's, or root's.

Each is opened first and looked at then, by its descriptor; what is in a folder is opened
through the folder's descriptor and by a plain name. So it does not matter who may rename
what on the way there.
"""

import os
import stat

from biofuse.errors import BiofuseError

_ROOT = 0
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class UntrustedError(BiofuseError):
    """Something belongs to another user, or others may write to it."""


def is_plain_name(name: object) -> bool:
    """Whether this is the name of a file, and no path to another folder."""
    if not isinstance(name, str) or name in ("", ".", ".."):
        return False
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return not any(character in encoded for character in b"/\0")


def open_folder(path: str) -> int:
    """A descriptor of a folder of this user's or root's, which nobody else may write to.

    Raises
    ------
    UntrustedError
        If it is another's, or a symbolic link.
    OSError
        If it cannot be opened.
    """
    if os.path.islink(path):
        raise UntrustedError(f"{path} is a symbolic link, not a folder")
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    return _checked(fd, path)


def open_plain(name: str, folder: int) -> int:
    """A descriptor, for reading, of a regular file in a folder.

    Raises
    ------
    UntrustedError
        If there is something else of that name, or it is no plain name.
    OSError
        If it cannot be opened.
    """
    if not is_plain_name(name):
        raise UntrustedError(f"{name!r} is not the name of a file")
    # A FIFO, which nobody writes to, would not open otherwise.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(name, flags, dir_fd=folder)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, name) from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UntrustedError(f"{name} is not a regular file")
    return fd


def open_file(name: str, folder: int) -> int:
    """The same for a file of this user's or root's, which nobody else may write to.

    Raises
    ------
    UntrustedError, OSError
        As `open_plain`, or if it is another's.
    """
    return _checked(open_plain(name, folder), name)


def read_file(name: str, folder: int) -> bytes:
    """All of such a file.

    Raises
    ------
    UntrustedError, OSError
        As `open_file`.
    """
    with open(open_file(name, folder), "rb") as f:
        return f.read()


def _checked(fd: int, name: str) -> int:
    """The descriptor; closed, if it is not to be trusted."""
    status = os.fstat(fd)
    if status.st_uid not in (os.geteuid(), _ROOT):
        os.close(fd)
        raise UntrustedError(f"{name} belongs to another user (uid {status.st_uid})")
    # Where there is an access control list, the group's bits are the most that it allows.
    if status.st_mode & _OTHERS_MAY_WRITE:
        os.close(fd)
        raise UntrustedError(f"others may write to {name}: 'chmod go-w' it")
    return fd
