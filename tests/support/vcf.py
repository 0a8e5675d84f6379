"""VCFs written by the tests: the input of every oracle, and of every store made from one."""

import random
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_HEADER = """\
##fileformat=VCFv4.3
##FILTER=<ID=PASS,Description="All filters passed">
##FILTER=<ID=q10,Description="Quality below 10">
##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">
##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=GP,Number=G,Type=Float,Description="Genotype probabilities">
##FORMAT=<ID=DS,Number=1,Type=Float,Description="Dosage">
"""


@dataclass(frozen=True)
class Site:
    """A line of a VCF; `calls` are texts of the `format`'s fields, one a sample."""

    chrom: str
    pos: int
    calls: Sequence[str]
    ref: str = "A"
    alt: str = "G"
    id: str = "."
    qual: str = "."
    filter: str = "."
    info: str = "."
    format: str = "GT"


@dataclass(frozen=True)
class Vcf:
    """Samples and sites, in order."""

    samples: Sequence[str]
    sites: Sequence[Site] = field(default_factory=list)

    def write(self, path: Path) -> Path:
        """Write the VCF as text."""
        contigs = dict.fromkeys(site.chrom for site in self.sites)
        with open(path, "w") as f:
            f.write(_HEADER)
            for contig in contigs:
                f.write(f"##contig=<ID={contig}>\n")
            columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]
            f.write("\t".join([*columns, *self.samples]) + "\n")
            for s in self.sites:
                assert len(s.calls) == len(self.samples)
                fixed = [s.chrom, str(s.pos), s.id, s.ref, s.alt, s.qual, s.filter, s.info]
                f.write("\t".join([*fixed, s.format, *s.calls]) + "\n")
        return path

    def bed(self) -> bytes:
        """The `.bed`, worked out call by call from the GT texts."""
        data = bytearray(b"\x6c\x1b\x01")
        for site in self.sites:
            data += pack([call_code(call) for call in site.calls])
        return bytes(data)


def call_code(call: str) -> int:
    """PLINK 1's two bits of a GT text; a call that is missing in part is missing."""
    alleles = call.replace("|", "/").split("/")
    if "." in alleles:
        return 1
    if len(alleles) == 1:
        alleles = alleles * 2
    return {0: 3, 1: 2, 2: 0}[sum(map(int, alleles))]


def pack(codes: Sequence[int]) -> bytes:
    """Codes of two bits, four a byte, the first in the lowest bits."""
    data = bytearray(-(-len(codes) // 4))
    for i, code in enumerate(codes):
        data[i // 4] |= code << 2 * (i % 4)
    return bytes(data)


def compress(path: Path) -> Path:
    """The VCF as `.vcf.gz` beside it, with its index: what bio2zarr reads."""
    out = path.with_suffix(".vcf.gz")
    subprocess.run(["bcftools", "view", "-Oz", "-o", out, path], check=True, capture_output=True)
    subprocess.run(["bcftools", "index", "-f", out], check=True, capture_output=True)
    return out


DIPLOID = ("0/0", "0/1", "1/1", "./.", "0|0", "0|1", "1|0", "1|1", ".|.")
HAPLOID = ("0", "1", ".")
HALF = ("0/.", "./0", "1/.", "./1", "0|.", ".|1")


def sample_names(count: int) -> list[str]:
    return [f"S{i:04d}" for i in range(count)]


def random_calls(count: int, choices: Sequence[str] = DIPLOID, seed: int = 0) -> list[str]:
    return random.Random(seed).choices(choices, k=count)


def random_vcf(
    num_samples: int,
    num_sites: int,
    choices: Sequence[str] = DIPLOID,
    chroms: Iterable[str] = ("1",),
    seed: int = 0,
) -> Vcf:
    """Random calls at sites that take turns in what else differs: IDs, alleles, fields."""
    chroms = list(chroms)
    rng = random.Random(seed)
    per_chrom = -(-num_sites // len(chroms))
    alleles = [("A", "G"), ("C", "T"), ("AT", "A"), ("G", "GCC"), ("AC", "GT"), ("T", ".")]
    sites = []
    for i in range(num_sites):
        ref, alt = alleles[rng.randrange(len(alleles))]
        allowed = choices if alt != "." else [c for c in choices if "1" not in c]
        sites.append(
            Site(
                chrom=chroms[i // per_chrom],
                pos=100 + 10 * (i % per_chrom) + rng.randrange(5),
                calls=rng.choices(allowed, k=num_samples),
                ref=ref,
                alt=alt,
                id="." if rng.random() < 0.3 else f"rs{i}",
                qual=rng.choice([".", "5", "30.5", "99"]),
                filter=rng.choice([".", "PASS", "q10"]),
                info=f"DP={rng.randrange(100)}",
            )
        )
    return Vcf(sample_names(num_samples), sites)
