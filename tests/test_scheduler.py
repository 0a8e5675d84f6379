"""Which blocks are sent to the worker, in which order, and what becomes of them."""

import errno
import os
from itertools import count

import trio
import trio.testing

from biofuse.protocol import Reply
from biofuse.serve.blocks import State
from biofuse.serve.counters import Counters
from biofuse.serve.scheduler import Scheduler
from biofuse.serve.window import Window, WindowShape

PAGE = os.sysconf("SC_PAGESIZE")


class FakeLink:
    """Takes note of what the scheduler does with the worker."""

    def __init__(self):
        self.requests = []
        self.starts = self.kills = self.stops = 0
        self.fails = False

    def start(self):
        self.starts += 1

    def send(self, request):
        if self.fails:
            raise OSError("no more processes")
        self.requests.append(request)

    def kill(self):
        self.kills += 1

    def stop(self):
        self.stops += 1


class Bench:
    """A scheduler with a fake worker."""

    def __init__(self, run_slots=3, max_sent=2, timeout=60.0, idle_timeout=10.0):
        self.window = Window(WindowShape(PAGE, run_slots, PAGE, 2))
        self.counters = Counters()
        self.link = FakeLink()
        self.scheduler = Scheduler(
            self.window, self.counters, max_sent, timeout=timeout, idle_timeout=idle_timeout
        )
        self.scheduler.link = self.link
        self._firsts = count(0, 10)

    def block(self, demanded=True, run=True):
        """Ask for a new block of ten records of ten bytes."""
        first = next(self._firsts)
        return self.scheduler.request(
            0, first, first + 10, 10 * first, 10 * first + 100, run, demanded
        )

    def hold(self, nursery, block):
        """Have a read wait for a block; it holds it until the event that is returned is set."""
        block.waiters += 1
        finish = trio.Event()

        async def read():
            try:
                await self.scheduler.wait(block)
                await finish.wait()
            finally:
                self.scheduler.release(block)

        nursery.start_soon(read)
        return finish

    def sent(self):
        """First records of the blocks sent so far."""
        return [request.first for request in self.link.requests]

    def answer(self, first, code=0, size=None, message=""):
        """Answer the last request for the block that begins with a record."""
        request = [r for r in self.link.requests if r.first == first][-1]
        self.scheduler.on_reply(
            Reply(request.id, code, request.size if size is None else size, message)
        )


def run(test):
    """Run an async function of (bench, nursery) under a clock that jumps."""

    async def main():
        bench = Bench()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(bench.scheduler.pump_when_kicked)
                await test(bench, nursery)
                nursery.cancel_scope.cancel()
        finally:
            os.close(bench.window.fd)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def settle():
    await trio.testing.wait_all_tasks_blocked()


def scenario(test):
    """Make an async function of (bench, nursery) a test."""

    def wrapper():
        run(test)

    wrapper.__name__ = test.__name__
    wrapper.__doc__ = test.__doc__
    return wrapper


@scenario
async def test_a_block_is_sent_and_becomes_ready(bench, nursery):
    block = bench.block()
    bench.hold(nursery, block)
    await settle()
    (request,) = bench.link.requests
    assert (request.file, request.first, request.last, request.size) == (0, 0, 10, 100)
    assert request.offset == block.slot
    assert block.state is State.SENT
    bench.answer(0)
    await settle()
    assert block.state is State.READY
    assert bench.counters.waits == 1
    assert bench.counters.bytes_encoded == 100


@scenario
async def test_only_so_many_are_sent_at_a_time(bench, nursery):
    blocks = [bench.block() for _ in range(3)]
    for block in blocks:
        bench.hold(nursery, block)
    await settle()
    assert bench.sent() == [0, 10]
    bench.answer(10)
    await settle()
    assert bench.sent() == [0, 10, 20]


@scenario
async def test_what_is_waited_for_goes_before_what_is_read_ahead(bench, nursery):
    first = bench.block()
    bench.hold(nursery, first)
    bench.block(demanded=False)
    bench.block(demanded=False)
    await settle()
    waited_for = bench.block()
    bench.hold(nursery, waited_for)
    bench.scheduler.pump()
    bench.answer(0)
    await settle()
    assert bench.sent() == [0, 10, waited_for.first]


@scenario
async def test_a_block_read_ahead_that_is_then_waited_for_overtakes(bench, nursery):
    ahead = [bench.block(demanded=False) for _ in range(3)]
    bench.scheduler._max_sent = 1
    bench.scheduler.pump()
    assert bench.sent() == [0]
    bench.hold(nursery, ahead[2])
    await settle()
    bench.answer(0)
    await settle()
    assert bench.sent() == [0, 20]


@scenario
async def test_waiting_blocks_are_not_evicted(bench, nursery):
    holds = []
    for _ in range(3):
        block = bench.block()
        holds.append(bench.hold(nursery, block))
        await settle()
        bench.answer(block.first)
    await settle()
    more = bench.block()
    bench.hold(nursery, more)
    await settle()
    assert more.first not in bench.sent()
    holds[1].set()
    await settle()
    assert more.first in bench.sent()
    assert bench.scheduler.blocks.find(0, 100) is None
    assert bench.scheduler.blocks.find(0, 99) is not None
    assert bench.scheduler.blocks.find(0, 200) is not None


@scenario
async def test_lone_reads_do_not_wait_behind_runs_without_a_slot(bench, nursery):
    for _ in range(3):
        block = bench.block()
        bench.hold(nursery, block)
        await settle()
        bench.answer(block.first)
    bench.hold(nursery, bench.block())
    lone = bench.block(run=False)
    bench.hold(nursery, lone)
    await settle()
    assert lone.first in bench.sent()


@scenario
async def test_an_error_reaches_the_read_and_is_tried_again_by_the_next(bench, nursery):
    block = bench.block()
    bench.hold(nursery, block).set()
    await settle()
    bench.answer(0, errno.ESTALE, 0, "the store changed")
    await settle()
    assert block.state is State.FAILED
    assert (block.errno, block.message) == (errno.ESTALE, "the store changed")
    assert bench.scheduler.blocks.find(0, 50) is None
    assert {bench.window.take(True) for _ in range(3)} >= {0}


@scenario
async def test_a_short_answer_is_an_error(bench, nursery):
    block = bench.block()
    bench.hold(nursery, block).set()
    await settle()
    bench.answer(0, size=99)
    await settle()
    assert block.state is State.FAILED
    assert block.errno == errno.EIO


@scenario
async def test_a_worker_that_dies_is_asked_again_once(bench, nursery):
    block = bench.block()
    bench.hold(nursery, block)
    await settle()
    bench.scheduler.on_death("killed")
    await settle()
    assert bench.sent() == [0, 0]
    assert block.state is State.SENT
    bench.answer(0)
    await settle()
    assert block.state is State.READY
    assert bench.counters.worker_deaths == 1


@scenario
async def test_a_worker_that_dies_twice_is_an_error(bench, nursery):
    block, other = bench.block(), bench.block()
    bench.hold(nursery, block).set()
    bench.hold(nursery, other).set()
    await settle()
    bench.scheduler.on_death("killed")
    bench.answer(10)
    bench.scheduler.on_death("killed again")
    await settle()
    assert block.state is State.FAILED
    assert (block.errno, block.message) == (errno.EIO, "killed again")
    assert other.state is State.READY


@scenario
async def test_an_answer_of_a_dead_worker_is_not_taken_for_the_next_ones(bench, nursery):
    block = bench.block()
    bench.hold(nursery, block)
    await settle()
    late = bench.link.requests[0]
    bench.scheduler.on_death("killed")
    bench.scheduler.on_reply(Reply(late.id, 0, late.size))
    await settle()
    assert block.state is State.SENT


@scenario
async def test_a_worker_that_cannot_be_started(bench, nursery):
    bench.link.fails = True
    block = bench.block()
    bench.hold(nursery, block).set()
    await settle()
    assert block.state is State.FAILED
    assert "no more processes" in block.message


@scenario
async def test_a_block_that_takes_too_long(bench, nursery):
    nursery.start_soon(bench.scheduler.watch)
    began = trio.current_time()
    block = bench.block()
    bench.hold(nursery, block).set()
    await block.done.wait()
    assert 60 <= trio.current_time() - began <= 62
    assert block.state is State.FAILED
    assert block.errno == errno.EIO
    assert "60 s" in block.message
    assert bench.link.kills == 1


@scenario
async def test_the_slot_of_a_stuck_block_is_not_used_before_its_worker_is_dead(bench, nursery):
    stuck = bench.block()
    bench.hold(nursery, stuck).set()
    await settle()
    slot = stuck.slot
    await trio.sleep(61)
    bench.scheduler.check_deadlines()
    await settle()
    assert stuck.state is State.FAILED
    following = [bench.block() for _ in range(3)]
    for block in following:
        bench.hold(nursery, block)
    await settle()
    assert slot not in [b.slot for b in following]
    bench.scheduler.on_death("killed")
    await settle()
    bench.answer(following[0].first)
    bench.answer(following[1].first)
    await settle()
    assert slot in [b.slot for b in following]


@scenario
async def test_a_block_that_is_never_begun(bench, nursery):
    """As when every slot is held: the deadline holds for the queue, too."""
    holds = [bench.block() for _ in range(3)]
    for block in holds:
        bench.hold(nursery, block)
        await settle()
        bench.answer(block.first)
    nursery.start_soon(bench.scheduler.watch)
    block = bench.block()
    bench.hold(nursery, block).set()
    await block.done.wait()
    assert block.state is State.FAILED
    assert block.errno == errno.EIO
    assert [b.state for b in holds] == [State.READY] * 3


@scenario
async def test_the_worker_ends_when_idle(bench, nursery):
    nursery.start_soon(bench.scheduler.watch)
    block = bench.block()
    bench.hold(nursery, block).set()
    await settle()
    os.pwrite(bench.window.fd, b"x" * 100, block.slot)
    bench.answer(0)
    await trio.sleep(9)
    assert bench.link.stops == 0
    bench.scheduler.note_activity()
    await trio.sleep(9)
    assert bench.link.stops == 0
    assert bench.window.resident() > 0
    await trio.sleep(2)
    assert bench.link.stops == 1
    assert bench.window.resident() == 0
    assert list(bench.scheduler.blocks) == []
    await trio.sleep(100)
    assert bench.link.stops == 1


@scenario
async def test_it_does_not_end_while_a_read_holds_a_block(bench, nursery):
    nursery.start_soon(bench.scheduler.watch)
    block = bench.block()
    hold = bench.hold(nursery, block)
    await settle()
    bench.answer(0)
    await trio.sleep(50)
    assert bench.link.stops == 0
    assert block in list(bench.scheduler.blocks)
    hold.set()
    await trio.sleep(11)
    assert bench.link.stops == 1


@scenario
async def test_it_does_not_end_while_a_block_is_made(bench, nursery):
    nursery.start_soon(bench.scheduler.watch)
    bench.block(demanded=False)
    bench.scheduler.pump()
    await trio.sleep(50)
    assert bench.link.stops == 0
    bench.answer(0)
    await trio.sleep(11)
    assert bench.link.stops == 1


@scenario
async def test_after_idleness_a_block_is_made_anew(bench, nursery):
    nursery.start_soon(bench.scheduler.watch)
    for round_number in range(3):
        block = bench.block()
        bench.hold(nursery, block).set()
        await settle()
        assert len(bench.sent()) == round_number + 1
        bench.answer(block.first)
        await trio.sleep(11)
        assert bench.link.stops == round_number + 1


@scenario
async def test_a_warmed_up_worker_that_nobody_asks_ends(bench, nursery):
    nursery.start_soon(bench.scheduler.watch)
    bench.scheduler.warm_up()
    assert bench.link.starts == 1
    await trio.sleep(11)
    assert bench.link.stops == 1


@scenario
async def test_gauges_return_to_zero(bench, nursery):
    """After much of everything: no slot is lost, nothing is left under way."""
    for n in range(60):
        block = bench.block(demanded=n % 3 != 0, run=n % 2 == 0)
        hold = bench.hold(nursery, block)
        await settle()
        if n % 7 == 0:
            bench.scheduler.on_death("killed")
        if n % 11 == 0:
            bench.answer(block.first, errno.EIO, 0, "no")
        else:
            bench.answer(block.first)
        hold.set()
        await settle()
        assert block.waiters == 0
    bench.scheduler.blocks.clear()
    assert len({bench.window.take(True) for _ in range(3)} - {None}) == 3
    assert len({bench.window.take(False) for _ in range(2)} - {None}) == 2
    assert bench.window.take(True) is None


def test_release_does_not_send_before_the_reader_has_yielded():
    """Bytes that were just read lie in the slot until they are sent to the kernel."""

    async def main():
        bench = Bench(run_slots=1, max_sent=1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.scheduler.pump_when_kicked)
            block = bench.block()
            block.waiters += 1
            bench.scheduler.pump()
            bench.answer(0)
            await bench.scheduler.wait(block)
            bench.block()
            bench.scheduler.release(block)
            assert bench.sent() == [0]
            await settle()
            assert bench.sent() == [0, 10]
            nursery.cancel_scope.cancel()
        os.close(bench.window.fd)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
