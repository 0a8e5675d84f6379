"""The worker process: `python -m biofuse.encode.worker`, started by serve.

Several threads take requests off one socket, so there is no queue here. Each answers the
kernel itself, on the session's descriptor, and marks the request's slot of the shared table;
serve is told of what cannot be answered. The process ends when serve closes its end, and
with serve: as long as it holds the session, nobody who reads is told that serve is gone.
"""

import errno
import faulthandler
import json
import logging
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Protocol

from biofuse import native
from biofuse.encode.encoder import Encoder
from biofuse.encode.lifetime import die_with
from biofuse.encode.ranges import AnswerError, Answers, Buffer, Use
from biofuse.encode.tables import MappedTables
from biofuse.errors import as_errno, one_line
from biofuse.manifest import read_plan
from biofuse.memory import SCRATCH_PART
from biofuse.protocol import MAX_MESSAGE, NO_RECORD, Failure, Request
from biofuse.table import CACHE_SIZE, COUNTERS, Table

logger = logging.getLogger("biofuse.encode")

# Seconds without a request after which the heap is trimmed.
_TRIM_AFTER = 0.2
# Of the budget.
_KEPT_PART = 16
# struct fuse_out_header of linux/fuse.h: length, error, unique.
_OUT_HEADER = struct.Struct("=IiQ")
# The kernel does not wait for the answer any more: it has one, or the mount or the reader is
# gone.
_NOT_WANTED = (errno.ENOENT, errno.ENODEV, errno.ECONNABORTED)


class Answering(Protocol):
    """Makes the bytes of a read; `Answers` does."""

    @property
    def use(self) -> Use: ...

    def answer(self, file: int, offset: int, size: int) -> Sequence[Buffer]: ...


class Worker:
    """Answers requests until the other end of the socket is closed.

    Parameters
    ----------
    sock : socket.socket
    fuse_fd : int
        Where answers are written.
    table : Table
    open_answers : callable
        Called with the first request, and again with later ones as long as it fails.
    release_tables : callable
        Called after each request: gives up the pages of the plan's tables.
    trim : bool
        Whether freed memory is given back once opening is done, and whenever no thread
        has had anything to do for a while.
    """

    def __init__(
        self,
        sock: socket.socket,
        fuse_fd: int,
        table: Table,
        open_answers: Callable[[], Answering],
        release_tables: Callable[[], None],
        trim: bool = True,
    ):
        self._sock = sock
        self._fuse_fd = fuse_fd
        self._table = table
        self._open_answers = open_answers
        self._release_tables = release_tables
        self._answers: Answering | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._counted = asdict(Use())
        self._trim = trim
        # Requests under way, and whether there were any since the heap was trimmed.
        self._busy = 0
        self._untrimmed = False

    def run(self, threads: int) -> None:
        """Answer requests on this many threads; returns when the socket is closed.

        What they are at then goes on until the process ends.
        """
        for _ in range(threads):
            threading.Thread(target=self._loop, daemon=True).start()
        self._closed.wait()

    def _loop(self) -> None:
        while True:
            if self._trim:
                self._trim_when_idle()
            data = self._sock.recv(MAX_MESSAGE)
            if not data:
                break
            with self._lock:
                self._busy += 1
            failure = self._answer(Request.unpack(data))
            self._release_tables()
            with self._lock:
                self._busy -= 1
                self._untrimmed = True
            if failure is not None:
                try:
                    self._sock.send(failure.pack())
                except (BrokenPipeError, ConnectionResetError):
                    break
        self._closed.set()

    def _trim_when_idle(self) -> None:
        """Wait for a request; trim the heap, once, if none comes soon."""
        if not self._untrimmed:
            return
        ready, _, _ = select.select([self._sock], [], [], _TRIM_AFTER)
        if ready:
            return
        with self._lock:
            wanted = self._untrimmed and not self._busy
            self._untrimmed &= not wanted
        if wanted:
            logger.debug("idle: freed memory is given back")
            native.trim_heap()

    def _answer(self, request: Request) -> Failure | None:
        slot, file, unique, offset, size = request
        began = time.monotonic()
        try:
            with self._lock:
                if self._answers is None:
                    self._answers = self._open_answers()
                    if self._trim:
                        native.trim_heap()
            pieces = self._answers.answer(file, offset, size)
            length = sum(map(len, pieces))
            if length != size:
                raise ValueError(f"{length} bytes were made in place of {size}")
            taken = self._write(unique, pieces, size)
        except Exception as error:
            logger.debug("a read of file %d at %d failed", file, offset, exc_info=True)
            if isinstance(error, AnswerError):
                return Failure(slot, error.errno, unique, error.record, str(error))
            return Failure(slot, as_errno(error), unique, NO_RECORD, one_line(error))
        with self._lock:
            self._count(size if taken else None)
        self._table.mark(slot, unique, size, time.monotonic_ns())
        logger.debug(
            "file %d, %d bytes at %d in %.1f ms",
            file,
            size,
            offset,
            1000 * (time.monotonic() - began),
        )
        return None

    def _write(self, unique: int, pieces: Sequence[Buffer], size: int) -> bool:
        """Answer the kernel. Returns whether it still waited."""
        header = _OUT_HEADER.pack(_OUT_HEADER.size + size, 0, unique)
        try:
            os.writev(self._fuse_fd, [header, *pieces])
        except OSError as error:
            if error.errno not in _NOT_WANTED:
                raise
            return False
        return True

    def _count(self, served: int | None) -> None:
        """Add to the table's counters."""
        assert self._answers is not None
        if served is not None:
            self._table.add(COUNTERS.index("reads"), 1)
            self._table.add(COUNTERS.index("bytes_served"), served)
        use = asdict(self._answers.use)
        self._table.set_counter(CACHE_SIZE, use.pop("cache_size"))
        for name, value in use.items():
            self._table.add(COUNTERS.index(name), value - self._counted[name])
        self._counted = use


def main() -> None:
    """Run a worker as its one argument, a JSON object of file descriptors, says."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    config = json.loads(sys.argv[1])
    die_with(config["parent"])
    logging.basicConfig(
        level=config["log_level"].upper(),
        format="%(asctime)s biofuse[%(process)d] %(levelname)s %(message)s",
    )
    # zarr-python and what it stands on would fill the log.
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("numcodecs").setLevel(logging.WARNING)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    with open(config["plan"], closefd=True) as f:
        plan = read_plan(f.read())
    tables = MappedTables(config["tables"])
    headers = {int(number): fd for number, fd in config["headers"].items()}
    memory = config["memory"]

    def open_answers() -> Answers:
        encoder = Encoder(
            plan,
            tables.views,
            memory // (2 if plan.decoded_chunk else 4),
            config["opened_ns"],
            memory // SCRATCH_PART,
            config["threads"],
        )
        return Answers(plan, tables.views, headers, encoder, memory // _KEPT_PART)

    worker = Worker(
        socket.socket(fileno=config["socket"]),
        config["fuse"],
        Table(config["table"]),
        open_answers,
        tables.release_pages,
        config["trim"],
    )
    worker.run(config["threads"])
    # At once, whatever threads are at: the session ends with the last who holds it.
    os._exit(0)


if __name__ == "__main__":
    main()
