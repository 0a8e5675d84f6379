"""Which reads are with the worker, in every state they can be in."""

import errno

import pytest
from support.links import FakeLink

from biofuse.protocol import NO_RECORD, Failure, Request
from biofuse.serve import router as module
from biofuse.serve.counters import Counters
from biofuse.serve.router import ReadError, Router, Wanted
from biofuse.table import _SLOT, ANSWERED, ASKED, CACHE_SIZE, COUNTERS, FREE, SLOTS, Table

SECOND = 10**9
IDLE = 10
TIMEOUT = 60


class Bench:
    """A router with a worker and a kernel that are made up."""

    def __init__(self):
        self.table, self.counters, self.link = Table(), Counters(), FakeLink()
        # The worker's mapping of the same memory.
        self.theirs = Table(self.table.fd)
        self.now = 1000 * SECOND
        self.failed, self.errors, self.answers = {}, [], []
        # Reads that the kernel does not wait for any more.
        self.gone = set()
        self._unique = 0
        self.router = Router(
            self.table,
            self.counters,
            self._fail,
            TIMEOUT,
            IDLE,
            lambda file, error: self.errors.append((file, error)),
            self.answers.append,
            lambda: self.now,
        )
        self.router.link = self.link

    def _fail(self, unique, code):
        if unique in self.gone:
            return False
        assert unique not in self.failed, "answered twice"
        self.failed[unique] = code
        self.gone.add(unique)
        return True

    def read(self, offset=0, file=0, opening=1):
        self._unique += 2
        self.router.read(Wanted(self._unique, file, opening, offset, 4096, 0))
        return self._unique

    def request(self, unique) -> Request:
        """The last one of a read that the worker got."""
        return [request for request in self.link.sent if request.unique == unique][-1]

    def answer(self, unique):
        """As the worker does: the kernel first, then the slot."""
        request = self.request(unique)
        self.gone.add(unique)
        self.theirs.mark(request.slot, unique, request.size, self.now + 5)

    def refuse(self, unique, code=errno.EIO, record=NO_RECORD, text="bad chunk 0.1"):
        self.router.on_message(
            Failure(self.request(unique).slot, code, unique, record, text).pack()
        )

    def die(self, how="killed"):
        self.link.pid = None
        self.router.on_death(how)

    def wait(self, seconds):
        self.now += int(seconds * SECOND)
        self.router.tick()

    @property
    def sent(self):
        return [request.unique for request in self.link.sent]


@pytest.fixture
def bench():
    return Bench()


def test_a_read_is_asked_for_and_answered(bench):
    unique = bench.read(offset=1 << 40, file=1, opening=9)
    [request] = bench.link.sent
    assert (request.file, request.unique, request.offset, request.size) == (
        1,
        unique,
        1 << 40,
        4096,
    )
    slot = bench.table.read(request.slot)
    assert slot.state == ASKED
    assert (slot.attempts, slot.unique, slot.offset, slot.size) == (1, unique, 1 << 40, 4096)
    assert (slot.file, slot.asked_ns, slot.opening) == (1, bench.now, 9)
    assert bench.router.under_way == 1
    bench.answer(unique)
    assert bench.table.state(request.slot) == ANSWERED
    assert bench.router.under_way == 0
    assert bench.table.state(request.slot) == FREE
    [told] = bench.answers
    assert (told.unique, told.answered, told.answered_ns) == (unique, 4096, bench.now + 5)
    assert bench.errors == []


def test_a_slot_is_used_again_but_not_marked_for_another(bench):
    first = bench.read()
    late = bench.request(first)
    bench.refuse(first)
    second = bench.read()
    assert bench.request(second).slot == late.slot
    # Who has answered the first, and marks only now.
    bench.theirs.mark(late.slot, first, 4096, 0)
    assert bench.router.under_way == 1
    bench.answer(second)
    assert bench.router.under_way == 0


def test_the_worker_s_word_that_it_cannot(bench):
    unique = bench.read(file=2)
    bench.refuse(unique, errno.ESTALE, 41, "the store changed")
    assert bench.failed == {unique: errno.ESTALE}
    [(file, error)] = bench.errors
    assert (file, error) == (2, ReadError(errno.ESTALE, "the store changed", 41))
    assert bench.router.under_way == 0
    other = bench.read()
    bench.refuse(other, 0)
    assert bench.failed[other] == errno.EIO
    assert bench.errors[1][1].record is None


def test_words_that_come_twice_or_of_nothing(bench):
    unique = bench.read()
    request = bench.request(unique)
    bench.refuse(unique)
    bench.refuse(unique)
    for slot in (request.slot, 7, SLOTS - 1, SLOTS, 2**32 - 1):
        bench.router.on_message(Failure(slot, 5, 999, NO_RECORD, "x").pack())
    assert bench.failed == {unique: errno.EIO}
    assert len(bench.errors) == 1
    # Of a read that has its slot now.
    other = bench.read()
    assert bench.request(other).slot == request.slot
    bench.router.on_message(Failure(request.slot, 5, unique, NO_RECORD, "x").pack())
    assert bench.router.under_way == 1


@pytest.mark.parametrize("size", [0, 1, 23])
def test_a_message_that_is_too_short_is_ignored(bench, size, caplog):
    unique = bench.read()
    bench.router.on_message(bytes(size))
    assert f"a message of {size} bytes, which is ignored" in caplog.text
    bench.answer(unique)
    assert bench.router.under_way == 0


def test_a_reader_that_is_gone_has_seen_no_error(bench):
    unique = bench.read()
    bench.gone.add(unique)
    bench.refuse(unique)
    assert bench.failed == {}
    assert bench.errors == []
    assert bench.router.under_way == 0


def test_messages_wait_for_room_in_order(bench):
    bench.link.room = 2
    uniques = [bench.read() for _ in range(5)]
    assert bench.sent == uniques[:2]
    assert bench.router.under_way == 5
    bench.link.room = 1
    bench.router.send()
    assert bench.sent == uniques[:3]
    bench.link.room = 9
    bench.router.send()
    assert bench.sent == uniques


def test_a_table_that_is_full(bench):
    uniques = [bench.read() for _ in range(SLOTS + 3)]
    assert bench.sent == uniques[:SLOTS]
    assert len({request.slot for request in bench.link.sent}) == SLOTS
    assert bench.router.under_way == SLOTS + 3
    bench.answer(uniques[5])
    bench.refuse(uniques[7])
    # In their order, and before any that comes later.
    assert bench.sent == uniques[: SLOTS + 2]
    later = bench.read()
    assert bench.sent == uniques[: SLOTS + 2]
    bench.answer(uniques[9])
    bench.answer(uniques[11])
    bench.wait(0.1)
    assert bench.sent == [*uniques, later]


def test_a_table_that_stays_full(bench):
    """The deadline holds for the queue, too, and what waits there has not begun."""
    uniques = [bench.read() for _ in range(SLOTS + 1)]
    for _ in range(3):
        bench.wait(TIMEOUT / 2)
    assert set(bench.failed) == set(uniques)
    texts = {error.text for _, error in bench.errors}
    assert texts == {"no answer from the store in 60 s", "not begun within 60 s"}
    assert "not begun" in bench.errors[-1][1].text


def test_what_a_dead_worker_had_is_asked_again_once(bench):
    first, second = bench.read(), bench.read(file=1)
    bench.wait(5)
    bench.die()
    assert bench.sent == [first, second] * 2
    assert bench.request(first).slot == bench.link.sent[0].slot
    assert bench.table.read(bench.request(second).slot).attempts == 2
    assert bench.table.read(bench.request(second).slot).asked_ns == bench.now
    bench.answer(first)
    bench.die("killed again")
    assert bench.sent == [first, second] * 2
    assert bench.failed == {second: errno.EIO}
    assert [(file, error.text) for file, error in bench.errors] == [(1, "killed again")]
    assert bench.counters.worker_deaths == 2
    # The next is asked for anew.
    third = bench.read()
    assert bench.sent[-1] == third
    bench.answer(third)
    assert bench.router.under_way == 0


@pytest.mark.parametrize("answered", [True, False])
def test_a_read_is_done_with_after_two_deadlines(answered, bench):
    """The longest that one takes: its worker dies when the time has almost passed."""
    unique = bench.read()
    for _ in range(2):
        bench.wait(TIMEOUT - 1)
        assert bench.failed == {}
        assert bench.router.under_way == 1
        if len(bench.sent) == 1:
            bench.die()
    if answered:
        bench.answer(unique)
    bench.wait(2)
    assert bench.router.under_way == 0
    assert bench.failed == ({} if answered else {unique: errno.EIO})
    assert len(bench.sent) == 2


def test_what_a_dead_worker_was_not_told_of_is_not_held_against_it(bench):
    bench.link.room = 1
    told, untold = bench.read(), bench.read()
    bench.die()
    bench.link.room = 9
    bench.router.send()
    bench.die()
    assert bench.failed == {told: errno.EIO}
    assert bench.sent == [told, told, untold, untold]


def test_what_a_worker_answered_before_it_died_is_answered(bench):
    unique, other = bench.read(), bench.read()
    bench.answer(unique)
    bench.die()
    assert bench.sent == [unique, other, other]
    assert [slot.unique for slot in bench.answers] == [unique]


def test_an_answer_that_was_given_but_not_marked(bench):
    """The kernel has it, and refuses the next worker's: that marks the slot as ever."""
    unique = bench.read()
    bench.gone.add(unique)
    bench.die()
    assert bench.sent == [unique, unique]
    bench.answer(unique)
    assert bench.router.under_way == 0
    assert bench.errors == []


def test_a_worker_that_cannot_be_started(bench):
    bench.link.fails = True
    unique, other = bench.read(), bench.read()
    assert bench.failed == {unique: errno.EIO, other: errno.EIO}
    assert "no more processes" in bench.errors[0][1].text
    assert bench.router.under_way == 0
    bench.link.fails = False
    assert bench.read() in bench.sent


def test_a_read_that_takes_too_long(bench):
    stuck = bench.read()
    bench.wait(TIMEOUT - 5)
    young = bench.read()
    bench.wait(6)
    assert bench.failed == {stuck: errno.EIO}
    assert bench.errors[0][1].text == "no answer from the store in 60 s"
    assert bench.link.kills > 0
    # The worker may still mark it: nobody gets its slot before it is dead.
    following = [bench.read() for _ in range(10)]
    assert bench.request(stuck).slot not in [bench.request(u).slot for u in following]
    bench.theirs.mark(bench.request(stuck).slot, stuck, 4096, 0)
    bench.die()
    # What else it had is asked again.
    assert bench.sent.count(young) == 2
    assert bench.sent.count(stuck) == 1
    assert bench.request(stuck).slot in [bench.request(bench.read()).slot for _ in range(2)]


@pytest.mark.parametrize("byte", [0, 2, 255])
def test_a_worker_that_writes_all_over_the_table(byte, bench):
    """Each read is answered in time, and what is told of it is what it was."""
    first, second, third = bench.read(7, file=1, opening=9), bench.read(8), bench.read(9)
    requests = {unique: bench.request(unique) for unique in (first, second, third)}
    for request in requests.values():
        at = bench.theirs._at(request.slot)
        # All but the state, of which it may say what it will.
        bench.theirs._bytes[at + 4 : at + _SLOT.size] = bytes([byte]) * (_SLOT.size - 4)
    bench.refuse(second)
    assert bench.failed == {second: errno.EIO}
    bench.die()
    assert bench.sent == [first, second, third, first, third]
    assert bench.request(first) == requests[first]
    bench.answer(first)
    bench.router.tick()
    [answer] = bench.answers
    assert (answer.unique, answer.file, answer.offset, answer.opening) == (first, 1, 7, 9)
    bench.theirs._bytes[: bench.theirs._at(0)] = bytes([byte]) * bench.theirs._at(0)
    bench.wait(TIMEOUT + 1)
    assert bench.failed[third] == errno.EIO
    assert bench.router.under_way == 0


def test_what_there_was_no_room_for_has_not_begun(bench):
    bench.link.room = 0
    unique = bench.read()
    bench.wait(TIMEOUT + 1)
    assert bench.failed == {unique: errno.EIO}
    assert bench.errors[0][1].text == "not begun within 60 s"
    assert bench.link.kills == 0
    bench.link.room = 9
    bench.router.send()
    assert bench.sent == []
    assert bench.router.under_way == 0


def test_the_worker_ends_when_idle(bench):
    bench.router.warm_up()
    assert bench.link.starts == 1
    bench.wait(IDLE - 1)
    unique = bench.read()
    bench.wait(50)
    assert bench.link.stops == 0
    bench.theirs.set_counter(CACHE_SIZE, 5)
    bench.theirs.add(COUNTERS.index("reads"), 3)
    bench.answer(unique)
    bench.wait(IDLE - 1)
    assert bench.link.stops == 0
    bench.wait(IDLE)
    assert bench.link.stops == 1
    # Its caches are gone; what it has done stays.
    assert bench.table.counters()["cache_size"] == 0
    assert bench.table.counters()["reads"] == 3
    bench.wait(1000)
    assert bench.link.stops == 1
    bench.read()
    assert bench.link.starts == 2


def test_a_failure_is_activity(bench):
    unique = bench.read()
    bench.wait(30)
    bench.refuse(unique)
    bench.wait(IDLE - 1)
    assert bench.link.stops == 0
    bench.wait(1)
    assert bench.link.stops == 1


def test_a_dead_worker_s_caches_are_gone(bench):
    bench.theirs.set_counter(CACHE_SIZE, 5)
    bench.die()
    assert bench.table.counters()["cache_size"] == 0


@pytest.mark.parametrize("ending", [True, False])
def test_a_signal_to_a_reader(ending, bench, monkeypatch):
    monkeypatch.setattr(module, "is_ending", lambda pid: ending)
    unique, other = bench.read(), bench.read()
    bench.router.interrupt(unique)
    bench.router.interrupt(4711)
    assert bench.failed == ({unique: errno.EINTR} if ending else {})
    assert bench.errors == []
    # The worker has the slot until it marks it.
    third = bench.read()
    assert len({bench.request(u).slot for u in (unique, other, third)}) == 3
    for each in (unique, other, third):
        bench.answer(each)
    assert bench.router.under_way == 0


def test_the_mount_s_end(bench):
    bench.link.room = 1
    uniques = [bench.read() for _ in range(SLOTS + 2)]
    bench.answer(uniques[0])
    bench.router.shut_down()
    assert set(bench.failed) == set(uniques[1:])
    assert {error.text for _, error in bench.errors} == {"the mount is ending"}
    late = bench.read()
    assert bench.failed[late] == errno.EIO
    bench.router.shut_down()
    assert len(bench.failed) == SLOTS + 2


def test_no_slot_is_lost(bench):
    """After much of everything, all of them are free."""
    for round_number in range(300):
        bench.link.room = round_number % 7
        uniques = [bench.read() for _ in range(20)]
        for unique in uniques[: round_number % 5]:
            if unique in bench.sent:
                bench.answer(unique)
        for unique in uniques[5:8]:
            if unique in bench.sent:
                bench.refuse(unique)
        if round_number % 3 == 0:
            bench.die()
        if round_number % 11 == 0:
            bench.wait(TIMEOUT + 1)
    bench.wait(TIMEOUT + 1)
    bench.die()
    assert bench.router.under_way == 0
    bench.link.room = 1 << 20
    uniques = [bench.read() for _ in range(SLOTS)]
    assert len({bench.request(unique).slot for unique in uniques}) == SLOTS
