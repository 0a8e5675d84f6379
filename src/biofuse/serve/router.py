"""Which reads are with the worker, and what becomes of them."""

import errno
import logging
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from biofuse.protocol import NO_RECORD, Failure, Request
from biofuse.serve.counters import Counters
from biofuse.serve.interrupts import is_ending
from biofuse.table import ANSWERED, CACHE_SIZE, SLOTS, UNDER_WAY, Slot, Table

logger = logging.getLogger("biofuse.serve")

_MAX_ATTEMPTS = 2
_SECOND = 10**9


class Sender(Protocol):
    """The part of `WorkerLink` that is needed here."""

    @property
    def pid(self) -> int | None: ...

    def start(self) -> None: ...

    def send(self, message: bytes) -> bool: ...

    def kill(self) -> None: ...

    def stop(self) -> None: ...


class Wanted(NamedTuple):
    """A read of a streamed file.

    Attributes
    ----------
    unique : int
        The kernel's name for it.
    file : int
        Index into the plan's streamed files.
    opening : int
        Which opening of a file it comes from.
    offset, size : int
    pid : int
        The thread that waits for it, where one does.
    """

    unique: int
    file: int
    opening: int
    offset: int
    size: int
    pid: int


class _Asked(NamedTuple):
    """A read that has a slot: what serve itself knows of it, whatever the worker writes there.

    Attributes
    ----------
    wanted : Wanted
    attempts : int
        Workers that were asked.
    asked_ns : int
        When the last of them was.
    """

    wanted: Wanted
    attempts: int
    asked_ns: int


class ReadError(NamedTuple):
    """Why a read failed.

    Attributes
    ----------
    errno : int
    text : str
    record : int or None
        The first record that could not be made, where that is known.
    """

    errno: int
    text: str
    record: int | None = None


class Router:
    """Hands reads to the worker, by slots of the table, and fails those that it does not answer.

    Parameters
    ----------
    table : Table
    counters : Counters
    fail : callable
        Called with a read's `unique` and an errno: answers the kernel. Returns whether that
        still waited.
    timeout : float
        Seconds that a read may take.
    idle_timeout : float
        Seconds without a read after which the worker ends.
    on_error : callable
        Called with a file's index and a `ReadError` for every read that fails.
    on_answer : callable, optional
        Called with the `Slot` of every read that was answered.
    clock : callable
        Monotonic time in nanoseconds.

    Attributes
    ----------
    link : Sender
        To be set before anything is read.
    """

    def __init__(
        self,
        table: Table,
        counters: Counters,
        fail: Callable[[int, int], bool],
        timeout: float,
        idle_timeout: float,
        on_error: Callable[[int, ReadError], None],
        on_answer: Callable[[Slot], None] | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ):
        self.link: Sender
        self._table = table
        self._counters = counters
        self._fail_read = fail
        self._timeout = timeout
        self._timeout_ns = int(timeout * _SECOND)
        self._idle_ns = int(idle_timeout * _SECOND)
        self._on_error = on_error
        self._on_answer = on_answer
        self._clock = clock
        self._free = list(range(SLOTS))[::-1]
        # Reads that were asked for, in that order, by slot.
        self._asked: dict[int, _Asked] = {}
        # Those of them that the worker was not told of: its socket is full.
        self._unsent: deque[int] = deque()
        # Reads without a slot, and when they came.
        self._queue: deque[tuple[Wanted, int]] = deque()
        # Slots of reads that have failed but that the worker may still mark.
        self._stuck: list[int] = []
        self._active_ns = clock()
        self._ending = False

    @property
    def under_way(self) -> int:
        """Reads that wait."""
        self.look()
        return len(self._asked) + len(self._queue)

    @property
    def is_hurried(self) -> bool:
        """Whether a look is wanted soon: for a free slot, or what is to be told of answers."""
        return bool(self._queue or (self._asked and self._on_answer is not None))

    def warm_up(self) -> None:
        """Start the worker before it is needed; it ends if nothing is asked of it."""
        try:
            self.link.start()
        except OSError as error:
            logger.warning("the encoder process cannot be started: %s", error)
        self._active_ns = self._clock()

    def read(self, wanted: Wanted) -> None:
        """Take a read; it is answered by the worker, or by `fail`."""
        now = self._active_ns = self._clock()
        if self._ending:
            self._fail(wanted.unique, wanted.file, ReadError(errno.EIO, "the mount is ending"))
            return
        if not self._free:
            self.look()
        if self._queue or not self._free:
            self._queue.append((wanted, now))
        else:
            self._ask(self._free.pop(), _Asked(wanted, 1, now))

    def _ask(self, slot: int, asked: _Asked) -> None:
        unique, file, opening, offset, size, _ = asked.wanted
        logger.debug("read %d: file %d, %d bytes at %d", unique, file, size, offset)
        self._table.ask(slot, asked.attempts, unique, offset, size, file, asked.asked_ns, opening)
        self._asked[slot] = asked
        self._unsent.append(slot)
        if len(self._unsent) == 1:
            self.send()

    def send(self) -> None:
        """Tell the worker what it was not told yet, as far as there is room."""
        while self._unsent:
            slot = self._unsent[0]
            if slot in self._asked:
                read = self._asked[slot].wanted
                request = Request(slot, read.file, read.unique, read.offset, read.size)
                try:
                    if not self.link.send(request.pack()):
                        return
                except OSError as error:
                    text = f"the encoder process cannot be started: {error}"
                    self._give_up(slot, ReadError(errno.EIO, text))
            self._unsent.popleft()

    def look(self) -> None:
        """See what the worker has answered, and let reads have the slots that are free."""
        answered = [slot for slot in self._asked if self._table.state(slot) == ANSWERED]
        for slot in answered:
            if self._on_answer is not None:
                self._on_answer(self._slot(slot))
            self._release(slot)
        if answered:
            self._active_ns = self._clock()
        while self._queue and self._free:
            wanted, now = self._queue.popleft()
            self._ask(self._free.pop(), _Asked(wanted, 1, now))

    def _slot(self, slot: int) -> Slot:
        """A slot: what the worker has to say there is how it was answered, and no more."""
        (unique, file, opening, offset, size, _), attempts, asked_ns = self._asked[slot]
        return self._table.read(slot)._replace(
            attempts=attempts,
            unique=unique,
            offset=offset,
            size=size,
            file=file,
            asked_ns=asked_ns,
            opening=opening,
        )

    def _release(self, slot: int) -> None:
        del self._asked[slot]
        self._table.free(slot)
        self._free.append(slot)

    def _give_up(self, slot: int, error: ReadError) -> None:
        """Fail a read whose slot the worker does not touch any more."""
        read = self._asked[slot].wanted
        self._release(slot)
        self._fail(read.unique, read.file, error)

    def _fail(self, unique: int, file: int, error: ReadError) -> None:
        # One that is gone, or was answered after all, has seen no error.
        if self._fail_read(unique, error.errno):
            self._on_error(file, error)

    def on_message(self, data: bytes) -> None:
        """Take the worker's word that it cannot answer a read."""
        try:
            failure = Failure.unpack(data)
        except struct.error:
            logger.error(
                "the encoder process has sent a message of %d bytes, which is ignored", len(data)
            )
            return
        slot = failure.slot
        if slot not in self._asked or self._asked[slot].wanted.unique != failure.unique:
            return
        record = None if failure.record == NO_RECORD else failure.record
        self._give_up(slot, ReadError(failure.errno or errno.EIO, failure.text, record))
        self._active_ns = self._clock()
        self.look()

    def on_death(self, how: str) -> None:
        """The worker is dead: ask another for what it had, once."""
        self._counters.worker_deaths += 1
        logger.warning("%s", how)
        self.look()
        self._forget_worker()
        self._free += self._stuck
        self._stuck.clear()
        lost, unsent = list(self._asked.items()), set(self._unsent)
        self._unsent.clear()
        now = self._clock()
        for slot, asked in lost:
            attempts = asked.attempts + (slot not in unsent)
            if attempts > _MAX_ATTEMPTS:
                self._give_up(slot, ReadError(errno.EIO, how))
                continue
            del self._asked[slot]
            self._ask(slot, _Asked(asked.wanted, attempts, now))
        self.look()

    def tick(self) -> None:
        """Look at answers, deadlines and idleness: to be called now and then."""
        self.look()
        now = self._clock()
        self._check_deadlines(now)
        idle = not (self._asked or self._queue or self._stuck)
        if self.link.pid is not None and idle and now - self._active_ns >= self._idle_ns:
            logger.debug("idle for %g s", self._idle_ns / _SECOND)
            self.link.stop()
            self._forget_worker()

    def _forget_worker(self) -> None:
        """What a worker that is gone holds and asks for is nothing."""
        self._table.set_counter(CACHE_SIZE, 0)
        self._table.set_counter(UNDER_WAY, 0)

    def _check_deadlines(self, now: int) -> None:
        """Fail what has taken too long; a worker that is stuck is killed."""
        late = []
        for slot, asked in self._asked.items():
            if now - asked.asked_ns <= self._timeout_ns:
                break
            late.append((slot, asked.wanted))
        not_begun = ReadError(errno.EIO, f"not begun within {self._timeout:g} s")
        no_answer = ReadError(errno.EIO, f"no answer from the store in {self._timeout:g} s")
        unsent = set(self._unsent) if late else set()
        for slot, read in late:
            if slot in unsent:
                self._unsent.remove(slot)
                self._give_up(slot, not_begun)
            else:
                del self._asked[slot]
                self._stuck.append(slot)
                self._fail(read.unique, read.file, no_answer)
        if self._stuck:
            self.link.kill()
        while self._queue and now - self._queue[0][1] > self._timeout_ns:
            wanted, _ = self._queue.popleft()
            self._fail(wanted.unique, wanted.file, not_begun)

    def interrupt(self, unique: int) -> None:
        """Let a read's thread go if it is about to end: its bytes are for nobody."""
        for asked in self._asked.values():
            if asked.wanted.unique == unique:
                if is_ending(asked.wanted.pid):
                    # The slot is the worker's until it has marked it.
                    self._fail_read(unique, errno.EINTR)
                return

    def shut_down(self) -> None:
        """Fail everything that reads wait for, now and from now on."""
        self.look()
        self._ending = True
        error = ReadError(errno.EIO, "the mount is ending")
        for slot in list(self._asked):
            read = self._slot(slot)
            del self._asked[slot]
            self._stuck.append(slot)
            if self._fail_read(read.unique, error.errno):
                self._on_error(read.file, error)
            elif self._on_answer is not None:
                # The worker was about to mark it.
                self._on_answer(read._replace(answered_ns=self._clock(), answered=read.size))
        self._unsent.clear()
        while self._queue:
            wanted, _ = self._queue.popleft()
            self._fail(wanted.unique, wanted.file, error)
