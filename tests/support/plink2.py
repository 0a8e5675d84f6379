"""PLINK 2 filesets: what plink2 makes of a VCF, and what pgenlib reads in a `.pgen`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pgenlib

from support.oracles import plink2
from support.vcf import compress

# As many 16384ths as pgenlib's numbers have of an allele.
ALLELE = 16384
MISSING = -9


@dataclass(frozen=True)
class Pgen:
    """What a `.pgen` holds, (variants, samples).

    Attributes
    ----------
    calls : ndarray of int8
        Copies of ALT, -9 where missing.
    dosages : ndarray of int
        The same in 16384ths, -9 where missing.
    """

    calls: np.ndarray
    dosages: np.ndarray


def read_pgen(path: Path) -> Pgen:
    """All of a `.pgen`, by pgenlib."""
    reader = pgenlib.PgenReader(str(path).encode())
    shape = (reader.get_variant_ct(), reader.get_raw_sample_ct())
    calls, dosages = np.empty(shape, np.int8), np.empty(shape, np.float32)
    for i in range(shape[0]):
        reader.read(i, calls[i])
        reader.read_dosages(i, dosages[i])
    reader.close()
    units = np.where(dosages < 0, MISSING, np.round(dosages * ALLELE)).astype(int)
    return Pgen(calls, units)


def make_pgen(vcf: Path, out: Path, *options, dosage: str | None = None) -> Path:
    """What plink2 makes of a VCF, with the sample ID as family ID too. Returns the stem.

    bio2zarr reads the compressed VCF, whose header has lines of bcftools.
    """
    field = [] if dosage is None else [f"dosage={dosage}"]
    compressed = vcf.with_suffix(".vcf.gz")
    if not compressed.exists():
        # A second one would tell of another time.
        compress(vcf)
    plink2(
        *("--vcf", compressed, *field, "--double-id", "--allow-extra-chr"),
        *("--vcf-half-call", "missing", "--make-pgen", *options, "--out", out),
    )
    return out


def body(path: Path) -> list[str]:
    """The lines of a `.pvar` from that of the columns' names on."""
    return [line for line in path.read_text().splitlines() if not line.startswith("##")]
