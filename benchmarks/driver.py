"""What the worker makes bytes with, in this process, without FUSE or sockets."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from biofuse import native
from biofuse.encode.maker import Maker
from biofuse.encode.opening import Opening
from biofuse.encode.tables import MappedTables
from biofuse.manifest import MANIFEST, read_plan
from biofuse.options import ViewOptions
from biofuse.plan.client import get_plan
from biofuse.stores.location import Location

# Bytes of a request: the most that the kernel asks for at a time.
REQUEST = 1 << 20
# Seconds in which a store must answer.
TIMEOUT = 60.0


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
        location = Location(store)
        options = ViewOptions(location.public(), "x", [view])
        made = get_plan(options, None, lambda done, total: None)
        try:
            folder = Path(made.path)
            plan = read_plan((folder / MANIFEST).read_text())
            self._tables = MappedTables.of_plan(plan, made.path)
        finally:
            shutil.rmtree(made.path)
        self.size = plan.streamed[0].size
        self._threads = threads
        self._trim = trim
        self._maker = Maker(
            Opening(plan, location, self._tables, memory, threads, time.time_ns(), TIMEOUT)
        )
        self.trim()

    def trim(self) -> None:
        """Give freed memory back, if the worker would."""
        if self._trim:
            native.trim_heap()

    def _make(self, offset: int) -> int:
        """Make the bytes of a request and drop them; returns how many."""
        size = min(REQUEST, self.size - offset)
        self._maker.read_into(0, offset, memoryview(bytearray(size)))
        return size

    def read(self, offset: int, size: int) -> int:
        """Make bytes from an offset on, in requests; returns how many."""
        offsets = range(offset, min(offset + size, self.size), REQUEST)
        with ThreadPoolExecutor(self._threads) as pool:
            made = sum(pool.map(self._make, offsets))
        self._tables.release_pages()
        return made
