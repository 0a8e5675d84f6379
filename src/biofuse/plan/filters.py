"""Which variants expressions, types and numbers of alleles keep."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace

import numpy as np

from biofuse.options import Selection
from biofuse.plan.regions import collect
from biofuse.stores import Location

# What vcztools is asked for.
_FIELDS = ("include", "exclude", "types", "exclude_types", "min_alleles", "max_alleles")


def filter_variants(
    location: Location,
    group,
    selection: Selection,
    samples: np.ndarray | None,
    candidates: np.ndarray | None,
    progress: Callable[[int, int], None],
) -> np.ndarray | None:
    """Indices of those candidates that the selection's filters keep; None for all variants.

    Parameters
    ----------
    location : Location
    group : zarr.Group
        The same store.
    selection : Selection
    samples : ndarray of int64 or None
        Kept samples; None for all.
    candidates : ndarray of uint32 or None
        Ascending; None for all variants.
    progress : callable
        Called with the variants looked at so far and their number.
    """
    if all(getattr(selection, name) is None for name in _FIELDS):
        return candidates
    with _open_reader(location, selection, samples, candidates) as reader:
        if selection.exclude is None or reader.variant_filter.scope == "variant":
            return collect(_variant_indices(reader, progress))
    # A site goes if any sample matches; vcztools itself would want all of them to.
    without = replace(selection, exclude=None)
    rest = candidates
    if any(getattr(without, name) is not None for name in _FIELDS):
        with _open_reader(location, without, samples, candidates) as reader:
            rest = collect(_variant_indices(reader, progress))
    if rest is None:
        rest = np.arange(group["variant_position"].shape[0], dtype=np.uint32)
    with _open_reader(
        location, replace(without, include=selection.exclude), samples, candidates
    ) as reader:
        matching = collect(_variant_indices(reader, progress))
    return np.setdiff1d(rest, matching, assume_unique=True)


def _open_reader(
    location: Location,
    selection: Selection,
    samples: np.ndarray | None,
    candidates: np.ndarray | None,
):
    """A vcztools reader with this selection."""
    import vcztools

    values = asdict(selection)
    options = vcztools.ViewPlinkOptions.from_click_kwargs(
        {
            **{name: values[name] if name in _FIELDS else None for name in values},
            "backend_storage": location.backend,
            "storage_options": tuple(f"{k}={json.dumps(v)}" for k, v in location.options.items()),
        }
    )
    reader = options.make_reader(location.path)
    if samples is not None:
        reader.set_sample_indexes(samples)
    if candidates is not None:
        reader.set_variants(candidates)
    return reader


def _variant_indices(reader, progress: Callable[[int, int], None]) -> Iterator[np.ndarray]:
    for chunk in reader.variant_chunks(fields=["variant_index"]):
        index = chunk["variant_index"].astype(np.uint32)
        if len(index):
            progress(int(index[-1]), reader.num_variants)
        yield index
