"""A session with the kernel: requests in, replies out."""

import errno
import logging
import os
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

from biofuse.fuse import wire

logger = logging.getLogger(__name__)

# Pages of one request, of 4 KiB each where a mount says so by max_read.
MAX_PAGES = 256
MAX_READ = MAX_PAGES << 12
# As many requests in the background as anyone has readers for: the kernel's default, twelve,
# would have a dozen reads that wait hold up all others. The kernel lowers it for an ordinary
# user of a small machine, and from the second number on it reads less ahead.
MAX_BACKGROUND = 1024
CONGESTION = MAX_BACKGROUND * 3 // 4
# Nothing is ever written; the smallest that the kernel takes leaves buffers small.
_MAX_WRITE = 4096
# The kernel fails every read() into less, and of anything but writes none is longer.
_BUFFER = max(wire.MIN_READ_BUFFER, _MAX_WRITE + 80)
_WANTED = (
    wire.ASYNC_READ
    | wire.EXPORT_SUPPORT
    | wire.DO_READDIRPLUS
    | wire.READDIRPLUS_AUTO
    | wire.ASYNC_DIO
    | wire.PARALLEL_DIROPS
    | wire.MAX_PAGES
    | wire.INIT_EXT
    | wire.DIRECT_IO_ALLOW_MMAP
)
# The largest error that a reply may have.
_MAX_ERRNO = 511
# Those that the kernel waits for no reply to.
_SILENT = frozenset((wire.FORGET, wire.BATCH_FORGET, wire.INTERRUPT))


class OldKernelError(Exception):
    """The kernel speaks a protocol from before `wire.OLDEST_MINOR`."""


class Request(NamedTuple):
    """What the kernel asks.

    Attributes
    ----------
    unique : int
        Names it in the reply.
    node : int
    pid : int
        The thread that waits for it, where one does.
    body : bytes
        What comes after its header.
    """

    unique: int
    node: int
    pid: int
    body: bytes


# Returns the reply's bytes, or None if there is to be none, or not from here; raises OSError
# for a reply that is an error.
Handler = Callable[[Request], bytes | memoryview | None]


class Session:
    """Speaks the protocol on the descriptor of a mount.

    Parameters
    ----------
    fd : int
        As `mounting.mount` returns it. It is made non-blocking.
    handlers : mapping of int to callable
        By operation. INIT and DESTROY are the session's own; what is not there is ENOSYS,
        which the kernel takes as a reason not to ask again.

    Attributes
    ----------
    ready : bool
        Whether the kernel and this side have agreed, so that files can be asked for.
    ended : bool
        Whether it is unmounted.
    minor : int
        Of the protocol that both speak.
    """

    def __init__(self, fd: int, handlers: Mapping[int, Handler]):
        self.fd = fd
        self.ready = False
        self.ended = False
        self.minor = 0
        self._handlers = dict(handlers)
        os.set_blocking(fd, False)

    def pump(self, most: int = 64) -> None:
        """Answer the requests that are there, up to so many: then others may have their turn.

        Raises
        ------
        OldKernelError
            If the kernel is too old.
        OSError
            If the session has broken.
        """
        for _ in range(most):
            try:
                data = os.read(self.fd, _BUFFER)
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    return
                if error.errno in (errno.EINTR, errno.ENOENT):
                    # ENOENT: whoever asked is gone.
                    continue
                if error.errno == errno.ENODEV:
                    self.ended = True
                    return
                raise
            if not data:
                self.ended = True
                return
            self._answer(data)
            if self.ended:
                return

    def _answer(self, data: bytes) -> None:
        if len(data) < wire.IN_HEADER.size:
            logger.error("a request of %d bytes is none of the protocol's", len(data))
            return
        length, operation, unique, node, _, _, pid, _, _ = wire.IN_HEADER.unpack_from(data)
        request = Request(unique, node, pid, data[wire.IN_HEADER.size : length])
        if operation == wire.INIT and len(request.body) >= wire.INIT_IN.size:
            self._negotiate(request)
            return
        if operation == wire.DESTROY:
            self.reply(unique)
            self.ended = True
            return
        handler = self._handlers.get(operation)
        code = errno.ENOSYS
        if handler is not None:
            try:
                reply = handler(request)
            except OSError as error:
                code = error.errno or errno.EIO
            except struct.error:
                # It is shorter than the operation's structure.
                code = errno.EINVAL
            except Exception:
                logger.exception("operation %d failed", operation)
                code = errno.EIO
            else:
                if reply is not None and operation not in _SILENT:
                    self.reply(unique, reply)
                return
        if operation not in _SILENT:
            self.fail(unique, code)

    def _negotiate(self, request: Request) -> None:
        major, minor, max_readahead, offered = wire.INIT_IN.unpack_from(request.body)
        if major < wire.MAJOR or (major == wire.MAJOR and minor < wire.OLDEST_MINOR):
            self.fail(request.unique, errno.EPROTO)
            raise OldKernelError(
                f"the kernel speaks version {major}.{minor} of the FUSE protocol, and "
                f"{wire.MAJOR}.{wire.OLDEST_MINOR} is the oldest that will do (Linux 5.4)"
            )
        if major > wire.MAJOR:
            # It asks again, in this version.
            self.reply(
                request.unique,
                wire.INIT_OUT.pack(wire.MAJOR, wire.MINOR, *[0] * 9),
            )
            return
        if offered & wire.INIT_EXT and len(request.body) >= wire.INIT_IN_FLAGS2.size:
            offered |= wire.INIT_IN_FLAGS2.unpack_from(request.body)[0] << 32
        self.minor = min(minor, wire.MINOR)
        agreed = offered & _WANTED
        self.reply(
            request.unique,
            wire.INIT_OUT.pack(
                wire.MAJOR,
                self.minor,
                max_readahead,
                agreed & 0xFFFFFFFF,
                MAX_BACKGROUND,
                CONGESTION,
                _MAX_WRITE,
                1,
                MAX_PAGES,
                0,
                agreed >> 32,
            ),
        )
        self.ready = True

    def reply(self, unique: int, data: bytes | memoryview = b"") -> bool:
        """Answer a request. Returns whether the kernel still waited for it."""
        return self._write(unique, 0, data)

    def fail(self, unique: int, code: int) -> bool:
        """Answer a request with an error. Returns whether the kernel still waited for it."""
        # A number that the kernel has no room for it would not take, and whoever asked would wait.
        return self._write(unique, -code if 0 < code <= _MAX_ERRNO else -errno.EIO, b"")

    def _write(self, unique: int, error: int, data: bytes | memoryview) -> bool:
        header = wire.OUT_HEADER.pack(wire.OUT_HEADER.size + len(data), error, unique)
        try:
            os.writev(self.fd, (header, data))
        except OSError as problem:
            # ENOENT: it was interrupted, or another has answered. ENODEV: it is unmounted, which
            # the next read tells.
            if problem.errno not in (errno.ENOENT, errno.ENODEV):
                logger.error("a reply was not taken: %s", problem)
            return False
        return True
