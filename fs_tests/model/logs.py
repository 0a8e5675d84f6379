"""Which lines of a log faults explain."""

import re
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from fs_tests.model.history import Happened
from fs_tests.model.rules import RULES, STARVING, Rules

_STAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) biofuse\[\d+\] ")
# What is said for want of memory, by Python, by libraries and by biofuse itself.
_WANT = re.compile(
    r"MemoryError|[Cc]annot allocate|cannot map zero-fill pages|[Cc]an't start new thread|"
    r"failed to map segment|"
    r"[Oo]ut of memory|Errno 12\b|memory allocation of \d+ bytes failed|"
    # Of Python while it imports, where it has none for the exception either.
    r"SystemError: error return without exception set|"
    # Of libraries in Rust.
    r"OS can't spawn worker thread|PanicException"
)
# What a program says that has a mistake in it.
_MISTAKE = re.compile(r"Traceback|\b[A-Z]\w*(Error|Exception|Warning)\b")


class Entry(NamedTuple):
    """A line of a log, or lines without a time, which another process may have written.

    Attributes
    ----------
    at : float or None
        When it was written, by the clock that `time.monotonic` is of; None if it does not say.
    text : str
    """

    at: float | None
    text: str


def entries(lines: Sequence[str]) -> Iterator[Entry]:
    """The entries of a log."""
    offset = time.monotonic() - time.time()
    for has_time, some in groupby(lines, lambda line: _STAMP.match(line) is not None):
        if not has_time:
            yield Entry(None, "\n".join(some))
            continue
        for line in some:
            stamp = _STAMP.match(line)
            assert stamp is not None
            seconds = time.mktime(time.strptime(stamp[1], "%Y-%m-%d %H:%M:%S"))
            yield Entry(offset + seconds + int(stamp[2]) / 1000, line)


def unexplained(lines: Sequence[str], rules: Rules, history: Sequence[Happened]) -> list[str]:
    """What no fault explains that was in force then, or so lately that reads still waited."""
    return [
        entry.text
        for entry in entries(lines)
        if not any(_explains(fault, entry, rules) for fault in history)
    ]


def unexplained_said(lines: Sequence[str], history: Sequence[Happened]) -> list[str]:
    """Of what a program says that reads by itself, and does not say when."""
    patterns = [RULES[fault.kind].log for fault in history]
    return [
        line
        for line in lines
        if _MISTAKE.search(line) or not any(re.search(pattern, line) for pattern in patterns)
    ]


def _explains(fault: Happened, entry: Entry, rules: Rules) -> bool:
    if entry.at is not None:
        # By the millisecond, and of clocks that are told one after the other.
        late = 2 * rules.timeout + rules.slack
        if not fault.overlaps(entry.at - late, entry.at + 0.1):
            return False
    if entry.at is None or _MISTAKE.search(entry.text):
        return fault.kind in STARVING and _WANT.search(entry.text) is not None
    return re.search(RULES[fault.kind].log, entry.text) is not None
