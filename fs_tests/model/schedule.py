"""Which faults there are and when: a function of a seed."""

import random
from collections.abc import Collection, Sequence
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
# Those that all of a mount is about, and which stay: the last of every third episode that has so
# many seconds for faults.
_LAST = ("metadata-changed",)
_LONG, _LAST_EVERY = 5.0, 3
# Kinds that last, and are over when the next begins.
_LASTING = ("server", "object", "answers", "others", "lost", "held")
# Seconds between faults of one kind of place, on average.
WORKER_PAUSE, _STORE_PAUSE = 0.7, 1.2
# How many of those that last are short, and for how many seconds at most: a store has many.
_SHORT, _SHORT_SECONDS = 0.6, 2.0
# Of a store's files that are spoilt for the rest of a mount: others are to be left.
_MOST_ROWS = 4
# One file: all that follows is of a store that is not there any more.
ONE_FAULT = ("zip",)


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


class Deck:
    """Kinds of faults, one after another at random: each once before any comes again.

    It is drawn from in one episode after another of a place.

    Parameters
    ----------
    kinds : sequence of str
    name : str
        What the order is a function of.
    """

    def __init__(self, kinds: Sequence[str], name: str):
        self._kinds = kinds
        self._rng = random.Random(f"deck/{name}")
        self._left: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def draw(self) -> str:
        """The next kind."""
        if not self._left:
            self._left = self._rng.sample(self._kinds, len(self._kinds))
        return self._left.pop()


def worker_deck(seed: int, place: str, kinds: Collection[str]) -> Deck:
    """Of those kinds that are of a mount's processes."""
    return Deck([kind for kind in WORKER_FAULTS if kind in kinds], f"worker/{place}/{seed}")


def store_deck(seed: int, place: str, kinds: Collection[str]) -> Deck:
    """Of those kinds that are of a store there and leave the rest of it."""
    mixed = [kind for kind in STORE_FAULTS[place] if kind in kinds and kind not in _LAST]
    return Deck(mixed, f"store/{place}/{seed}")


def worker_schedule(
    seed: int, seconds: float, timeout: float, deck: Deck, pause: float = WORKER_PAUSE
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
    found: list[Planned] = []
    at = rng.uniform(0.1, 1.0)
    while deck and at < seconds:
        kind = deck.draw()
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
    deck: Deck,
    kinds: Collection[str] = (),
    number: int = 0,
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
    deck : Deck
        See `store_deck`.
    kinds : collection of str
        Of which those may be, too, that all of a mount is about.
    number : int
        Of the episode.
    """
    rng = random.Random(f"store/{place}/{seed}")
    found: list[Planned] = []
    rows: set[int] = set()
    at = rng.uniform(0.1, 1.0)
    if place in ONE_FAULT:
        at = rng.uniform(0.3, 0.9) * seconds
    while deck and at < seconds:
        kind = deck.draw()
        lasting = _lasting(rng, kind, timeout, seconds)
        row, column = rng.randrange(shape[0]), rng.randrange(shape[1])
        if place == "local" and len(rows) >= _MOST_ROWS:
            row = rng.choice(sorted(rows))
        rows.add(row)
        found.append(Planned(at, kind, lasting, row, column, rng.random()))
        at += rng.expovariate(1 / _STORE_PAUSE)
        if kind.startswith(_LASTING):
            at += lasting
        if place in ONE_FAULT:
            break
    if seconds > _LONG and number % _LAST_EVERY == 1:
        found += [
            Planned(rng.uniform(0.7, 0.9) * seconds, kind, 0.0, 0, 0, rng.random())
            for kind in STORE_FAULTS[place]
            if kind in kinds and kind in _LAST
        ]
    return sorted(found)


def _lasting(rng: random.Random, kind: str, timeout: float, most: float) -> float:
    """Seconds for which a fault of a store lasts: many pass soon, some outlast a deadline."""
    if kind in ("server-hiccups", "server-restarted"):
        return rng.uniform(0.1, 0.6)
    most = min(most, 1.5 * timeout if kind == "server-stalls" else timeout)
    return rng.uniform(0.2, min(most, _SHORT_SECONDS) if rng.random() < _SHORT else most)
