"""The fields of calls that a view is made from."""

from biofuse.errors import BiofuseError
from biofuse.formats.base import CALL_FIELDS, GENOTYPES, PHASED
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.describe import CALLS, VALUES, describe

# Of these one must be there, the first that is says how many variants and samples there are.
_MAIN_FIELDS = tuple(name for name in CALL_FIELDS if name != PHASED)


def main_field(group) -> str | None:
    """The field of calls that tells a store's shape, or None if it has none."""
    return next((name for name in _MAIN_FIELDS if name in group), None)


def call_shapes(group) -> dict[str, tuple[int, ...]]:
    """The fields of calls that a store has, and their shapes."""
    return {name: group[name].shape for name in CALL_FIELDS if name in group}


def describe_field(group, name: str) -> GenotypeArray:
    """Describe one of `CALL_FIELDS`.

    Where a store has probabilities or dosages but no genotypes, those are described as an
    array of which no chunk is stored: calls of the ploidy that the values have room for.

    Raises
    ------
    BiofuseError
        If it is of another kind or shape than calls of this store are.
    """
    main = main_field(group)
    assert main is not None
    if name == GENOTYPES and main != GENOTYPES:
        return _without_chunks(describe(group[main], VALUES))
    array = group[name]
    if array.shape[:2] != group[main].shape[:2]:
        raise BiofuseError(
            f"{name} is of shape {array.shape} where {main} has "
            f"{group[main].shape[0]} variants and {group[main].shape[1]} samples"
        )
    return describe(array, CALLS if name in (GENOTYPES, PHASED) else VALUES)


def _without_chunks(values: GenotypeArray) -> GenotypeArray:
    # Two probabilities are those of a haploid call; how many dosages there are does not tell.
    ploidy = 1 if values.path == "call_GP" and values.shape[2] == 2 else 2
    return GenotypeArray(
        path=GENOTYPES,
        shape=(*values.shape[:2], ploidy),
        chunks=(*values.chunks[:2], ploidy),
        prefix=f"{GENOTYPES}/",
        separator=".",
        tail=".0",
        fill=0,
        slow_reason=None,
        sharded=False,
        codec="none",
        item_size=1,
    )
