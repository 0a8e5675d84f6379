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


def is_fast(streamed: StreamedFile, paths: Container[str]) -> bool:
    """Whether a file is made from nothing but arrays of these paths, which the fast path reads."""
    return GENOTYPES in paths and all(name in paths for name in streamed.fields)
