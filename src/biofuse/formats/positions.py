"""The positions that a format holds."""

from biofuse.errors import BiofuseError
from biofuse.formats.base import Variants


def check_positions(variants: Variants, most: int, why: str) -> None:
    """Raise `BiofuseError` at a position that a file cannot have.

    Parameters
    ----------
    variants : Variants
    most : int
        The largest position.
    why : str
        What takes none above it.
    """
    from biofuse import native

    i = native.index_of_highest(variants.position)
    if i >= 0 and variants.position[i] > most:
        chrom, position = variants.chrom[i], variants.position[i]
        raise BiofuseError(
            f"the variant {chrom[:40]}:{position} has a position above {most}, {why}"
        )
