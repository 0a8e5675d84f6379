"""Word to a supervisor of how a service is, as sd_notify(3) has it."""

import contextlib
import os
import socket

_VARIABLE = "NOTIFY_SOCKET"


def notify(state: str) -> None:
    """Tell it, if there is one.

    Parameters
    ----------
    state : str
        Lines such as "READY=1" and "STATUS=text".
    """
    address = os.environ.get(_VARIABLE)
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
    ):
        # A supervisor that does not listen holds up nothing.
        sock.setblocking(False)
        sock.sendto(state.encode(), address)
