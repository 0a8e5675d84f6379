"""What a run of the model is to be."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fs_tests.model.schedule import ONE_FAULT, STORE_FAULTS, WORKER_FAULTS
from fs_tests.model.views import QUICK, VIEWS

PLACES = tuple(STORE_FAULTS)
FACES = ("api", "mount")
# One is done before a store is mounted, a local one.
ALL_FAULTS = ("damaged", *WORKER_FAULTS, *dict.fromkeys(sum(STORE_FAULTS.values(), ())))
# Seconds. A worker has to begin in that time, which takes the longer the more there is to import
# and to ask for.
_DEADLINES = {
    "local": 4.0,
    "zip": 4.0,
    "s3": 5.0,
    "http": 5.0,
    "icechunk": 6.0,
    "s3-icechunk": 12.0,
}
# Seconds of an episode in which faults begin: so many that all kinds are drawn in a round.
_WINDOWS = {
    "local": 10.0,
    "zip": 5.0,
    "s3": 12.0,
    "http": 12.0,
    "icechunk": 10.0,
    "s3-icechunk": 14.0,
}
# And after them and the deadline of what they held up, or as much of that, of reads that nothing
# disturbs.
_QUIET, _MOST_WAITED = 2.5, 6.0
FAR = ("s3", "http", "s3-icechunk")
# One episode of a round has one of those alone, and that seldom: it costs nobody an error.
_HARMLESS = ("killed", "stopped", "slowed", "caches-dropped")
# Of a far store whose view takes long to make, how many deadlines there are.
_SLOW = 2


def kinds_of(place: str) -> tuple[str, ...]:
    """All kinds of faults that there are in a place."""
    before = ("damaged",) if place == "local" else ()
    return (*before, *WORKER_FAULTS, *STORE_FAULTS[place])


@dataclass(frozen=True)
class Settings:
    """What a run is to be.

    Attributes
    ----------
    seed : int
    place : str
    seconds : float or None
        Of episodes, without what it takes to mount and to look at what came of them. None: a
        round, in which each view has met faults of its store, and every kind of fault has been.
    faces : sequence of str
    faults : sequence of str
        Kinds of them.
    operations : int or None
        A thread's, in each episode, at most.
    timeout : float, optional
        The mount's, in seconds; what suits the place if none.
    threads : int
        Of each reader.
    readers : int
        Processes a face.
    plant : str or None
        A defect for which there is no fault, to see that it is found: oracle (one bit is other),
        chunk (one has other calls, in a frame that is right), silence (faults are not noted),
        left (a file stays where the mount had its own), or one of `plants.PLANTS`.
    slack : float
        Seconds by which this machine may be late: see `Rules`.
    """

    seed: int
    place: str = "local"
    seconds: float | None = None
    faces: Sequence[str] = FACES
    faults: Sequence[str] = ALL_FAULTS
    operations: int | None = None
    timeout: float | None = None
    threads: int = 3
    readers: int = 1
    plant: str | None = None
    slack: float = 2.0

    @property
    def deadline(self) -> float:
        return _DEADLINES[self.place] if self.timeout is None else self.timeout

    @property
    def round(self) -> int:
        """Episodes of a round: as many as there are views, or kinds of which one has but one;
        and a gentle one."""
        kinds = len(STORE_FAULTS[self.place]) if self.place in ONE_FAULT else 0
        return max(len(VIEWS), kinds) + 1

    @property
    def episodes(self) -> int:
        if self.seconds is None:
            return self.round
        return max(1, round(self.seconds / self._length))

    def window(self, number: int) -> float:
        """Seconds of an episode in which faults begin."""
        found = _WINDOWS[self.place]
        if self.seconds is not None:
            found = max(1.0, self.seconds / self.episodes - self.quiet)
        return found / 2 if self.is_gentle(number) else found

    @property
    def quiet(self) -> float:
        """Seconds of an episode after its last fault."""
        return min(self.deadline, _MOST_WAITED) + _QUIET

    @property
    def _length(self) -> float:
        return _WINDOWS[self.place] + self.quiet

    def is_gentle(self, number: int) -> bool:
        """Whether an episode has one harmless kind alone: the last of a round."""
        return number % self.round == self.round - 1

    def kinds(self, number: int) -> Collection[str]:
        """The kinds of faults of an episode."""
        if not self.is_gentle(number):
            return self.faults
        harmless = [kind for kind in _HARMLESS if kind in self.faults]
        return harmless and [harmless[(self._offset + number // self.round) % len(harmless)]]

    def view(self, number: int) -> int:
        """Of an episode, the number of its view: one that is soon made, where there is one."""
        if self.plant is not None:
            return 0
        if self.episodes == 1:
            return self._offset % QUICK
        # A gentle one has that of the one after it.
        return (self._offset + number - number // self.round) % len(VIEWS)

    def deadline_of(self, is_slow: bool) -> float:
        """The mount's deadline, of a view that is slow or not."""
        return self.deadline * (_SLOW if is_slow and self.place in FAR else 1)

    @property
    def _offset(self) -> int:
        """By which views of a place are others than those of another."""
        return self.seed + PLACES.index(self.place)

    @property
    def memory(self) -> str:
        """The mount's: little, where what is dropped is soon had again."""
        return "64MiB" if self.place in FAR else "8MiB"
