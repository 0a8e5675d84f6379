"""What a store's metadata says of its fields, held against what a view can be made from.

This comes before any work that would be as large as the metadata says.
"""

import os
from math import prod
from typing import TYPE_CHECKING, Any

from biofuse.cgroup import memory_limit
from biofuse.errors import BiofuseError
from biofuse.formats.base import CALL_FIELDS
from biofuse.genotypes.array import GenotypeArray
from biofuse.memory import format_size
from biofuse.stores import Location
from biofuse.stores.members import Members

if TYPE_CHECKING:
    import zarr

# Variants are numbered in 32 bits, as in a .bgen.
_MAX_VARIANTS = (1 << 32) - 1
# Names of samples and contigs are all held in memory, which takes about 100 bytes each.
_MAX_NAMES = 1 << 24
_MAX_ALLELES = 1 << 16
_TEXT, _WHOLE = "texts", "integers"
_KINDS = {_TEXT: "OSTU", _WHOLE: "iu"}
# Dimensions and kind of the fields that views are made from.
_FIELDS = {
    "variant_position": (1, _WHOLE),
    "variant_contig": (1, _WHOLE),
    "variant_allele": (2, _TEXT),
    "variant_id": (1, _TEXT),
    "contig_id": (1, _TEXT),
    "sample_id": (1, _TEXT),
}
# Fields of which no chunk can be left out: there is no sample without a name.
_COMPLETE = ("sample_id", "contig_id")


def check_declared(location: Location, group: Members) -> None:
    """Raise `BiofuseError` if fields are not of the kind, number or size that they must be."""
    for name, (dimensions, kind) in _FIELDS.items():
        if name in group:
            _check_field(location, group[name], name, dimensions, kind)
    for name in CALL_FIELDS:
        if name in group:
            _check_count(location, f"{name} has", group[name].shape)
    if "variant_allele" in group and not 0 < group["variant_allele"].shape[1] <= _MAX_ALLELES:
        raise _damaged(
            location, f"variant_allele has room for {group['variant_allele'].shape[1]:,} alleles"
        )
    for name in ("sample_id", "contig_id"):
        if name in group and group[name].shape[0] > _MAX_NAMES:
            raise BiofuseError(
                f"{location.path} cannot be shown: {name} has {group[name].shape[0]:,} entries, "
                f"more than the {_MAX_NAMES:,} that are possible"
            )
    if location.is_local and os.path.isdir(location.path):
        for name in _COMPLETE:
            if name in group:
                _check_stored(location, group[name], name)


def check_decoding(arrays: list[GenotypeArray]) -> None:
    """Raise `BiofuseError` if there is no memory to decode a chunk that is decoded whole."""
    room = memory_limit() or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for array in arrays:
        if array.decoding_need > room:
            raise BiofuseError(
                f"{array.path}: to decode a chunk takes {format_size(array.decoding_need)}, and "
                f"there are {format_size(room)} of memory ({array.slow_reason})"
            )


def _check_field(
    location: Location, array: "zarr.Array[Any]", name: str, dimensions: int, kind: str
) -> None:
    if array.ndim != dimensions:
        raise _damaged(location, f"{name} has {array.ndim} dimensions, not {dimensions}")
    if array.dtype.kind not in _KINDS[kind]:
        raise _damaged(location, f"{name} is of type {array.dtype}, not {kind}")
    if name.startswith("variant"):
        _check_count(location, f"{name} has", array.shape)


def _check_count(location: Location, has: str, shape: tuple[int, ...]) -> None:
    if shape and shape[0] > _MAX_VARIANTS:
        raise BiofuseError(
            f"{location.path} cannot be shown: {has} {shape[0]:,} variants, more than the "
            f"{_MAX_VARIANTS:,} that are possible"
        )


def _check_stored(location: Location, array: "zarr.Array[Any]", name: str) -> None:
    """Raise `BiofuseError` if far fewer chunks are stored than the shape says."""
    sizes = array.shards or array.chunks
    declared = prod(-(-n // max(1, size)) for n, size in zip(array.shape, sizes, strict=True))
    if declared <= 1:
        return
    stored = _count_files(os.path.join(location.path, name), array.ndim + 1)
    if declared > 2 * stored + 1:
        raise _damaged(
            location, f"{name} has {declared:,} chunks by its metadata, and {stored:,} are there"
        )


def _count_files(path: str, depth: int) -> int:
    """Files in a folder and those below it."""
    count = 0
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False) and entry.name[0] not in ".z":
                    count += 1
                elif depth and entry.is_dir():
                    count += _count_files(entry.path, depth - 1)
    except OSError as error:
        raise BiofuseError(f"{path} cannot be listed: {error.strerror}") from error
    return count


def _damaged(location: Location, what: str) -> BiofuseError:
    return BiofuseError(f"{location.path} is damaged: {what}")
