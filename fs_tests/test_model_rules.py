"""What the model's rules find, answer by answer: a rule that lets all pass proves nothing."""

import errno
import mmap
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from fs_tests.model import reader
from fs_tests.model.faces import Burst, Got, MountFace
from fs_tests.model.history import Happened
from fs_tests.model.logs import unexplained, unexplained_said
from fs_tests.model.operations import Operation
from fs_tests.model.oracle import Oracle, ViewFile
from fs_tests.model.reader import Outcome, take_given
from fs_tests.model.rules import RULES, Rules
from fs_tests.model.schedule import (
    Deck,
    store_deck,
    store_schedule,
    worker_deck,
    worker_schedule,
)
from fs_tests.model.settings import ALL_FAULTS, PLACES, Settings, kinds_of
from fs_tests.model.views import VIEWS

ROW = 8 << 20
TIMEOUT = 4.0


@pytest.fixture(scope="module")
def file() -> ViewFile:
    """A streamed file of three rows of chunks."""
    rows = tuple((i * ROW, (i + 1) * ROW) for i in range(3))
    return ViewFile("x.bed", 3 * ROW, mmap.mmap(-1, 1), (), rows)


def answer(what: str, took: float = 0.1, row: int = 0, **more: object) -> Outcome:
    """An answer of bytes in the middle of a row."""
    first = row * ROW + ROW // 2
    given = {"face": "mount", "kind": "pread", "errno": None, "asked": 4096, **more}
    return Outcome(  # type: ignore[arg-type]
        what=what, file="x.bed", first=first, last=first + 4096, began=100.0, ended=100 + took,
        **given,
    )  # fmt: skip


def fault(kind: str, begin: float = 99.0, end: float | None = None, row: int | None = None):
    return Happened(kind, begin, end, None if row is None else frozenset({row}))


def said(outcome: Outcome, file: ViewFile | None, *history: Happened) -> str:
    return Rules(TIMEOUT).complaint(outcome, file, history) or ""


EIO = {"what": "error", "errno": errno.EIO}
ESTALE = {"what": "error", "errno": errno.ESTALE}


@pytest.mark.parametrize(
    ("given", "history"),
    [
        ({"what": "slow", "took": 5.9}, ()),
        ({"what": "slow", "took": 1.9, "kind": "stat"}, ()),
        ({"what": "slow", "took": 5.9, "kind": "open", "face": "api"}, ()),
        (ESTALE, (fault("replaced", row=0),)),
        ({**ESTALE, "face": "api"}, (fault("replaced", row=0),)),
        ({"what": "short"}, (fault("replaced", row=0),)),
        ({"what": "short", "direct": True, "asked": 3 << 20}, (fault("missing", row=0),)),
        ({"what": "slow", "took": 19, "direct": True, "kind": "splice"}, (fault("stuck"),)),
        ({"what": "error", "errno": errno.EFAULT, "kind": "mmap"}, (fault("missing", row=0),)),
        (EIO, (fault("stuck", 99, 103),)),
        ({**EIO, "took": 9.0}, (fault("stuck", 99, 104.5),)),
        # Two workers died of it.
        (EIO, (fault("killed", 99.0, 99.1), fault("killed", 99.5, 99.6))),
    ],
)
def test_what_faults_explain(given, history, file):
    assert said(answer(**given), file, *history) == ""


@pytest.mark.parametrize(
    ("given", "history", "words"),
    [
        ({"what": "wrong"}, (fault("replaced", row=0),), "wrong bytes"),
        (EIO, (), "no fault explains"),
        (EIO, (fault("replaced", row=0),), "EIO in place of ESTALE"),
        ({"what": "error", "errno": errno.EPERM}, (fault("replaced", row=0),), "EPERM"),
        # Of another row, of the other face, of before, or of one worker.
        (ESTALE, (fault("replaced", row=1),), "no fault explains"),
        ({**EIO, "face": "api"}, (fault("stuck", 99, 103),), "no fault explains"),
        (EIO, (fault("stuck", 80, 84),), "no fault explains"),
        (EIO, (fault("killed", 99.5, 99.6),), "no fault explains"),
        # What is one request fails as a whole.
        ({"what": "short", "face": "api"}, (fault("missing", row=0),), "fewer bytes"),
        ({"what": "short", "direct": True}, (fault("missing", row=0),), "fewer bytes"),
        ({"what": "short"}, (), "no fault explains"),
        # Late: of what nobody holds up, of what is answered at once, of one deadline more.
        ({"what": "slow", "took": 6.5}, (), "where 6.0 are allowed"),
        ({"what": "slow", "took": 19}, (fault("replaced", 0, row=1),), "where 6.0 are allowed"),
        ({"what": "slow", "took": 19}, (fault("replaced", 0, row=0),), "where 6.0 are allowed"),
        ({"what": "slow", "took": 2.5, "kind": "stat"}, (fault("stuck"),), "where 2.0 are"),
        ({"what": "slow", "took": 2.5, "kind": "open"}, (fault("stuck"),), "where 2.0 are"),
        ({"what": "slow", "took": 2.5, "kind": "holes"}, (fault("stuck"),), "where 2.0 are"),
        ({"what": "slow", "took": 20, "kind": "splice"}, (fault("stuck"),), "where 19.5 are"),
        ({**EIO, "kind": "sendfile"}, (), "no fault explains"),
        ({**EIO, "kind": "copy", "errno": errno.EXDEV}, (fault("stuck"),), "EXDEV"),
        ({"what": "slow", "took": 11, "direct": True}, (fault("stuck"),), "where 10.5 are"),
        ({"what": "slow", "took": 20}, (fault("stuck"),), "where 19.5 are"),
        ({"what": "slow", "took": 20, "face": "api"}, (fault("stuck"),), "where 6.0 are"),
        ({"what": "hang", "took": 60}, (fault("stuck"),), "hang after"),
        ({"what": "hang", "took": 3}, (), "no answer"),
    ],
)
def test_what_no_fault_explains(given, history, words, file):
    assert words in said(answer(**given), file, *history)


def test_a_sidecar_has_no_errors(file):
    """It is made of no chunk, and no worker is asked for it."""
    sidecar = ViewFile("x.bim", ROW, mmap.mmap(-1, 1), ())
    assert "no fault explains" in said(answer(**EIO), sidecar, fault("stuck"))
    assert "where 2.0 are allowed" in said(answer("slow", 2.5), sidecar, fault("stuck"))


def logged(text: str, ago: float = 0.0) -> str:
    """A line of a mount's log."""
    at = time.time() - ago
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
    return f"{stamp},{int(at % 1 * 1000):03} biofuse[12] ERROR {text}"


def just_now(kind: str) -> list[Happened]:
    return [Happened(kind, time.monotonic() - 1, time.monotonic())]


KILLED = "the encoder process ended unexpectedly: signal 9 (Killed)"
TRACEBACK = ["Traceback (most recent call last):", '  File "x.py", line 3, in y']
INDEX = "cannot read x.bed, bytes 0 to 9: IndexError: list index out of range"


def now(lines: Sequence[str | Callable[[], str]]) -> list[str]:
    """Lines, some of which have the time of this test."""
    return [line() if callable(line) else line for line in lines]


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ([partial(logged, KILLED)], "killed"),
        (
            [partial(logged, "cannot read x.bed, variant 3: call_genotype/c/0 was changed")],
            "garbled",
        ),
        ([*TRACEBACK, "RuntimeError: can't start new thread"], "starved"),
        ([*TRACEBACK, "MemoryError"], "squeezed"),
        (["memory allocation of 65536 bytes failed", "stack backtrace:"], "starved"),
    ],
)
def test_lines_that_faults_explain(lines, kind):
    assert unexplained(now(lines), Rules(TIMEOUT), just_now(kind)) == []


@pytest.mark.parametrize(
    ("lines", "kinds"),
    [
        ([partial(logged, KILLED)], ["stopped-never"]),
        # Long after.
        ([partial(logged, KILLED, ago=60)], ["killed"]),
        ([partial(logged, "something else")], [*RULES]),
        ([partial(logged, INDEX)], [*RULES]),
        ([*TRACEBACK, "IndexError: list index out of range"], [*RULES]),
        (["something without a time"], [*RULES]),
    ],
)
def test_lines_that_no_fault_explains(lines, kinds):
    history = [each for kind in kinds if kind in RULES for each in just_now(kind)]
    lines = now(lines)
    [text] = unexplained(lines, Rules(TIMEOUT), history)
    assert text == "\n".join(lines)


def test_what_a_reader_says():
    """In Python a notice has no time."""
    odd = "call_genotype has chunks that are not what its metadata says: they are decoded whole"
    for kind, lines, found in (
        ("lost", [odd], []),
        ("killed", [odd], [odd]),
        ("lost", ["OSError: [Errno 107] gone"], ["OSError: [Errno 107] gone"]),
    ):
        assert unexplained_said(lines, just_now(kind)) == found


def test_each_kind_of_fault_has_a_rule():
    made_of_others = {"killed-often": "killed"}
    missing: Sequence[str] = [
        kind for kind in ALL_FAULTS if made_of_others.get(kind, kind) not in RULES
    ]
    assert missing == []


def test_a_deck_has_each_kind_before_any_comes_again():
    deck = Deck(("a", "b", "c"), "x")
    rounds = [tuple(deck.draw() for _ in range(3)) for _ in range(20)]
    assert {tuple(sorted(each)) for each in rounds} == {("a", "b", "c")}
    assert len(set(rounds)) > 1


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("seed", range(10))
def test_a_round_has_every_kind_and_every_view(where, seed):
    """As it is planned, whatever the seed: each kind of fault, and faults of each view's store."""
    settings = Settings(seed, where)
    decks = worker_deck(seed, where, ALL_FAULTS), store_deck(seed, where, ALL_FAULTS)
    kinds = {"damaged"} if where == "local" else set()
    views = set()
    for number in range(settings.round - 1):
        view = VIEWS[settings.view(number)]
        given = settings.window(number), settings.deadline_of(view.is_slow)
        of_store = store_schedule(
            number, where, *given, (12, 4), decks[1], settings.kinds(number), number
        )
        kinds |= {each.kind for each in [*worker_schedule(number, *given, decks[0]), *of_store]}
        views |= {view.name for _ in of_store}
    assert kinds == set(kinds_of(where))
    assert views == {view.name for view in VIEWS}
    last = settings.round - 1
    assert settings.is_gentle(last) and len(settings.kinds(last)) == 1


def test_views_of_places_begin_with_different_ones():
    for seed in range(10):
        first = [Settings(seed, place).view(0) for place in PLACES]
        assert len(set(first)) == len(VIEWS)


_PLANNED = """
import itertools, mmap
from fs_tests.model.operations import operations
from fs_tests.model.oracle import ViewFile
from fs_tests.model.schedule import store_deck, store_schedule, worker_deck, worker_schedule
from fs_tests.model.settings import ALL_FAULTS, PLACES
size = 3 << 20
files = [ViewFile(name, size, b"", (9, 99), ((0, size),) if name == "x.bed" else ())
         for name in ("x.bed", "x.bim")]
for thread in range(2):
    for each in itertools.islice(operations(7, 0, thread, files), 500):
        print(each)
for place in PLACES:
    kinds = set(ALL_FAULTS)
    decks = worker_deck(7, place, kinds), store_deck(7, place, kinds)
    for number in range(4):
        print(worker_schedule(7000 + number, 30.0, 4.0, decks[0]))
        print(store_schedule(7000 + number, place, 30.0, 4.0, (12, 4), decks[1], kinds, number))
"""


def planned(hash_seed: str) -> str:
    """What a process plans that has its own order of sets."""
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-P", "-c", _PLANNED],
        env={
            **os.environ,
            "PYTHONHASHSEED": hash_seed,
            "PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_operations_and_faults_are_the_seed_s_in_every_process():
    first = planned("1")
    assert len(first.splitlines()) == 1000 + 2 * 4 * len(PLACES)
    assert first.count("Planned(") > 100
    assert planned("2") == first


def index(path: Path, variants: int, made: str) -> None:
    """A `.bgi`, as far as tables are looked at."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE Metadata (filename, file_size, first_1000_bytes, created)")
        database.execute("INSERT INTO Metadata VALUES ('x.bgen', 9, 'abc', ?)", (made,))
        database.execute("CREATE TABLE Variant (position)")
        database.executemany("INSERT INTO Variant VALUES (?)", [(i,) for i in range(variants)])
        database.commit()


def test_an_index_is_what_was_given_first(tmp_path):
    """Of another time; with other tables it is a difference."""
    (tmp_path / "real").mkdir()
    (tmp_path / "shown").mkdir()
    index(tmp_path / "real/y.bgi", 3, "now")
    index(tmp_path / "shown/y.bgi", 3, "later")
    oracle = Oracle.of(tmp_path / "real", 3, 1, 1)
    take_given(oracle, MountFace(tmp_path / "shown"))
    assert oracle.files[0].data == (tmp_path / "shown/y.bgi").read_bytes()
    (tmp_path / "shown/y.bgi").unlink()
    index(tmp_path / "shown/y.bgi", 2, "later")
    with pytest.raises(AssertionError, match="another index"):
        take_given(oracle, MountFace(tmp_path / "shown"))


class SlowHandle:
    """Reads are right, and take long together."""

    def burst(self, size: int, offsets: list[int], expected: object) -> Burst:
        began = time.monotonic()
        time.sleep(0.02)
        return Burst(len(offsets), Got(b""), began)


def test_a_burst_ends_and_what_is_under_way_is_a_part_of_it(file, monkeypatch):
    """Else one that is slow looks as if it hung."""
    monkeypatch.setattr(reader, "_BURST_SECONDS", 0.2)
    teller = reader.Teller("mount")
    config = {"reader": 0, "seed": 1}
    walker = reader.Walker(MountFace(Path()), Oracle({}, [file]), teller, config, 0)
    began = time.monotonic()
    walker._burst(Operation("burst", sizes=(1, 4096), size=8), file, SlowHandle())  # type: ignore
    assert walker.now is not None and walker.now[1] > began + 0.1
    assert 0 < teller.counts["burst"] < reader.BURST
