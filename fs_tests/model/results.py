"""What came of a run of the model."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

_MOST_SHOWN = 3


@dataclass
class Results:
    """What came of a run.

    Attributes
    ----------
    settings : dict
        What it was to be.
    seconds : float
        Of all of it.
    episodes : int
    operations : dict of str to Counter
        By face, and kind.
    requests : int
        Reads of streamed files for which the kernel has asked the mount.
    planned, faults : Counter
        Faults by kind: that were to be, and that were.
    by_view : dict of str to Counter
        Faults that were, by view and kind.
    errors : Counter
        By face and errno: answers that are errors.
    worker_deaths : int
    slowest : float
        Seconds of the slowest answer.
    differences : list of str
    logs : list of str
        Lines of mounts whose logs have something that no fault explains.
    """

    settings: dict[str, Any]
    seconds: float = 0.0
    episodes: int = 0
    operations: dict[str, Counter[str]] = field(default_factory=dict)
    requests: int = 0
    planned: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    by_view: dict[str, Counter[str]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    worker_deaths: int = 0
    slowest: float = 0.0
    differences: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Operations of all faces."""
        return sum(counts.total() for counts in self.operations.values())

    def to_json(self) -> dict[str, Any]:
        return {
            "settings": self.settings,
            "seconds": round(self.seconds, 1),
            "episodes": self.episodes,
            "operations": self.total,
            "without_bursts": sum(
                counts.total() - counts["burst"] for counts in self.operations.values()
            ),
            "requests_answered_by_the_worker": self.requests,
            "operations_by_face_and_kind": {k: dict(v) for k, v in self.operations.items()},
            "faults": sum(self.faults.values()),
            "faults_by_kind": dict(self.faults),
            "faults_by_view_and_kind": {k: dict(v) for k, v in self.by_view.items()},
            "planned_by_kind": dict(self.planned),
            "errors_by_face_and_errno": dict(self.errors),
            "worker_deaths": self.worker_deaths,
            "slowest_answer_seconds": round(self.slowest, 2),
            "differences": len(self.differences),
            "first_differences": self._some(),
            "logs": self.logs,
        }

    def _some(self) -> list[str]:
        """Differences, some of each kind."""
        kinds: Counter[str] = Counter()
        found = []
        for text in self.differences:
            kind = text.partition(": ")[2][:24]
            kinds[kind] += 1
            if kinds[kind] <= _MOST_SHOWN:
                found.append(text)
        return found
