"""Counts of alleles in the kept samples: what the store says of them, else what calls say."""

from dataclasses import dataclass

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.plan.filters.slab import Slab


@dataclass(frozen=True)
class Frequencies:
    """Allele counts of variants.

    Attributes
    ----------
    counts : ndarray of int64, shape (variants, alleles)
        The reference first; 0 where a variant has no such allele.
    present : ndarray of bool, shape (variants, alleles)
        Which alleles a variant has.
    """

    counts: np.ndarray
    present: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """Alleles that are not missing: AN."""
        return np.asarray(self.counts.sum(axis=1))


def frequencies(slab: Slab) -> Frequencies:
    """Allele counts as bcftools finds them.

    INFO/AC and INFO/AN decide where a site has both, as they hold for all samples; of a
    subset, and elsewhere, calls are counted.

    Raises
    ------
    BiofuseError
        If AC is more than AN, or calls are needed and cannot be read.
    """
    width = slab.fields.group["variant_allele"].shape[1]
    present = np.arange(width) <= slab.num_alternatives[:, np.newaxis]
    stored = _stored(slab, present)
    if stored is None:
        return Frequencies(slab.counts.alleles, present)
    counts, known = stored
    if not known.all():
        counts[~known] = Slab(slab.fields, slab.rows[~known]).counts.alleles
    return Frequencies(counts, present)


def _stored(slab: Slab, present: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Counts by INFO/AC and INFO/AN, and where a site has both; None if the store has not."""
    fields = slab.fields
    if fields.is_subset or "variant_AC" not in fields or "variant_AN" not in fields:
        return None
    total = np.asarray(slab.field("variant_AN"), dtype=np.int64)
    found = np.asarray(slab.field("variant_AC"), dtype=np.int64).reshape(len(slab), -1)
    counts = np.zeros(present.shape, dtype=np.int64)
    width = min(found.shape[1], present.shape[1] - 1)
    counts[:, 1 : 1 + width] = np.where(present[:, 1 : 1 + width], found[:, :width], 0)
    known = (total >= 0) & present[:, 1] & (counts >= 0).all(axis=1) if width else total < -9
    counts[:, 0] = total - counts[:, 1:].sum(axis=1)
    wrong = np.flatnonzero(known & (counts[:, 0] < 0))
    if len(wrong):
        raise BiofuseError(
            f"INFO/AC is more than INFO/AN, at variant {slab.rows[wrong[0]]} of the store, "
            "counted from 0"
        )
    counts[~known] = 0
    return counts, known
