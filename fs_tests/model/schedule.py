"""Which faults there are and when: a function of a seed."""

import random
from collections.abc import Sequence
from typing import NamedTuple

# By the place of a store. Those of its processes are the mount's alone.
WORKER_FAULTS = (
    "killed",
    "killed-often",
    "stopped",
    "stuck",
    "slowed",
    "starved",
    "squeezed",
    "barred",
    "caches-dropped",
)
_FILE_FAULTS = ("missing", "truncated", "garbled", "replaced", "rewritten", "refused")
_SERVER_FAULTS = ("server-fails", "server-stalls", "server-hiccups", "server-restarted")
STORE_FAULTS: dict[str, tuple[str, ...]] = {
    "local": _FILE_FAULTS,
    "zip": ("missing", "truncated", "garbled", "replaced", "rewritten"),
    "s3": (*_SERVER_FAULTS, "object-replaced", "object-missing"),
    "http": (*_SERVER_FAULTS, "object-replaced", "object-missing"),
    "s3-icechunk": (*_SERVER_FAULTS, "committed"),
    "icechunk": ("lost", "committed"),
}
# Seconds between faults of one kind of place, on average.
WORKER_PAUSE, _STORE_PAUSE = 0.7, 1.2
# Of a store's files that are spoilt for the rest of a mount: others are to be left.
_MOST_ROWS = 4


class Planned(NamedTuple):
    """A fault that is to be.

    Attributes
    ----------
    at : float
        Seconds after the begin.
    kind : str
    seconds : float
        How long, where that is to be said.
    row, column : int
        Of a chunk.
    choice : float
        Between 0 and 1: chooses among the ways to do it.
    """

    at: float
    kind: str
    seconds: float
    row: int
    column: int
    choice: float


def worker_schedule(
    seed: int, seconds: float, timeout: float, kinds: Sequence[str], pause: float = WORKER_PAUSE
) -> list[Planned]:
    """Faults of a mount's processes, one after another, with a pause of so many seconds or so."""
    rng = random.Random(f"worker/{seed}")
    lasts = {
        "killed-often": (0.5, 2.0),
        "stopped": (0.05, 1.0),
        "stuck": (timeout, timeout),
        "slowed": (0.5, 1.5),
        "starved": (0.5, 2.0),
        "squeezed": (0.5, 2.0),
        "barred": (0.3, 2.0),
    }
    weights = [{"stuck": 1, "killed": 6}.get(kind, 3) for kind in kinds]
    found: list[Planned] = []
    at = rng.uniform(0.1, 1.0)
    while kinds and at < seconds:
        kind = rng.choices(kinds, weights)[0]
        lasting = rng.uniform(*lasts.get(kind, (0.0, 0.0)))
        found.append(Planned(at, kind, lasting, 0, 0, rng.random()))
        at += lasting + rng.expovariate(1 / pause)
    return found


def store_schedule(
    seed: int,
    place: str,
    seconds: float,
    timeout: float,
    shape: tuple[int, int],
    kinds: Sequence[str],
) -> list[Planned]:
    """Faults of a store, one after another.

    Parameters
    ----------
    seed : int
    place : str
        See `STORE_FAULTS`.
    seconds : float
    timeout : float
    shape : tuple of int and int
        Chunk rows, and chunks in each.
    kinds : sequence of str
    """
    rng = random.Random(f"store/{place}/{seed}")
    kinds = [kind for kind in STORE_FAULTS[place] if kind in kinds]
    found: list[Planned] = []
    rows: set[int] = set()
    at = rng.uniform(0.1, 1.0)
    if place == "zip":
        # One file: all that follows is of a store that is not there any more.
        at = rng.uniform(0.6, 0.9) * seconds
    while kinds and at < seconds:
        kind = rng.choice(kinds)
        lasting = {
            "server-hiccups": rng.uniform(0.1, 0.6),
            "server-restarted": rng.uniform(0.1, 0.6),
            "server-stalls": rng.uniform(0.2, 1.5 * timeout),
        }.get(kind, rng.uniform(0.2, timeout))
        row, column = rng.randrange(shape[0]), rng.randrange(shape[1])
        if place == "local" and len(rows) >= _MOST_ROWS:
            row = rng.choice(sorted(rows))
        rows.add(row)
        found.append(Planned(at, kind, lasting, row, column, rng.random()))
        at += rng.expovariate(1 / _STORE_PAUSE)
        if kind.startswith(("server", "object", "lost")):
            at += lasting
        if place == "zip":
            break
    return found
