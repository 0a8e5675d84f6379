"""Whether a store can be shown, and what its user should know before relying on it."""

import os
from math import prod

from biofuse.errors import BiofuseError
from biofuse.formats.base import GENOTYPES
from biofuse.plan.declared import check_declared
from biofuse.plan.fields import main_field
from biofuse.stores import Location

REQUIRED = ("variant_position", "variant_contig", "variant_allele", "contig_id", "sample_id")


def check_fields(location: Location, group) -> None:
    """Raise `BiofuseError` if a store lacks a field that every view needs."""
    main = main_field(group)
    if main is None:
        what = (
            "it has sites only, no genotypes (call_genotype)"
            if "variant_position" in group
            else "it has neither call_genotype nor variant_position"
        )
        raise BiofuseError(f"{location.path} cannot be shown: {what}")
    for name in REQUIRED:
        if name not in group:
            raise BiofuseError(f"{location.path} is not a VCF Zarr store: it has no {name}")
    check_declared(location, group)
    if main == GENOTYPES and group[main].ndim != 3:
        raise BiofuseError(
            f"{location.path} is damaged: call_genotype has {group['call_genotype'].ndim} "
            "dimensions, not variants, samples and ploidy"
        )
    if group[main].ndim not in (2, 3):
        raise BiofuseError(f"{location.path} is damaged: {main} has {group[main].ndim} dimensions")
    variants, samples = group[main].shape[:2]
    for name, size in (
        ("variant_position", variants),
        ("variant_contig", variants),
        ("variant_allele", variants),
        ("variant_id", variants),
        ("sample_id", samples),
    ):
        if name in group and group[name].shape[0] != size:
            raise BiofuseError(
                f"{location.path} is damaged: {name} has {group[name].shape[0]} entries where "
                f"{main} has {size}"
            )


def store_warnings(location: Location, group, genotypes) -> list[str]:
    """What a user should know of a store's genotypes before relying on a view of them."""
    warnings: list[str] = []
    if GENOTYPES not in group:
        return warnings
    if location.is_local and os.path.isdir(location.path):
        array = group[GENOTYPES]
        sizes = array.shards or array.chunks
        expected = prod(-(-n // size) for n, size in zip(array.shape, sizes, strict=True))
        stored = _count_chunks(os.path.join(location.path, genotypes.path))
        if stored < expected:
            shown = {0: "REF", -1: "missing"}.get(genotypes.fill, f"allele {genotypes.fill}")
            warnings.append(
                f"{expected - stored} of {expected} chunks of call_genotype are not stored and "
                f"are shown as {shown}: right if zarr left them out, wrong if a copy lost them"
            )
    return warnings


def _count_chunks(path: str) -> int:
    """Chunk files below an array's folder."""
    count = 0
    for entry in os.scandir(path):
        if os.path.isdir(entry.path):
            count += _count_chunks(entry.path)
        elif entry.name[0] not in ".z" and not entry.name.startswith("__"):
            count += 1
    return count
