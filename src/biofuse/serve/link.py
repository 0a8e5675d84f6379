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

from biofuse.children import child_environment, python_command
from biofuse.protocol import MAX_MESSAGE
from biofuse.serve.loop import READ, WRITE, Loop, Timer

logger = logging.getLogger("biofuse.serve")

# Seconds that a worker is given to end, and one that was killed to be gone.
_EXIT_WAIT = 2.0
_KILL_WAIT = 4.0


@dataclass(frozen=True)
class WorkerConfig:
    """What a worker is started with.

    Attributes
    ----------
    plan_fd : int
    fuse_fd : int
        The session's descriptor, on which the worker answers.
    table_fd : int
        Memory of the `Table`.
    plan_tables : dict of str to int
        Files of the plan that tables are, or are in, by name.
    threads : int
    memory : int
        Bytes that the mount may take.
    ahead_bytes : int or None
        What is read ahead of a run, at most.
    opened_ns : int
        When the store was mounted.
    allocator : str or None
        Library to preload.
    trim : bool
        Whether freed memory is given back when there is nothing to do.
    timeout : float
        Seconds in which a read must be answered.
    log_level : str
    chunk_cache : str or None
        Directory in which chunks of a store at some distance are kept.
    chunk_cache_size : int
        Bytes that may be kept there.
    """

    plan_fd: int
    fuse_fd: int
    table_fd: int
    plan_tables: dict[str, int]
    threads: int
    memory: int
    ahead_bytes: int | None
    opened_ns: int
    allocator: str | None = None
    trim: bool = True
    timeout: float = 60.0
    log_level: str = "warning"
    chunk_cache: str | None = None
    chunk_cache_size: int = 0

    def to_json(self, sock: int) -> str:
        """What a worker reads first."""
        kept = [self.chunk_cache, self.chunk_cache_size] if self.chunk_cache else None
        return json.dumps(
            {
                "plan": self.plan_fd,
                "tables": self.plan_tables,
                "fuse": self.fuse_fd,
                "table": self.table_fd,
                "socket": sock,
                "threads": self.threads,
                "memory": self.memory,
                "ahead_bytes": self.ahead_bytes,
                "opened_ns": self.opened_ns,
                "trim": self.trim,
                "timeout": self.timeout,
                "log_level": self.log_level,
                "chunk_cache": kept,
                "parent": os.getpid(),
            }
        )

    def fds(self, sock: int) -> list[int]:
        """Descriptors that a worker inherits; nobody else has the session's."""
        return [self.plan_fd, self.fuse_fd, self.table_fd, sock, *self.plan_tables.values()]


def _environment(allocator: str | None) -> dict[str, str]:
    """Variables of a worker; what the user has set stays."""
    environment = child_environment()
    # Freed memory of many threads' arenas would stay with the process.
    environment.setdefault("MALLOC_ARENA_MAX", "2")
    if allocator is not None:
        others = environment.get("LD_PRELOAD")
        environment["LD_PRELOAD"] = f"{allocator}:{others}" if others else allocator
    return environment


class _Worker:
    """A worker's process, its end of the socket pair, and what tells when it has ended."""

    def __init__(self, config: WorkerConfig):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # An argument may be of 128 KiB, which descriptors of many files are not.
        told = os.memfd_create("biofuse-worker")
        try:
            # The worker reads it from its start, and may be another's second reader.
            os.lseek(config.plan_fd, 0, os.SEEK_SET)
            os.pwrite(told, config.to_json(theirs.fileno()).encode(), 0)
            self.process = subprocess.Popen(
                python_command("biofuse.encode.worker", str(told)),
                pass_fds=[told, *config.fds(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                env=_environment(config.allocator),
            )
        except OSError:
            self.socket.close()
            raise
        finally:
            theirs.close()
            os.close(told)
        self.socket.setblocking(False)
        self.pid = self.process.pid
        self.pidfd = os.pidfd_open(self.pid)
        self.timer: Timer | None = None


class WorkerLink:
    """Starts workers and exchanges messages with the one that is alive.

    Parameters
    ----------
    loop : Loop
    config : WorkerConfig
    on_message : callable
        Called with every message's bytes.
    on_room : callable
        Called when there is room again for a message that was not taken.
    on_death : callable
        Called with a line of text when a worker has ended unexpectedly, after its last
        message: it does nothing any more, and its requests are lost.
    """

    def __init__(
        self,
        loop: Loop,
        config: WorkerConfig,
        on_message: Callable[[bytes], None],
        on_room: Callable[[], None],
        on_death: Callable[[str], None],
    ):
        self._loop = loop
        self._config = config
        self._on_message = on_message
        self._on_room = on_room
        self._on_death = on_death
        self._worker: _Worker | None = None
        # Those that were told to end.
        self._ending: list[_Worker] = []
        self.starts = 0

    @property
    def pid(self) -> int | None:
        return self._worker.pid if self._worker is not None else None

    def start(self) -> None:
        """Start a worker if there is none.

        Raises
        ------
        OSError
            If that fails.
        """
        if self._worker is not None:
            return
        worker = _Worker(self._config)
        self._worker = worker
        self._loop.watch(worker.socket.fileno(), self._receive)
        self._loop.watch(worker.pidfd, lambda: self._ended(worker))
        logger.debug("worker %d started", worker.pid)
        self.starts += 1

    def send(self, message: bytes) -> bool:
        """Send a message, starting a worker if there is none.

        Returns
        -------
        bool
            False if there is no room; `on_room` is called when there is.

        Raises
        ------
        OSError
            If a worker cannot be started.
        """
        self.start()
        assert self._worker is not None
        sock = self._worker.socket
        try:
            sock.send(message)
        except BlockingIOError:
            self._loop.watch(sock.fileno(), self._exchange, READ | WRITE)
            return False
        except OSError:
            # It has just died, or is of no use: `on_death` will tell of the request.
            self.kill()
        return True

    def _exchange(self) -> None:
        """Go on with what there was no room for."""
        self._receive()
        if self._worker is not None and self._worker.socket.fileno() >= 0:
            self._loop.watch(self._worker.socket.fileno(), self._receive)
            self._on_room()

    def _receive(self) -> None:
        """Take the messages that are there."""
        worker = self._worker
        while worker is not None and worker is self._worker:
            try:
                data = worker.socket.recv(MAX_MESSAGE)
            except BlockingIOError:
                return
            except OSError as error:
                data = b""
                logger.debug("the worker's socket: %s", error)
            if not data:
                # Nothing comes after this; its end is told by the other descriptor.
                self._loop.unwatch(worker.socket.fileno())
                self.kill()
                return
            self._on_message(data)

    def _ended(self, worker: _Worker, unkillable: bool = False) -> None:
        """A worker's process is gone, or as good as that."""
        if worker is self._worker and not unkillable:
            self._receive()
        self._close(worker)
        if worker in self._ending:
            self._ending.remove(worker)
        if unkillable:
            how = "it cannot be killed"
        else:
            code = worker.process.wait()
            how = f"exit code {code}"
            if code < 0:
                how = f"signal {-code} ({signal.strsignal(-code)})"
        logger.debug("worker %d has ended: %s", worker.pid, how)
        if worker is self._worker:
            self._worker = None
            self._on_death(f"the encoder process ended unexpectedly: {how}")

    def _close(self, worker: _Worker) -> None:
        if worker.timer is not None:
            worker.timer.cancel()
        for fd in (worker.socket.fileno(), worker.pidfd):
            if fd >= 0:
                self._loop.unwatch(fd)
        worker.socket.close()
        with contextlib.suppress(OSError):
            os.close(worker.pidfd)
        worker.pidfd = -1

    def kill(self) -> None:
        """Kill a worker that does not answer; `on_death` follows."""
        worker = self._worker
        if worker is None or worker.timer is not None:
            return
        worker.process.kill()
        # One that waits for a dead disk cannot be killed; but it runs no more.
        worker.timer = self._loop.call_later(
            _KILL_WAIT, lambda: self._ended(worker, unkillable=True)
        )

    def stop(self) -> None:
        """Tell the worker, if there is one, to end. It has no request."""
        worker = self._worker
        if worker is None:
            return
        logger.debug("worker %d is told to end", worker.pid)
        self._worker = None
        self._loop.unwatch(worker.socket.fileno())
        worker.socket.close()
        # It ends while others are served: reads do not wait for it.
        self._ending.append(worker)
        worker.timer = self._loop.call_later(_EXIT_WAIT, worker.process.kill)

    def close(self) -> None:
        """Kill every worker, and wait until it is gone: for it holds the session."""
        workers = [*self._ending, *([self._worker] if self._worker is not None else [])]
        self._worker = None
        self._ending.clear()
        for worker in workers:
            worker.process.kill()
            # Not for ever: one that waits for a dead disk cannot be killed.
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(_EXIT_WAIT)
            self._close(worker)
