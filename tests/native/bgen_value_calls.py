"""What a BGEN record of probabilities or dosages must hold, one call at a time and exactly."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

FILL = 0x7F800002
MISSING = 0x7F800001
# How far values may be off: a thousandth from their range, a tenth their sum from 1.
TOLERANCE = Fraction(1, 1000)
SUM_TOLERANCE = Fraction(1, 10)
# Fractions of units that are nearer than this are as good as equal.
TIE = Fraction(3, 10**9)


def floats(*values) -> np.ndarray:
    """float32, where an int is the bits of one: a NaN keeps its payload only that way."""
    out = np.zeros(len(values), dtype=np.float32)
    for i, value in enumerate(values):
        if isinstance(value, int):
            out.view(np.uint32)[i] = value
        else:
            out[i] = value
    return out


@dataclass(frozen=True)
class Call:
    """A call: its probabilities of 0, 1 and 2 copies of ALT, of 0 and 1 where haploid.

    Attributes
    ----------
    values : list of Fraction
        Empty if missing.
    """

    haploid: bool
    values: list[Fraction]

    def as_diploid(self) -> "Call":
        if not self.haploid:
            return self
        values = [self.values[0], Fraction(0), self.values[1]] if self.values else []
        return Call(False, values)


def _is_haploid(genotype: list[int]) -> bool:
    return len(genotype) == 1 or genotype[1] == -2


def gp_call(genotype: list[int], values: np.ndarray) -> Call | None:
    """A call of call_GP's values; None if they are no probabilities."""
    haploid = _is_haploid(genotype)
    third = len(values) > 2
    if not np.isnan(values[0]) and (values.view(np.uint32)[1:3] == FILL).all():
        return _of_one_genotype(haploid, float(values[0]))
    if np.isnan(values[:2]).any():
        return Call(haploid, [])
    if not third and len(genotype) == 2 and not haploid:
        return None
    if not third or values.view(np.uint32)[2] == FILL:
        haploid = True
    elif np.isnan(values[2]):
        if not haploid:
            return Call(False, [])
    elif len(genotype) == 1:
        return None
    else:
        haploid = False
    used = values[: 2 if haploid else 3]
    if not np.isfinite(used).all():
        return None
    exact = [Fraction(float(x)) for x in used]
    if any(not -TOLERANCE <= x <= 1 + TOLERANCE for x in exact):
        return None
    exact = [max(x, Fraction(0)) for x in exact]
    total = sum(exact)
    if total == 0:
        return Call(haploid, [])
    if abs(total - 1) > SUM_TOLERANCE:
        return None
    return Call(haploid, [x / total for x in exact])


def _of_one_genotype(haploid: bool, probability: float) -> Call | None:
    """A call at a site of one allele, whose one probability is that of REF."""
    if not np.isfinite(probability) or not -TOLERANCE <= probability <= 1 + TOLERANCE:
        return None
    if probability <= 0:
        return Call(haploid, [])
    if abs(probability - 1) > SUM_TOLERANCE:
        return None
    return Call(haploid, [Fraction(1), *[Fraction(0)] * (1 if haploid else 2)])


def ds_call(genotype: list[int], values: np.ndarray) -> Call | None:
    """A call of call_DS's value; None if it is no dosage."""
    haploid = _is_haploid(genotype)
    if np.isnan(values[0]):
        return Call(haploid, [])
    if not np.isfinite(values[0]):
        return None
    most = 1 if haploid else 2
    dosage = Fraction(float(values[0]))
    if not -TOLERANCE <= dosage <= most + TOLERANCE:
        return None
    dosage = min(max(dosage, Fraction(0)), Fraction(most))
    if haploid:
        return Call(True, [1 - dosage, dosage])
    return Call(False, [max(1 - dosage, 0), min(dosage, 2 - dosage), max(dosage - 1, 0)])


def check_rounded(values: list[Fraction], found: list[int], bits: int) -> None:
    """Integers must be those that the specification says, or as near where that is a tie.

    Parameters
    ----------
    values : list of Fraction
    found : list of int
        All but the last.
    """
    one = 2**bits - 1
    whole = [*found, one - sum(found)]
    scaled = [value * one for value in values]
    lost = [x - n for x, n in zip(scaled, whole, strict=True)]
    # Rounded down or up by less than one.
    assert all(n >= 0 and abs(x) < 1 + TIE for n, x in zip(whole, lost, strict=True))
    # Those rounded up have fractions no smaller than those rounded down.
    up = [(1 + x, i) for i, x in enumerate(lost) if x < 0]
    down = [(x, i) for i, x in enumerate(lost) if x >= 0]
    for larger, i in up:
        for smaller, k in down:
            assert larger > smaller - TIE
            assert larger != smaller or i < k, "of equal ones the first is rounded up"


def check_stored(stored, calls: list[Call], bits: int) -> None:
    """A parsed record must hold these calls."""
    assert not stored.phased and stored.bits == bits
    assert stored.ploidy.tolist() == [1 if call.haploid else 2 for call in calls]
    assert stored.missing.tolist() == [not call.values for call in calls]
    for call, integers in zip(calls, stored.integers.tolist(), strict=True):
        own = integers[:1] if call.haploid else integers
        if call.values:
            check_rounded(call.values, own, bits)
        else:
            assert own == [0] * len(own)
