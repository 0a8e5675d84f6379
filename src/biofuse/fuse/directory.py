"""A flat, read-only directory of files whose names, sizes and times never change."""

import errno
import logging
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from biofuse.fuse import wire
from biofuse.fuse.session import Handler, Request

logger = logging.getLogger(__name__)

# Seconds for which the kernel may remember what it is told of a file.
_FOREVER = 86400
_BLOCK_SIZE = 1 << 20
_FRAGMENT = 4096
# A handle is a file's node and, above these bits, which opening of a file it is.
_NODE_BITS = 32
_NODE_MASK = (1 << _NODE_BITS) - 1
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_TRUNC | os.O_CREAT
# Bytes of a name, as statfs tells.
_LONGEST_NAME = 255
# What would change something.
_CHANGES = (
    wire.SETATTR,
    wire.SYMLINK,
    wire.MKNOD,
    wire.MKDIR,
    wire.UNLINK,
    wire.RMDIR,
    wire.RENAME,
    wire.LINK,
    wire.WRITE,
    wire.SETXATTR,
    wire.REMOVEXATTR,
    wire.CREATE,
    wire.FALLOCATE,
    wire.RENAME2,
    wire.COPY_FILE_RANGE,
    wire.TMPFILE,
)


class Read(NamedTuple):
    """A read of a file, within its size.

    Attributes
    ----------
    unique : int
        Names the request in the reply.
    file : int
        Index of the file.
    opening : int
        Which opening of a file of this directory it comes from, counted from 1.
    offset, size : int
        Size is not 0.
    pid : int
        The thread that asks, where one waits.
    """

    unique: int
    file: int
    opening: int
    offset: int
    size: int
    pid: int


def _buffered(file: int, pid: int) -> bool:
    return False


class Directory:
    """Answers for the directory and its files, but for their bytes.

    Nothing is kept of a handle, so there is no limit on them.

    Parameters
    ----------
    files : sequence of (bytes, int)
        Names and sizes, in the order in which they are listed.
    modified_ns : int
        Time stamp of everything, in nanoseconds since 1970.
    read : callable
        Called with a `Read`. Returns the bytes, or None if whoever was told of the read
        answers it; raises OSError if it fails.
    direct : callable, optional
        Called with a file's index and the thread that opens it. Returns whether its reads go
        past the page cache; none do unless it is given.
    interrupt : callable, optional
        Called with the `unique` of a request whose thread has got a signal.
    """

    def __init__(
        self,
        files: Sequence[tuple[bytes, int]],
        modified_ns: int,
        read: Callable[[Read], bytes | memoryview | None],
        direct: Callable[[int, int], bool] = _buffered,
        interrupt: Callable[[int], None] | None = None,
    ):
        self._read = read
        self._direct = direct
        self._interrupt = interrupt
        self._openings = 0
        self._sizes = [size for _, size in files]
        self._names = [name for name, _ in files]
        # By node: the root, then the files.
        self._attributes = {wire.ROOT: _attributes(wire.ROOT, stat.S_IFDIR | 0o555, 0, modified_ns)}
        self._nodes: dict[bytes, int] = {}
        for node, (name, size) in enumerate(files, wire.ROOT + 1):
            self._attributes[node] = _attributes(node, stat.S_IFREG | 0o444, size, modified_ns)
            self._nodes[name] = node
        self._listing = self._list()

    @property
    def handlers(self) -> Mapping[int, Handler]:
        """What a `Session` is to ask, by operation."""
        return {
            wire.LOOKUP: self.lookup,
            wire.GETATTR: self.getattr,
            wire.OPEN: self.open,
            wire.READ: self.read,
            wire.RELEASE: _nothing,
            wire.OPENDIR: self.opendir,
            wire.READDIR: self.readdir,
            wire.READDIRPLUS: self.readdirplus,
            wire.RELEASEDIR: _nothing,
            wire.STATFS: self.statfs,
            wire.ACCESS: self.access,
            wire.READLINK: _no_link,
            wire.FORGET: _nothing,
            wire.BATCH_FORGET: _nothing,
            wire.INTERRUPT: self.interrupt,
            **{operation: _read_only for operation in _CHANGES},
        }

    def lookup(self, request: Request) -> bytes:
        """The file of a name."""
        name = request.body.rstrip(b"\0")
        self._attributes_of(request.node)
        if name in (b".", b".."):
            # Whoever exports the mount asks so; there is one directory.
            return self._entry(request.node if name == b"." else wire.ROOT)
        if request.node != wire.ROOT:
            raise OSError(errno.ENOTDIR, "not a directory")
        if len(name) > _LONGEST_NAME:
            raise OSError(errno.ENAMETOOLONG, "a name too long")
        node = self._nodes.get(name)
        if node is None:
            raise OSError(errno.ENOENT, "no such file")
        return self._entry(node)

    def getattr(self, request: Request) -> bytes:
        """A file's attributes."""
        return wire.ATTR_OUT.pack(_FOREVER, 0, 0) + self._attributes_of(request.node)

    def open(self, request: Request) -> bytes:
        """A handle, which no two openings share."""
        self._attributes_of(request.node)
        if request.node == wire.ROOT:
            raise OSError(errno.EISDIR, "a directory")
        flags, _ = wire.OPEN_IN.unpack_from(request.body)
        if flags & _WRITING:
            raise OSError(errno.EROFS, "read-only")
        self._openings += 1
        handle = self._openings << _NODE_BITS | request.node
        file = request.node - wire.ROOT - 1
        flags = wire.FOPEN_KEEP_CACHE
        if self._direct(file, request.pid):
            # What others have read stays in the cache.
            flags |= wire.FOPEN_DIRECT_IO
        logger.debug("open %s: handle %d", os.fsdecode(self._names[file]), self._openings)
        return wire.OPEN_OUT.pack(handle, flags, 0)

    def read(self, request: Request) -> bytes | memoryview | None:
        """Bytes of a file, fewer than asked for at its end only."""
        handle, offset, size, _, _, _, _ = wire.READ_IN.unpack_from(request.body)
        file = (handle & _NODE_MASK) - wire.ROOT - 1
        if not 0 <= file < len(self._sizes):
            raise OSError(errno.EBADF, "no such handle")
        size = min(size, self._sizes[file] - offset)
        if size <= 0:
            return b""
        opening = handle >> _NODE_BITS
        return self._read(Read(request.unique, file, opening, offset, size, request.pid))

    def opendir(self, request: Request) -> bytes:
        """A handle of the directory; there is but one."""
        self._attributes_of(request.node)
        if request.node != wire.ROOT:
            raise OSError(errno.ENOTDIR, "not a directory")
        return wire.OPEN_OUT.pack(0, 0, 0)

    def readdir(self, request: Request) -> bytes:
        """Names, from an offset on."""
        return self._listed(request, 0)

    def readdirplus(self, request: Request) -> bytes:
        """The same, with what a lookup of each would tell."""
        return self._listed(request, 1)

    def statfs(self, request: Request) -> bytes:
        """The files' total size, and no free space."""
        total = sum(self._sizes)
        return wire.STATFS_OUT.pack(
            -(-total // _FRAGMENT),
            0,
            0,
            len(self._sizes) + 1,
            0,
            _BLOCK_SIZE,
            _LONGEST_NAME,
            _FRAGMENT,
            0,
        )

    def access(self, request: Request) -> bytes:
        """Reading and looking are allowed, as far as the kernel has let this through."""
        self._attributes_of(request.node)
        mask, _ = wire.ACCESS_IN.unpack_from(request.body)
        if mask & os.W_OK:
            raise OSError(errno.EROFS, "read-only")
        return b""

    def interrupt(self, request: Request) -> None:
        """Tell of a signal. There is no duty to end what it is for, which then goes on."""
        if self._interrupt is not None:
            self._interrupt(wire.INTERRUPT_IN.unpack_from(request.body)[0])

    def _attributes_of(self, node: int) -> bytes:
        try:
            return self._attributes[node]
        except KeyError:
            raise OSError(errno.ENOENT, "no such node") from None

    def _entry(self, node: int) -> bytes:
        return wire.ENTRY_OUT.pack(node, 0, _FOREVER, _FOREVER, 0, 0) + self._attributes_of(node)

    def _list(self) -> list[tuple[bytes, bytes]]:
        """Each name as readdir and as readdirplus tell it; its offset is that of the next."""
        names = [(b".", wire.ROOT), (b"..", wire.ROOT), *self._nodes.items()]
        listing = []
        for offset, (name, node) in enumerate(names, 1):
            kind = (stat.S_IFDIR if node == wire.ROOT else stat.S_IFREG) >> 12
            plain = wire.aligned(wire.DIRENT.pack(node, offset, len(name), kind) + name)
            # The kernel does not look those two up: it would have to forget them.
            entry = bytes(wire.ENTRY_OUT.size + wire.ATTR.size)
            if node != wire.ROOT:
                entry = self._entry(node)
            listing.append((plain, entry + plain))
        return listing

    def _listed(self, request: Request, kind: int) -> bytes:
        _, offset, size, _, _, _, _ = wire.READ_IN.unpack_from(request.body)
        found = b""
        for each in self._listing[offset:]:
            if len(found) + len(each[kind]) > size:
                break
            found += each[kind]
        return found


def _nothing(request: Request) -> bytes:
    return b""


def _read_only(request: Request) -> bytes:
    raise OSError(errno.EROFS, "read-only")


def _no_link(request: Request) -> bytes:
    raise OSError(errno.EINVAL, "not a link")


def _attributes(node: int, mode: int, size: int, modified_ns: int) -> bytes:
    seconds, nanoseconds = divmod(modified_ns, 10**9)
    # Before 1970 it is below 0, which the kernel takes in two's complement.
    seconds %= 1 << 64
    return wire.ATTR.pack(
        node,
        size,
        -(-size // 512),
        *[seconds] * 3,
        *[nanoseconds] * 3,
        mode,
        2 if stat.S_ISDIR(mode) else 1,
        os.getuid(),
        os.getgid(),
        0,
        _BLOCK_SIZE,
        0,
    )
