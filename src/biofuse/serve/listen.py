"""Listening sockets, and connections that cannot hurt the mount."""

import contextlib
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable

import trio

from biofuse.address import Address
from biofuse.errors import BiofuseError

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


async def accept_connections(
    listener: trio.socket.SocketType,
    handle: Callable[[trio.socket.SocketType], Awaitable[None]],
    seconds: float = 5.0,
) -> None:
    """Answer connections, several at a time, until cancelled.

    Whatever a client does, or `handle` raises, ends its connection and nothing else.

    Parameters
    ----------
    listener : trio socket
    handle : async callable
        Called with each connection, which is closed when it returns.
    seconds : float
        How long a connection may take.
    """
    limiter = trio.CapacityLimiter(_MAX_CONNECTIONS)

    async def attend(connection: trio.socket.SocketType) -> None:
        try:
            with connection, trio.move_on_after(seconds):
                await handle(connection)
        except OSError:
            # The client went away.
            pass
        except Exception:
            logger.exception("a connection could not be answered")
        finally:
            limiter.release_on_behalf_of(connection)

    async with trio.open_nursery() as nursery:
        while True:
            try:
                connection, _ = await listener.accept()
            except OSError:
                await trio.sleep(_PAUSE)
                continue
            await limiter.acquire_on_behalf_of(connection)
            nursery.start_soon(attend, connection)
