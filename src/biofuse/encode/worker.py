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
from biofuse.encode import rights
from biofuse.encode.fast import FastPath
from biofuse.encode.opening import Opening
from biofuse.encode.ranges import AnswerError, Buffer, Use
from biofuse.encode.report import RequestReport
from biofuse.encode.tables import MappedTables
from biofuse.errors import BiofuseError, as_errno, one_line
from biofuse.manifest import read_plan
from biofuse.open_files import allow_many_files
from biofuse.protocol import MAX_MESSAGE, NO_RECORD, Failure, Request
from biofuse.stores import Location
from biofuse.stores.secrets import redact, redact_logs
from biofuse.table import CACHE_SIZE, COUNTERS, Table

logger = logging.getLogger("biofuse.encode")

# Seconds without a request after which the heap is trimmed.
_TRIM_AFTER = 0.2
# Freed memory that the heap's end keeps while there is work.
_FREED = 4 << 20
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
    open_fast : callable
        Opens the fast path, which takes requests itself. Called with the first request, and
        again with later ones as long as it fails.
    open_answers : callable
        Opens what makes the bytes that the fast path does not; called in the same way.
    release_tables : callable
        Called every now and then: gives up the pages of the plan's tables.
    trim : bool
        Whether freed memory is given back once opening is done, and whenever nothing was
        asked for a while.
    """

    def __init__(
        self,
        sock: socket.socket,
        fuse_fd: int,
        table: Table,
        open_fast: Callable[[], FastPath],
        open_answers: Callable[[], Answering],
        release_tables: Callable[[], None],
        trim: bool = True,
    ):
        self._sock = sock
        self._fuse_fd = fuse_fd
        self._table = table
        self._open_fast = open_fast
        self._open_answers = open_answers
        self._release_tables = release_tables
        self._fast: FastPath | None = None
        self._answers: Answering | None = None
        self._lock = threading.Lock()
        # While the other way is opened, which takes its time, the fast path goes on.
        self._opening = threading.Lock()
        self._closed = threading.Event()
        self._counted = asdict(Use())
        self._trim = trim
        # Requests that are being answered in the other way.
        self._busy = 0
        # Reads that were answered when the heap was last trimmed.
        self._trimmed_at = -1
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(_TRIM_AFTER))

    def run(self, threads: int) -> None:
        """Answer requests on this many threads; returns when the socket is closed.

        What they are at then goes on until the process ends.
        """
        for _ in range(threads):
            threading.Thread(target=self._loop, daemon=True).start()
        self._closed.wait()

    def _loop(self) -> None:
        try:
            while self._take():
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass
        except BaseException:
            # Without a thread to answer, requests would wait for their deadline. Libraries in
            # Rust raise what is no Exception, for want of threads or memory.
            logger.exception("a thread of the worker ends")
        self._closed.set()

    def _take(self) -> bool:
        """Do what there is to do next. Returns whether there may be more."""
        fast = self._get_fast()
        if fast is None:
            return self._take_slowly()
        wanted = fast.engine.serve(logger.isEnabledFor(logging.DEBUG))
        if wanted is None:
            return False
        if isinstance(wanted, bool):
            self._rest(idle=not wanted)
        elif wanted.is_answered:
            _log_answer(wanted.unique, wanted.file, wanted.size, wanted.offset)
        elif not wanted.is_request:
            fast.give(wanted)
        else:
            self._resolve(fast, wanted)
        return True

    def _get_fast(self) -> FastPath | None:
        """The fast path; None as long as it cannot be opened, which the other way will tell."""
        with self._lock:
            if self._fast is None:
                try:
                    self._fast = self._open_fast()
                    self._fast.engine.connect(
                        self._sock.fileno(), self._fuse_fd, self._table.memory
                    )
                except (BiofuseError, OSError):
                    logger.debug("the fast path cannot be opened", exc_info=True)
                else:
                    if self._trim:
                        native.trim_heap()
            return self._fast

    def _take_slowly(self) -> bool:
        try:
            data = self._sock.recv(MAX_MESSAGE)
        except BlockingIOError:
            self._rest(idle=True)
            return True
        if data:
            self._answer(Request.unpack(data))
        return bool(data)

    def _resolve(self, fast: FastPath, wanted: native.Wanted) -> None:
        """Give the fast path what it wants for a request, or answer that in the other way."""
        for _ in range(fast.most_gifts):
            try:
                if not fast.give(wanted):
                    break
            except Exception as error:
                known = AnswerError(error, fast.record_at(wanted.file, wanted.offset))
                self._sock.send(_failure(wanted.slot, wanted.unique, known).pack())
                return
            again = fast.engine.answer(wanted)
            if again is None:
                _log_answer(wanted.unique, wanted.file, wanted.size, wanted.offset)
                return
            wanted = again
        self._answer(Request(wanted.slot, wanted.file, wanted.unique, wanted.offset, wanted.size))

    def _rest(self, idle: bool) -> None:
        """Give up what is of no use any more; trim the heap, once, if nothing is asked for."""
        self._release_tables()
        with self._lock:
            reads = self._table.counters()["reads"]
            wanted = self._trim and idle and not self._busy and reads != self._trimmed_at
            if wanted:
                self._trimmed_at = reads
        if wanted:
            logger.debug("idle: freed memory is given back")
            native.trim_heap()

    def _answer(self, request: Request) -> None:
        with self._lock:
            self._busy += 1
        failure = self._try_to_answer(request)
        self._release_tables()
        with self._lock:
            self._busy -= 1
        if failure is not None:
            self._sock.send(failure.pack())

    def _try_to_answer(self, request: Request) -> Failure | None:
        slot, file, unique, offset, size = request
        try:
            with self._opening:
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
            logger.debug("read %d failed", unique, exc_info=True)
            return _failure(slot, unique, error)
        with self._lock:
            self._count(size if taken else None)
        self._table.mark(slot, unique, size, time.monotonic_ns())
        _log_answer(unique, file, size, offset)
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
        add = self._table.add if self._fast is None else self._fast.engine.count
        if served is not None:
            add(COUNTERS.index("reads"), 1)
            add(COUNTERS.index("bytes_served"), served)
        use = asdict(self._answers.use)
        size = use.pop("cache_size")
        if self._fast is not None:
            self._fast.engine.keep_elsewhere(size)
            size += self._fast.engine.nbytes
        self._table.set_counter(CACHE_SIZE, size)
        for name, value in use.items():
            add(COUNTERS.index(name), value - self._counted[name])
            self._counted[name] = value


def _failure(slot: int, unique: int, error: Exception) -> Failure:
    """What serve is told of a request that cannot be answered."""
    if isinstance(error, AnswerError):
        return Failure(slot, error.errno, unique, error.record, redact(str(error)))
    return Failure(slot, as_errno(error), unique, NO_RECORD, redact(one_line(error)))


def _log_answer(unique: int, file: int, size: int, offset: int) -> None:
    logger.debug("read %d: file %d, %d bytes at %d", unique, file, size, offset)


def _timeval(seconds: float) -> bytes:
    """A struct timeval."""
    return struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))


def main() -> None:
    """Run a worker as a file says, whose descriptor is the one argument: a JSON object."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(int(sys.argv[1])) as f:
        config = json.load(f)
    native.die_with(config["parent"])
    native.keep_freed_memory(_FREED)
    allow_many_files()
    logging.basicConfig(
        level=config["log_level"].upper(),
        format="%(asctime)s biofuse[%(process)d] %(levelname)s %(message)s",
    )
    redact_logs()
    # zarr-python and what it stands on would fill the log.
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("numcodecs").setLevel(logging.WARNING)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    with open(config["plan"], closefd=True) as f:
        plan = read_plan(f.read())
    tables = MappedTables(plan)
    for name, fd in config["tables"].items():
        tables.add(name, fd)
        os.close(fd)
    table = Table(config["table"])
    report = RequestReport(table)
    location = Location.planned(plan.store)
    rights.gain_none(location)
    rights.confine(location)
    opening = Opening(
        plan,
        location,
        tables,
        config["memory"],
        config["threads"],
        config["opened_ns"],
        config["timeout"],
        config["ahead_bytes"],
        config["chunk_cache"],
        report.update,
    )
    worker = Worker(
        socket.socket(fileno=config["socket"]),
        config["fuse"],
        table,
        opening.fast,
        opening.answers,
        tables.release_pages,
        config["trim"],
    )
    worker.run(opening.all_threads)
    # At once, whatever threads are at: the session ends with the last who holds it.
    os._exit(0)


if __name__ == "__main__":
    main()
