"""Byte ranges of a streamed file, from blocks in the window."""

from bisect import bisect_right

from biofuse.errors import BiofuseError
from biofuse.serve.blocks import Block, State
from biofuse.serve.counters import Counters
from biofuse.serve.readahead import Run, RunDetector
from biofuse.serve.records import Records, cut_blocks
from biofuse.serve.scheduler import Scheduler
from biofuse.serve.window import Window


class ReadError(BiofuseError):
    """A read failed.

    Attributes
    ----------
    record : int
        First record of the block that could not be made.
    """

    def __init__(self, message: str, errno: int, record: int):
        super().__init__(message, errno)
        self.record = record


class Stream:
    """A streamed file. Any number of reads may be under way at once.

    Parameters
    ----------
    index : int
        The file's index in the plan.
    header : bytes
    records : Records
    chunk_starts : sequence of int
    window : Window
    scheduler : Scheduler
    counters : Counters
    ahead : int
        Blocks to read ahead of a run, at most.
    """

    def __init__(
        self,
        index: int,
        header: bytes,
        records: Records,
        chunk_starts,
        window: Window,
        scheduler: Scheduler,
        counters: Counters,
        ahead: int,
    ):
        self._index = index
        self._header = header
        self._records = records
        self._window = window
        self._scheduler = scheduler
        self._counters = counters
        self._ahead = ahead
        self._starts = cut_blocks(records, chunk_starts, window.shape.run_slot)
        self._runs = RunDetector()
        # First records of blocks with something in them that cannot be shown.
        self._bad_runs: set[int] = set()
        # The block that was read from last.
        self._current: Block | None = None

    @property
    def size(self) -> int:
        return self._records.size

    async def read(self, offset: int, size: int) -> bytes | memoryview:
        """Bytes of the file, fewer than asked for only at its end.

        Raises
        ------
        ReadError
            If any of them cannot be made.
        """
        stop = min(offset + size, self._records.size)
        self._counters.reads += 1
        ready = self._from_current(offset, stop)
        if ready is not None:
            return ready
        pieces: list[bytes | memoryview] = []
        position = offset
        if position < min(stop, len(self._header)):
            pieces.append(self._header[position:stop])
            position = min(stop, len(self._header))
        if position < stop:
            run = self._runs.observe(position, stop)
            depth = self._depth(run)
            while position < stop:
                block = self._block_at(position, stop, depth > 0)
                block.waiters += 1
                try:
                    if depth > 1 and run.ahead != block.last:
                        run.ahead = block.last
                        self._read_ahead(block.last, depth - 1)
                    await self._scheduler.wait(block)
                    if block.state is State.FAILED:
                        if block.run and block.data_error:
                            # Perhaps for the sake of records that this read does not want.
                            self._bad_runs.add(block.first)
                            depth = 0
                            continue
                        raise ReadError(block.message, block.errno, block.first)
                    end = min(stop, block.stop)
                    assert block.slot is not None
                    piece = self._window.bytes_at(
                        block.slot + position - block.start, end - position
                    )
                    if end >= block.stop:
                        block.spent = True
                    self._current = block
                    # Only the last piece, which is sent before anything else can run, may
                    # stay in the window.
                    pieces.append(piece if end == stop else bytes(piece))
                    position = end
                finally:
                    self._scheduler.release(block)
        self._scheduler.note_activity()
        self._counters.bytes_served += max(0, stop - offset)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _from_current(self, offset: int, stop: int) -> memoryview | None:
        """Bytes that the block read from last has, if nothing is to be waited or asked for.

        Most reads are of this kind, and `read` does the same for them at thrice the cost.
        """
        block = self._current
        if (
            block is None
            or not block.start <= offset < stop <= block.stop
            or block.state is not State.READY
            or block.slot is None
        ):
            return None
        run = self._runs.last
        if run is None or run.ahead != block.last or not run.continued_by(offset):
            return None
        self._runs.join(run, stop)
        if stop == block.stop:
            block.spent = True
        self._scheduler.blocks.touch(block)
        self._scheduler.note_activity()
        self._counters.hits += 1
        self._counters.bytes_served += stop - offset
        return self._window.bytes_at(block.slot + offset - block.start, stop - offset)

    def _depth(self, run: Run) -> int:
        """Blocks that a run may have in the window: none if it is not worth a large one."""
        if not run.announced:
            return 0
        # More runs than slots would evict each other's blocks before they are read.
        share = (self._window.shape.run_slots - 1) // max(1, self._runs.active())
        return min(share, self._ahead + 1)

    def _block_at(self, position: int, stop: int, large: bool) -> Block:
        """The block that has a byte, asked for if it is not there."""
        block = self._scheduler.blocks.find(self._index, position)
        if block is not None:
            return block
        record = self._records.at(position)
        number = bisect_right(self._starts, record) - 1
        if large and self._starts[number] not in self._bad_runs:
            return self._request_run(number, demanded=True)
        start = self._records.start(record)
        fits = self._records.at(min(start + self._window.shape.point_slot, self._records.size))
        wanted = self._records.at(stop - 1) + 1
        last = max(record + 1, min(wanted, fits))
        return self._scheduler.request(
            self._index, record, last, start, self._records.start(last), False, True
        )

    def _request_run(self, number: int, demanded: bool) -> Block:
        first, last = self._starts[number], self._starts[number + 1]
        return self._scheduler.request(
            self._index,
            first,
            last,
            self._records.start(first),
            self._records.start(last),
            True,
            demanded,
        )

    def _read_ahead(self, record: int, count: int) -> None:
        """Ask for the blocks that follow, starting with the one that has a record."""
        if record >= self._records.count:
            return
        number = bisect_right(self._starts, record) - 1
        for following in range(number, min(number + count, len(self._starts) - 1)):
            first = self._starts[following]
            if first in self._bad_runs:
                continue
            if (
                self._scheduler.blocks.find(self._index, self._records.start(first), run=True)
                is None
            ):
                self._request_run(following, demanded=False)
        self._scheduler.pump()
