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
# And of the store, where that is at some distance.
STORE = (
    "store_requests",
    "store_bytes",
    "store_retries",
    "store_kept",
    "store_bytes_kept",
    "store_under_way",
    "store_delay_us",
    "store_bandwidth",
)
_MICROSECOND = 1e-6


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
        others = {*CACHES, *STORE}
        kept = {name: value for name, value in table.counters().items() if name not in others}
        return kept | asdict(self)


def caches_to_json(table: Table) -> dict[str, int]:
    """What the workers' caches have done, and what the one that is alive keeps."""
    found = table.counters()
    return {name.removeprefix("cache_"): found[name] for name in CACHES}


def requests_to_json(table: Table) -> dict[str, int | float]:
    """What the workers have asked the store for; the delay is in seconds.

    All are 0 for a local store, and for one that another backend reads.
    """
    counted = table.counters()
    found: dict[str, int | float] = {
        name.removeprefix("store_"): counted[name] for name in STORE if name != "store_delay_us"
    }
    return found | {"delay": counted["store_delay_us"] * _MICROSECOND}
