"""The worker process: `python -m biofuse.encode.worker`, started by serve.

Several threads take requests off one socket, so there is no queue here; serve
decides the order. It ends when serve closes its end.
"""

import faulthandler
import json
import logging
import mmap
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

from biofuse import native
from biofuse.encode.encoder import Encoder
from biofuse.encode.tables import MappedTables
from biofuse.errors import as_errno, one_line
from biofuse.manifest import read_plan
from biofuse.protocol import MAX_MESSAGE, CacheUse, Reply, Request

logger = logging.getLogger("biofuse.encode")

# Seconds without a request after which the heap is trimmed.
_TRIM_AFTER = 0.2


class Worker:
    """Answers requests until the other end of the socket is closed.

    Parameters
    ----------
    sock : socket.socket
    window : memoryview
        The shared window, writable.
    make_encoder : callable
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
        window: memoryview,
        make_encoder: Callable[[], Encoder],
        release_tables: Callable[[], None],
        trim: bool = True,
    ):
        self._sock = sock
        self._window = window
        self._make_encoder = make_encoder
        self._release_tables = release_tables
        self._encoder: Encoder | None = None
        self._lock = threading.Lock()
        self._trim = trim
        # Requests under way, and whether there were any since the heap was trimmed.
        self._busy = 0
        self._untrimmed = False

    def run(self, threads: int) -> None:
        """Answer requests on this many threads."""
        others = [threading.Thread(target=self._loop, daemon=True) for _ in range(threads - 1)]
        for thread in others:
            thread.start()
        self._loop()
        for thread in others:
            thread.join()

    def _loop(self) -> None:
        while True:
            if self._trim:
                self._trim_when_idle()
            data = self._sock.recv(MAX_MESSAGE)
            if not data:
                return
            with self._lock:
                self._busy += 1
            reply = self._answer(Request.unpack(data))
            self._release_tables()
            with self._lock:
                self._busy -= 1
                self._untrimmed = True
            try:
                self._sock.send(reply.pack())
            except (BrokenPipeError, ConnectionResetError):
                return

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

    def _answer(self, request: Request) -> Reply:
        out = self._window[request.offset : request.offset + request.size]
        began = time.monotonic()
        try:
            with self._lock:
                if self._encoder is None:
                    self._encoder = self._make_encoder()
                    if self._trim:
                        native.trim_heap()
            self._encoder.encode(request.file, request.first, request.last, out)
        except Exception as error:
            logger.debug("request %d failed", request.id, exc_info=True)
            return Reply(request.id, as_errno(error), 0, one_line(error), self._cache_use())
        logger.debug(
            "request %d: file %d, variants %d to %d, %d bytes in %.1f ms",
            request.id,
            request.file,
            request.first,
            request.last,
            len(out),
            1000 * (time.monotonic() - began),
        )
        return Reply(request.id, 0, len(out), use=self._cache_use())

    def _cache_use(self) -> CacheUse:
        return CacheUse() if self._encoder is None else self._encoder.cache_use


def main() -> None:
    """Run a worker as its one argument, a JSON object of file descriptors, says."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    config = json.loads(sys.argv[1])
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
    window = memoryview(mmap.mmap(config["window"], 0))
    sock = socket.socket(fileno=config["socket"])
    worker = Worker(
        sock,
        window,
        lambda: Encoder(
            plan,
            tables.views,
            config["cache_bytes"],
            config["opened_ns"],
            config["scratch_bytes"],
            config["threads"],
        ),
        tables.release_pages,
        config["trim"],
    )
    worker.run(config["threads"])


if __name__ == "__main__":
    main()
