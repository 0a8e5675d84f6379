"""FUSE operations: a read-only directory of a plan's files."""

import errno
import functools
import logging
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import pyfuse3
import trio

from biofuse.errors import BiofuseError, as_errno

logger = logging.getLogger("biofuse.serve")

# Nothing here ever changes, so the kernel may remember it.
_FOREVER = 86400.0
_BLOCK_SIZE = 1 << 20
# Reads of streamed files that are put together at a time: each holds its bytes. Sidecars wait
# for none of them.
_READS_AT_ONCE = 6
# A handle is a file's inode and, above these bits, which opening of a file it is.
_INODE_BITS = 32
_INODE_MASK = (1 << _INODE_BITS) - 1


class Content(Protocol):
    """Bytes of a file."""

    size: int

    async def read(self, offset: int, size: int) -> bytes | memoryview: ...


class StaticContent:
    """A sidecar, read from a plan's file.

    Parameters
    ----------
    fd : int
    size : int
    """

    def __init__(self, fd: int, size: int):
        self._fd = fd
        self.size = size

    async def read(self, offset: int, size: int) -> bytes:
        stop = min(offset + size, self.size)
        data = b""
        while offset + len(data) < stop:
            more = os.pread(self._fd, stop - offset - len(data), offset + len(data))
            if not more:
                raise BiofuseError("a file of the plan is shorter than it was")
            data = data + more if data else more
        return data


@dataclass(frozen=True)
class Entry:
    """A file of the mount."""

    name: bytes
    content: Content
    attributes: pyfuse3.EntryAttributes


def guarded(operation):
    """Let nothing but FUSEError leave an operation: anything else would end the mount."""

    @functools.wraps(operation)
    async def wrapper(self, *args):
        try:
            return await operation(self, *args)
        except pyfuse3.FUSEError:
            raise
        except Exception as error:
            logger.exception("%s failed", operation.__name__)
            raise pyfuse3.FUSEError(as_errno(error)) from None

    return wrapper


def _read_only(name: str):
    async def refuse(self, *args, **kwargs):
        raise pyfuse3.FUSEError(errno.EROFS)

    refuse.__name__ = name
    refuse.__doc__ = "Refused: the file system is read-only."
    return refuse


class ReadOnlyOperations(pyfuse3.Operations):
    """Operations on a flat, read-only directory.

    Parameters
    ----------
    files : list of (str, Content)
    modified_ns : int
        Time stamp of every file.
    on_error : callable
        Called with a file's name and the exception when a read fails.
    on_read : callable, optional
        Called with a file's name, the handle, which every opening of a file has one of its
        own of, offset and size, and the monotonic time when the read began, after every read.
    """

    supports_dot_lookup = True
    enable_writeback_cache = False

    def __init__(
        self,
        files: list[tuple[str, Content]],
        modified_ns: int,
        on_error: Callable[[str, BaseException], None],
        on_read: Callable[[str, int, int, int, float], None] | None = None,
    ):
        super().__init__()
        self._turns = trio.Semaphore(_READS_AT_ONCE)
        self._on_error = on_error
        self._on_read = on_read
        self._opened = 0
        self._root = _attributes(pyfuse3.ROOT_INODE, stat.S_IFDIR | 0o555, 0, modified_ns)
        self._entries: dict[int, Entry] = {}
        self._inodes: dict[bytes, int] = {}
        for inode, (name, content) in enumerate(files, pyfuse3.ROOT_INODE + 1):
            attributes = _attributes(inode, stat.S_IFREG | 0o444, content.size, modified_ns)
            self._entries[inode] = Entry(os.fsencode(name), content, attributes)
            self._inodes[os.fsencode(name)] = inode

    def _attributes_of(self, inode: int) -> pyfuse3.EntryAttributes:
        if inode == pyfuse3.ROOT_INODE:
            return self._root
        return self._entry(inode).attributes

    def _entry(self, inode: int) -> Entry:
        try:
            return self._entries[inode]
        except KeyError:
            raise pyfuse3.FUSEError(errno.ENOENT) from None

    @guarded
    async def lookup(self, parent, name, ctx):
        if name in (b".", b".."):
            return self._root
        if parent != pyfuse3.ROOT_INODE:
            raise pyfuse3.FUSEError(errno.ENOTDIR)
        if name not in self._inodes:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return self._attributes_of(self._inodes[name])

    @guarded
    async def getattr(self, inode, ctx):
        return self._attributes_of(inode)

    @guarded
    async def access(self, inode, mode, ctx):
        if mode & os.W_OK:
            raise pyfuse3.FUSEError(errno.EROFS)
        return True

    @guarded
    async def opendir(self, inode, ctx):
        if inode != pyfuse3.ROOT_INODE:
            raise pyfuse3.FUSEError(errno.ENOTDIR)
        return inode

    @guarded
    async def readdir(self, fh, start_id, token):
        for inode, entry in self._entries.items():
            if inode > start_id and not pyfuse3.readdir_reply(
                token, entry.name, entry.attributes, inode
            ):
                return

    async def releasedir(self, fh):
        pass

    @guarded
    async def open(self, inode, flags, ctx):
        self._entry(inode)
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_TRUNC | os.O_CREAT | os.O_APPEND):
            raise pyfuse3.FUSEError(errno.EROFS)
        # Nothing is kept of it: a read finds its file in the handle.
        self._opened += 1
        logger.debug("open %s: handle %d", os.fsdecode(self._entry(inode).name), self._opened)
        return pyfuse3.FileInfo(fh=self._opened << _INODE_BITS | inode, keep_cache=True)

    async def read(self, fh, off, size):
        # Not @guarded, which would cost every read a coroutine more: it guards itself.
        entry = self._entry(fh & _INODE_MASK)
        began = time.monotonic() if self._on_read is not None else 0.0
        turns = None if isinstance(entry.content, StaticContent) else self._turns
        if turns is not None:
            try:
                turns.acquire_nowait()
            except trio.WouldBlock:
                await turns.acquire()
        try:
            data = await entry.content.read(off, size)
        except Exception as error:
            self._on_error(os.fsdecode(entry.name), error)
            raise pyfuse3.FUSEError(as_errno(error)) from None
        finally:
            if turns is not None:
                turns.release()
        if self._on_read is not None:
            self._on_read(os.fsdecode(entry.name), fh >> _INODE_BITS, off, size, began)
        return data

    async def release(self, fh):
        pass

    async def flush(self, fh):
        pass

    async def fsync(self, fh, datasync):
        pass

    async def forget(self, inode_list):
        pass

    @guarded
    async def statfs(self, ctx):
        total = sum(entry.content.size for entry in self._entries.values())
        data = pyfuse3.StatvfsData()
        data.f_bsize = _BLOCK_SIZE
        data.f_frsize = 4096
        data.f_blocks = -(-total // 4096)
        data.f_bfree = data.f_bavail = 0
        data.f_files = len(self._entries) + 1
        data.f_ffree = data.f_favail = 0
        data.f_namemax = 255
        return data

    setattr = _read_only("setattr")
    mknod = _read_only("mknod")
    mkdir = _read_only("mkdir")
    unlink = _read_only("unlink")
    rmdir = _read_only("rmdir")
    symlink = _read_only("symlink")
    rename = _read_only("rename")
    link = _read_only("link")
    create = _read_only("create")
    write = _read_only("write")
    setxattr = _read_only("setxattr")
    removexattr = _read_only("removexattr")


def _attributes(inode: int, mode: int, size: int, modified_ns: int) -> pyfuse3.EntryAttributes:
    attributes = pyfuse3.EntryAttributes()
    attributes.st_ino = inode
    attributes.generation = 0
    attributes.entry_timeout = attributes.attr_timeout = _FOREVER
    attributes.st_mode = mode
    attributes.st_nlink = 2 if stat.S_ISDIR(mode) else 1
    attributes.st_uid = os.getuid()
    attributes.st_gid = os.getgid()
    attributes.st_rdev = 0
    attributes.st_size = size
    attributes.st_blksize = _BLOCK_SIZE
    attributes.st_blocks = -(-size // 512)
    attributes.st_atime_ns = modified_ns
    attributes.st_mtime_ns = modified_ns
    attributes.st_ctime_ns = modified_ns
    return attributes
