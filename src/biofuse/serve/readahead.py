"""Tell runs of reads from lone ones.

The kernel reads ahead of a program in pieces that may arrive out of order, and
several programs may read one file at once. So a file has several runs, and a read
belongs to one if it begins near where that run is.
"""

from dataclasses import dataclass

_SLACK = 2 << 20
_MAX_RUNS = 16
_ANNOUNCED = 2
# A run that none of this many reads joined has ended.
_RECENT = 64


@dataclass
class Run:
    """Reads that follow one another.

    Attributes
    ----------
    position : int
        The furthest byte that was asked for.
    reads : int
        How many reads have joined.
    used : int
        When the last one did, on the detector's own clock.
    ahead : int
        The record from which on blocks were last read ahead, or -1.
    """

    position: int
    reads: int = 1
    used: int = 0
    ahead: int = -1

    @property
    def announced(self) -> bool:
        """Whether more reads are to be expected."""
        return self.reads >= _ANNOUNCED

    def continued_by(self, start: int) -> bool:
        """Whether a read that begins there belongs to the run."""
        return abs(start - self.position) <= _SLACK


class RunDetector:
    """The runs of one file.

    Attributes
    ----------
    last : Run or None
        The one that was joined last.
    """

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._clock = 0
        self.last: Run | None = None

    def observe(self, start: int, stop: int) -> Run:
        """Take note of a read of bytes start to stop; returns the run that it belongs to."""
        best = None
        for run in self._runs:
            if run.continued_by(start) and (
                best is None or abs(start - run.position) < abs(start - best.position)
            ):
                best = run
        if best is None:
            best = Run(stop, reads=0)
            if len(self._runs) == _MAX_RUNS:
                self._runs.remove(min(self._runs, key=lambda run: run.used))
            self._runs.append(best)
        self.join(best, stop)
        return best

    def join(self, run: Run, stop: int) -> None:
        """Take note of a read that belongs to a run and ends at stop."""
        self._clock += 1
        run.reads += 1
        run.position = max(run.position, stop)
        run.used = self._clock
        self.last = run

    def active(self) -> int:
        """How many announced runs reads have joined of late."""
        since = self._clock - _RECENT
        return sum(1 for run in self._runs if run.announced and run.used > since)
