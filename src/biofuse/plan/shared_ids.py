"""Which records have an ID that others at their position have, though a template made it."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np

from biofuse.plan.texts import Array, TextArray

# Bytes at an ID's end by which most are told apart.
_END = 16
# Records of a position that are kept from one batch to the next.
_MOST_HELD = 4096

# A record's position within a batch, its ID, and whether a template made that.
_Record = tuple[int, str, bool]


class SharedIds:
    """Counts such records, batch by batch.

    An ID that a template makes has contig and position in it; so others that are the same are
    those of records at its position, as of two sites with the same alleles.
    """

    def __init__(self) -> None:
        self._count = 0
        self._held: list[_Record] = []
        self._position: tuple[int, int] | None = None

    def add(self, contig: Array, position: Array, ids: TextArray, made: Array) -> None:
        """Add the records that follow.

        Parameters
        ----------
        contig, position : ndarray of int
        ids : TextArray
        made : ndarray of bool
            Which of them a template made.
        """
        count = len(ids)
        if not count:
            return
        moves = (contig[1:] != contig[:-1]) | (position[1:] != position[:-1])
        run = np.concatenate([[0], np.cumsum(moves)])
        if (int(contig[0]), int(position[0])) != self._position:
            self._release()
        first, last = run == 0, run == run[-1]
        self._hold(first, ids, made)
        if run[-1]:
            self._release()
            several = np.bincount(run)[run] > 1
            self._count_within(run, np.flatnonzero(several & ~first & ~last), ids, made)
            self._hold(last, ids, made)
        self._position = int(contig[-1]), int(position[-1])

    def count(self) -> int:
        """How many records share an ID, of all that were added."""
        self._release()
        return self._count

    def _count_within(self, run: Array, rows: Array, ids: TextArray, made: Array) -> None:
        """Count records of positions that begin and end in a batch."""
        if not len(rows):
            return
        keys = [*_ends(ids[rows]), ids.sizes[rows].astype(np.uint64), run[rows].astype(np.uint64)]
        order = np.lexsort(keys)
        same = np.logical_and.reduce([key[order][1:] == key[order][:-1] for key in keys])
        alike = np.concatenate([same, [False]]) | np.concatenate([[False], same])
        chosen = rows[order[alike]]
        self._count_equal(_records(run, chosen, ids, made))

    def _hold(self, which: Array, ids: TextArray, made: Array) -> None:
        """Keep records of one position, to which more may come."""
        rows = np.flatnonzero(which)[: _MOST_HELD - len(self._held)]
        self._held += _records(np.zeros(len(ids), np.int64), rows, ids, made)

    def _release(self) -> None:
        self._count_equal(self._held)
        self._held = []

    def _count_equal(self, records: Iterable[_Record]) -> None:
        """Count those of records whose position and ID others have."""
        found: Counter[tuple[int, str]] = Counter()
        any_made: defaultdict[tuple[int, str], bool] = defaultdict(bool)
        for place, text, is_made in records:
            found[place, text] += 1
            any_made[place, text] |= is_made
        self._count += sum(n for key, n in found.items() if n > 1 and any_made[key])


def _records(run: Array, rows: Array, ids: TextArray, made: Array) -> list[_Record]:
    texts = list(ids[rows].column())
    return list(zip(run[rows].tolist(), texts, made[rows].tolist(), strict=True))


def _ends(ids: TextArray) -> list[Array]:
    """The last bytes of IDs, as numbers."""
    back = np.arange(1, _END + 1, dtype=np.int64)
    ends = ids.starts.astype(np.int64) + ids.sizes
    places = ends[:, None] - back
    inside = back <= ids.sizes[:, None]
    data = np.frombuffer(ids.data, np.uint8)
    window = np.where(inside, data[np.where(inside, places, 0)], np.uint8(0))
    return list(np.ascontiguousarray(window, np.uint8).view(np.uint64).T)
