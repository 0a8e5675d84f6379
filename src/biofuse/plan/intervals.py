"""Intervals of positions on contigs."""

from collections.abc import Callable, Mapping

import numpy as np

_LEAST, _MOST = -(1 << 62), 1 << 62
# An interval that has every position.
EVERYWHERE = (_LEAST, _MOST)


class Intervals:
    """Sets of positions, one a contig.

    Parameters
    ----------
    bounds : mapping of int to ndarray of int64, shape (intervals, 2)
        First and last position of each interval, by the contig's index; in any order, and
        they may overlap. One that ends before it begins has no position.
    """

    def __init__(self, bounds: Mapping[int, np.ndarray]):
        self._by_contig = {contig: _merged(each) for contig, each in bounds.items()}

    def overlap(self, contig: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Which of these ranges have a position of the sets.

        Parameters
        ----------
        contig : ndarray of int, shape (n,)
        first, last : ndarray of int64, shape (n,)

        Returns
        -------
        ndarray of bool, shape (n,)
        """

        def matches(bounds: np.ndarray, rows: np.ndarray) -> np.ndarray:
            # The first interval that does not end before.
            found = np.searchsorted(bounds[:, 1], first[rows])
            begins = np.append(bounds[:, 0], _MOST + 1)
            matching: np.ndarray = begins[found] <= last[rows]
            return matching

        return self._each(contig, matches)

    def begin_after(self, contig: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Which of these positions have one of the sets after them, on the same contig.

        Parameters
        ----------
        contig : ndarray of int, shape (n,)
        position : ndarray of int64, shape (n,)

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        return self._each(contig, lambda bounds, rows: bounds[-1, 1] > position[rows])

    def _each(
        self, contig: np.ndarray, matches: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        result = np.zeros(len(contig), dtype=bool)
        for each in np.unique(contig):
            bounds = self._by_contig.get(int(each))
            if bounds is not None and len(bounds):
                rows = np.flatnonzero(contig == each)
                result[rows] = matches(bounds, rows)
        return result


def _merged(bounds: np.ndarray) -> np.ndarray:
    """The same positions in intervals that do not overlap, ascending."""
    bounds = np.asarray(bounds, dtype=np.int64).reshape(-1, 2)
    bounds = bounds[bounds[:, 0] <= bounds[:, 1]]
    if not len(bounds):
        return bounds
    bounds = bounds[np.argsort(bounds[:, 0], kind="stable")]
    last = np.maximum.accumulate(bounds[:, 1])
    begins = np.append(True, bounds[1:, 0] > last[:-1])
    ends = np.append(np.flatnonzero(begins[1:]), len(bounds) - 1)
    return np.stack([bounds[begins, 0], last[ends]], axis=1)
