"""The specification: which answers are right, given the faults that there were.

docs/semantics.md in a table. Where no fault is in force, no error is: a read is answered with
the right bytes, within the deadline. Wrong bytes are never allowed, whatever is in force.
"""

import errno
from collections.abc import Sequence
from dataclasses import dataclass

from fs_tests.model.history import Happened
from fs_tests.model.oracle import ViewFile
from fs_tests.model.reader import Outcome

EIO, ESTALE = errno.EIO, errno.ESTALE
BOTH, MOUNT = frozenset({"mount", "api"}), frozenset({"mount"})
_PAGE = 4096
# The kernel asks for so much at once, also ahead of what a program wants.
_REQUEST = 1 << 20
# What takes no worker.
_AT_ONCE = frozenset({"open", "close", "stat", "listdir", "seek", "holes", "forget"})
# What is several requests, also with O_DIRECT.
_IN_PIECES = frozenset({"sendfile", "splice"})
# Seconds beside a deadline that a worker which begins anew may take.
_BEGIN = 0.5


@dataclass(frozen=True)
class Rule:
    """What a fault allows.

    Attributes
    ----------
    errnos : frozenset of int
        With which reads may fail of what it is about.
    faces : frozenset of str
        That it concerns.
    delay : float
        Seconds by which it may hold up reads after its end, beside those that it lasts. Reads
        that may have been held up for as long as the deadline may fail with EIO.
    deaths : int
        How many workers it costs. A read that two have had fails with EIO.
    log : str
        Expression of lines in the log that it explains.
    """

    errnos: frozenset[int] = frozenset()
    faces: frozenset[str] = BOTH
    delay: float = 0.0
    deaths: int = 0
    log: str = r"$^"


_DEATH = "the encoder process ended unexpectedly: "
_READ = r"cannot read x(_\d)?\.(bed|bgen|pgen|bcf)[^:]*: "
_KILLED = rf"{_DEATH}signal 9|{_READ}{_DEATH}signal 9"
_LATE = rf"{_KILLED}|{_READ}(no answer from the store|not begun) (with)?in [\d.]+ s"
_STALE = rf"{_READ}.*(chang|replaced|removed|gone|lost|is not there)"
# Of a worker that gets no memory; what Python says of that is not the log's own.
STARVING = frozenset({"starved", "squeezed"})
_STARVED = rf"{_LATE}|{_DEATH}(exit code|signal)|{_READ}|a thread of the worker ends"
# Chunks of that are looked at once more in the other way.
_ODD = r"call_\w+ has chunks that are not what its metadata says"

# Faults of a mount's processes. A worker's start takes up to a second and a half on a machine
# that has much to do.
RULES: dict[str, Rule] = {
    "killed": Rule(faces=MOUNT, delay=1.5, deaths=1, log=_KILLED),
    "stopped": Rule(faces=MOUNT, delay=0.5, log=_LATE),
    "slowed": Rule(faces=MOUNT, delay=0.5, log=_LATE),
    "stuck": Rule(frozenset({EIO}), MOUNT, deaths=1, delay=1.5, log=_LATE),
    "starved": Rule(frozenset({EIO}), MOUNT, deaths=1, delay=1.5, log=_STARVED),
    "squeezed": Rule(frozenset({EIO}), MOUNT, deaths=1, delay=1.5, log=_STARVED),
    "barred": Rule(
        frozenset({EIO}),
        MOUNT,
        deaths=1,
        delay=1.5,
        log=rf"{_KILLED}|{_READ}the encoder process cannot be started|cannot be started",
    ),
    "caches-dropped": Rule(delay=0.5),
    # Of a store's files. What was changed under a mount stays so for it.
    "damaged": Rule(frozenset({EIO}), log=rf"{_READ}|{_ODD}"),
    "missing": Rule(frozenset({ESTALE}), log=rf"{_STALE}|{_ODD}"),
    "truncated": Rule(frozenset({ESTALE}), log=rf"{_STALE}|{_ODD}"),
    "garbled": Rule(frozenset({ESTALE}), log=rf"{_STALE}|{_ODD}"),
    "replaced": Rule(frozenset({ESTALE}), log=rf"{_STALE}|{_ODD}"),
    "rewritten": Rule(frozenset({ESTALE}), log=rf"{_STALE}|{_ODD}"),
    "refused": Rule(frozenset({EIO, ESTALE}), log=_READ),
    # Of what is not read once a view is planned, and of what tells whether a store is what it was.
    "others-spoilt": Rule(),
    "metadata-changed": Rule(frozenset({ESTALE}), log=_STALE),
    # Of objects of a store at some distance.
    "object-replaced": Rule(frozenset({ESTALE}), log=_STALE),
    "object-missing": Rule(frozenset({ESTALE}), log=_STALE),
    "object-truncated": Rule(frozenset({ESTALE}), log=_STALE),
    "object-garbled": Rule(frozenset({ESTALE}), log=_STALE),
    # Where no list had told that it was there.
    "object-unlisted": Rule(frozenset({EIO, ESTALE}), log=rf"{_STALE}|{_READ}.* is not stored"),
    # Of its version, and with other bytes, as frames tell.
    "answers-truncated": Rule(frozenset({EIO}), log=rf"{_READ}|{_ODD}", delay=1.5),
    "answers-garbled": Rule(frozenset({EIO}), log=rf"{_READ}|{_ODD}", delay=1.5),
    "server-fails": Rule(frozenset({EIO}), log=_READ, delay=1.5),
    "server-stalls": Rule(frozenset({EIO}), log=rf"{_READ}|{_LATE}", delay=1.5, deaths=1),
    "server-hiccups": Rule(delay=1.0),
    "server-restarted": Rule(delay=1.5),
    # Of an Icechunk repository, whose objects have no versions but are never written again.
    "lost": Rule(frozenset({EIO}), log=rf"{_READ}|{_ODD}"),
    "held": Rule(frozenset({EIO}), log=rf"{_READ}|{_LATE}", delay=1.5, deaths=1),
    "committed": Rule(),
}


@dataclass(frozen=True)
class Rules:
    """The rules for a mount, or a fileset, with a deadline.

    Attributes
    ----------
    timeout : float
        Its deadline in seconds.
    far : bool
        Whether its store is at some distance.
    slack : float
        Seconds by which this machine may be late.
    """

    timeout: float
    far: bool = False
    slack: float = 2.0

    def complaint(
        self, outcome: Outcome, file: ViewFile | None, history: Sequence[Happened]
    ) -> str | None:
        """What is wrong with an answer; None if nothing is."""
        took = outcome.ended - outcome.began
        allowed = self.allowed(outcome, file, history)
        if outcome.what == "wrong":
            return f"wrong bytes: {outcome.text}"
        if took > (limit := self.limit(outcome, file, history)):
            return f"{outcome.what} after {took:.1f} s, where {limit:.1f} are allowed"
        if outcome.what == "slow":
            return None
        if outcome.what == "hang":
            return f"no answer for {took:.1f} s"
        if not allowed:
            return f"{outcome.what} {_name(outcome.errno)} where no fault explains one"
        if outcome.what == "short":
            return None if _by_parts(outcome) else "fewer bytes of what is asked for at once"
        if outcome.kind == "mmap" and outcome.face == "mount" and outcome.errno == errno.EFAULT:
            return None
        if outcome.errno not in allowed:
            names = " or ".join(sorted(_name(code) for code in allowed))
            return f"{_name(outcome.errno)} in place of {names}"
        return None

    def allowed(
        self, outcome: Outcome, file: ViewFile | None, history: Sequence[Happened]
    ) -> set[int]:
        """The errors that an answer may be, given the faults."""
        if file is None or not file.is_streamed or outcome.first >= outcome.last:
            return set()
        rows = self._rows(outcome, file)
        found: set[int] = set()
        deaths, delay = 0, 0.0
        for fault in history:
            rule = RULES[fault.kind]
            if outcome.face not in rule.faces or fault.face not in (None, outcome.face):
                continue
            if fault.rows is not None and not fault.rows & rows:
                continue
            # What was under way in the deadline before may fail later.
            if fault.overlaps(outcome.began - self.timeout, outcome.ended):
                found |= rule.errnos
            if fault.overlaps(outcome.began - rule.delay, outcome.ended):
                deaths += rule.deaths
                lasted = min(fault.end or outcome.ended, outcome.ended) - fault.begin
                delay += rule.delay + lasted
        if deaths >= 2 or delay >= self.timeout - 0.5:
            found.add(EIO)
        return found

    def _rows(self, outcome: Outcome, file: ViewFile) -> set[int]:
        """Chunk rows that a read is of: the kernel reads whole pages into its cache."""
        first, last = outcome.first, outcome.last
        if outcome.face == "mount":
            first, last = first & -_PAGE, -(-last // _PAGE) * _PAGE
        return file.touched(first, last)

    def limit(self, outcome: Outcome, file: ViewFile | None, history: Sequence[Happened]) -> float:
        """Seconds in which an answer must come.

        The deadline, and what faults hold up: of a read that is asked for again, by serve of the
        next worker, another deadline; by the kernel, page by page, two more.
        """
        # The first file that a program opens opens the store.
        opens = outcome.face == "api" and outcome.kind == "open"
        if file is None or not file.is_streamed or (outcome.kind in _AT_ONCE and not opens):
            return self.slack
        is_one = outcome.direct and outcome.kind not in _IN_PIECES
        again = 3 if outcome.face == "mount" and not is_one else 1
        held = self._held(outcome, file, history)
        return self.timeout + self.slack + min(held, again * (self.timeout + _BEGIN))

    def _held(self, outcome: Outcome, file: ViewFile, history: Sequence[Happened]) -> float:
        """Seconds for which faults may have held up an answer, one after another."""
        around = 0 if outcome.face == "api" or outcome.direct else _REQUEST
        rows = file.touched(outcome.first - around, outcome.last + around)
        seconds = 0.0
        for fault in history:
            rule = RULES[fault.kind]
            if not rule.delay or outcome.face not in rule.faces:
                continue
            if fault.rows is not None and not fault.rows & rows:
                continue
            if fault.overlaps(outcome.began - rule.delay, outcome.ended):
                ended = outcome.ended if fault.end is None else min(fault.end, outcome.ended)
                seconds += rule.delay + max(0.0, ended - max(fault.begin, outcome.began))
        return seconds


def _by_parts(outcome: Outcome) -> bool:
    """Whether what is asked for is more than one request, of which the first may be answered."""
    if outcome.face != "mount":
        return False
    if outcome.kind in _IN_PIECES:
        return True
    return not outcome.direct or outcome.asked > _REQUEST - (_REQUEST >> 4)


def _name(code: int | None) -> str:
    return "" if code is None else errno.errorcode.get(code, str(code))
