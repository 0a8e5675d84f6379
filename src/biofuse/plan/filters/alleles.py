"""Types and lengths of alternative alleles, as htslib tells them."""

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
def _classify(ref: str, alt: str) -> tuple[int, int]:
    """Kind of an allele, and by how much it is longer than the reference if it is an indel."""
    if alt == "*":
        return Kind.OVERLAP, 0
    if len(ref) == 1 and len(alt) == 1:
        return (Kind.NONE, 0) if alt in (".", "X", ref) else (Kind.SNP, 0)
    if alt[0] == "<":
        return (Kind.NONE if alt in _REFERENCE_LIKE else Kind.OTHER), 0
    if alt[0] in "[]":
        return Kind.BND, 0
    upper_ref, upper_alt = ref.upper(), alt.upper()
    same = 0
    while same < min(len(ref), len(alt)) and upper_ref[same] == upper_alt[same]:
        same += 1
    left_ref, left_alt = upper_ref[same:], upper_alt[same:]
    if not left_ref and not left_alt:
        return Kind.NONE, 0
    if not left_ref and left_alt[0] in "[]":
        return Kind.BND, 0
    if not left_ref or not left_alt:
        return Kind.INDEL, len(left_alt) - len(left_ref)
    # What is the same at the end, but for one base that stays of each.
    while len(left_ref) > 1 and len(left_alt) > 1 and left_ref[-1] == left_alt[-1]:
        left_ref, left_alt = left_ref[:-1], left_alt[:-1]
    if len(left_ref) == len(left_alt):
        if len(left_ref) > 1:
            return Kind.MNP, 0
        return (Kind.BND if left_alt in "[]" else Kind.SNP), 0
    if min(len(left_ref), len(left_alt)) == 1 and left_ref[-1] == left_alt[-1]:
        return Kind.INDEL, len(left_alt) - len(left_ref)
    return Kind.OTHER, 0


def classify(alleles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kinds and lengths of the alternative alleles of sites.

    Parameters
    ----------
    alleles : ndarray of str, shape (sites, alleles)
        The reference first; "" where a site has no more.

    Returns
    -------
    kinds : ndarray of uint8, shape (sites, alleles - 1)
        Values of `Kind`.
    lengths : ndarray of int64, shape (sites, alleles - 1)
        How many bases an indel is longer (shorter: negative) than the reference, else 0.
    """
    shape = (alleles.shape[0], max(0, alleles.shape[1] - 1))
    kinds = np.zeros(shape, dtype=np.uint8)
    lengths = np.zeros(shape, dtype=np.int64)
    refs = alleles[:, 0].tolist()
    for column in range(shape[1]):
        alts = alleles[:, column + 1].tolist()
        found = [
            _classify(ref, alt) if alt else (0, 0) for ref, alt in zip(refs, alts, strict=True)
        ]
        if found:
            kinds[:, column], lengths[:, column] = zip(*found, strict=True)
    return kinds, lengths
