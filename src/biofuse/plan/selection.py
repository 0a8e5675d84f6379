"""Which samples and variants a view has."""

from collections.abc import Callable, Sequence

import numpy as np

from biofuse.errors import BiofuseError, one_line
from biofuse.options import Selection
from biofuse.plan.columns import read_field
from biofuse.plan.samples import NO_SAMPLES, select_samples
from biofuse.stores import Location, Store
from biofuse.stores.members import Members

# Kept variants nearer than this are of one run.
_GAP = 64

__all__ = ["NO_SAMPLES", "Resolved", "read_field", "resolve"]


class Resolved:
    """A selection, resolved against a store.

    Attributes
    ----------
    samples : ndarray of int64 or None
        Indices of kept samples in output order; None for all in order.
    names : list of str
        IDs of the kept samples.
    warnings : list of str
        What the user should know.
    """

    def __init__(
        self,
        samples: np.ndarray | None,
        variants: np.ndarray | None,
        warnings: Sequence[str] = (),
        names: Sequence[str] = (),
    ):
        self.samples = samples
        self.names = list(names)
        self.warnings = list(warnings)
        self._variants = variants

    @property
    def variants(self) -> np.ndarray | None:
        """Indices of kept variants, ascending; None for all."""
        return self._variants

    def runs(self) -> list[tuple[int, int]]:
        """The kept variants as runs: the first one, and the one after the last."""
        if self._variants is None:
            return [(0, 1 << 62)]
        ends = np.flatnonzero(np.diff(self._variants) > _GAP)
        first = self._variants[np.append(0, ends + 1)] if len(self._variants) else ()
        last = self._variants[np.append(ends, len(self._variants) - 1)] if len(first) else ()
        return [(int(a), int(b) + 1) for a, b in zip(first, last, strict=True)]

    def next_kept(self, start: int, num_variants: int) -> int:
        """The first kept variant that is not before this one; their number if there is none."""
        if self._variants is None:
            return min(start, num_variants)
        i = int(np.searchsorted(self._variants, self._variants.dtype.type(start)))
        return int(self._variants[i]) if i < len(self._variants) else num_variants

    def kept(self, start: int, stop: int) -> np.ndarray:
        """Indices of kept variants within [start, stop), relative to start, ascending."""
        if self._variants is None:
            return np.arange(stop - start)
        # Bounds of another type would have the whole array converted.
        bounds = np.array([start, stop], dtype=self._variants.dtype)
        first, last = np.searchsorted(self._variants, bounds)
        return self._variants[first:last] - start


def resolve(
    location: Location,
    group: Members,
    store: Store,
    selection: Selection,
    progress: Callable[[int, int], None] = lambda done, total: None,
    fails: Callable[[str], bool] = lambda name: False,
) -> Resolved:
    """Resolve a selection.

    Parameters
    ----------
    location : Location
    group : zarr.Group
        The same store.
    store : Store
        The same.
    selection : Selection
    progress : callable
        Called with the variants looked at so far and their number.
    fails : callable
        Called with the name of a field of calls: whether chunks of it that are not stored are an
        error.

    Raises
    ------
    BiofuseError
        If an option cannot be understood or names what is not there.
    """
    sample_id = read_field(group, "sample_id")
    samples, warnings = select_samples(sample_id, selection)
    names = (sample_id if samples is None else sample_id[samples]).tolist()
    if selection.is_everything:
        return Resolved(samples, None, names=names)
    # A twentieth of the start of a process that needs neither.
    from biofuse.plan.filters import filter_variants
    from biofuse.plan.regions import select_regions

    candidates, more = select_regions(group, store, selection, progress)
    warnings += more
    try:
        variants = filter_variants(location, group, selection, samples, candidates, progress, fails)
    except BiofuseError:
        raise
    except Exception as error:
        raise BiofuseError(f"the selection cannot be made: {one_line(error)[:300]}") from error
    return Resolved(samples, variants, list(dict.fromkeys(warnings)), names)
