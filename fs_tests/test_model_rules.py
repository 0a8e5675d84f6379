"""What the model's rules find, answer by answer: a rule that lets all pass proves nothing."""

import errno
import mmap
import time
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from fs_tests.model.history import Happened
from fs_tests.model.logs import unexplained, unexplained_said
from fs_tests.model.oracle import ViewFile
from fs_tests.model.reader import Outcome
from fs_tests.model.rules import RULES, Rules

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
    from fs_tests.model.run import ALL_FAULTS

    made_of_others = {"killed-often": "killed"}
    missing: Sequence[str] = [
        kind for kind in ALL_FAULTS if made_of_others.get(kind, kind) not in RULES
    ]
    assert missing == []
