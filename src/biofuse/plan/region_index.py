"""A store's index of the positions in each of its chunks."""

import numpy as np

from biofuse.stores.members import Members

# Its columns: chunk of variant_position, contig, position of the first and the last variant,
# the largest end, number of variants. A row stands for variants of one contig in one chunk.
_COLUMNS = 6


class StaleIndexError(Exception):
    """The index does not tell what is in the store."""


class RegionIndex:
    """The rows of region_index.

    Attributes
    ----------
    chunk, contig : ndarray of int64, shape (rows,)
    first, last, last_end : ndarray of int64, shape (rows,)
        Positions of the first and last variant, and the largest end of any.
    count : ndarray of int64, shape (rows,)
        Variants.
    """

    def __init__(self, rows: np.ndarray):
        self.chunk, self.contig, self.first, self.last, self.last_end, self.count = rows.T
        self._stop = np.cumsum(self.count)
        self._start = self._stop - self.count

    @classmethod
    def of(cls, group: Members) -> "RegionIndex | None":
        """The index of a store; None if it has none, or one that cannot be right.

        Parameters
        ----------
        group : zarr.Group
        """
        if "region_index" not in group:
            return None
        array, positions = group["region_index"], group["variant_position"]
        if array.ndim != 2 or array.shape[1] != _COLUMNS or array.dtype.kind not in "iu":
            return None
        if array.dtype.itemsize < 4:
            # bio2zarr adds lengths to small positions in their own type, and ends are too small.
            return None
        try:
            rows = np.asarray(array[:]).astype(np.int64)
        except Exception:
            # It is a help, and no more.
            return None
        return cls(rows) if _is_plausible(rows, positions.shape[0], positions.chunks[0]) else None

    def check(self, start: int, stop: int, contig: np.ndarray, position: np.ndarray) -> None:
        """Hold the index against the variants start to stop, which are those of whole chunks.

        Raises
        ------
        StaleIndexError
            If it differs.
        """
        rows = slice(*np.searchsorted(self._start, [start, stop]))
        first, last = self._start[rows] - start, self._stop[rows] - start - 1
        if not (
            np.array_equal(contig[first], self.contig[rows])
            and np.array_equal(contig[last], self.contig[rows])
            and np.array_equal(position[first], self.first[rows])
            and np.array_equal(position[last], self.last[rows])
        ):
            raise StaleIndexError("it differs from variant_contig and variant_position")


def _is_plausible(rows: np.ndarray, num_variants: int, chunk_size: int) -> bool:
    """Whether rows tell of every variant once, in order, and positions ascend."""
    chunk, contig, first, last, last_end, count = rows.T
    num_chunks = -(-num_variants // chunk_size)
    if (count < 1).any() or (np.diff(chunk) < 0).any() or (last_end < last).any():
        return False
    if len(chunk) and not 0 <= chunk[0] <= chunk[-1] < num_chunks:
        return False
    counted = np.bincount(chunk, weights=count, minlength=num_chunks)
    expected = np.full(num_chunks, chunk_size)
    if num_chunks:
        expected[-1] = num_variants - (num_chunks - 1) * chunk_size
    if not np.array_equal(counted, expected):
        return False
    same = contig[1:] == contig[:-1]
    return bool((first <= last).all() and (first[1:] >= last[:-1])[same].all())
