"""Which blocks are encoded, in which order, and what becomes of them."""

import errno
import logging
from collections.abc import Callable
from typing import Protocol

import trio

from biofuse.protocol import Reply, Request
from biofuse.serve.blocks import Block, BlockTable, State
from biofuse.serve.counters import CacheTotals, Counters
from biofuse.serve.window import Window

logger = logging.getLogger("biofuse.serve")

_MAX_ATTEMPTS = 2


class Sender(Protocol):
    """The part of `WorkerLink` that the scheduler needs."""

    def start(self) -> None: ...

    def send(self, request: Request) -> None: ...

    def kill(self) -> None: ...

    def stop(self) -> None: ...


class Scheduler:
    """Sends blocks to the worker: what a read waits for first, then what is read ahead.

    Parameters
    ----------
    window : Window
    counters : Counters
    max_sent : int
        Blocks that are with the worker at a time.
    timeout : float
        Seconds that a block may take.
    idle_timeout : float
        Seconds without a request after which the worker ends and the window is emptied.
    clock : callable
        Time in seconds; trio's by default.
    """

    def __init__(
        self,
        window: Window,
        counters: Counters,
        max_sent: int,
        timeout: float,
        idle_timeout: float,
        clock: Callable[[], float] = trio.current_time,
    ):
        self.blocks = BlockTable(window)
        self.caches = CacheTotals()
        self._window = window
        self._counters = counters
        self._max_sent = max_sent
        self._timeout = timeout
        self._idle_timeout = idle_timeout
        self._clock = clock
        self._queue: list[Block] = []
        self._sent: dict[int, Block] = {}
        self._next_id = 0
        self._shut_down = False
        self._kick = trio.Event()
        # Slots that a worker which is being killed may still write to.
        self._stuck_slots: list[tuple[bool, int]] = []
        self._last_activity = 0.0
        self._worker_used = False
        self.link: Sender

    def warm_up(self) -> None:
        """Start the worker before it is needed; it ends if nothing is asked of it."""
        try:
            self.link.start()
        except OSError as error:
            logger.warning("the encoder process cannot be started: %s", error)
            return
        self._worker_used = True
        self._last_activity = self._clock()

    def request(
        self, file: int, first: int, last: int, start: int, stop: int, run: bool, demanded: bool
    ) -> Block:
        """Ask for a block that the table does not have."""
        block = Block(file, first, last, start, stop, run, demanded, self._clock())
        self.blocks.add(block)
        self._queue.append(block)
        if self._shut_down:
            self._fail(block, errno.EIO, "the mount is ending")
        return block

    async def wait(self, block: Block) -> None:
        """Wait until a block is ready or has failed; the caller holds it by `waiters`."""
        if block.state in (State.QUEUED, State.SENT):
            self._counters.waits += 1
            if not block.demanded:
                block.demanded = True
                block.created = self._clock()
            self.pump()
            await block.done.wait()
        else:
            self._counters.hits += 1
        self.blocks.touch(block)

    def release(self, block: Block) -> None:
        """End a hold on a block.

        Nothing is sent to the worker before the calling task has yielded: what it read may
        still lie in the block's slot, and that may be the next one to be written to.
        """
        block.waiters -= 1
        if self._queue and len(self._sent) < self._max_sent:
            self._kick.set()

    def pump(self) -> None:
        """Send what can be sent."""
        self._last_activity = self._clock()
        while self._queue and len(self._sent) < self._max_sent and not self._stuck_slots:
            waiting = sorted(self._queue, key=lambda b: not b.demanded)
            block = next((b for b in waiting if self.blocks.place(b)), None)
            if block is None:
                return
            self._queue.remove(block)
            self._send(block)

    async def pump_when_kicked(self) -> None:
        """Send what can be sent after holds have ended, until cancelled."""
        while True:
            await self._kick.wait()
            self._kick = trio.Event()
            self.pump()

    def _send(self, block: Block) -> None:
        self._next_id += 1
        assert block.slot is not None
        block.state = State.SENT
        block.attempts += 1
        block.sent_at = self._clock()
        self._sent[self._next_id] = block
        self._worker_used = True
        request = Request(
            self._next_id, block.file, block.first, block.last, block.slot, block.size
        )
        logger.debug(
            "request %d: file %d, variants %d to %d, %s",
            request.id,
            request.file,
            request.first,
            request.last,
            "wanted" if block.demanded else "ahead",
        )
        try:
            self.link.send(request)
        except OSError as error:
            del self._sent[self._next_id]
            self._lost(block, f"the encoder process cannot be started: {error}")

    def on_reply(self, reply: Reply) -> None:
        """Take a worker's reply."""
        self.caches.note(reply.use)
        block = self._sent.pop(reply.id, None)
        if block is None:
            return
        logger.debug("reply %d: %d bytes, errno %d", reply.id, reply.size, reply.errno)
        if reply.errno == 0 and reply.size == block.size:
            block.state = State.READY
            self._counters.blocks_encoded += 1
            self._counters.bytes_encoded += block.size
            block.done.set()
        else:
            block.data_error = reply.errno != errno.ESTALE
            message = reply.message or f"{reply.size} bytes were made in place of {block.size}"
            self._fail(block, reply.errno or errno.EIO, message)
        self.pump()

    def on_death(self, how: str) -> None:
        """A worker has died: ask again for what it had, once."""
        self._counters.worker_deaths += 1
        self.caches.end_worker()
        logger.warning("%s", how)
        for run, slot in self._stuck_slots:
            self._window.give(run, slot)
        self._stuck_slots.clear()
        lost = list(self._sent.values())
        self._sent.clear()
        for block in lost:
            self._lost(block, how)
        self.pump()

    def _lost(self, block: Block, how: str) -> None:
        if block.attempts >= _MAX_ATTEMPTS:
            self._fail(block, errno.EIO, how)
            return
        if block.slot is not None:
            self._window.give(block.run, block.slot)
            block.slot = None
        block.state = State.QUEUED
        block.created = self._clock()
        self._queue.insert(0, block)

    def _fail(self, block: Block, code: int, message: str) -> None:
        """A failed block leaves the table at once, so that the next read tries again."""
        block.state = State.FAILED
        block.errno = code
        block.message = message
        if block in self._queue:
            self._queue.remove(block)
        self.blocks.remove(block)
        block.done.set()

    def check_deadlines(self) -> None:
        """Fail what has taken too long; a worker that is stuck is killed."""
        now = self._clock()
        stuck = [i for i, b in self._sent.items() if now - b.sent_at > self._timeout]
        for i in stuck:
            block = self._sent.pop(i)
            assert block.slot is not None
            self._stuck_slots.append((block.run, block.slot))
            block.slot = None
            self._fail(block, errno.EIO, f"no answer from the store in {self._timeout:g} s")
        if stuck:
            self.link.kill()
        for block in [b for b in self._queue if now - b.created > self._timeout]:
            self._fail(block, errno.EIO, f"not begun within {self._timeout:g} s")

    def shut_down(self) -> None:
        """Fail everything that reads wait for, now and from now on."""
        self._shut_down = True
        for block in [*self._queue, *self._sent.values()]:
            if block.state in (State.QUEUED, State.SENT):
                self._sent = {i: b for i, b in self._sent.items() if b is not block}
                # The worker may still write to the slot of a block that was sent.
                block.slot = None
                self._fail(block, errno.EIO, "the mount is ending")

    def check_idle(self) -> None:
        """End the worker and empty the window if nothing has been asked for a while."""
        if not self._worker_used or self._sent or self._queue or self._stuck_slots:
            return
        if any(block.waiters for block in self.blocks):
            return
        if self._clock() - self._last_activity >= self._idle_timeout:
            logger.debug("idle for %g s", self._idle_timeout)
            self.link.stop()
            self.caches.end_worker()
            self.blocks.clear()
            self._window.release_pages()
            self._worker_used = False

    def note_activity(self) -> None:
        """A read was served; the worker is not idle."""
        self._last_activity = self._clock()

    async def watch(self, interval: float = 0.5) -> None:
        """Check deadlines and idleness until cancelled."""
        while True:
            await trio.sleep(interval)
            self.check_deadlines()
            self.check_idle()
