"""Opening files of a store without trust in what lies there.

A named pipe, a socket or a device in a file's place would hold up whoever opens it. And
what cannot be opened is not absent: an absent chunk has the fill value, one behind a
broken link has values that nobody sees.
"""

import os
import stat
import time

from biofuse.errors import BiofuseError

# Seconds.
_TIME_FOLLOWS = 0.1
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: str, name: str) -> int:
    """Open a file for reading; waits for nobody.

    Parameters
    ----------
    path : str
    name : str
        What a message calls it.

    Returns
    -------
    int
        A descriptor.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is nothing at the path, or nothing behind a link.
    BiofuseError
        If there is something, but no file that can be opened.
    """
    try:
        fd = os.open(path, _FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, ValueError) as error:
        raise BiofuseError(f"{name} cannot be read: {_reason(path, error)}") from error
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        raise BiofuseError(f"{name} cannot be read: it is {_kind(mode)}, not a file")
    return fd


def was_changed(path: str, opened_ns: int) -> bool:
    """Whether what is at a path, and cannot be read, came there, was changed or went after a time.

    It is looked at twice: a file that is cut short is so before its time of change is another.

    Parameters
    ----------
    path : str
    opened_ns : int
        In nanoseconds since 1970.
    """
    for pause in (0, _TIME_FOLLOWS):
        time.sleep(pause)
        try:
            if os.stat(path).st_ctime_ns > opened_ns:
                return True
        except OSError:
            return True
    return False


def check_absent(root: str, key: str) -> None:
    """Raise `BiofuseError` unless a key that cannot be opened is truly not there.

    Parameters
    ----------
    root : str
        An existing folder.
    key : str
        Of names separated by slashes, relative to it.
    """
    parts = [part for part in key.split("/") if part]
    path = root
    for i, part in enumerate(parts):
        path = os.path.join(path, part)
        where = "/".join(parts[: i + 1])
        try:
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                mode = _behind_link(path, where, key)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise BiofuseError(f"{key} cannot be read: {where}: {error.strerror}") from error
        if i < len(parts) - 1 and not stat.S_ISDIR(mode):
            raise BiofuseError(f"{key} cannot be read: {where} is {_kind(mode)}, not a folder")


def _behind_link(path: str, where: str, key: str) -> int:
    try:
        return os.stat(path).st_mode
    except OSError as error:
        target = os.readlink(path)
        which = "it" if where == key else where
        raise BiofuseError(
            f"{key} cannot be read: {which} is a symbolic link to {target}: {error.strerror}"
        ) from error


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "a file")


def _reason(path: str, error: OSError | ValueError) -> str:
    """Why something cannot be opened; opening a socket tells nothing that helps."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        pass
    else:
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            return f"it is {_kind(mode)}, not a file"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
