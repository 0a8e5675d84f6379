"""Which variants are kept by what they are: types, IDs, FILTER, allele counts, expressions."""

from collections.abc import Callable, Iterator

import numpy as np

from biofuse.options import Selection
from biofuse.plan.filters.conditions import Condition, conditions
from biofuse.plan.filters.slab import Fields, Slab
from biofuse.plan.regions import collect
from biofuse.stores import Location, open_store
from biofuse.stores.members import Members

Progress = Callable[[int, int], None]


def filter_variants(
    location: Location,
    group: Members,
    selection: Selection,
    samples: np.ndarray | None,
    candidates: np.ndarray | None,
    progress: Progress = lambda done, total: None,
    fails: Callable[[str], bool] = lambda name: False,
) -> np.ndarray | None:
    """Find the variants that a selection keeps, regions and targets aside.

    Allele counts, and all else that is of samples, are those of the kept samples, as
    `bcftools view -s SAMPLES | bcftools view OPTIONS` has it.

    Parameters
    ----------
    location : Location
    group : Members
        The same store.
    selection : Selection
    samples : ndarray of int64, shape (samples,), or None
        Indices of kept samples in order; None for all.
    candidates : ndarray of uint32 or None
        Ascending indices of the variants to choose from; None for all. Chunks without any of
        these are not read.
    progress : callable
        Called with the variants looked at so far and their number.
    fails : callable
        Called with the name of a field of calls: whether chunks of it that are not stored are an
        error.

    Returns
    -------
    ndarray of uint32, or None
        Ascending indices of kept variants, perhaps in a file that is mapped; None if the
        selection has nothing to say here and there are no candidates: all are kept.

    Raises
    ------
    BiofuseError
        If an option or expression is not understood, needs what the store has not, or the
        store cannot be read.
    """
    if not selection.has_filters:
        return candidates
    fields = Fields(location, group, open_store(location), samples, fails)
    wanted = conditions(selection, fields)
    if not wanted:
        return candidates
    return collect(_kept(fields, wanted, candidates, progress))


def _kept(
    fields: Fields,
    wanted: list[Condition],
    candidates: np.ndarray | None,
    progress: Progress,
) -> Iterator[np.ndarray]:
    step = fields.step([name for each in wanted for name in each.call_fields])
    total = fields.num_variants
    for rows in _slabs(total, step, candidates):
        progress(int(rows[0]), total)
        for condition in wanted:
            if len(rows):
                rows = rows[condition.matches(Slab(fields, rows))]
        yield rows.astype(np.uint32)


def _slabs(total: int, step: int, candidates: np.ndarray | None) -> Iterator[np.ndarray]:
    """Candidates, those of `step` neighbouring variants at a time; none of these is empty."""
    if candidates is None:
        for start in range(0, total, step):
            yield np.arange(start, min(start + step, total), dtype=np.int64)
        return
    position = 0
    while position < len(candidates):
        end = (int(candidates[position]) // step + 1) * step
        # A bound of another type would have the whole array converted.
        bound = np.array(min(end, total), dtype=candidates.dtype)
        after = int(np.searchsorted(candidates, bound))
        yield candidates[position:after].astype(np.int64)
        position = after
