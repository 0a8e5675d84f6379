"""A proxy of HTTP/1.1 in front of one server: far away, slow, faulty, and keeping account."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, NamedTuple

from support.faults import GARBLED, Fault, error_answer
from support.traffic import Request, Traffic, decoded

_PIECE = 64 << 10
_LINGER_NONE = struct.pack("ii", 1, 0)
_CONNECTIONS = 1024
# Of answers that have bytes of an object.
_WITH_BYTES = (200, 206)


class _GivenUpError(Exception):
    """The client's connection is not to be used any more."""


class _Link(NamedTuple):
    """A connection, to a client or to the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def is_gone(self) -> bool:
        """Whether the other side has closed it."""
        return self.reader.at_eof() or self.writer.is_closing()

    def reset(self) -> None:
        """End it so that the other side is told of a reset."""
        connection = self.writer.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self.writer.transport.abort()


class _Head:
    """First line and headers of a message."""

    def __init__(self, data: bytes):
        lines = data.decode("latin-1").split("\r\n")
        self.first = lines[0]
        self.headers = [
            (name, value.strip())
            for name, _, value in (line.partition(":") for line in lines[1:] if line)
        ]

    def get(self, name: str) -> str | None:
        return next((v for n, v in self.headers if n.lower() == name.lower()), None)

    def put(self, name: str, value: str | None) -> None:
        """Set a header, or take it out."""
        self.headers = [(n, v) for n, v in self.headers if n.lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))

    def __bytes__(self) -> bytes:
        lines = [self.first, *(f"{name}: {value}" for name, value in self.headers)]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


async def _read_head(reader: asyncio.StreamReader) -> _Head | None:
    try:
        return _Head(await reader.readuntil(b"\r\n\r\n"))
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None


class Proxy:
    """A server, of this process, that passes requests on to another one.

    Host and all other headers are passed on as they are, so that signatures hold. It runs in a
    thread of its own; its attributes may be set at any time, for requests that begin later.

    Parameters
    ----------
    upstream : tuple of str and int
        Address of the server.
    delay : float
        Seconds that each request takes beside what the server takes: the round trip.
    bandwidth : float, optional
        Bytes of bodies a second, of all connections together.

    Attributes
    ----------
    traffic : Traffic
        All requests since the start or since `clear`.
    faults : list of Fault
        The first that applies to a request happens to it.
    """

    def __init__(
        self, upstream: tuple[str, int], delay: float = 0.0, bandwidth: float | None = None
    ):
        self.upstream = upstream
        self.delay = delay
        self.bandwidth = bandwidth
        self.faults: list[Fault] = []
        self.traffic = Traffic()
        self._free_at = 0.0
        self._idle: list[_Link] = []
        self._clients: dict[_Link, asyncio.Task[None]] = {}
        self._listening: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = 0
        self.up()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop; connections are closed."""
        self.down()
        self._run(self._forget_idle())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def clear(self) -> None:
        """Forget requests and faults, for what follows."""
        self.traffic = Traffic()
        self.faults = []

    def fault(self, kind: str, path: str = "*", **more: Any) -> Fault:
        """Add a rule, see `Fault`."""
        fault = Fault(kind, path, **more)
        self.faults.append(fault)
        return fault

    def down(self, seconds: float | None = None) -> None:
        """Refuse connections and reset those that are there, for some seconds or until `up`."""
        self._run(self._go_down())
        if seconds is not None:
            self._loop.call_soon_threadsafe(
                self._loop.call_later, seconds, lambda: self._loop.create_task(self._go_up())
            )

    def up(self) -> None:
        """Take connections, on the port it had before."""
        self._run(self._go_up())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _go_up(self) -> None:
        if self._listening is None:
            self._listening = await asyncio.start_server(
                self._serve, "127.0.0.1", self.port, limit=1 << 20, backlog=_CONNECTIONS
            )
            self.port = self._listening.sockets[0].getsockname()[1]

    async def _go_down(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        tasks = list(self._clients.values())
        for client, task in list(self._clients.items()):
            client.reset()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _forget_idle(self) -> None:
        for link in self._idle:
            link.writer.close()
        self._idle.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        client = _Link(reader, writer)
        self._clients[client] = task
        try:
            while (head := await _read_head(reader)) is not None:
                await self._handle(head, client)
        except (OSError, asyncio.IncompleteReadError, _GivenUpError, asyncio.CancelledError):
            # Whoever asked has gone, or was made to go.
            pass
        finally:
            del self._clients[client]
            writer.close()

    async def _handle(self, head: _Head, client: _Link) -> None:
        method, target, _ = head.first.split(" ", 2)
        path, query = decoded(target)
        request = Request(time.monotonic(), method, path, query)
        request.range, request.if_match = head.get("Range"), head.get("If-Match")
        self.traffic.requests.append(request)
        fault = next((rule for rule in self.faults if rule.applies(request)), None)
        request.fault = fault and fault.name
        try:
            body = await _read_body(head, client)
            await asyncio.sleep(self.delay)
            if fault is None or not await self._at_once(fault, head, request, client):
                await self._pass_on(fault, head, body, request, client)
        finally:
            request.ended = request.ended or time.monotonic()

    async def _at_once(self, fault: Fault, head: _Head, request: Request, client: _Link) -> bool:
        """Do what a fault does before a request is passed on; whether that was all."""
        if fault.kind == "answer":
            await _answer_error(request, client, fault.status, fault.code, fault.headers)
            return True
        if fault.kind == "reset" and fault.after is None:
            client.reset()
            raise _GivenUpError
        if fault.kind == "stall" and fault.after is None:
            await _stall(fault.seconds, client)
        if fault.kind == "call" and fault.call is not None:
            fault.call()
        if fault.kind == "whole":
            head.put("Range", None)
        if fault.kind == "changed" and request.if_match is not None:
            if request.if_match not in ("*", fault.etag):
                await _answer_error(request, client, 412, None, {"ETag": fault.etag})
                return True
            head.put("If-Match", None)
        return False

    async def _pass_on(
        self, fault: Fault | None, head: _Head, body: bytes, request: Request, client: _Link
    ) -> None:
        link, answer = await self._ask(bytes(head) + body)
        try:
            if fault is not None and fault.kind == "changed":
                answer.put("ETag", fault.etag)
            request.status = int(answer.first.split(" ")[1])
            reusable = (answer.get("Connection") or "").lower() != "close"
            # Between the proxy and its client, only the proxy ends a connection.
            answer.put("Connection", None)
            length, source = answer.get("Content-Length"), link.reader
            if request.method == "HEAD" or request.status in (204, 304):
                length = "0"
            else:
                if length is None:
                    # Told with its length, so that all faults are possible.
                    if (answer.get("Transfer-Encoding") or "").lower() == "chunked":
                        whole = await _read_chunked(source)
                    else:
                        reusable = False
                        whole = await source.read()
                    source = _read_from(whole)
                    answer.put("Transfer-Encoding", None)
                    length = str(len(whole))
                if fault is not None and fault.kind == "short" and request.status in _WITH_BYTES:
                    length = str(fault.stop(int(length)))
                    # What else the server sends is for nobody.
                    reusable = False
                answer.put("Content-Length", length)
            if length == "0":
                request.ended = time.monotonic()
            client.writer.write(bytes(answer))
            await self._copy(source, int(length), fault, request, client)
            await client.writer.drain()
        except BaseException:
            link.writer.close()
            raise
        if reusable:
            self._idle.append(link)
        else:
            link.writer.close()

    async def _ask(self, message: bytes) -> tuple[_Link, _Head]:
        """Send a request to the server; returns the connection and the answer's head."""
        while True:
            fresh = not self._idle
            if fresh:
                link = _Link(*await asyncio.open_connection(*self.upstream, limit=1 << 20))
            else:
                link = self._idle.pop()
            try:
                link.writer.write(message)
                await link.writer.drain()
                answer = await _read_head(link.reader)
            except (OSError, asyncio.IncompleteReadError):
                answer = None
            except BaseException:
                link.writer.close()
                raise
            if answer is not None:
                return link, answer
            link.writer.close()
            # One that was kept may have been closed by the server in the meantime.
            if fresh:
                raise _GivenUpError

    async def _copy(
        self,
        source: asyncio.StreamReader,
        size: int,
        fault: Fault | None,
        request: Request,
        client: _Link,
    ) -> None:
        """Send a body on, up to where a fault lies in it, and beyond if that is all."""
        stop = None
        if fault is not None and (
            fault.kind == "truncate"
            or (fault.kind in ("reset", "stall") and fault.after is not None)
        ):
            stop = fault.stop(size)
        is_garbled = fault is not None and fault.kind == "garble" and request.status in _WITH_BYTES
        sent = 0
        while True:
            if sent == stop and fault is not None:
                await client.writer.drain()
                await _in_body(fault, client)
                stop = None
            if sent == size:
                return
            data = await source.read(min(_PIECE, (size if stop is None else stop) - sent))
            if not data:
                raise _GivenUpError
            await self._pace(len(data))
            if is_garbled and sent < len(GARBLED):
                data = GARBLED[sent:][: len(data)] + data[len(GARBLED) - sent :]
            sent += len(data)
            request.size += len(data)
            if sent == size and stop is None:
                # Before the client has it, and may ask for more.
                request.ended = time.monotonic()
            client.writer.write(data)
            await client.writer.drain()

    async def _pace(self, size: int) -> None:
        """Wait until so many bytes have gone over a link of that bandwidth."""
        if self.bandwidth:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + size / self.bandwidth
            await asyncio.sleep(self._free_at - now)


async def _in_body(fault: Fault, client: _Link) -> None:
    if fault.kind == "stall":
        await _stall(fault.seconds, client)
        return
    if fault.kind == "reset":
        # What was written has to arrive first, which a reset could overtake.
        await asyncio.sleep(0.05)
        client.reset()
    raise _GivenUpError


async def _stall(seconds: float, client: _Link) -> None:
    """Wait, but not for somebody who has gone."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        await asyncio.sleep(min(left, 0.02))
        if client.is_gone:
            raise _GivenUpError


def _read_from(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


async def _read_body(head: _Head, client: _Link) -> bytes:
    """A request's body."""
    if (head.get("Expect") or "").lower() == "100-continue":
        head.put("Expect", None)
        client.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if (head.get("Transfer-Encoding") or "").lower() == "chunked":
        body = await _read_chunked(client.reader)
        head.put("Transfer-Encoding", None)
        head.put("Content-Length", str(len(body)))
        return body
    return await client.reader.readexactly(int(head.get("Content-Length") or 0))


async def _read_chunked(reader: asyncio.StreamReader) -> bytes:
    pieces = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    # Trailers, up to an empty line.
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return b"".join(pieces)


async def _answer_error(
    request: Request, client: _Link, status: int, code: str | None, headers: dict[str, str]
) -> None:
    body = b"" if request.method == "HEAD" else error_answer(status, code)
    head = _Head(f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode())
    head.put("Content-Type", "application/xml")
    head.put("Content-Length", str(len(body)))
    for name, value in headers.items():
        head.put(name, value)
    request.status, request.size = status, len(body)
    request.ended = time.monotonic()
    client.writer.write(bytes(head) + body)
    await client.writer.drain()
