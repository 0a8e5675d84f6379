"""The metrics of a mount over HTTP: just enough of it for Prometheus, curl and browsers."""

import contextlib
import dataclasses
import os
import socket
from collections.abc import Callable, Generator

from biofuse.address import Address
from biofuse.serve.listen import Connection, Listener, Steps, open_listener
from biofuse.serve.loop import READ, Loop

_MAX_REQUEST = 8192
_PATH = "/metrics"
_TEXT = "text/plain; charset=utf-8"
_EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}
# What a client may still send that nobody reads, and for how long.
_MAX_REST = 1 << 16
_REST_SECONDS = 1.0


class MetricsEndpoint:
    """Listens from the moment it is made, so that a port in use is known before the mount.

    Parameters
    ----------
    address : Address

    Attributes
    ----------
    address : Address
        With the port that it got.

    Raises
    ------
    BiofuseError
        If it cannot listen there.
    """

    def __init__(self, address: Address):
        self._listener = open_listener(address)
        if address.path is None:
            address = dataclasses.replace(address, port=self._listener.getsockname()[1])
        self.address = address

    @property
    def url(self) -> str:
        """Where the metrics are."""
        if self.address.path is not None:
            return str(self.address)
        return f"http://{self.address}{_PATH}"

    def serve(self, loop: Loop, page: Callable[[], str]) -> None:
        """Answer with a page made anew for each request, while the loop runs."""
        Listener(loop, self._listener, lambda connection: _answer(connection, page))

    def close(self) -> None:
        """Listen no more."""
        if self.address.path is not None:
            with contextlib.suppress(OSError):
                os.unlink(self.address.path)
        self._listener.close()


def _answer(connection: Connection, page: Callable[[], str]) -> Steps:
    head = yield from _read_head(connection)
    method, code = _understand(head)
    if code == 200:
        kind, body = _EXPOSITION, page().encode(errors="backslashreplace")
    else:
        hint = f"; the metrics are at {_PATH}" if code == 404 else ""
        kind, body = _TEXT, f"{_REASONS[code]}{hint}\n".encode()
    lines = [
        f"HTTP/1.1 {code} {_REASONS[code]}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if code == 405:
        lines.append("Allow: GET, HEAD")
    data = "\r\n".join([*lines, "", ""]).encode()
    if method != "HEAD":
        data += body
    yield from connection.send(data)
    yield from _end(connection)


def _read_head(connection: Connection) -> Generator[int, None, bytes]:
    """What comes before the empty line; cut off where it is too much."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) <= _MAX_REQUEST:
        yield READ
        more = connection.sock.recv(_MAX_REQUEST)
        if not more:
            break
        data += more
    return data


def _understand(head: bytes) -> tuple[str, int]:
    """The method of a request, and the code of its answer."""
    lines, end, _ = head.partition(b"\r\n\r\n")
    words = lines.partition(b"\r\n")[0].decode("latin-1").split(" ")
    whole = end and len(lines) <= _MAX_REQUEST
    if not whole or len(words) != 3 or not words[0] or not words[2].startswith("HTTP/1."):
        return "", 400
    method, target, _ = words
    if method not in ("GET", "HEAD"):
        return method, 405
    return method, 200 if target.partition("?")[0] == _PATH else 404


def _end(connection: Connection) -> Steps:
    """Close so that the client gets the answer, also where it has sent more than was read."""
    connection.sock.shutdown(socket.SHUT_WR)
    connection.limit(_REST_SECONDS)
    rest = 0
    while rest < _MAX_REST:
        yield READ
        more = connection.sock.recv(4096)
        if not more:
            return
        rest += len(more)
