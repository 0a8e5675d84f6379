"""How many sites a store has: on each contig, and of more than two alleles."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from biofuse.plan.columns import Column
from biofuse.plan.hints import hint_sites
from biofuse.plan.region_index import RegionIndex, StaleIndexError
from biofuse.stores import Store
from biofuse.stores.members import Members

# Chunks of a field that are read unless more is asked for, of a local store and of another.
_CHUNKS, _CHUNKS_FAR = 4096, 16
# Chunks of contigs and positions that an index of regions is held against.
_CHECKED = 3
# Variants that are read at a time, if a chunk has not more.
_SLAB = 100_000


@dataclass(frozen=True)
class SiteCounts:
    """How many sites there are.

    Attributes
    ----------
    by_contig : list of int or None
        In the store's order of contigs; None if that takes more reading than was asked for.
    many : int or None
        Of more than two alleles; None the same.
    """

    by_contig: list[int] | None
    many: int | None


def count_sites(
    group: Members,
    store: Store,
    full: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SiteCounts:
    """Count sites.

    Those of a contig are told by region_index, a table of a row a chunk. Where a store has none,
    or one that is not right, variant_contig is read; for alleles variant_allele is, unless there
    is no room for more than two.

    Parameters
    ----------
    group : Members
    store : Store
        The same store.
    full : bool
        Whether all of it is read, however much that is.
    progress : callable
        Called with what is read of the alleles, and what there is to read.

    Raises
    ------
    BiofuseError
        If a field cannot be read.
    """
    by_contig = _from_index(group, store)
    if by_contig is None and _is_allowed(group["variant_contig"], store, full):
        by_contig = _from_contigs(group, store)
    many: int | None = None
    if group["variant_allele"].shape[1] <= 2:
        many = 0
    elif _is_allowed(group["variant_allele"], store, full):
        many = _count_many(group, store, progress)
    return SiteCounts(None if by_contig is None else by_contig.tolist(), many)


def _is_allowed(array: Any, store: Store, full: bool) -> bool:
    chunks = -(-array.shape[0] // max(1, array.chunks[0]))
    return full or chunks <= (_CHUNKS_FAR if store.far else _CHUNKS)


def _slabs(array: Any) -> list[tuple[int, int]]:
    count, chunk = array.shape[0], max(1, array.chunks[0])
    step = max(1, _SLAB // chunk) * chunk
    return [(start, min(start + step, count)) for start in range(0, count, step)]


def _from_index(group: Members, store: Store) -> np.ndarray | None:
    """Sites of each contig by region_index; None if there is none, or none that is right."""
    index = RegionIndex.of(group)
    num_contigs = group["contig_id"].shape[0]
    if index is None or len(index.contig) == 0:
        return None
    if index.contig.min() < 0 or index.contig.max() >= num_contigs:
        return None
    count, chunk = group["variant_position"].shape[0], group["variant_position"].chunks[0]
    chunks = -(-count // chunk)
    contig, position = (Column(group[f"variant_{name}"], store) for name in ("contig", "position"))
    numbers = sorted({i * (chunks - 1) // (_CHECKED - 1) for i in range(_CHECKED)})
    runs = [(number * chunk, min((number + 1) * chunk, count)) for number in numbers]
    hint_sites(group, store, runs, ("variant_contig", "variant_position"))
    for start, stop in runs:
        try:
            index.check(start, stop, contig.read(start, stop), position.read(start, stop))
        except StaleIndexError:
            return None
    found: np.ndarray = np.bincount(index.contig, index.count, num_contigs).astype(np.int64)
    return found


def _from_contigs(group: Members, store: Store) -> np.ndarray:
    num_contigs = group["contig_id"].shape[0]
    column = Column(group["variant_contig"], store)
    found = np.zeros(num_contigs, dtype=np.int64)
    for start, stop in _slabs(group["variant_contig"]):
        values = column.read(start, stop)
        # What is none is told where the sites are read.
        values = values[(values >= 0) & (values < num_contigs)]
        found += np.bincount(values.astype(np.int64), minlength=num_contigs)
    return found


def _count_many(group: Members, store: Store, progress: Callable[[int, int], None]) -> int:
    array = group["variant_allele"]
    column = Column(array, store)
    found = 0
    for start, stop in _slabs(array):
        progress(start, array.shape[0])
        found += int((column.read_texts(start, stop).sizes[:, 2:] > 0).any(axis=1).sum())
    progress(array.shape[0], array.shape[0])
    return found
