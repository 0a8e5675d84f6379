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
    position = max(variants.position, default=0)
    if position > most:
        chrom = variants.chrom[variants.position.index(position)]
        raise BiofuseError(
            f"the variant {chrom[:40]}:{position} has a position above {most}, {why}"
        )
