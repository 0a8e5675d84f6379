"""System calls for which Python has no function, by ctypes."""

import ctypes
import os
import struct
from dataclasses import dataclass

_libc = ctypes.CDLL(None, use_errno=True)
_DIRENT = struct.Struct("=QqHB")
_STATX = struct.Struct("=IIQIIIHxxQQQQ")


def check(result: int) -> int:
    """A call's result; OSError if that is -1."""
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


@dataclass(frozen=True)
class Entry:
    """An entry of a directory; `next` is where the one after it is read from."""

    name: str
    inode: int
    next: int
    kind: int


def getdents64(fd: int, size: int) -> list[Entry]:
    """Entries from a directory's position on, as many as go into a buffer of that size."""
    buffer = ctypes.create_string_buffer(size)
    function = _libc.getdents64
    function.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
    function.restype = ctypes.c_ssize_t
    count = check(function(fd, buffer, size))
    data = buffer.raw[:count]
    found = []
    while data:
        inode, following, length, kind = _DIRENT.unpack_from(data)
        name = data[_DIRENT.size : length].split(b"\0", 1)[0]
        found.append(Entry(os.fsdecode(name), inode, following, kind))
        data = data[length:]
    return found


def statx(path: bytes, flags: int, mask: int, fd: int = -100) -> dict[str, int]:
    """What statx(2) tells of a file, by a path from the directory `fd`."""
    buffer = ctypes.create_string_buffer(256)
    check(_libc.statx(fd, path, flags, mask, buffer))
    names = "mask blksize attributes nlink uid gid mode ino size blocks attributes_mask"
    return dict(zip(names.split(), _STATX.unpack_from(buffer), strict=True))


def renameat2(old: bytes, new: bytes, flags: int) -> int:
    return check(_libc.renameat2(-100, old, -100, new, ctypes.c_uint(flags)))


def faccessat(path: bytes, mode: int, flags: int = 0, fd: int = -100) -> int:
    return check(_libc.faccessat(fd, path, mode, flags))


def readahead(fd: int, offset: int, size: int) -> int:
    """readahead(2)."""
    function = _libc.readahead
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_size_t)
    function.restype = ctypes.c_ssize_t
    return check(function(fd, offset, size))


def read_into(fd: int, address: int, size: int, offset: int) -> int:
    """pread(2) to any address, be there memory or not. Returns the number of bytes."""
    function = _libc.pread
    function.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64)
    function.restype = ctypes.c_ssize_t
    return check(function(fd, address, size, offset))


def map_memory(fd: int, size: int, protection: int, flags: int, offset: int = 0) -> int:
    """mmap(2) of any size, which Python's refuses beyond a file's end. Returns the address."""
    function = _libc.mmap
    function.argtypes = (
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int),
        ctypes.c_int64,
    )
    function.restype = ctypes.c_ssize_t
    return check(function(None, size, protection, flags, fd, offset))


def unmap_memory(address: int, size: int) -> None:
    check(_libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size)))


def name_to_handle(path: bytes) -> tuple[int, bytes]:
    """name_to_handle_at(2): a handle's type and bytes."""
    buffer = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0), 136)
    mount_id = ctypes.c_int()
    check(_libc.name_to_handle_at(-100, path, buffer, ctypes.byref(mount_id), 0))
    size, kind = struct.unpack_from("=Ii", buffer)
    return kind, buffer.raw[8 : 8 + size]


def open_by_handle(mount_fd: int, handle: tuple[int, bytes], flags: int = os.O_RDONLY) -> int:
    """open_by_handle_at(2), which takes root. Returns a descriptor."""
    kind, data = handle
    packed = struct.pack("=Ii", len(data), kind) + data
    return check(_libc.open_by_handle_at(mount_fd, packed, flags))


@dataclass(frozen=True)
class Event:
    """What inotify tells."""

    mask: int
    name: str


def inotify() -> int:
    """A descriptor for `watch`, which does not block."""
    return check(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))


def watch(fd: int, path: bytes, mask: int) -> int:
    return check(_libc.inotify_add_watch(fd, path, ctypes.c_uint32(mask)))


def events(fd: int) -> list[Event]:
    """The events that have come."""
    try:
        data = os.read(fd, 1 << 20)
    except BlockingIOError:
        return []
    found = []
    while data:
        _, mask, _, length = struct.unpack_from("=iIII", data)
        found.append(Event(mask, os.fsdecode(data[16 : 16 + length].rstrip(b"\0"))))
        data = data[16 + length :]
    return found
