"""Which streamed files the fast path makes."""

from collections.abc import Container

from biofuse.formats.base import GENOTYPES, PHASED
from biofuse.genotypes.array import GenotypeArray
from biofuse.manifest import Plan, StreamedFile


def fast_arrays(plan: Plan) -> list[GenotypeArray]:
    """The arrays of a view that the fast path reads."""
    fields = [plan.fields[name] for name in (GENOTYPES, PHASED) if name in plan.fields]
    arrays = [GenotypeArray.from_json(value) for value in fields]
    return [array for array in arrays if array.fast]


def check_arrays(plan: Plan) -> None:
    """Raise ValueError unless the plan's arrays have the same variants and samples, as many as it.

    LookupError and TypeError too, if what it says of an array is not of one.
    """
    arrays = [GenotypeArray.from_json(value) for value in plan.fields.values()]
    if len({array.shape[:2] for array in arrays}) > 1:
        raise ValueError("the arrays of the plan have other variants or samples than each other")
    if arrays and plan.samples is None and arrays[0].shape[1] != plan.num_samples:
        raise ValueError("the plan has other samples than its arrays")


def is_fast(streamed: StreamedFile, paths: Container[str]) -> bool:
    """Whether a file is made from nothing but arrays of these paths, which the fast path reads."""
    return GENOTYPES in paths and all(name in paths for name in streamed.fields)
