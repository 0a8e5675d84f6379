"""Types of alternative alleles, as htslib tells them."""

from enum import IntFlag
from functools import lru_cache

import numpy as np


class Kind(IntFlag):
    """The type of an alternative allele; what is none of these equals the reference."""

    NONE = 0
    SNP = 1
    INDEL = 2
    MNP = 4
    OTHER = 8
    BND = 16
    OVERLAP = 32


_REFERENCE_LIKE = {"<*>", "<X>", "<NON_REF>"}


@lru_cache(maxsize=1 << 16)
def _classify(ref: str, alt: str) -> int:
    """The `Kind` of an allele."""
    if alt == "*":
        return Kind.OVERLAP
    if len(ref) == 1 and len(alt) == 1:
        return Kind.NONE if alt in (".", "X", ref) else Kind.SNP
    if alt[0] == "<":
        return Kind.NONE if alt in _REFERENCE_LIKE else Kind.OTHER
    if alt[0] in "[]":
        return Kind.BND
    left_ref, left_alt = ref.upper(), alt.upper()
    while left_ref and left_alt and left_ref[0] == left_alt[0]:
        left_ref, left_alt = left_ref[1:], left_alt[1:]
    if not left_ref and not left_alt:
        return Kind.NONE
    if not left_ref and left_alt[0] in "[]":
        return Kind.BND
    if not left_ref or not left_alt:
        return Kind.INDEL
    # What is the same at the end, but for one base that stays of each.
    while len(left_ref) > 1 and len(left_alt) > 1 and left_ref[-1] == left_alt[-1]:
        left_ref, left_alt = left_ref[:-1], left_alt[:-1]
    if len(left_ref) == len(left_alt):
        if len(left_ref) > 1:
            return Kind.MNP
        return Kind.BND if left_alt in "[]" else Kind.SNP
    shorter = min(len(left_ref), len(left_alt))
    return Kind.INDEL if shorter == 1 and left_ref[-1] == left_alt[-1] else Kind.OTHER


def classify(alleles: np.ndarray) -> np.ndarray:
    """Kinds of the alternative alleles of sites.

    Parameters
    ----------
    alleles : ndarray of str, shape (sites, alleles)
        The reference first; "" where a site has no more.

    Returns
    -------
    ndarray of uint8, shape (sites, alleles - 1)
        Values of `Kind`.
    """
    kinds = np.zeros((alleles.shape[0], max(0, alleles.shape[1] - 1)), dtype=np.uint8)
    refs = alleles[:, 0].tolist()
    for column in range(kinds.shape[1]):
        alts = alleles[:, column + 1].tolist()
        kinds[:, column] = [
            _classify(ref, alt) if alt else 0 for ref, alt in zip(refs, alts, strict=True)
        ]
    return kinds
