"""Fields of a store at some of its variants."""

from collections.abc import Callable
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from biofuse.errors import BiofuseError, one_line
from biofuse.formats.base import GENOTYPES
from biofuse.genotypes.array import not_stored
from biofuse.plan.columns import Column
from biofuse.plan.filters.counts import AlleleCounter, Counts
from biofuse.plan.grid import Grid
from biofuse.plan.texts import as_text
from biofuse.stores import Location, Range, Store
from biofuse.stores.members import Members

# Bytes of a field of calls that are held at a time, if a row is not larger.
_CALL_BYTES = 64 << 20
# Variants that are looked at at a time where no calls are.
_VARIANTS = 1 << 16


class Fields:
    """Reads fields of a store. What it keeps is one window of each field of variants.

    Parameters
    ----------
    location : Location
    group : Members
    store : Store
        The same store.
    samples : ndarray of int64 or None
        Kept samples; None for all.
    fails : callable
        Called with the name of a field of calls: whether chunks of it that are not stored are an
        error.
    """

    def __init__(
        self,
        location: Location,
        group: Members,
        store: Store,
        samples: np.ndarray | None,
        fails: Callable[[str], bool] = lambda name: False,
    ):
        self.location = location
        self.group = group
        self.store = store
        names = as_text(group["sample_id"][:])
        named = np.flatnonzero(np.asarray(names != ""))
        self.num_samples = len(names) if samples is None else len(samples)
        # Of a permutation of all, what is stored of all holds too.
        self.is_subset = samples is not None and not np.array_equal(np.unique(samples), named)
        self.samples = samples
        self.num_variants: int = group["variant_position"].shape[0]
        self._windows: dict[str, tuple[int, int, np.ndarray]] = {}
        self._columns: dict[str, Column] = {}
        self._fails = fails
        self._stored: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.group

    @cached_property
    def counter(self) -> AlleleCounter:
        """Counts alleles in the kept samples."""
        if GENOTYPES not in self.group:
            raise BiofuseError("the store has no call_genotype, in which alleles could be counted")
        return AlleleCounter(
            self.location, self.group, self.store, self.samples, self._fails(GENOTYPES)
        )

    def every_sample(self) -> "Fields":
        """The same fields, of all samples."""
        return Fields(self.location, self.group, self.store, None, self._fails)

    def step(self, call_fields: list[str]) -> int:
        """Variants to look at at a time if these fields of calls are read."""
        known = [name for name in call_fields if name in self.group]
        if not known:
            return max(_VARIANTS, int(self.group["variant_position"].chunks[0]))
        heights: list[int] = [self.group[name].chunks[0] for name in known]
        row = max(self.num_samples * int(np.prod(self.group[name].shape[2:])) * 8 for name in known)
        return max(1, min(max(heights), _CALL_BYTES // max(1, row)))

    def window(self, name: str, start: int, stop: int) -> np.ndarray:
        """A field of variants, from one variant to another."""
        found = self._windows.get(name)
        if found is None or not found[0] <= start <= stop <= found[1]:
            if name not in self._columns:
                self._columns[name] = Column(self.group[name], self.store)
            column = self._columns[name]
            first = start // column.chunk * column.chunk
            last = min(-(-stop // column.chunk) * column.chunk, self.num_variants)
            found = (first, last, column.read(first, last))
            self._windows[name] = found
        return found[2][start - found[0] : stop - found[0]]

    def calls(self, name: str, rows: np.ndarray) -> np.ndarray:
        """A field of calls at these variants, of the kept samples.

        A chunk of samples is decoded at a time.
        """
        array = self.group[name]
        start, stop = int(rows[0]), int(rows[-1]) + 1
        width = array.chunks[1]
        samples = np.arange(array.shape[1]) if self.samples is None else self.samples
        if self._fails(name):
            self._check_stored(array, (start, stop), samples)
        out = None
        for chunk in np.unique(samples // width):
            first = int(chunk) * width
            try:
                part = as_text(array[start:stop, first : min(first + width, array.shape[1])])
            except Exception as error:
                raise BiofuseError(f"{name} cannot be read: {one_line(error)}") from error
            if out is None:
                out = np.empty((len(rows), len(samples), *part.shape[2:]), dtype=part.dtype)
            places = np.flatnonzero(samples // width == chunk)
            out[:, places] = part[rows - start][:, samples[places] - first]
        if out is None:
            out = np.empty((len(rows), 0, *array.shape[2:]), dtype=array.dtype)
        return out

    def _check_stored(self, array: Any, rows: tuple[int, int], samples: np.ndarray) -> None:
        """Raise `BiofuseError` if a chunk of calls at these variants is not stored."""
        grid = Grid(array)
        index = [
            range(rows[0] // grid.size[0], -(-rows[1] // grid.size[0])),
            np.unique(samples // grid.size[1]).tolist(),
            *map(range, grid.counts[2:]),
        ]
        numbers = [int(np.ravel_multi_index(each, grid.counts)) for each in product(*index)]
        keys = [key for key in map(grid.key, numbers) if key not in self._stored]
        for key, piece in zip(
            keys, self.store.get_many([Range(key, 0, 1) for key in keys]), strict=True
        ):
            if piece is None:
                raise not_stored(key, array.fill_value)
        self._stored.update(keys)


class Slab:
    """Some variants, and what the store says of them.

    Parameters
    ----------
    fields : Fields
    rows : ndarray of int64
        The variants, ascending, not empty.

    Attributes
    ----------
    rows : ndarray of int64
    """

    def __init__(self, fields: Fields, rows: np.ndarray):
        self.fields = fields
        self.rows = rows
        self._known: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def field(self, name: str) -> np.ndarray:
        """A field of these variants, or of their calls."""
        if name not in self._known:
            if name.startswith("call_"):
                self._known[name] = self.fields.calls(name, self.rows)
            else:
                start, stop = int(self.rows[0]), int(self.rows[-1]) + 1
                window = self.fields.window(name, start, stop)
                self._known[name] = window[self.rows - start]
        return self._known[name]

    @property
    def num_alternatives(self) -> np.ndarray:
        """How many alternative alleles each has."""
        return np.asarray(np.asarray(self.field("variant_allele")[:, 1:] != "").sum(axis=1))

    @cached_property
    def counts(self) -> Counts:
        """Counts of alleles in the kept samples."""
        width = self.fields.group["variant_allele"].shape[1]
        return self.fields.counter.count(self.rows, width, self.num_alternatives + 1)
