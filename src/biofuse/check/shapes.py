"""Whether a store's arrays fit each other."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from biofuse.check.findings import Finding
from biofuse.formats.base import CALL_FIELDS
from biofuse.plan.checks import REQUIRED

if TYPE_CHECKING:
    import zarr

# Names of arrays, of which the second has an entry for each of the first along a dimension.
_FOLLOW = (
    ("contig_id", "contig_length", 0),
    ("filter_id", "filter_description", 0),
    ("filter_id", "variant_filter", 1),
)


def check_shapes(arrays: dict[str, Any]) -> Iterator[Finding]:
    """Findings about what arrays there are, and their shapes.

    Parameters
    ----------
    arrays : dict of str to zarr.Array
        All of the store's.
    """
    for name in REQUIRED:
        if name not in arrays:
            yield Finding("shape", name, None, "is not there, and a VCF Zarr store has it")
    if not any(name in arrays for name in CALL_FIELDS):
        yield Finding(
            "shape", "", None, "has sites only, and no genotypes (call_genotype)", note=True
        )
    for name in ("variant_position", "variant_contig"):
        if name in arrays and arrays[name].dtype.kind not in "iu":
            yield Finding("shape", name, None, f"is of type {arrays[name].dtype}, not integers")
    variants = _length(arrays, "variant_position", 0)
    samples = _length(arrays, "sample_id", 0)
    for name, array in arrays.items():
        if name.startswith(("variant_", "call_")) and not _fits(array, 0, variants):
            text = f"is of shape {array.shape}, and the store has {variants} variants"
            yield Finding("shape", name, None, text)
        if name.startswith("call_") and not _fits(array, 1, samples):
            text = f"is of shape {array.shape}, and the store has {samples} samples"
            yield Finding("shape", name, None, text)
    for first, second, axis in _FOLLOW:
        count = _length(arrays, first, 0)
        if second in arrays and not _fits(arrays[second], axis, count):
            text = f"is of shape {arrays[second].shape}, and {first} has {count} entries"
            yield Finding("shape", second, None, text)


def _length(arrays: dict[str, Any], name: str, axis: int) -> int | None:
    array = arrays.get(name)
    return None if array is None or array.ndim <= axis else int(array.shape[axis])


def _fits(array: "zarr.Array[Any]", axis: int, count: int | None) -> bool:
    return count is None or (array.ndim > axis and array.shape[axis] == count)
