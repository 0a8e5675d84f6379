"""Listening sockets, and connections that cannot hurt the mount."""

import contextlib
import logging
import os
import socket
import stat
from collections.abc import Callable, Generator

from biofuse.address import Address
from biofuse.errors import BiofuseError
from biofuse.serve.loop import READ, WRITE, Loop, Timer

logger = logging.getLogger("biofuse.serve")

_BACKLOG = 16
_MAX_CONNECTIONS = 16
# Where a connection cannot be accepted, as for want of descriptors.
_PAUSE = 0.2


def open_listener(address: Address) -> socket.socket:
    """A socket that listens at an address; a Unix socket is the user's alone.

    Raises
    ------
    BiofuseError
        If that cannot be, as where something else listens there.
    """
    try:
        if address.path is not None:
            return _listen_unix(address.path)
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, name = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            # A port whose last owner has just ended is free.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(name)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        return listener
    except OSError as error:
        hint = "" if address.path else "; choose another port, or 0 for any that is free"
        reason = error.strerror or error
        raise BiofuseError(f"cannot listen on {address} (--metrics): {reason}{hint}") from error


def _listen_unix(path: str) -> socket.socket:
    """Listen at a path, in place of a socket there that nobody listens at any more."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.settimeout(1)
                try:
                    probe.connect(path)
                except ConnectionRefusedError:
                    os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


class Connection:
    """A client, attended to for so long and no longer.

    Attributes
    ----------
    sock : socket.socket
        Non-blocking.
    """

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        handle: "Callable[[Connection], Steps]",
        seconds: float,
        on_end: Callable[[], None],
    ):
        self.sock = sock
        self._loop = loop
        self._on_end = on_end
        self._timer = Timer(self._end)
        self.limit(seconds)
        self._steps = handle(self)
        self._step()

    def limit(self, seconds: float) -> None:
        """Have the connection end after so many seconds from now."""
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._end)

    def send(self, data: bytes) -> "Steps":
        """Send all of it: to be yielded from."""
        while data:
            yield WRITE
            data = data[self.sock.send(data) :]

    def _step(self) -> None:
        """Go on until there is something to wait for."""
        try:
            self._loop.watch(self.sock.fileno(), self._step, next(self._steps))
        except StopIteration:
            self._end()
        except BlockingIOError:
            # It was not ready after all.
            logger.debug("a connection was not ready")
            self._end()
        except OSError:
            # The client went away.
            self._end()
        except Exception:
            logger.exception("a connection could not be answered")
            self._end()

    def _end(self) -> None:
        self._timer.cancel()
        self._loop.unwatch(self.sock.fileno())
        self.sock.close()
        self._on_end()


# What a handler is: a generator of the events that it waits for on its connection.
Steps = Generator[int, None, None]


class Listener:
    """Answers connections, several at a time.

    Whatever a client does, or `handle` raises, ends its connection and nothing else.

    Parameters
    ----------
    loop : Loop
    listener : socket.socket
    handle : callable
        Called with each `Connection`; a generator of READ and WRITE, which it waits for. The
        connection is closed when it ends.
    seconds : float
        How long a connection may take.
    """

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        handle: Callable[[Connection], Steps],
        seconds: float = 5.0,
    ):
        self._loop = loop
        self._listener = listener
        self._handle = handle
        self._seconds = seconds
        self._open = 0
        listener.setblocking(False)
        self._resume()

    def _resume(self) -> None:
        self._loop.watch(self._listener.fileno(), self._accept, READ)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError:
            self._loop.unwatch(self._listener.fileno())
            self._loop.call_later(_PAUSE, self._resume)
            return
        sock.setblocking(False)
        self._open += 1
        if self._open == _MAX_CONNECTIONS:
            self._loop.unwatch(self._listener.fileno())
        Connection(self._loop, sock, self._handle, self._seconds, self._ended)

    def _ended(self) -> None:
        if self._open == _MAX_CONNECTIONS:
            self._resume()
        self._open -= 1
