"""Our encoder in this process, asked for blocks of records as a run of reads needs them."""

import mmap
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from unittest import mock

from biofuse import native
from biofuse.encode.encoder import Encoder
from biofuse.encode.ranges import Records
from biofuse.encode.tables import MappedTables
from biofuse.manifest import MANIFEST, read_plan
from biofuse.memory import SCRATCH_PART
from biofuse.options import ViewOptions
from biofuse.plan.client import get_plan
from biofuse.stores import Store, open_store
from biofuse.stores.location import Location

# Bytes of a block, unless a record is longer: the most that the kernel asks for at a time.
BLOCK = 1 << 20


class Driver:
    """An encoder with the budget that a worker has, and blocks of whole records.

    Parameters
    ----------
    store : str
    view : str
        "plink" or "bgen".
    threads : int
        That encode.
    memory : int
        The mount's budget, of which caches and scratch have their shares.
    trim : bool
        Whether the heap is trimmed when the worker would do so.
    wrap : callable
        Given the store that the encoder is to read, returns the one that it does read.
    """

    def __init__(
        self,
        store: str,
        view: str,
        threads: int,
        memory: int = 128 << 20,
        trim: bool = True,
        wrap: Callable[[Store], Store] = lambda store: store,
    ):
        location = asdict(Location(store))
        made = get_plan(ViewOptions(location, "x", [view]), None, lambda done, total: None)
        try:
            folder = Path(made.path)
            plan = read_plan((folder / MANIFEST).read_text())
            tables = MappedTables.open(made.path, plan.table_names())
        finally:
            shutil.rmtree(made.path)
        streamed = plan.streamed[0]
        self.records = Records(streamed, tables.views)
        self.starts = [0]
        while self.starts[-1] < streamed.records:
            begin = self.records.start(self.starts[-1])
            last = streamed.records
            if begin + BLOCK < streamed.size:
                last = max(self.records.at(begin + BLOCK), self.starts[-1] + 1)
            self.starts.append(last)
        self._slot = max(BLOCK, streamed.max_record)
        # As the worker divides the budget.
        cache_part = 2 if plan.decoded_chunk else 4
        self.threads = threads
        self._tables = tables
        self._trim = trim
        with mock.patch(
            "biofuse.encode.encoder.open_store", lambda *words: wrap(open_store(*words))
        ):
            self.encoder = Encoder(
                plan,
                tables.views,
                memory // cache_part,
                sys.maxsize,
                memory // SCRATCH_PART,
                threads,
            )
        self.trim()

    @property
    def in_flight(self) -> int:
        """Blocks that are asked for at a time, in a run of reads: one more than are made."""
        return self.threads + 1

    def trim(self) -> None:
        """Give freed memory back, if the worker would."""
        if self._trim:
            native.trim_heap()

    def block_from(self, fraction: float) -> int:
        """Number of the block that is this far into the file."""
        return int(fraction * (len(self.starts) - 1))

    def _encode(self, number: int, slots: SimpleQueue) -> int:
        """Encode a block into a slot; returns its size."""
        first, last = self.starts[number], self.starts[number + 1]
        size = self.records.start(last) - self.records.start(first)
        slot = slots.get()
        try:
            with memoryview(slot)[:size] as out:
                self.encoder.encode(0, first, last, out)
        finally:
            slots.put(slot)
        self._tables.release_pages()
        return size

    def read(self, number: int, size: int, in_flight: int | None = None) -> int:
        """Encode blocks from one on, some at a time, until there are `size` bytes of them.

        They are written to memory that is mapped, and dropped.

        Parameters
        ----------
        number : int
            Of the first block.
        size : int
            Bytes at least, but for the file's end.
        in_flight : int, optional
            Blocks at a time; `in_flight` if it is not given.

        Returns
        -------
        int
            Bytes.
        """
        following = iter(range(number, len(self.starts) - 1))
        in_flight = self.in_flight if in_flight is None else in_flight
        slots: SimpleQueue = SimpleQueue()
        for _ in range(min(in_flight, self.threads)):
            slots.put(mmap.mmap(-1, self._slot))
        asked = done_size = 0
        futures: set[Future] = set()
        with ThreadPoolExecutor(self.threads) as pool:
            while True:
                while len(futures) < in_flight and asked < size:
                    block = next(following, None)
                    if block is None:
                        break
                    first, last = self.starts[block], self.starts[block + 1]
                    asked += self.records.start(last) - self.records.start(first)
                    futures.add(pool.submit(self._encode, block, slots))
                if not futures:
                    return done_size
                done, futures = wait(futures, return_when=FIRST_COMPLETED)
                done_size += sum(future.result() for future in done)
