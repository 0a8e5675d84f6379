"""Temporary folders, which go with the process that has made them.

One that is killed removes nothing; so whoever begins next removes what it has left. A folder
is in use as long as a process holds a lock on a file in it, which tells the machine.
"""

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator

from biofuse.errors import BiofuseError
from biofuse.mounts import list_mounts

_NAME = re.compile(r"\.?biofuse-[a-z]+-[a-z0-9_]{8}")
_LOCK = "lock"
# What it is called until it is locked.
_NEW_LOCK = f"{_LOCK}-new"
# Seconds in which a folder that was begun has its lock.
_MOMENT = 60
# Bytes of a machine's name.
_LONGEST = 256

# This process's folders, and the descriptors of their locks.
_locks: dict[str, int | None] = {}


def place() -> str:
    """Where temporary files go: to what TMPDIR names, and nowhere else in its place.

    Raises
    ------
    BiofuseError
        If they cannot: who names a place wants no other disk filled.
    """
    named = os.environ.get("TMPDIR")
    if not named:
        return tempfile.gettempdir()
    path = os.path.abspath(named)
    if not os.path.isdir(path):
        raise BiofuseError(f"TMPDIR names {named}, which is no folder")
    if not os.access(path, os.W_OK | os.X_OK):
        raise BiofuseError(f"TMPDIR names {named}, which you cannot write to")
    return path


def make_folder(purpose: str, parent: str | None = None) -> str:
    """Make a folder.

    Parameters
    ----------
    purpose : str
        A word of its name: lower-case letters.
    parent : str, optional
        Where; it is hidden there. In TMPDIR if not given.

    Returns
    -------
    str
        Its path. It has a file `lock`, and nothing else.

    Raises
    ------
    BiofuseError
        If TMPDIR cannot have it.
    """
    name = f"biofuse-{purpose}-{secrets.token_hex(4)}"
    path = os.path.join(place(), name) if parent is None else os.path.join(parent, f".{name}")
    # It is known before it is there: an interrupt may come at any moment.
    _locks[path] = None
    try:
        os.mkdir(path, 0o700)
    except OSError:
        del _locks[path]
        raise
    try:
        _lock(path)
    except OSError:
        remove_folder(path)
        raise
    return path


def _lock(path: str) -> None:
    """Lock a new folder, and say whose it is: who sweeps finds both or nothing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
    new = os.path.join(path, _NEW_LOCK)
    lock = _locks[path] = os.open(new, flags, 0o600)
    # Where files cannot be locked nothing is ever swept away.
    with contextlib.suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(lock, _machine())
    os.rename(new, os.path.join(path, _LOCK))


def _machine() -> bytes:
    """This machine's name: locks of another one may not be seen here."""
    return os.fsencode(os.uname().nodename)


def remove_folder(path: str) -> None:
    """Remove a folder, made here or otherwise, and all that is in it."""
    _remove_all(path)
    lock = _locks.pop(path, None)
    if lock is not None:
        os.close(lock)


def _remove_all(path: str) -> None:
    """Remove a folder, its lock last: by that it is known if this process is killed meanwhile."""
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != _LOCK:
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)
    shutil.rmtree(path, ignore_errors=True)


def remove_folders() -> None:
    """Remove all that this process has made."""
    for path in list(_locks):
        remove_folder(path)


def hand_over(path: str) -> None:
    """Have the program that this process becomes hold on to a folder."""
    lock = _locks.get(path)
    if lock is not None:
        os.set_inheritable(lock, True)


@contextlib.contextmanager
def folder(purpose: str, parent: str | None = None) -> Iterator[str]:
    """A folder for the time of a block; see `make_folder`."""
    path = make_folder(purpose, parent)
    try:
        yield path
    finally:
        remove_folder(path)


def sweep(parent: str | None = None) -> list[str]:
    """Remove this user's folders of processes that are gone.

    Parameters
    ----------
    parent : str, optional
        Where they are; TMPDIR if not given.

    Returns
    -------
    list of str
        Their paths.
    """
    mounted = [mount.path for mount in list_mounts()]
    removed = []
    with (
        contextlib.suppress(OSError, BiofuseError),
        os.scandir(place() if parent is None else parent) as entries,
    ):
        for entry in entries:
            if not _NAME.fullmatch(entry.name) or not entry.is_dir(follow_symlinks=False):
                continue
            path = os.path.join(os.path.realpath(os.path.dirname(entry.path)), entry.name)
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_uid == os.geteuid() and not any(
                    mount.startswith(f"{path}/") for mount in mounted
                ):
                    _remove_if_left(path)
                    removed.append(entry.path)
    return removed


def _remove_if_left(path: str) -> None:
    """Remove a folder.

    Raises
    ------
    OSError
        If it is in use, or may be: by another machine.
    """
    try:
        with _free(os.path.join(path, _LOCK), _machine()):
            _remove_all(path)
    except FileNotFoundError:
        _remove_if_begun(path)


def _remove_if_begun(path: str) -> None:
    """The same for a folder that has no lock yet, as who makes one has it for a moment."""
    if time.time() - os.stat(path).st_mtime < _MOMENT:
        raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK), path)
    new = os.path.join(path, _NEW_LOCK)
    with contextlib.suppress(FileNotFoundError), _free(new, b"", _machine()):
        os.unlink(new)
    os.rmdir(path)


@contextlib.contextmanager
def _free(lock: str, *told: bytes) -> Iterator[None]:
    """Hold a lock that nobody holds, and that tells one of these, for the time of a block."""
    fd = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.pread(fd, _LONGEST, 0) not in told:
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK), lock)
        yield
    finally:
        os.close(fd)
