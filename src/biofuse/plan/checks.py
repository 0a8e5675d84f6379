"""Whether a store can be shown."""

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
