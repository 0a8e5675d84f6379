"""What the worker makes bytes with, in this process, without FUSE or sockets."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Lock

from biofuse import native
from biofuse.encode.budget import share_budget
from biofuse.encode.encoder import Encoder
from biofuse.encode.fast import FastPath
from biofuse.encode.ranges import Answers
from biofuse.encode.tables import MappedTables
from biofuse.encode.worker import AHEAD, MAX_GIFTS
from biofuse.manifest import MANIFEST, read_plan
from biofuse.options import ViewOptions
from biofuse.plan.client import get_plan
from biofuse.stores import open_store
from biofuse.stores.location import Location

# Bytes of a request: the most that the kernel asks for at a time.
REQUEST = 1 << 20


class Driver:
    """The first streamed file of a view, made as the worker makes it.

    Parameters
    ----------
    store : str
    view : str
        "plink" or "bgen".
    threads : int
        That make bytes.
    memory : int
        The mount's budget.
    trim : bool
        Whether the heap is trimmed when the worker would do so.

    Attributes
    ----------
    size : int
        Bytes of the file.
    """

    def __init__(
        self,
        store: str,
        view: str,
        threads: int,
        memory: int = 128 << 20,
        trim: bool = True,
    ):
        self._lock = Lock()
        self._opened_ns = time.time_ns()
        self._location = Location(store)
        options = ViewOptions(self._location.public(), "x", [view])
        made = get_plan(options, None, lambda done, total: None)
        try:
            folder = Path(made.path)
            self._plan = read_plan((folder / MANIFEST).read_text())
            self._tables = MappedTables.open(made.path, self._plan.table_names())
            paths = [folder / streamed.header for streamed in self._plan.streamed]
            self._headers = {i: os.open(path, os.O_RDONLY) for i, path in enumerate(paths)}
            headers = [path.read_bytes() for path in paths]
        finally:
            shutil.rmtree(made.path)
        self.size = self._plan.streamed[0].size
        self._threads = threads
        self._trim = trim
        self._shares = share_budget(self._plan, memory)
        self._fast = FastPath(
            self._plan,
            self._tables.views,
            headers,
            open_store(self._location, self._opened_ns),
            self._shares.fast,
            threads,
            AHEAD,
            self._opened_ns,
        )
        self.trim()

    @cached_property
    def _answers(self) -> Answers:
        """The other way, opened when something is first refused."""
        encoder = Encoder(
            self._plan,
            self._tables.views,
            self._shares.cache,
            self._opened_ns,
            self._shares.scratch,
            self._threads,
        )
        return Answers(self._plan, self._tables.views, self._headers, encoder, self._shares.kept)

    def trim(self) -> None:
        """Give freed memory back, if the worker would."""
        if self._trim:
            native.trim_heap()

    def _make(self, offset: int) -> int:
        """Make the bytes of a request and drop them; returns how many."""
        size = min(REQUEST, self.size - offset)
        for _ in range(MAX_GIFTS):
            found = self._fast.engine.read(0, offset, size)
            if isinstance(found, bytes):
                return len(found)
            if not self._fast.give(found):
                break
        with self._lock:
            answers = self._answers
        return sum(map(len, answers.answer(0, offset, size)))

    def read(self, offset: int, size: int) -> int:
        """Make bytes from an offset on, in requests; returns how many."""
        offsets = range(offset, min(offset + size, self.size), REQUEST)
        with ThreadPoolExecutor(self._threads) as pool:
            made = sum(pool.map(self._make, offsets))
        self._tables.release_pages()
        return made
