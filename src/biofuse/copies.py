"""Temporary folders of copies, which go with the process that has made them.

One that is killed removes nothing; so whoever makes the next one removes what it has left.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator

_PREFIX = "biofuse-copies-"
_LOCK = "lock"


@contextlib.contextmanager
def folder_of_copies() -> Iterator[str]:
    """A folder for the time of a block.

    Yields
    ------
    str
        Its path; empty.
    """
    _sweep(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as private:
        # Held as long as this process lives.
        lock = os.open(os.path.join(private, _LOCK), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            folder = os.path.join(private, "files")
            os.mkdir(folder)
            yield folder
        finally:
            os.close(lock)


def _sweep(parent: str) -> None:
    """Remove this user's folders of processes that are gone."""
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                        _remove_if_left(entry.path)


def _remove_if_left(path: str) -> None:
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    lock = os.open(os.path.join(path, _LOCK), flags)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)
