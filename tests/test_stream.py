"""A streamed file over a fake worker: right bytes or an error, whatever happens and when."""

import errno
import os
from dataclasses import dataclass, field

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from biofuse.manifest import StreamedFile
from biofuse.protocol import Reply
from biofuse.serve.counters import Counters
from biofuse.serve.records import Records
from biofuse.serve.scheduler import Scheduler
from biofuse.serve.stream import ReadError, Stream
from biofuse.serve.window import Window, WindowShape

PAGE = os.sysconf("SC_PAGESIZE")
HEADER = b"abc"
MIB = 1 << 20


def content(count: int, record_size: int) -> bytes:
    """A file whose every four bytes tell where they are."""
    numbers = range(count * record_size // 4 + 1)
    return HEADER + b"".join(n.to_bytes(4, "big") for n in numbers)[: count * record_size]


@dataclass
class FakeWorker:
    """Writes true records after a delay; `faults` says what becomes of each request in turn."""

    window: Window
    data: bytes
    record_size: int
    nursery: trio.Nursery
    delays: list[float]
    faults: list[str] = field(default_factory=list)
    generation: int = 0
    asked: int = 0
    requests: list = field(default_factory=list)
    scheduler: Scheduler | None = None

    def start(self):
        pass

    def send(self, request):
        self.requests.append(request)
        fault = self.faults[self.asked] if self.asked < len(self.faults) else "none"
        delay = self.delays[self.asked % len(self.delays)]
        self.asked += 1
        self.nursery.start_soon(self._answer, request, fault, delay, self.generation)

    async def _answer(self, request, fault, delay, generation):
        await trio.sleep(delay)
        if generation != self.generation:
            return
        if fault == "death":
            self._die()
        elif fault == "error":
            self.scheduler.on_reply(Reply(request.id, errno.EIO, 0, "a bad chunk"))
        elif fault != "silence":
            start = len(HEADER) + request.first * self.record_size
            os.pwrite(self.window.fd, self.data[start : start + request.size], request.offset)
            self.scheduler.on_reply(Reply(request.id, 0, request.size))

    def _die(self):
        self.generation += 1
        self.scheduler.on_death("killed")

    def kill(self):
        self.nursery.start_soon(self._killed)

    async def _killed(self):
        await trio.sleep(0.1)
        self._die()

    def stop(self):
        self.generation += 1


def play(count, record_size, chunk, shape, ahead, script, delays=(0.01,), faults=(), timeout=5):
    """Run `script(stream, data, worker)` over a file of `count` records."""

    async def main():
        data = content(count, record_size)
        file = StreamedFile("x", "f", "h", 3, len(data), count, record_size, record_size)
        window = Window(shape)
        scheduler = Scheduler(window, Counters(), 3, timeout=timeout, idle_timeout=3)
        try:
            async with trio.open_nursery() as nursery:
                worker = FakeWorker(window, data, record_size, nursery, list(delays), list(faults))
                worker.scheduler = scheduler
                scheduler.link = worker
                nursery.start_soon(scheduler.watch)
                nursery.start_soon(scheduler.pump_when_kicked)
                stream = Stream(
                    0,
                    HEADER,
                    Records(file, None),
                    range(0, count, chunk),
                    window,
                    scheduler,
                    Counters(),
                    ahead,
                )
                assert stream.size == len(data)
                await script(stream, data, worker)
                assert all(block.waiters == 0 for block in scheduler.blocks)
                nursery.cancel_scope.cancel()
        finally:
            os.close(window.fd)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


SHAPE = WindowShape(4 * PAGE, 3, PAGE, 2)


@st.composite
def plays(draw):
    record_size = draw(st.sampled_from([1, 4, 251, 801, PAGE]))
    count = draw(st.integers(1, 200_000 // record_size))
    size = count * record_size + 3
    offsets = st.integers(0, size + 5) | st.integers(max(0, size - 9), size) | st.integers(0, 9)
    reads = st.lists(st.tuples(offsets, st.integers(0, 30_000)), min_size=1, max_size=8)
    sequence = st.tuples(st.integers(0, size), st.integers(1, 9000)).map(
        lambda t: [(t[0] + n * t[1], t[1]) for n in range(8)]
    )
    return {
        "count": count,
        "record_size": record_size,
        "chunk": draw(st.integers(1, count)),
        "tasks": draw(st.lists(reads | sequence, min_size=1, max_size=6)),
        "ahead": draw(st.integers(0, 6)),
        "delays": draw(st.lists(st.floats(0, 0.5), min_size=1, max_size=7)),
    }


def playing(plan, faults=()):
    """Make the plan's reads, a task for each list. Returns how many failed."""
    failed = []

    async def script(stream, data, worker):
        async def reader(reads):
            for offset, size in reads:
                try:
                    # Copied at once: it may lie in the window.
                    seen = bytes(await stream.read(offset, size))
                except ReadError as error:
                    assert faults
                    assert error.errno == errno.EIO
                    failed.append(error)
                else:
                    assert seen == data[offset : offset + size], (offset, size)

        async with trio.open_nursery() as nursery:
            for reads in plan["tasks"]:
                nursery.start_soon(reader, reads)

    play(
        plan["count"],
        plan["record_size"],
        plan["chunk"],
        SHAPE,
        plan["ahead"],
        script,
        plan["delays"],
        faults,
    )
    return failed


@given(plays())
@settings(max_examples=150)
def test_any_reads_at_once_are_slices(plan):
    assert playing(plan) == []


@given(plays(), st.lists(st.sampled_from(["none", "death", "error", "silence"]), max_size=12))
@settings(max_examples=150)
def test_with_a_bad_worker_reads_are_right_or_fail(plan, faults):
    failed = playing(plan, faults)
    if not {"death", "error", "silence"} & set(faults):
        assert failed == []


@given(plays(), st.lists(st.booleans(), max_size=12))
@settings(max_examples=60)
def test_a_worker_that_dies_now_and_then_is_not_noticed(plan, deaths):
    """No request is lost twice, where every second worker lives: nothing fails."""
    plan = {**plan, "delays": [0.01], "tasks": plan["tasks"][:1], "ahead": 0}
    faults = [fault for dies in deaths for fault in (["death", "none"] if dies else ["none"])]
    assert playing(plan, faults) == []


def read_all(stream_reads):
    async def script(stream, data, worker):
        for offset, size in stream_reads:
            assert bytes(await stream.read(offset, size)) == data[offset : offset + size]
        script.requests = worker.requests

    return script


def test_a_lone_read_asks_for_the_records_that_it_covers():
    script = read_all([(3 + 800 * 500, 1600)])
    play(2000, 800, 100, WindowShape(MIB, 4, 16 * PAGE, 2), 6, script)
    ((first, last),) = [(r.first, r.last) for r in script.requests]
    assert (first, last) == (500, 502)


def test_a_run_is_read_ahead_in_blocks_of_chunk_rows():
    script = read_all([(3 + n * 131_072, 131_072) for n in range(12)])
    play(4000, 800, 500, WindowShape(MIB, 6, 64 * PAGE, 2), 6, script)
    runs = [r for r in script.requests if r.last - r.first >= 500]
    # Beyond what was read, and no record twice.
    assert max(r.last for r in runs) * 800 > 12 * 131_072
    starts = [r.first for r in runs]
    assert len(starts) == len(set(starts))
    assert all(start % 500 == 0 for start in starts)


def test_ahead_of_zero_reads_nothing_ahead():
    reads = [(3 + n * 131_072, 131_072) for n in range(12)]
    script = read_all(reads)
    play(4000, 800, 500, WindowShape(MIB, 6, 64 * PAGE, 2), 0, script)
    end = reads[-1][0] + reads[-1][1]
    assert max(r.first for r in script.requests) * 800 < end


def test_a_second_pass_is_answered_from_the_window():
    script = read_all([(3, 100_000)] * 5)
    play(200, 800, 100, WindowShape(MIB, 4, 64 * PAGE, 4), 6, script)
    assert len(script.requests) <= 2


def test_the_header_asks_for_nothing():
    script = read_all([(0, 3), (1, 1), (2, 1), (0, 0)])
    play(200, 800, 100, SHAPE, 6, script)
    assert script.requests == []


def test_past_the_end():
    script = read_all([(160_003, 10), (170_000, 10), (1 << 50, 1), (160_002, 10)])
    play(200, 800, 100, SHAPE, 6, script)
    assert [(r.first, r.last) for r in script.requests] == [(199, 200)]


def test_a_file_without_records():
    script = read_all([(0, 10), (3, 10), (2, 1)])
    play(0, 800, 1, SHAPE, 6, script)
    assert script.requests == []


def test_a_failed_read_is_tried_again():
    async def script(stream, data, worker):
        try:
            await stream.read(3, 800)
        except ReadError as error:
            assert "a bad chunk" in str(error)
            assert error.record == 0
        else:
            raise AssertionError("the read did not fail")
        assert bytes(await stream.read(3, 800)) == data[3:803]

    play(200, 800, 100, SHAPE, 6, script, faults=["error"])
