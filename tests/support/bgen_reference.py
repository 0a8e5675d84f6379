"""What BGEN files must hold, worked out from arrays in the plainest way."""

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import zarr

from support.bgen import Stored, probabilities


def round_as_specified(values: Sequence[Fraction], bits: int) -> list[int]:
    """Probabilities of one sample to integers that sum to 2^bits - 1.

    Rounded down, but for as many as lack to that sum, those of the largest fractional parts;
    of parts that are equal to a billionth the first.
    """
    one = 2**bits - 1
    total = sum(values)
    scaled = [value / total * one for value in values]
    rounded = [math.floor(x) for x in scaled]
    parts = [x - n for x, n in zip(scaled, rounded, strict=True)]
    for _ in range(one - sum(rounded)):
        nearly = max(parts) - Fraction(1, 10**9)
        best = next(i for i, part in enumerate(parts) if part > nearly)
        rounded[best] += 1
        parts[best] -= 1
    return rounded


MISSING = 0x7F800001
FILL = 0x7F800002


def is_fill(values: np.ndarray) -> np.ndarray:
    """Whether float32 values are VCF Zarr's fill, one of the NaNs."""
    return np.ascontiguousarray(values).view(np.uint32) == FILL


def special(bits: int) -> np.float32:
    """The float32 of these bits."""
    return np.uint32(bits).view(np.float32)


def _is_haploid(genotypes: np.ndarray) -> np.ndarray:
    if genotypes.shape[1] == 1:
        return np.ones(len(genotypes), dtype=bool)
    return genotypes[:, 1] == -2


def _stored(names, phased, missing, haploid, integers, bits) -> Stored:
    integers = np.where(missing[:, None], 0, integers)
    integers[haploid, 1] = -1
    probs = probabilities(integers, missing, haploid, phased, bits)
    ploidy = np.where(haploid, 1, 2)
    return Stored(names, phased, ploidy, probs, -1, -1, bits, missing, integers)


def hard_calls(names, genotypes: np.ndarray, phased: bool, bits=8, as_diploid=False) -> Stored:
    """A variant of calls, (samples, ploidy)."""
    haploid = _is_haploid(genotypes)
    first = genotypes[:, 0].astype(int)
    second = np.where(haploid, first, genotypes[:, -1])
    missing = (first < 0) | (second < 0)
    if as_diploid:
        haploid = np.zeros(len(genotypes), dtype=bool)
    columns = [first == 0, second == 0] if phased else [first + second == 0, first + second == 1]
    integers = np.stack(columns, axis=1) * (2**bits - 1)
    return _stored(names, phased, missing, haploid, integers, bits)


def _from_probabilities(names, genotypes, of_sample, bits, as_diploid) -> Stored:
    """A variant from `of_sample(i, haploid)`: a sample's probabilities, [] if missing."""
    genotype_says = _is_haploid(genotypes)
    haploid = genotype_says.copy()
    missing = np.zeros(len(genotypes), dtype=bool)
    integers = np.zeros((len(genotypes), 2), dtype=int)
    for i in range(len(genotypes)):
        values = of_sample(i, bool(genotype_says[i]))
        if not values:
            missing[i] = True
            continue
        haploid[i] = len(values) == 2
        if as_diploid and haploid[i]:
            values = [values[0], Fraction(0), values[1]]
        integers[i] = round_as_specified(values, bits)[:2]
    if as_diploid:
        haploid[:] = False
    return _stored(names, False, missing, haploid, integers, bits)


def from_gp(names, genotypes, gp: np.ndarray, bits=8, as_diploid=False) -> Stored:
    """A variant of probabilities, (samples, 2 or more).

    A call has two of them, if there are no more, if the third is fill, or if it is missing and
    the genotype is haploid; otherwise three. One that is followed by fill alone is of the one
    genotype that a site without ALT has, for a call of the genotype's ploidy.
    """
    fill = is_fill(gp)

    def of_sample(i, haploid):
        if not np.isnan(gp[i, 0]) and fill[i, 1:3].all():
            return [Fraction(1), *[Fraction(0)] * (1 if haploid else 2)]
        count = 3
        if gp.shape[1] == 2 or fill[i, 2] or (haploid and np.isnan(gp[i, 2])):
            count = 2
        if np.isnan(gp[i, :count]).any():
            return []
        values = [max(Fraction(0), Fraction(float(x))) for x in gp[i, :count]]
        return values if sum(values) > 0 else []

    return _from_probabilities(names, genotypes, of_sample, bits, as_diploid)


def from_ds(names, genotypes, ds: np.ndarray, bits=8, as_diploid=False) -> Stored:
    """A variant of dosages, (samples,) or (samples, 1 or more) of which the first counts."""
    ds = ds.reshape(len(genotypes), -1)[:, 0]

    def of_sample(i, haploid):
        if math.isnan(ds[i]):
            return []
        most = 1 if haploid else 2
        dosage = min(max(Fraction(float(ds[i])), Fraction(0)), Fraction(most))
        if haploid:
            return [1 - dosage, dosage]
        below = min(dosage, 2 - dosage)
        return [max(1 - dosage, Fraction(0)), below, max(dosage - 1, Fraction(0))]

    return _from_probabilities(names, genotypes, of_sample, bits, as_diploid)


def names_of(group) -> list[tuple]:
    """Names of a store's variants: the ID is the rsid."""
    alleles = group["variant_allele"][...]
    contigs = group["contig_id"][...][group["variant_contig"][...]]
    return [
        (".", i or ".", c, int(p), (a[0], a[1] or "."))
        for i, c, p, a in zip(
            group["variant_id"][...].tolist(),
            contigs.tolist(),
            group["variant_position"][...],
            alleles.tolist(),
            strict=True,
        )
    ]


def expected(
    store: Path,
    *,
    field: str = "GT",
    bits: int = 8,
    unphased: bool = False,
    as_diploid: bool = False,
    samples=slice(None),
    variants: Sequence[int] | None = None,
) -> list[Stored]:
    """The variants of a store's `.bgen`, as zarr-python reads the store."""
    group = zarr.open_group(store, mode="r")
    names = names_of(group)
    genotypes = group["call_genotype"][...][:, samples]
    phased = np.zeros(genotypes.shape[:2], dtype=bool)
    if "call_genotype_phased" in group and not unphased:
        phased = group["call_genotype_phased"][...][:, samples]
    values = None
    if field != "GT":
        values = group[f"call_{field}"][...][:, samples]
        values = values if values.dtype == np.float32 else values.astype(np.float32)
    make = {"GP": from_gp, "DS": from_ds}.get(field)
    result = []
    for v in range(len(names)) if variants is None else variants:
        if make is None:
            is_phased = bool(phased[v].all())
            result.append(hard_calls(names[v], genotypes[v], is_phased, bits, as_diploid))
        else:
            result.append(make(names[v], genotypes[v], values[v], bits, as_diploid))
    return result


def check_stored(found: Sequence[Stored], wanted: Sequence[Stored]) -> None:
    """What a parsed file holds must be what is expected, integer by integer."""
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert a.names == b.names
        assert (a.phased, a.bits) == (b.phased, b.bits), a.names
        assert np.array_equal(a.ploidy, b.ploidy), a.names
        assert np.array_equal(a.missing, b.missing), a.names
        assert np.array_equal(a.integers, b.integers), a.names
