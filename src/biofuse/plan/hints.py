"""What of a store at some distance a plan will read, told before it is: to have it at once."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biofuse.errors import BiofuseError
from biofuse.formats.base import GENOTYPES, PHASED
from biofuse.plan.grid import Grid
from biofuse.plan.haploid import LOOKS_SLOW
from biofuse.plan.phase_chunks import ROWS_REMOTE, spread
from biofuse.stores import Store
from biofuse.stores.members import Members

# Fields of which every chunk is read for the sites of a view, in the order in which they are.
SITES = ("variant_allele", "variant_contig", "variant_position", "variant_id")
# Names, which every view needs.
_NAMES = ("contig_id", "sample_id")
# Chunks of calls that are looked at are fetched whole if they are no larger, or nobody knows.
_LARGE = 2 << 20


def hint_names(group: Members, store: Store, by_region: bool) -> None:
    """Have the names of samples and contigs fetched, and the index of regions if it is asked."""
    names = (*_NAMES, "region_index") if by_region else _NAMES
    hint(store, [key for name in names if name in group for key in _keys(group[name])])


def hint_sites(
    group: Members, store: Store, runs: Sequence[tuple[int, int]], names: Sequence[str] = SITES
) -> None:
    """Have the chunks of fields fetched that have variants of these runs.

    Parameters
    ----------
    group : Members
    store : Store
        The same store.
    runs : sequence of (int, int)
        The store's variants: the first one, and the one after the last.
    names : sequence of str
    """
    if not store.far:
        return
    found = []
    for order, name in enumerate(names):
        try:
            grid = Grid(group[name])
        except (BiofuseError, KeyError):
            # Whoever wants it will tell.
            continue
        height, columns = grid.size[0], len(grid) // max(1, grid.counts[0])
        rows = {
            row
            for start, stop in runs
            for row in range(start // height, -(-min(stop, grid.shape[0]) // height))
        }
        for row in rows:
            numbers = range(row * columns, (row + 1) * columns)
            found += [(row * height, order, grid.key(number)) for number in numbers]
    hint(store, [key for _, _, key in sorted(found)])


def hint_calls(
    group: Members,
    store: Store,
    variants: NDArray[Any] | None,
    samples: NDArray[Any] | None,
    count: int,
) -> None:
    """Have the chunks of calls fetched that notices look at.

    Parameters
    ----------
    group : Members
    store : Store
        The same store.
    variants, samples : ndarray of int or None
        The store's indices of the view's; None for all.
    count : int
        Variants of the view.
    """
    if not store.far or not count:
        return
    found: list[str] = []
    for name in (GENOTYPES, PHASED):
        if name not in group:
            continue
        array = group[name]
        if array.shards is not None or array.ndim < 2:
            continue
        grid = Grid(array)
        if name == GENOTYPES:
            records = {i * (count - 1) // max(1, LOOKS_SLOW - 1) for i in range(LOOKS_SLOW)}
            chosen = {r if variants is None else int(variants[r]) for r in records}
            rows = sorted({variant // grid.size[0] for variant in chosen})
        else:
            every: NDArray[Any] = np.arange(grid.counts[0])
            if variants is not None:
                every = np.unique(variants // grid.size[0])
            rows = spread(every.tolist())[:ROWS_REMOTE]
        columns = len(grid) // max(1, grid.counts[0])
        inner = columns // max(1, grid.counts[1])
        first = 0
        if samples is not None and len(samples):
            first = int(samples.min()) // grid.size[1]
        numbers = [row * columns + first * inner for row in rows]
        if name == GENOTYPES:
            # The first record is looked at in all samples.
            numbers += range(rows[0] * columns, (rows[0] + 1) * columns)
        found += [grid.key(number) for number in dict.fromkeys(numbers)]
    hint(store, [key for key in found if not _is_large(store, key)])


def hint(store: Store, keys: Sequence[str]) -> None:
    """Have objects of a store at some distance fetched."""
    if store.far:
        store.hint(keys)


def _is_large(store: Any, key: str) -> bool:
    pins = getattr(store, "pins", None)
    size = None if pins is None else pins.size(key)
    return size is not None and size > _LARGE


def _keys(array: Any) -> Iterator[str]:
    grid = Grid(array)
    return (grid.key(number) for number in range(len(grid)))
