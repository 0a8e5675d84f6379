"""A day in which a mount is looked at now and then, by a clock that does not wait.

What serves is all of the serving process but the kernel and the worker, which are of ours: its
loop, session, directory, router, status and metrics. They live in this process.
"""

import dataclasses
import functools
import gc
import json
import math
import os
import socket
import struct
import subprocess
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import kernel as k
from support.views import plan_view

from biofuse.memory import process_memory
from biofuse.protocol import Request
from biofuse.serve import mount as serving
from biofuse.serve.config import ServeConfig
from biofuse.serve.loop import Loop
from biofuse.serve.router import Router
from biofuse.serve.status import Status, serve_status
from biofuse.table import Table

# Seconds between two looks, and of each part of the day.
CYCLE = 20
IDLE = 10
BEFORE = 2000
LONG_DAY, SHORT_DAY = 86_400, 6000


class Clock:
    """In place of the module `time`."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def monotonic_ns(self) -> int:
        return int(self.now * 10**9)


class PassingTime:
    """In place of a loop's selector: where that would wait, time passes at once.

    Parameters
    ----------
    selector : selector
        The loop's own.
    clock : Clock
    visits : iterator of float
        Does something whenever it goes on, and says at which time it is to do more.
    """

    def __init__(self, selector, clock: Clock, visits: Iterator[float]):
        self._selector = selector
        self._clock = clock
        self._visits = visits
        self._next = clock.now

    def __getattr__(self, name: str):
        return getattr(self._selector, name)

    def select(self, timeout: float) -> list:
        found = self._selector.select(0)
        if found:
            return found
        until = self._clock.now + timeout
        if self._next > until:
            self._clock.now = until
            return []
        self._clock.now = self._next
        self._next = next(self._visits, math.inf)
        return self._selector.select(0)


class Worker:
    """A worker that answers at once, as one that lives until it is told to end."""

    def __init__(self, _: Loop, config, *callbacks: Callable) -> None:
        self.pid: int | None = None
        self.starts = 0
        self._fuse = config.fuse_fd
        self._table = Table(config.table_fd)

    def start(self) -> None:
        if self.pid is None:
            # Of which status tells.
            self.pid = os.getpid()
            self.starts += 1

    def send(self, message: bytes) -> bool:
        self.start()
        request = Request.unpack(message)
        header = k.REPLY.pack(k.REPLY.size + request.size, 0, request.unique)
        os.write(self._fuse, header + bytes(request.size))
        self._table.mark(request.slot, request.unique, request.size, 0)
        return True

    def kill(self) -> None:
        raise AssertionError("a worker is killed that answers")

    def stop(self) -> None:
        self.pid = None

    def close(self) -> None:
        self.stop()


class Visitor:
    """A program that opens and reads two files, and clients that ask for status and metrics."""

    def __init__(self, kernel: k.FakeKernel, sockets: dict[str, str], names: list[str]):
        self._kernel = kernel
        self._sockets = sockets
        # By the order of their names; the directory itself is node 1.
        self._nodes = {name: 2 + number for number, name in enumerate(sorted(names))}
        self.done = 0

    def _ask(self, *requests: tuple[int, int, bytes]) -> Iterator[None]:
        """Ask, and have each answered a moment later."""
        wanted = [self._kernel.send(*each) for each in requests]
        yield
        replies = [self._kernel.receive() for _ in wanted]
        assert [(each.unique, each.error) for each in replies] == [(each, 0) for each in wanted]
        assert self._kernel.silent()
        self.replies = [each.data for each in replies]

    def look(self) -> Iterator[None]:
        """Everything once; between the parts the other side has its turn."""
        nodes = self._nodes["x.bed"], self._nodes["x.bim"]
        yield from self._ask(*[(k.OPEN, node, bytes(8)) for node in nodes])
        opened = [struct.unpack_from("=Q", reply)[0] for reply in self.replies]
        reads = [struct.pack("=QQIIQII", each, 3, 90, 0, 0, 0, 0) for each in opened]
        yield from self._ask(*[(k.READ, *each) for each in zip(nodes, reads, strict=True)])
        assert [len(reply) for reply in self.replies] == [90, 90]
        clients = {name: socket.socket(socket.AF_UNIX) for name in self._sockets}
        for name, client in clients.items():
            client.connect(self._sockets[name])
        clients["metrics"].send(b"GET /metrics HTTP/1.1\r\n\r\n")
        closed = [struct.pack("=QIIQ", each, 0, 0, 0) for each in opened]
        yield from self._ask(*[(k.RELEASE, *each) for each in zip(nodes, closed, strict=True)])
        said = {}
        for name, client in clients.items():
            client.settimeout(20)
            said[name] = b"".join(iter(functools.partial(client.recv, 1 << 16), b""))
            client.close()
        status = json.loads(said["status"])
        assert len(status["processes"]) == 2
        assert status["counters"]["errors"] == 0
        assert said["metrics"].startswith(b"HTTP/1.1 200 OK")
        self.done += 1


def held(loop: Loop) -> dict[str, int]:
    """What must not grow."""
    # It empties lists of small objects too that Python keeps for later.
    gc.collect()
    return {
        "memory": tracemalloc.get_traced_memory()[0],
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
        "timers": len(loop._timers),
    }


@pytest.fixture
def small() -> Iterator[int]:
    """A small process, of which it takes little time to tell how much it holds."""
    with subprocess.Popen(["sleep", "infinity"]) as process:
        yield process.pid
        process.kill()


@pytest.fixture
def clock(small, biofuse, monkeypatch) -> Clock:
    """That of all that serves, with a worker of ours."""
    clock = Clock()
    monkeypatch.setattr("biofuse.serve.status.process_memory", lambda _: process_memory(small))
    monkeypatch.setenv("BIOFUSE_RUNTIME_DIR", str(biofuse.runtime))
    monkeypatch.setattr("biofuse.serve.loop.time", clock)
    # Signals are the tests'.
    monkeypatch.setattr(Loop, "catch", lambda *_: None)
    monkeypatch.setattr(serving, "WorkerLink", Worker)
    monkeypatch.setattr(serving, "Router", functools.partial(Router, clock=clock.monotonic_ns))
    return clock


def configured(folder: Path, metrics: str, session: int) -> ServeConfig:
    """What a serving process is told, that mounts nothing."""
    given = {field.name: None for field in dataclasses.fields(ServeConfig)} | {
        "plan_dir": str(folder),
        "mountpoint": str(folder.parent),
        "store": "x.vcz",
        "memory": 128 << 20,
        "timeout": 60.0,
        "idle_timeout": float(IDLE),
        "direct_io": (),
        "left_out": (),
        "metrics": f"unix:{metrics}",
        "session_fd": session,
    }
    return ServeConfig(**given)


def test_an_idle_day(store, is_long, clock, biofuse, tmp_path, tell):
    """After each look the worker ends, for want of others: nothing grows."""
    folder = tmp_path / "plan"
    plan = plan_view(store, folder)
    folder.chmod(0o700)
    kernel = k.FakeKernel()
    metrics = str(biofuse.runtime / "metrics")
    # It closes the descriptor of its session.
    config = configured(folder, metrics, os.dup(kernel.device))
    view = serving.MountedView(config)
    loop = view._loop
    # As where it has mounted.
    serve_status(loop, view._record.socket, Status(view, config))
    sockets = {"status": view._record.socket, "metrics": metrics}
    visitor = Visitor(kernel, sockets, [each.name for each in (*plan.streamed, *plan.static)])
    found = []

    def live(seconds: int) -> Iterator[float]:
        until = clock.now + seconds
        while clock.now < until:
            began = clock.now
            for part, _ in enumerate(visitor.look(), 1):
                yield began + part / 8
            yield began + CYCLE

    def day() -> Iterator[float]:
        kernel.send_init()
        yield 0.5
        assert kernel.receive().error == 0
        yield from live(BEFORE)
        tracemalloc.start()
        for seconds in (BEFORE, LONG_DAY if is_long else SHORT_DAY):
            yield from live(seconds)
            found.append(held(loop))
        kernel.hang_up()
        yield math.inf

    loop._selector = PassingTime(loop._selector, clock, day())
    try:
        view.run(lambda: None)
    finally:
        tracemalloc.stop()
        kernel.close()
    before, after = found
    tell(f"idle: before {before}, after {visitor.done} looks in {clock.now:.0f} s {after}")
    assert view.link.starts == visitor.done > (2 * BEFORE + SHORT_DAY) / CYCLE - 2
    assert view.link.pid is None
    assert after["memory"] - before["memory"] < 5000
    del before["memory"], after["memory"]
    assert after == before
