"""Where a mount's metrics are listened for: a port or a Unix socket."""

import os
from dataclasses import dataclass

from biofuse.errors import BiofuseError

_LOOPBACK = "127.0.0.1"
# What the kernel takes for a Unix socket's name.
_MAX_PATH = 107


@dataclass(frozen=True)
class Address:
    """A host and port, or a path.

    Attributes
    ----------
    host : str or None
    port : int or None
        0 for any that is free.
    path : str or None
        Of a Unix socket; absolute. Host and port are None then.
    """

    host: str | None
    port: int | None
    path: str | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if self.host and ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """The address that PORT, HOST:PORT or a socket's path means.

    PORT alone is one of this machine only. A path has a slash, ends in .sock, or comes
    after `unix:`.

    Raises
    ------
    BiofuseError
        If it is none of these.
    """
    path = text.removeprefix("unix:")
    if path != text or "/" in text or text.endswith(".sock"):
        path = os.path.abspath(path)
        if len(os.fsencode(path)) > _MAX_PATH:
            raise BiofuseError(f"{path} is too long for a socket: {_MAX_PATH} bytes at most")
        return Address(None, None, path)
    host, colon, port = text.rpartition(":")
    if not colon:
        host = _LOOPBACK
    elif host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise BiofuseError(f"{text!r} is not a PORT, HOST:PORT or the path of a socket")
    return Address(host, int(port))
