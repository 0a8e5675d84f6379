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
FILE_FAULTS = ("missing", "truncated", "garbled", "replaced", "rewritten", "refused")
_SERVER_FAULTS = ("server-fails", "server-stalls", "server-hiccups", "server-restarted")
_OBJECT_FAULTS = ("object-replaced", "object-missing", "object-truncated", "object-garbled")
# What comes of an object, as it is on its way, is not what is there.
_ANSWER_FAULTS = ("answers-truncated", "answers-garbled")
# Nothing but calls is read once a view is planned.
_OTHERS = "others-spoilt"
STORE_FAULTS: dict[str, tuple[str, ...]] = {
    # A slow one is of no use: nothing makes a file of this machine slow but for who holds its
    # disk, and a pipe in its place is refused.
    "local": (*FILE_FAULTS, _OTHERS, "metadata-changed"),
    "zip": FILE_FAULTS,
    "s3": (*_SERVER_FAULTS, *_OBJECT_FAULTS, *_ANSWER_FAULTS, _OTHERS, "metadata-changed"),
    "http": (*_SERVER_FAULTS, *_OBJECT_FAULTS, *_ANSWER_FAULTS, _OTHERS, "metadata-changed"),
    "s3-icechunk": (*_SERVER_FAULTS, *_OBJECT_FAULTS[1:], *_ANSWER_FAULTS, "committed"),
    "icechunk": ("lost", "refused", "held", "committed"),
}
# Those that all of a mount is about, and which stay: the last of an episode, in a part of those
# that have so many seconds for faults.
_LAST = {"metadata-changed": 0.3}
_LONG = 5.0
# Kinds that last, and are over when the next begins.
_LASTING = ("server", "object", "answers", "others", "lost", "held")
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
        Rows of chunks, and chunks in each; see `layout.Layout`.
    kinds : sequence of str
    """
    rng = random.Random(f"store/{place}/{seed}")
    chosen = [kind for kind in STORE_FAULTS[place] if kind in kinds]
    kinds = [kind for kind in chosen if kind not in _LAST]
    found: list[Planned] = []
    rows: set[int] = set()
    at = rng.uniform(0.1, 1.0)
    if place == "zip":
        # One file: all that follows is of a store that is not there any more.
        at = rng.uniform(0.3, 0.9) * seconds
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
        if kind.startswith(_LASTING):
            at += lasting
        if place == "zip":
            break
    for kind in chosen:
        if rng.random() < _LAST.get(kind, 0.0) and seconds > _LONG:
            found.append(Planned(rng.uniform(0.7, 0.9) * seconds, kind, 0.0, 0, 0, rng.random()))
    return sorted(found)
