"""Whether the values of a chunk can be: what VCF and the store's other arrays allow."""

import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from biofuse import temporary
from biofuse.plan.grid import Grid

# Alleles of a site of which they are not known.
_UNKNOWN = np.iinfo(np.uint16).max
# Probabilities are rounded.
_EPSILON = 1e-3


class Values:
    """Checks values, and keeps of some what others are checked with.

    These are contigs and numbers of alleles, in files without a name, six bytes a variant.
    Arrays are to be given in the order that `FIRST` begins; chunks of one in any order, from
    any number of threads.

    Parameters
    ----------
    num_variants : int
    num_contigs : int or None
        None if it is not known.
    contig_length : ndarray or None
        By contig.
    """

    def __init__(
        self, num_variants: int, num_contigs: int | None, contig_length: np.ndarray | None
    ):
        self._num_contigs = num_contigs
        self._length = contig_length
        self._contig = _table(num_variants, np.int32, -1)
        self._alleles = _table(num_variants, np.uint16, 0)
        self._has_alleles = False
        self._lock = threading.Lock()
        # Of each chunk: its first and last variant, and their positions.
        self._ends: dict[int, tuple[int, int, int, int]] = {}
        self._rules: dict[str, Any] = {
            "contig_id": self._contig_id,
            "variant_allele": self._variant_allele,
            "variant_contig": self._variant_contig,
            "variant_position": self._variant_position,
            "variant_length": self._variant_length,
            "call_genotype": self._call_genotype,
            "call_GP": self._call_gp,
            "call_DS": self._call_ds,
            "region_index": self._region_index,
        }

    # What others are compared with.
    FIRST = ("contig_id", "variant_allele", "variant_contig")

    def check(self, grid: Grid, number: int, values: np.ndarray) -> list[str]:
        """What cannot be in a chunk: a line for each kind, with the first place."""
        rule = self._rules.get(grid.name)
        if rule is None:
            return []
        start = grid.index(number)[0] * grid.size[0] if grid.counts else 0
        return list(rule(grid, number, start, values))

    def lacks(self, grid: Grid, number: int, fill: Any) -> None:
        """Say that a chunk cannot be read, so that nothing is held against it."""
        start, stop = grid.rows(number)
        if grid.name == "variant_allele":
            self._alleles[start:stop] = _UNKNOWN
        elif grid.name == "variant_contig":
            self._contig[start:stop] = -1 if fill is None else fill

    def finish(self, name: str) -> Iterator[tuple[int, str]]:
        """What chunks of an array together show: the number of a chunk, and what is wrong."""
        if name == "variant_position":
            yield from self._joints()
        elif name == "variant_contig":
            yield from self._returns()

    def _joints(self) -> Iterator[tuple[int, str]]:
        for number in sorted(self._ends):
            following = self._ends.get(number + 1)
            if following is None:
                continue
            last, last_position = self._ends[number][2:]
            first, position = following[:2]
            if self._contig[first] == self._contig[last] >= 0 and position < last_position:
                yield number + 1, _descends(first, position, last_position)

    def _returns(self) -> Iterator[tuple[int, str]]:
        """Contigs that come back after others, by the variant at which they do."""
        seen: set[int] = set()
        current = -1
        step = 1 << 20
        for start in range(0, len(self._contig), step):
            part = np.asarray(self._contig[start : start + step])
            changes = np.flatnonzero(np.diff(part, prepend=np.int32(current)) != 0)
            for i in changes.tolist():
                contig = int(part[i])
                if contig in seen and contig >= 0:
                    yield start + i, f"has contig {contig} again after others{_at(start + i)}"
                seen.add(contig)
            current = int(part[-1])

    def _contig_id(self, grid: Grid, number: int, start: int, values: np.ndarray) -> Iterator[str]:
        empty = np.flatnonzero(np.asarray(values == ""))
        if len(empty):
            yield f"has an empty contig name (contig {start + empty[0]}, counted from 0)"

    def _variant_allele(
        self, grid: Grid, number: int, start: int, values: np.ndarray
    ) -> Iterator[str]:
        if values.ndim != 2:
            return
        column = grid.index(number)[1] * grid.size[1]
        there = np.asarray(values != "")
        if column == 0:
            empty = np.flatnonzero(~there[:, 0])
            if len(empty):
                yield f"has an empty REF{_at(start + empty[0], len(empty))}"
        width = there.shape[1]
        count = np.where(there.any(axis=1), column + width - np.argmax(there[:, ::-1], axis=1), 0)
        with self._lock:
            self._has_alleles = True
            part = self._alleles[start : start + len(values)]
            np.maximum(part, count.astype(np.uint16), out=part)

    def _variant_contig(
        self, grid: Grid, number: int, start: int, values: np.ndarray
    ) -> Iterator[str]:
        known = np.ones(len(values), dtype=bool)
        if self._num_contigs is not None:
            known = (values >= 0) & (values < self._num_contigs)
            wrong = np.flatnonzero(~known)
            if len(wrong):
                yield (
                    f"has contig {values[wrong[0]]}, and contig_id has {self._num_contigs}"
                    f"{_at(start + wrong[0], len(wrong))}"
                )
        self._contig[start : start + len(values)] = np.where(known, values, -1)

    def _variant_position(
        self, grid: Grid, number: int, start: int, values: np.ndarray
    ) -> Iterator[str]:
        if not len(values):
            return
        wrong = np.flatnonzero(values < 0)
        if len(wrong):
            yield f"has position {values[wrong[0]]}{_at(start + wrong[0], len(wrong))}"
        contig = np.asarray(self._contig[start : start + len(values)])
        same = (contig[1:] == contig[:-1]) & (contig[1:] >= 0)
        wrong = np.flatnonzero(same & (values[1:] < values[:-1]))
        if len(wrong):
            i = wrong[0]
            yield _descends(start + i + 1, values[i + 1], values[i], len(wrong))
        if self._length is not None:
            length = np.where(contig >= 0, self._length[contig.clip(0, len(self._length) - 1)], 0)
            # A telomere's position may be the length and one.
            wrong = np.flatnonzero((length > 0) & (values > length + 1))
            if len(wrong):
                i = wrong[0]
                yield (
                    f"has position {values[i]} on contig {contig[i]}, of length {length[i]}"
                    f"{_at(start + i, len(wrong))}"
                )
        last = start + len(values) - 1
        self._ends[number] = (start, int(values[0]), last, int(values[-1]))

    def _variant_length(
        self, grid: Grid, number: int, start: int, values: np.ndarray
    ) -> Iterator[str]:
        wrong = np.flatnonzero(values < 0)
        if len(wrong):
            yield f"has length {values[wrong[0]]}{_at(start + wrong[0], len(wrong))}"

    def _call_genotype(
        self, grid: Grid, number: int, start: int, values: np.ndarray
    ) -> Iterator[str]:
        if values.ndim != 3 or not values.size:
            return
        lowest = values.min(axis=(1, 2))
        wrong = np.flatnonzero(lowest < -2)
        if len(wrong):
            yield f"has allele {lowest[wrong[0]]}{_at(start + wrong[0], len(wrong))}"
        if not self._has_alleles:
            return
        highest = values.max(axis=(1, 2)).astype(np.int64)
        alleles = np.asarray(self._alleles[start : start + len(values)]).astype(np.int64)
        # A site without alleles is told of elsewhere.
        wrong = np.flatnonzero((alleles > 0) & (alleles < _UNKNOWN) & (highest >= alleles))
        if len(wrong):
            i = wrong[0]
            yield (
                f"has allele {highest[i]}, and the site has {alleles[i]} alleles"
                f"{_at(start + i, len(wrong))}"
            )

    def _call_gp(self, grid: Grid, number: int, start: int, values: np.ndarray) -> Iterator[str]:
        yield from _outside(values, 1, start)

    def _call_ds(self, grid: Grid, number: int, start: int, values: np.ndarray) -> Iterator[str]:
        # Calls of more than two alleles a sample are rare, and no dosage is negative.
        yield from _outside(values, np.inf, start)

    def _region_index(
        self, grid: Grid, number: int, start: int, values: np.ndarray
    ) -> Iterator[str]:
        if values.ndim != 2 or values.shape[1] < 4 or self._num_contigs is None:
            return
        contig, first, last = values[:, 1], values[:, 2], values[:, 3]
        wrong = np.flatnonzero((contig < 0) | (contig >= self._num_contigs) | (first > last))
        if len(wrong):
            yield f"has a region that cannot be, {values[wrong[0]].tolist()} (row {wrong[0]})"


def _outside(values: np.ndarray, most: float, start: int) -> Iterator[str]:
    if values.dtype.kind != "f" or not values.size:
        return
    axes = tuple(range(1, values.ndim))
    with np.errstate(invalid="ignore"):
        bad = ((values < -_EPSILON) | (values > most + _EPSILON)).any(axis=axes)
    wrong = np.flatnonzero(bad)
    if len(wrong):
        row = values[wrong[0]].ravel()
        value = row[(row < -_EPSILON) | (row > most + _EPSILON)][0]
        yield f"has the value {value:g}{_at(start + wrong[0], len(wrong))}"


def _descends(
    variant: int, position: int | np.integer[Any], before: int | np.integer[Any], count: int = 1
) -> str:
    return f"has position {position} after {before} on the same contig{_at(variant, count)}"


def _at(variant: int, count: int = 1) -> str:
    more = f", and {count - 1} more of its variants" if count > 1 else ""
    return f" (variant {variant} of the store, counted from 0{more})"


def _table(size: int, dtype: type[np.generic], value: int) -> np.ndarray:
    """An array in a file without a name."""
    if not size:
        return np.empty(0, dtype=dtype)
    with tempfile.TemporaryFile(prefix="biofuse-", dir=temporary.place()) as file:
        table = np.memmap(file, dtype=dtype, mode="w+", shape=(size,))
    if value:
        table[:] = value
    return table
