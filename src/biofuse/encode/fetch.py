"""Chunks of a store at some distance, fetched for those who wait and ahead of those who read on.

A chunk row is fetched whole, all of its chunks at once, by whoever wants it first; others wait
for the same. What those who read on will want next is fetched before they ask, in the order in
which they will: as much as has room in the engine's cache, divided among them, and as many
requests at a time as the way to the store takes.

A run begins with little and has more as it goes on, so that nobody pays for what a program
that reads here and there does not want.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

from biofuse import native
from biofuse.encode.records import Records
from biofuse.errors import MOUNT_AGAIN, BiofuseError, StoreChangedError
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.samples import SampleChunks
from biofuse.genotypes.touches import NEAR, Touches
from biofuse.stores import FarStore, Piece
from biofuse.stores.limits import encoded

logger = logging.getLogger("biofuse.encode")

# Of the engine's cache, what all runs may have ahead, what they may have of the chunk rows that
# they are at, and what may be under way.
_AHEAD, _KEPT, _UNDER_WAY = 0.6, 0.5, 0.25
# A run may be ahead by so much, and by so many times what it has read.
_FIRST, _GROWTH = 1 << 20, 8
# Who reads here and there gets a whole chunk row if that takes so much longer than a block: a
# part of the time that an answer takes to begin.
_WORTH = 0.3
# And no more bytes than these.
_MOST_WORTH = 2 << 20
# Seconds between two looks at how far runs are, and after which nobody reads any more.
_LOOK, _REST = 0.004, 1.0
# Chunk rows whose sizes are remembered.
_MAX_SIZES = 4096
# Before any chunk row was seen: what it has of its decoded bytes.
_COMPRESSED = 0.05


class _Run(NamedTuple):
    """A run of reads, as `native.Engine.list_runs` has it."""

    file: int
    first: int
    position: int
    goes_on: bool


@dataclass
class _Row:
    """A chunk row that is being fetched."""

    size: int
    left: int = 0
    total: int = 0
    refused: bool = False
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)


class Fetcher:
    """Fetches chunk rows and gives them to the engine.

    Parameters
    ----------
    engine : native.Engine
    store : FarStore
    arrays : sequence of GenotypeArray
        The engine's, in their order.
    samples : sequence of SampleChunks
        Of each array, what of it is read.
    files : sequence of (Records, sequence of int)
        Of each streamed file, where its records are, and the numbers of its arrays.
    room : int
        Bytes that the engine's cache has, and those of what is under way.
    watched : sequence of str
        Objects of the store that must stay as they are.
    signature : str or None
        `Store.signature` of those when the view was planned.
    """

    def __init__(
        self,
        engine: native.Engine,
        store: FarStore,
        arrays: Sequence[GenotypeArray],
        samples: Sequence[SampleChunks],
        files: Sequence[tuple[Records, Sequence[int]]],
        room: int,
        watched: Sequence[str],
        signature: str | None,
    ):
        self._engine = engine
        self._store = store
        self._arrays = arrays
        self._samples = samples
        self._files = files
        self._ahead = int(room * _AHEAD)
        self._kept = int(room * _KEPT)
        self._most_under_way = int(room * _UNDER_WAY)
        self._watched = watched
        self._signature = signature
        # Who asks for what is not there is answered while it is held.
        self._lock = threading.RLock()
        self._flight: dict[tuple[int, int], _Row] = {}
        self._under_way = 0
        self._sizes: OrderedDict[tuple[int, int], int] = OrderedDict()
        # Of each array, bytes of the chunk rows that were seen last.
        self._typical = [0.0] * len(arrays)
        self._touches = Touches()
        self._refused: set[tuple[int, int]] = set()
        self._timer = _Timer(_LOOK, _REST, self.look)
        self._changed = False

    def want(self, number: int, chunk_row: int, file: int, stop: int) -> bool:
        """Have a chunk row for a request that waits, and begin with what else it will want.

        Parameters
        ----------
        number : int
            The array's.
        chunk_row : int
        file : int
            The streamed file's.
        stop : int
            Where in it the request ends.

        Returns
        -------
        bool
            Whether the engine has got it. If not, it is of no use to it, or too large, or more
            than is wanted: its bytes are made in another way.

        Raises
        ------
        BiofuseError
            If it cannot be read, or the store is not what it was.
        """
        name = (number, chunk_row)
        checked = self._check()
        with self._lock:
            row = self._flight.get(name)
            if row is None and not self._engine.has_row(number, chunk_row):
                if name in self._refused or not self._is_worth(name, stop):
                    return False
                row = self._begin(name, ahead=False)
            if row is not None:
                self._begin_rest(chunk_row, number, file, stop)
        if row is not None:
            row.done.wait()
            if row.error is not None:
                raise row.error
            if row.refused:
                return False
        if checked is not None:
            checked.result()
        if self._changed:
            raise StoreChangedError(f"the store changed while it was mounted; {MOUNT_AGAIN}")
        self._timer.start()
        return True

    def close(self) -> None:
        """Fetch nothing ahead any more."""
        self._timer.stop()

    def _begin_rest(self, chunk_row: int, number: int, file: int, stop: int) -> None:
        """Begin to fetch the chunk rows that a request will want after this one."""
        records, arrays = self._files[file]
        most = self._kept // max(1, self._engine.runs)
        last = self._variant(records, stop - 1)
        variant: int | None = chunk_row * self._arrays[number].chunks[0]
        size = 0
        while variant is not None and variant <= last:
            heights = [self._arrays[each].chunks[0] for each in arrays]
            for each, height in zip(arrays, heights, strict=True):
                name = (each, variant // height)
                size += self._size(name)
                if size > most:
                    return
                there = name in self._flight or name in self._refused
                if not there and not self._engine.has_row(*name):
                    self._begin(name, ahead=False)
            nexts = [(variant // height + 1) * height for height in heights]
            variant = self._from(records, min(nexts))

    def _check(self) -> "Future[str] | None":
        """Have it looked whether the store is what it was, if that was not done just now."""
        if not self._signature:
            return None
        future = self._store.signature_soon(self._watched, self._signature)
        if future is not None:

            def hold(done: "Future[str]") -> None:
                if done.exception() is None and done.result() != self._signature:
                    self._changed = True
                    self._engine.refuse()

            future.add_done_callback(hold)
        return future

    def _is_worth(self, name: tuple[int, int], stop: int) -> bool:
        """Whether a chunk row is to be fetched whole, for one who may read here and there."""
        size = self._size(name)
        if size > self._kept // max(1, self._engine.runs):
            # Runs would have each other's chunks dropped.
            return False
        if self._touches.suffice(name, stop, size, self._store.bytes_per_delay):
            return True
        if any(self._has_come_to(run, name) for run in self._runs()):
            return True
        if not self._typical[name[0]] and self._listed_size(name) is None:
            # Nothing is known of it but what it has decoded.
            return False
        return size <= min(_MOST_WORTH, _WORTH * self._store.bytes_per_delay)

    def _runs(self) -> list[_Run]:
        """Runs of reads that go on, or that began where a file does."""
        found = [_Run(*each) for each in self._engine.list_runs()]
        return [
            run
            for run in found
            if run.first <= self._files[run.file][0].header_size
            or (run.goes_on and run.position - run.first > NEAR)
        ]

    def _has_come_to(self, run: _Run, name: tuple[int, int]) -> bool:
        """Whether a run is within or beyond a chunk row, and began before its end."""
        records, arrays = self._files[run.file]
        if name[0] not in arrays:
            return False
        height = self._arrays[name[0]].chunks[0]
        first, last = (self._variant(records, at) for at in (run.first, run.position - 1))
        return first // height <= name[1] <= last // height

    def _size(self, name: tuple[int, int]) -> int:
        """Bytes of a chunk row, as they are or as is to be expected."""
        found = self._sizes.get(name)
        if found is not None:
            return found
        listed = self._listed_size(name)
        if listed is not None:
            return listed
        decoded = self._arrays[name[0]].decoded_size * len(self._samples[name[0]].chunks)
        return int(self._typical[name[0]] or decoded * _COMPRESSED)

    def _listed_size(self, name: tuple[int, int]) -> int | None:
        """Bytes of a chunk row, if the store knows those of all its chunks."""
        array, samples = self._arrays[name[0]], self._samples[name[0]]
        total = 0
        for chunk in samples.chunks:
            size = self._store.size(array.key(name[1], chunk))
            if size is None:
                return None
            total += size
        return total

    def _begin(self, name: tuple[int, int], ahead: bool) -> _Row:
        """Begin to fetch a chunk row; with the lock held."""
        array, samples = self._arrays[name[0]], self._samples[name[0]]
        row = _Row(self._size(name), len(samples.chunks))
        self._flight[name] = row
        self._under_way += row.size
        most = encoded(array.decoded_size)
        for i, chunk in enumerate(samples.chunks):
            future = self._store.get(array.key(name[1], chunk), most, ahead)
            future.add_done_callback(_arrival(self, name, row, i))
        return row

    def arrived(
        self, name: tuple[int, int], row: _Row, i: int, done: "Future[Piece | None]"
    ) -> None:
        """Give a chunk to the engine."""
        try:
            row.total += self._give(name, i, done.result())
        except native.NativeError:
            row.refused = True
        except BaseException as error:
            row.error = error
        with self._lock:
            row.left -= 1
            if row.left:
                return
            del self._flight[name]
            self._under_way -= row.size
            if row.refused:
                self._refused.add(name)
            elif row.error is None:
                self._sizes[name] = row.total
                if len(self._sizes) > _MAX_SIZES:
                    self._sizes.popitem(last=False)
                typical = self._typical[name[0]]
                self._typical[name[0]] = (typical + row.total) / 2 if typical else row.total
        row.done.set()
        self._timer.start()

    def _give(self, name: tuple[int, int], i: int, piece: Piece | None) -> int:
        """Give the engine a frame, or say that there is none. Returns its bytes."""
        number, chunk_row = name
        array = self._arrays[number]
        if piece is None:
            array.check_absent(chunk_row, self._samples[number].chunks[i])
            self._engine.give_absent(number, chunk_row, i, array.fill)
            return 0
        if piece.size > len(piece.data):
            raise BiofuseError(
                f"{array.key(chunk_row, self._samples[number].chunks[i])} is damaged: it has "
                f"{piece.size:,} bytes"
            )
        self._engine.give_bytes(number, chunk_row, i, piece.data)
        return piece.size

    def look(self) -> int:
        """Begin to fetch what runs will want. Returns what changes as they go on."""
        runs = self._runs()
        if runs and not self._changed:
            self._check()
            share = self._ahead // len(runs)
            with self._lock:
                waiting = [self._wanted(run, share) for run in runs]
                while waiting and self._has_room():
                    # What each will want next, then what it will want after that.
                    name = next(waiting[0], None)
                    if name is None:
                        waiting.pop(0)
                        continue
                    waiting.append(waiting.pop(0))
                    if name not in self._flight:
                        self._begin(name, ahead=True)
        return sum(run.position for run in runs) + len(self._flight)

    def _has_room(self) -> bool:
        link = self._store.link
        return not self._flight or (
            self._under_way < self._most_under_way and link.use.under_way < link.at_once
        )

    def _wanted(self, run: _Run, share: int) -> Iterator[tuple[int, int]]:
        """Chunk rows that a run will want, and which are not there, in order."""
        records, arrays = self._files[run.file]
        read = self._encoded(records, arrays, run.first, run.position)
        most = min(share, _FIRST + _GROWTH * read)
        here = self._kept // max(1, self._engine.runs)
        size = 0
        variant: int | None = self._variant(records, run.position)
        fetched: set[tuple[int, int]] = set()
        step = 0
        while variant is not None:
            following = None
            for number in arrays:
                height = self._arrays[number].chunks[0]
                name = (number, variant // height)
                if name not in fetched:
                    fetched.add(name)
                    size += self._size(name)
                    if size > (here if step == 0 else most):
                        return
                    if name not in self._refused and not self._engine.has_row(*name):
                        yield name
                after = (variant // height + 1) * height
                following = after if following is None else min(following, after)
            variant = self._from(records, following)
            step += 1

    def _encoded(self, records: Records, arrays: Sequence[int], first: int, position: int) -> int:
        """About how many bytes of chunks a run has come through."""
        rows = 0.0
        for number in arrays:
            height = self._arrays[number].chunks[0]
            variants = self._variant(records, position) - self._variant(records, first)
            rows += variants / height * (self._typical[number] or 0)
        return int(rows)

    def _variant(self, records: Records, offset: int) -> int:
        """The store's variant at an offset of a file."""
        record = records.at(max(offset, records.header_size))
        return records.variant(max(0, min(record, records.count - 1)))

    def _from(self, records: Records, variant: int | None) -> int | None:
        """The first of the file's variants that is not before this one."""
        if variant is None:
            return None
        record = records.record_from(variant)
        return records.variant(record) if record < records.count else None


def _arrival(
    fetcher: Fetcher, name: tuple[int, int], row: _Row, i: int
) -> Callable[["Future[Piece | None]"], None]:
    return lambda done: fetcher.arrived(name, row, i, done)


class _Timer:
    """Calls a function every now and then, as long as what it returns changes.

    Parameters
    ----------
    step : float
        Seconds between two calls.
    rest : float
        Seconds without a change after which it stops.
    look : callable
    """

    def __init__(self, step: float, rest: float, look: Callable[[], int]):
        self._step = step
        self._most = int(rest / step)
        self._look = look
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def stop(self) -> None:
        """End, for good."""
        self._stopped = True
        self._wake.set()

    def start(self) -> None:
        """Go on, or begin."""
        if self._thread is None and not self._stopped:
            thread = threading.Thread(target=self._run, name="ahead", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # There is no memory for one: the next who begins tries again.
                logger.debug("nothing is read ahead", exc_info=True)
                return
            self._thread = thread
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            last, quiet = -1, 0
            while quiet < self._most:
                if self._stopped:
                    return
                try:
                    found = self._look()
                except Exception:
                    # What is read ahead is a help, and no more.
                    logger.debug("nothing is read ahead", exc_info=True)
                    break
                quiet = quiet + 1 if found == last else 0
                last = found
                if self._wake.wait(self._step):
                    self._wake.clear()
