"""Byte ranges from records, and the worker that answers with them."""

import errno
import os
import socket
import struct
import threading
from array import array
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import reference
from support.kernel import REPLY
from support.program import wait_until
from support.stores import make_store, random_genotypes
from support.views import open_encoder, open_fast_path, plan_view

from biofuse.encode.encoder import CacheUse
from biofuse.encode.ranges import AnswerError, Answers, Use
from biofuse.encode.tables import MappedTables
from biofuse.encode.worker import Worker
from biofuse.errors import BiofuseError, StoreChangedError
from biofuse.manifest import Plan, StreamedFile
from biofuse.protocol import MAX_MESSAGE, NO_RECORD, Failure, Request
from biofuse.table import ANSWERED, ASKED, Table


class FakeEncoder:
    """Records of a made-up file; those that are bad cannot be made."""

    def __init__(self, data: bytes, starts: list[int], bad=()):
        self.cache_use = CacheUse(7, 1, 2, 3, 4)
        self.made: list[tuple[int, int]] = []
        self._data, self._starts, self._bad = data, starts, bad

    def encode(self, number, first, last, out):
        self.made.append((first, last))
        if any(first <= record < last for record in self._bad):
            raise BiofuseError(f"chunk {first} is bad")
        out[:] = self._data[self._starts[first] : self._starts[last]]


def make(header: bytes, sizes: list[int], fixed: bool, kept: int = 1 << 20, bad=()):
    """A file's bytes, and what makes ranges of them."""
    starts = [len(header)]
    for size in sizes:
        starts.append(starts[-1] + size)
    data = header + os.urandom(starts[-1] - len(header))
    streamed = StreamedFile(
        "x.bed",
        "plink",
        "header",
        len(header),
        len(data),
        len(sizes),
        max(sizes, default=0),
        sizes[0] if fixed and sizes else None,
        None if fixed else "offsets",
    )
    plan = Plan("x", {}, {}, 1, len(sizes), 0, [], [streamed], "starts")
    tables = {
        "header": memoryview(header),
        "offsets": memoryview(array("Q", starts)).cast("B"),
    }
    encoder = FakeEncoder(data, starts, bad)
    return data, Answers(plan, tables, encoder, kept), encoder


def joined(answers: Answers, offset: int, size: int) -> bytes:
    return b"".join(answers.answer(0, offset, size))


FILES = st.one_of(
    st.tuples(st.integers(0, 9), st.lists(st.integers(1, 40), min_size=1, max_size=20)),
    st.tuples(st.just(3), st.integers(1, 40).map(lambda size: [size] * 9)),
    st.tuples(st.integers(1, 9), st.just([])),
)


@given(FILES, st.data(), st.sampled_from([0, 30, 1000]))
def test_any_bytes(file, data, kept):
    """Ranges that cross the header, records and the end, in any order, some of them kept."""
    header, sizes = file
    expected, answers, _ = make(b"h" * header, sizes, len(set(sizes)) == 1, kept)
    for _ in range(8):
        offset = data.draw(st.integers(0, len(expected) - 1))
        size = data.draw(st.integers(1, len(expected) - offset))
        assert joined(answers, offset, size) == expected[offset : offset + size]


def test_a_run_makes_each_record_once():
    expected, answers, encoder = make(b"hdr", [1000] * 20, True)
    pieces = [joined(answers, o, min(300, len(expected) - o)) for o in range(0, len(expected), 300)]
    assert b"".join(pieces) == expected
    assert sorted(encoder.made) == [(n, n + 1) for n in range(20)]
    assert answers.use.records_encoded == 20
    assert answers.use.bytes_encoded == 20_000


def test_what_is_kept_is_bounded():
    expected, answers, _ = make(b"hdr", [1000] * 20, True, kept=3500)
    for record in range(20):
        joined(answers, 3 + 1000 * record, 10)
        assert answers.use.cache_size - 7 <= 3500
    assert joined(answers, 0, len(expected)) == expected


def test_only_records_that_a_range_touches_can_fail():
    expected, answers, _ = make(b"hdr", [100] * 9, True, bad={4})
    assert joined(answers, 0, 403) == expected[:403]
    assert joined(answers, 503, 400) == expected[503:]
    with pytest.raises(AnswerError, match="chunk 3 is bad") as caught:
        joined(answers, 350, 100)
    assert (caught.value.errno, caught.value.record) == (errno.EIO, 3)


def no_fast_path():
    raise BiofuseError("nothing is on the fast path")


class Bench:
    """A worker, and its kernel."""

    def __init__(self, answers, threads: int = 2, open_fast=no_fast_path):
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.kernel, self.session = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for each in (self.sock, self.kernel):
            each.settimeout(20)
        self.table = Table()
        self.opened = 0
        self._answers = answers
        self.worker = Worker(
            theirs, self.session.fileno(), self.table, open_fast, self._open, lambda: None
        )
        self.thread = threading.Thread(target=self.worker.run, args=(threads,))
        self.thread.start()

    def _open(self):
        self.opened += 1
        if isinstance(self._answers, list):
            each = self._answers.pop(0)
            if isinstance(each, Exception):
                raise each
            return each
        return self._answers

    def ask(self, slot: int, unique: int, offset: int, size: int) -> None:
        self.table.ask(slot, 1, unique, offset, size, 0, 0, 1)
        self.sock.send(Request(slot, 0, unique, offset, size).pack())

    def receive(self) -> tuple[int, int, bytes]:
        data = self.kernel.recv(1 << 20)
        size, error, unique = REPLY.unpack_from(data)
        assert size == len(data)
        return unique, error, data[REPLY.size :]

    def failure(self) -> Failure:
        return Failure.unpack(self.sock.recv(MAX_MESSAGE))


@contextmanager
def worker_of(answers, threads=2, open_fast=no_fast_path):
    bench = Bench(answers, threads, open_fast)
    try:
        yield bench
    finally:
        bench.sock.close()
        bench.thread.join(20)
        assert not bench.thread.is_alive()
        bench.kernel.close()
        bench.session.close()


def wait_for_mark(bench: Bench, slot: int) -> None:
    """Wait for what follows the answer."""
    wait_until(lambda: bench.table.state(slot) == ANSWERED, "the slot is marked")


def test_the_worker_answers_the_kernel_and_marks_the_slot():
    expected, answers, _ = make(b"hdr", [100] * 9, True)
    with worker_of(answers) as bench:
        for slot, (offset, size) in enumerate([(0, 200), (1, 2), (350, 553), (902, 1)]):
            bench.ask(slot, 2 * slot + 4, offset, size)
            assert bench.receive() == (2 * slot + 4, 0, expected[offset : offset + size])
            wait_for_mark(bench, slot)
            seen = bench.table.read(slot)
            assert (seen.state, seen.answered) == (ANSWERED, size)
            assert seen.answered_ns > 0
        counters = bench.table.counters()
    assert counters["reads"] == 4
    assert counters["bytes_served"] == 756
    assert counters["records_encoded"] == answers.use.records_encoded
    assert (counters["plane_hits"], counters["chunk_misses"]) == (1, 4)
    assert counters["cache_size"] == answers.use.cache_size


def test_what_cannot_be_made_is_told():
    _, answers, _ = make(b"hdr", [100] * 9, True, bad={4})
    with worker_of(answers) as bench:
        bench.ask(9, 44, 390, 300)
        assert bench.failure() == Failure(9, errno.EIO, 44, 3, "chunk 3 is bad")
        assert bench.table.state(9) == ASKED
        bench.ask(1, 46, 0, 3)
        assert bench.receive() == (46, 0, b"hdr")
        wait_for_mark(bench, 1)
        assert bench.table.counters()["reads"] == 1


class Panic(BaseException):
    """As extensions in Rust raise it."""


@pytest.mark.parametrize("error", [Panic("no thread"), RuntimeError("no thread")])
def test_a_worker_whose_thread_ends_is_over(error, caplog):
    """So that another is begun, to which what it was at is given."""
    _, answers, _ = make(b"hdr", [100] * 9, True)

    def fail():
        raise error

    with worker_of(answers, threads=1, open_fast=fail) as bench:
        bench.thread.join(20)
        assert not bench.thread.is_alive()
    assert "a thread of the worker ends" in caplog.text


class Odd:
    """Answers that are not what they are to be."""

    use = Use()

    def __init__(self, outcome):
        self._outcome = outcome

    def answer(self, file, offset, size):
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


@pytest.mark.parametrize(
    ("outcome", "code", "text"),
    [
        ([b"abc"], errno.EIO, "3 bytes were made in place of 5"),
        ([b"abc", b"abc"], errno.EIO, "6 bytes were made in place of 5"),
        (StoreChangedError("it changed"), errno.ESTALE, "it changed"),
        (MemoryError(), errno.EIO, "MemoryError"),
    ],
)
def test_no_wrong_answer_is_given(outcome, code, text):
    with worker_of(Odd(outcome)) as bench:
        bench.ask(0, 4, 0, 5)
        assert bench.failure() == Failure(0, code, 4, NO_RECORD, text)
        bench.kernel.setblocking(False)
        with pytest.raises(BlockingIOError):
            bench.kernel.recv(1)


def test_a_store_that_cannot_be_opened_is_tried_again():
    expected, answers, _ = make(b"hdr", [100] * 9, True)
    with worker_of([BiofuseError("no such store"), answers]) as bench:
        bench.ask(0, 4, 0, 5)
        assert bench.failure() == Failure(0, errno.EIO, 4, NO_RECORD, "no such store")
        for unique in (6, 8):
            bench.ask(1, unique, 0, 5)
            assert bench.receive() == (unique, 0, expected[:5])
        assert bench.opened == 2


@pytest.mark.parametrize("code", [errno.ENOENT, errno.ENODEV])
def test_a_read_that_nobody_waits_for_any_more(code, monkeypatch):
    """It was answered before, or its reader is gone: the slot is marked as ever."""
    expected, answers, _ = make(b"hdr", [100] * 9, True)
    codes, original = [code], os.writev

    def writev(fd, buffers):
        if codes:
            raise OSError(codes.pop(), "no")
        return original(fd, buffers)

    monkeypatch.setattr(os, "writev", writev)
    with worker_of(answers) as bench:
        bench.ask(0, 4, 0, 5)
        wait_for_mark(bench, 0)
        assert bench.table.read(0).state == ANSWERED
        assert bench.table.counters()["reads"] == 0
        bench.ask(0, 6, 0, 5)
        assert bench.receive() == (6, 0, expected[:5])


def test_a_slot_that_is_another_s_is_not_marked():
    _, answers, _ = make(b"hdr", [100] * 9, True)
    with worker_of(answers, threads=1) as bench:
        bench.table.ask(0, 1, 99, 0, 5, 0, 0, 1)
        bench.sock.send(Request(0, 0, 4, 0, 5).pack())
        bench.ask(1, 6, 0, 5)
        assert [bench.receive()[0], bench.receive()[0]] == [4, 6]
        wait_for_mark(bench, 1)
        assert bench.table.read(0)[:3] == (ASKED, 1, 99)


def test_the_layout_that_the_worker_and_serve_share():
    """As the native engine has it: by offsets, not by these classes."""
    table = Table()
    table.ask(2, 3, 4, 5, 6, 7, 8, 9)
    table.mark(2, 4, 10, 11)
    table.set_counter(9, 12)
    with open(os.dup(table.fd), "rb") as f:
        data = os.pread(f.fileno(), 1 << 20, 0)
    assert len(data) == 4096 + 4096 * 64
    found = struct.unpack_from("<IIQQIIQQQII", data, 4096 + 2 * 64)
    assert found == (ANSWERED, 3, 4, 5, 6, 7, 8, 11, 9, 10, 0)
    assert struct.unpack_from("<Q", data, 72) == (12,)


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    """A store of which one chunk is damaged and one is not stored; its plan; its .bed."""
    folder = tmp_path_factory.mktemp("view")
    genotypes = random_genotypes(90, 41, seed=5)
    genotypes[30:60, 20:40] = 0
    store = make_store(folder / "x.vcz", genotypes, chunks=(30, 20))
    assert not (store / "call_genotype" / "1.1.0").exists()
    plan = plan_view(store, folder / "plan", "--format", "plink")
    damaged = store / "call_genotype" / "2.0.0"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    return plan, folder / "plan", reference.bed(genotypes)


def test_the_fast_path_answers_and_what_it_refuses_goes_the_other_way(view):
    plan, folder, expected = view
    tables = MappedTables.of_plan(plan, str(folder))
    other = Answers(plan, tables.views, open_encoder(plan, folder, 1 << 20), 1 << 20)
    asked = []

    class Other:
        use = Use()

        def answer(self, file, offset, size):
            asked.append(offset)
            return other.answer(file, offset, size)

    size = plan.streamed[0].record_size
    fast = open_fast_path(plan, folder, 16 << 20)
    with worker_of(Other(), open_fast=lambda: fast) as bench:
        for slot, (offset, length) in enumerate(
            [(0, 100), (100, 31 * size), (5, 7), (3, 60 * size)]
        ):
            bench.ask(slot, 2 * slot + 4, offset, length)
            assert bench.receive() == (2 * slot + 4, 0, expected[offset : offset + length])
            wait_for_mark(bench, slot)
            assert bench.table.read(slot).answered == length
        assert asked == []
        bench.ask(9, 100, 3 + 59 * size, 3 * size)
        failure = bench.failure()
        assert (failure.slot, failure.errno, failure.record) == (9, errno.EIO, 59)
        assert "call_genotype/2.0.0" in failure.text
        assert asked == [3 + 59 * size]
        bench.ask(9, 102, 3, 5)
        assert bench.receive() == (102, 0, expected[3:8])
        wait_until(lambda: bench.table.counters()["reads"] == 5, "the answer is counted")
        counters = bench.table.counters()
        assert counters["bytes_served"] == 100 + 31 * size + 7 + 60 * size + 5


def test_the_fast_path_goes_on_while_the_other_way_is_opened(view):
    plan, folder, expected = view
    size = plan.streamed[0].record_size
    fast = open_fast_path(plan, folder, 16 << 20)
    opened = threading.Event()

    class Slow:
        use = Use()

        def answer(self, file, offset, size):
            return [bytes(size)]

    with worker_of(Slow(), open_fast=lambda: fast) as bench:
        bench.worker._open_answers = lambda: opened.wait(20) and Slow()
        try:
            # Of a damaged chunk.
            bench.ask(0, 4, 3 + 70 * size, size)
            # More than what is answered without a look at what else there is to do.
            for unique in range(6, 2006, 2):
                bench.ask(1, unique, 3, size)
                assert bench.receive() == (unique, 0, expected[3 : 3 + size])
        finally:
            opened.set()
        assert bench.receive()[0] == 4
