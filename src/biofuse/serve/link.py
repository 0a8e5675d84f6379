"""The worker's lifecycle: started with the first request, ended when idle."""

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import trio

from biofuse.children import child_environment, python_command
from biofuse.protocol import MAX_MESSAGE, Reply, Request

logger = logging.getLogger("biofuse.serve")

# Seconds that a worker is given to end.
_EXIT_WAIT = 2.0
# Seconds between looks at workers that are ending.
_REAP_INTERVAL = 0.05


@dataclass(frozen=True)
class WorkerConfig:
    """What a worker is started with.

    Attributes
    ----------
    plan_fd, window_fd : int
    table_fds : dict of str to int
        The plan's tables by file name.
    threads : int
    cache_bytes, scratch_bytes : int
        What may be kept between requests, and what those under way may take.
    opened_ns : int
        When the store was mounted.
    allocator : str or None
        Library to preload.
    trim : bool
        Whether freed memory is given back when there is nothing to do.
    log_level : str
    """

    plan_fd: int
    window_fd: int
    table_fds: dict[str, int]
    threads: int
    cache_bytes: int
    scratch_bytes: int
    opened_ns: int
    allocator: str | None = None
    trim: bool = True
    log_level: str = "warning"


def _environment(allocator: str | None) -> dict[str, str]:
    """Variables of a worker; what the user has set stays."""
    environment = child_environment()
    # Freed memory of many threads' arenas would stay with the process.
    environment.setdefault("MALLOC_ARENA_MAX", "2")
    if allocator is not None:
        others = environment.get("LD_PRELOAD")
        environment["LD_PRELOAD"] = f"{allocator}:{others}" if others else allocator
    return environment


class WorkerLink:
    """Starts workers and exchanges messages with the one that is alive.

    Parameters
    ----------
    config : WorkerConfig
    on_reply : callable
        Called with every `Reply`.
    on_death : callable
        Called with a line of text when a worker has died; its requests are lost.
    """

    def __init__(
        self,
        config: WorkerConfig,
        on_reply: Callable[[Reply], None],
        on_death: Callable[[str], None],
    ):
        self._config = config
        self._on_reply = on_reply
        self._on_death = on_death
        self._process: subprocess.Popen | None = None
        self._socket: trio.socket.SocketType | None = None
        self._started = trio.Event()
        # Workers that were told to end, and until when they are given to do so.
        self._ending: list[tuple[subprocess.Popen, float]] = []
        self._stopped = trio.Event()
        self.starts = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def send(self, request: Request) -> None:
        """Send a request, starting a worker if there is none.

        Raises
        ------
        OSError
            If a worker cannot be started.
        """
        self.start()
        assert self._socket is not None
        try:
            # The socket is non-blocking, and few small requests are ever under way.
            self._socket._sock.send(request.pack())  # type: ignore[attr-defined]
        except OSError:
            # The worker has just died, or is of no use: `on_death` will tell of the request.
            self.kill()

    def start(self) -> None:
        """Start a worker if there is none.

        Raises
        ------
        OSError
            If that fails.
        """
        if self._process is not None:
            return
        config = self._config
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argument = {
            "plan": config.plan_fd,
            "window": config.window_fd,
            "tables": config.table_fds,
            "socket": theirs.fileno(),
            "threads": config.threads,
            "cache_bytes": config.cache_bytes,
            "scratch_bytes": config.scratch_bytes,
            "opened_ns": config.opened_ns,
            "trim": config.trim,
            "log_level": config.log_level,
        }
        try:
            # The worker reads it from its start, and may be another's second reader.
            os.lseek(config.plan_fd, 0, os.SEEK_SET)
            self._process = subprocess.Popen(
                python_command("biofuse.encode.worker", json.dumps(argument)),
                pass_fds=[
                    config.plan_fd,
                    config.window_fd,
                    theirs.fileno(),
                    *config.table_fds.values(),
                ],
                stdin=subprocess.DEVNULL,
                env=_environment(config.allocator),
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        self._socket = trio.socket.from_stdlib_socket(ours)
        logger.debug("worker %d started", self._process.pid)
        self.starts += 1
        self._started.set()

    async def run(self) -> None:
        """Receive replies, from one worker after another, until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._receive_all)
                nursery.start_soon(self._reap)
        finally:
            self.stop()
            for process, _ in self._ending:
                _wait(process)

    async def _receive_all(self) -> None:
        while True:
            await self._started.wait()
            self._started = trio.Event()
            await self._receive()

    async def _reap(self) -> None:
        """Wait for workers that were told to end; kill those that don't."""
        while True:
            await self._stopped.wait()
            self._stopped = trio.Event()
            while self._ending:
                await trio.sleep(_REAP_INTERVAL)
                for process, deadline in list(self._ending):
                    if process.poll() is not None:
                        logger.debug("worker %d has ended", process.pid)
                        self._ending.remove((process, deadline))
                    elif trio.current_time() > deadline:
                        process.kill()

    async def _receive(self) -> None:
        sock, process = self._socket, self._process
        assert sock is not None and process is not None
        while True:
            try:
                data = await sock.recv(MAX_MESSAGE)
            except (OSError, trio.ClosedResourceError):
                data = b""
            if sock is not self._socket:
                return
            if not data:
                break
            self._on_reply(Reply.unpack(data))
        # Before anything is awaited, so that no request to the next worker is counted lost.
        self._close()
        process.kill()
        _wait(process)
        code = process.returncode
        if code is None:
            how = "it cannot be killed"
        elif code < 0:
            how = f"signal {-code} ({signal.strsignal(-code)})"
        else:
            how = f"exit code {code}"
        self._on_death(f"the encoder process ended unexpectedly: {how}")

    def kill(self) -> None:
        """Kill a worker that does not answer; `on_death` follows."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """Tell the worker, if there is one, to end. It has no request."""
        process = self._process
        if process is None:
            return
        logger.debug("worker %d is told to end", process.pid)
        self._close()
        # It ends while others are served: reads do not wait for it.
        self._ending.append((process, trio.current_time() + _EXIT_WAIT))
        self._stopped.set()

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._process = None


def _wait(process: subprocess.Popen) -> None:
    """Wait until a process is gone; kill it if it takes long."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_EXIT_WAIT)
        return
    process.kill()
    # Not for ever: a process that waits for a dead disk cannot be killed.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_EXIT_WAIT)
