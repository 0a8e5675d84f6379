"""Sites of several ALTs as a site for each, as bcftools norm -m -any makes of them."""

from dataclasses import dataclass

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.plan.texts import Array, TextArray

_MOST_ALLELES = 2**16 - 1


@dataclass(frozen=True)
class Split:
    """Records of sites, one for each of their ALTs; one for a site that has none.

    Attributes
    ----------
    rows : ndarray of int
        Which of the sites each shows.
    alts : ndarray of uint16
        Which of its ALTs, from 1; 0 if it has no more than one.
    num_alleles : ndarray of uint16
        How many alleles the site has, from REF to its last ALT.
    texts : TextArray
        That ALT, empty where there is none.
    """

    rows: Array
    alts: Array
    num_alleles: Array
    texts: TextArray


def split_alts(alleles: TextArray) -> Split | None:
    """Records for each ALT.

    Parameters
    ----------
    alleles : TextArray
        Of shape (sites, alleles), REF first, empty where there are fewer.

    Returns
    -------
    Split or None
        None if no site has several ALTs.

    Raises
    ------
    BiofuseError
        If a site has more alleles than a record can tell.
    """
    there = np.asarray(alleles.sizes[:, 1:] > 0)
    counts = there.sum(axis=1)
    if not (counts > 1).any():
        return None
    there[:, 0] |= counts == 0
    rows, columns = np.nonzero(there)
    num_alleles = (there.shape[1] + 1 - there[:, ::-1].argmax(axis=1))[rows]
    if num_alleles.max() > _MOST_ALLELES:
        raise BiofuseError(
            f"a site has {num_alleles.max():,} alleles, and only sites of up to "
            f"{_MOST_ALLELES:,} can be split; --multiallelic drop leaves it out"
        )
    alts = np.where(counts[rows] > 1, columns + 1, 0).astype(np.uint16)
    return Split(rows, alts, num_alleles.astype(np.uint16), alleles[rows, columns + 1])


def columns_of(number: str, alts: Array) -> Array | None:
    """Where in a site's values those of an ALT are, of shape (records, n); None if they are all.

    Parameters
    ----------
    number : str
        What a VCF's header says: with "A", "R" and "G" values go with alleles, and those of
        diploid genotypes in a VCF's order.
    alts : ndarray of int
        The ALT of each record, from 1; 0 for a site that has no more than one.
    """
    alt = np.maximum(alts.astype(np.int64), 1)
    if number == "A":
        return np.asarray(alt[:, None] - 1)
    if number == "R":
        return np.stack([np.zeros_like(alt), alt], axis=1)
    if number == "G":
        return np.stack([np.zeros_like(alt), alt * (alt + 1) // 2, alt * (alt + 3) // 2], axis=1)
    return None
