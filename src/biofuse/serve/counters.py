"""What a mount has done so far."""

from dataclasses import asdict, dataclass

from biofuse.table import Table

# Of the table's counters, those that tell of caches.
CACHES = (
    "cache_size",
    "plane_hits",
    "plane_misses",
    "planes_ahead",
    "chunk_hits",
    "chunk_misses",
)


@dataclass
class Counters:
    """Totals since the mount began that are not in the table.

    Attributes
    ----------
    worker_starts, worker_deaths : int
    errors : int
        Reads that were answered with an error.
    """

    worker_starts: int = 0
    worker_deaths: int = 0
    errors: int = 0

    def to_json(self, table: Table) -> dict[str, int]:
        """These, and the table's: reads, bytes and records."""
        kept = {name: value for name, value in table.counters().items() if name not in CACHES}
        return kept | asdict(self)


def caches_to_json(table: Table) -> dict[str, int]:
    """What the workers' caches have done, and what the one that is alive keeps."""
    found = table.counters()
    return {name.removeprefix("cache_"): found[name] for name in CACHES}
