"""What a mount has done so far."""

import operator
from dataclasses import asdict, astuple, dataclass, replace

from biofuse.protocol import CacheUse


@dataclass
class Counters:
    """Totals since the mount began.

    Attributes
    ----------
    reads, bytes_served : int
        Of streamed files, as the kernel asked for them.
    hits : int
        Blocks that were in the window when a read came.
    waits : int
        Blocks that a read had to wait for.
    blocks_encoded, bytes_encoded : int
    worker_starts, worker_deaths : int
    errors : int
        Reads that were answered with an error.
    """

    reads: int = 0
    bytes_served: int = 0
    hits: int = 0
    waits: int = 0
    blocks_encoded: int = 0
    bytes_encoded: int = 0
    worker_starts: int = 0
    worker_deaths: int = 0
    errors: int = 0

    def to_json(self) -> dict[str, int]:
        return asdict(self)


class CacheTotals:
    """What the caches of all of a mount's workers have done; each counts for itself."""

    def __init__(self) -> None:
        self._before = CacheUse()
        self._now = CacheUse()

    def note(self, use: CacheUse) -> None:
        """Take what the worker says; replies of its threads may come in any order."""
        self._now = replace(_combine(max, self._now, use), size=use.size)

    def end_worker(self) -> None:
        """The worker has ended, and its caches with it."""
        self._before = replace(_combine(operator.add, self._before, self._now), size=0)
        self._now = CacheUse()

    def to_json(self) -> dict[str, int]:
        return asdict(replace(_combine(operator.add, self._before, self._now), size=self._now.size))


def _combine(function, one: CacheUse, other: CacheUse) -> CacheUse:
    return CacheUse(*map(function, astuple(one), astuple(other)))
