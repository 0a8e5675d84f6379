"""Every call by which a program would change a file, a name or a directory."""

import os
import stat
from collections.abc import Callable
from pathlib import Path


def open_with(flags: int) -> Callable[[Path], None]:
    return lambda path: os.close(os.open(path, flags))


def _set_times(path: Path) -> None:
    os.utime(path, (1, 1))


def _by_descriptor(change: Callable[[int], object]) -> Callable[[Path], None]:
    """A change that goes by a descriptor, open for reading."""

    def call(path: Path) -> None:
        fd = os.open(path, os.O_RDONLY)
        try:
            change(fd)
        finally:
            os.close(fd)

    return call


def _beside(change: Callable[[Path], object]) -> Callable[[Path], object]:
    """A change that makes another name."""
    return lambda path: change(path.with_name("new"))


# Each takes the path of a file. What is read-only refuses each with EROFS.
MUTATIONS: dict[str, Callable[[Path], object]] = {
    "O_WRONLY": open_with(os.O_WRONLY),
    "O_RDWR": open_with(os.O_RDWR),
    "O_RDONLY-O_TRUNC": open_with(os.O_RDONLY | os.O_TRUNC),
    "O_WRONLY-O_TRUNC": open_with(os.O_WRONLY | os.O_TRUNC),
    "O_WRONLY-O_APPEND": open_with(os.O_WRONLY | os.O_APPEND),
    "O_WRONLY-O_CREAT": open_with(os.O_WRONLY | os.O_CREAT),
    "O_TMPFILE": lambda path: os.close(os.open(path.parent, os.O_TMPFILE | os.O_RDWR)),
    "create": _beside(open_with(os.O_CREAT | os.O_RDONLY)),
    "create-exclusive": _beside(lambda new: new.touch(exist_ok=False)),
    "truncate": lambda path: os.truncate(path, 3),
    "extend": lambda path: os.truncate(path, 1 << 30),
    "unlink": os.unlink,
    "rename": lambda path: path.rename(path.with_name("new")),
    "rename-over": lambda path: path.rename(another(path)),
    "link": lambda path: os.link(path, path.with_name("new")),
    "symlink": _beside(lambda new: os.symlink("x.bed", new)),
    "mkdir": _beside(os.mkdir),
    "rmdir": os.rmdir,
    "mknod": _beside(lambda new: os.mknod(new, stat.S_IFREG | 0o644)),
    "mkfifo": _beside(os.mkfifo),
    "chmod": lambda path: path.chmod(0o777),
    "fchmod": _by_descriptor(lambda fd: os.fchmod(fd, 0o777)),
    "chmod-directory": lambda path: path.parent.chmod(0o777),
    "chown": lambda path: os.chown(path, 12, 12),
    "fchown": _by_descriptor(lambda fd: os.fchown(fd, 12, 12)),
    "chown-directory": lambda path: os.chown(path.parent, 12, 12),
    "utime": _set_times,
    "futime": _by_descriptor(lambda fd: os.utime(fd, (1, 1))),
    "touch": lambda path: path.touch(),
    "utime-directory": lambda path: _set_times(path.parent),
    "setxattr": lambda path: os.setxattr(path, "user.x", b"1"),
    "fsetxattr": _by_descriptor(lambda fd: os.setxattr(fd, "user.x", b"1")),
    "setxattr-directory": lambda path: os.setxattr(path.parent, "user.x", b"1"),
    "removexattr": lambda path: os.removexattr(path, "user.x"),
}


def another(path: Path) -> Path:
    """Another file of the same directory."""
    return min(other for other in path.parent.iterdir() if other != path)
