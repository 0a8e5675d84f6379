"""Every call by which a program would change a file, a name or a directory."""

import fcntl
import os
import socket
import stat
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

from support.syscalls import renameat2

RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR = 0x40086602, 0x401C5820
# The owner may read and write, others may read.
ACL = struct.pack("<IHHiHHiHHi", 2, 1, 6, -1, 4, 4, -1, 0x20, 4, -1)


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


def _bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def _rename(path: Path, to: Path, flags: int) -> None:
    renameat2(os.fsencode(path), os.fsencode(to), flags)


def _from_outside(change: Callable[[Path, Path], object]) -> Callable[[Path], None]:
    """A change that brings something of another file system to a new name here."""

    def call(path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            outside = Path(folder) / "outside"
            outside.touch()
            change(outside, path.with_name("new"))

    return call


def _to_outside(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path.rename(Path(folder) / "outside")


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
    "rename-no-replace": lambda path: _rename(path, path.with_name("new"), RENAME_NOREPLACE),
    "rename-exchange": lambda path: _rename(path, another(path), RENAME_EXCHANGE),
    "link": lambda path: os.link(path, path.with_name("new")),
    "link-from-outside": _from_outside(os.link),
    "symlink": _beside(lambda new: os.symlink("x.bed", new)),
    "mkdir": _beside(os.mkdir),
    "rmdir": os.rmdir,
    "mknod": _beside(lambda new: os.mknod(new, stat.S_IFREG | 0o644)),
    "mkfifo": _beside(os.mkfifo),
    "mknod-fifo": _beside(lambda new: os.mknod(new, stat.S_IFIFO | 0o644)),
    "mknod-device": _beside(lambda new: os.mknod(new, stat.S_IFCHR | 0o644, os.makedev(1, 3))),
    "bind": _beside(_bind),
    "chmod": lambda path: path.chmod(0o777),
    "fchmod": _by_descriptor(lambda fd: os.fchmod(fd, 0o777)),
    "chmod-directory": lambda path: path.parent.chmod(0o777),
    "chown": lambda path: os.chown(path, 12, 12),
    "fchown": _by_descriptor(lambda fd: os.fchown(fd, 12, 12)),
    "lchown": lambda path: os.lchown(path, 12, 12),
    "chown-directory": lambda path: os.chown(path.parent, 12, 12),
    "utime": _set_times,
    "futime": _by_descriptor(lambda fd: os.utime(fd, (1, 1))),
    "touch": lambda path: path.touch(),
    "utime-directory": lambda path: _set_times(path.parent),
    "setxattr": lambda path: os.setxattr(path, "user.x", b"1"),
    "fsetxattr": _by_descriptor(lambda fd: os.setxattr(fd, "user.x", b"1")),
    "setxattr-directory": lambda path: os.setxattr(path.parent, "user.x", b"1"),
    "lsetxattr": lambda path: os.setxattr(path, "user.x", b"1", follow_symlinks=False),
    **{
        f"setxattr-{name}": lambda path, name=name: os.setxattr(path, name, b"1")
        for name in ("trusted.x", "security.x")
    },
    "setxattr-system": lambda path: os.setxattr(path, "system.posix_acl_access", ACL),
    "removexattr": lambda path: os.removexattr(path, "user.x"),
    "fremovexattr": _by_descriptor(lambda fd: os.removexattr(fd, "user.x")),
    "set-flags": _by_descriptor(lambda fd: fcntl.ioctl(fd, FS_IOC_SETFLAGS, b"\0" * 8)),
    "set-attributes": _by_descriptor(lambda fd: fcntl.ioctl(fd, FS_IOC_FSSETXATTR, b"\0" * 28)),
}

# Those that the kernel refuses for another reason where root has mounted it for writing.
LOOKED_AT_FIRST = {
    "rmdir": "ENOTDIR",
    "link-from-outside": "EXDEV",
    "set-flags": "ENOTTY",
    "set-attributes": "ENOTTY",
}


# What is refused with another error before anyone asks whether it is read-only.
OTHERWISE: dict[str, tuple[Callable[[Path], object], str]] = {
    # There is no renaming from one file system to another.
    "rename-from-outside": (_from_outside(lambda old, new: old.rename(new)), "EXDEV"),
    "rename-to-outside": (_to_outside, "EXDEV"),
    # A mountpoint is in use.
    "rename-directory": (lambda path: path.parent.rename(path.parent.with_name("new")), "EBUSY"),
    "rmdir-directory": (lambda path: path.parent.rmdir(), "EBUSY"),
}


def another(path: Path) -> Path:
    """Another file of the same directory."""
    return min(other for other in path.parent.iterdir() if other != path)
