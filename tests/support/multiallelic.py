"""VCFs with sites of many alleles, and the same with a site for each ALT."""

import random
from pathlib import Path

from support.oracles import run

HEADER = """\
##fileformat=VCFv4.3
##FILTER=<ID=PASS,Description="All filters passed">
##FILTER=<ID=q10,Description="Quality below 10">
##INFO=<ID=AC,Number=A,Type=Integer,Description="Count">
##INFO=<ID=AD,Number=R,Type=Integer,Description="Depths">
##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency">
##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">
##INFO=<ID=NOTE,Number=A,Type=String,Description="Words">
##INFO=<ID=PG,Number=G,Type=Float,Description="Of genotypes">
##INFO=<ID=X,Number=.,Type=Integer,Description="Any number">
##contig=<ID=1,length=1000000>
##contig=<ID=2,length=1000000>
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
"""
BASES = [a + b + c for a in "ACGT" for b in ["", *"ACGT"] for c in ["", *"ACGT"]]


def write_vcf(path: Path, num_sites: int, num_samples: int, most: int = 5, seed: int = 1) -> Path:
    """Sites of 1 to `most` alleles, some with * or a symbolic one, with calls of every kind."""
    rng = random.Random(seed)
    samples = [f"s{i}" for i in range(num_samples)]
    with open(path, "w") as f:
        f.write(HEADER)
        columns = ["CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]
        f.write("#" + "\t".join([*columns, *samples]) + "\n")
        for i in range(num_sites):
            contig = "1" if i < 2 * num_sites // 3 else "2"
            count = rng.choice([1, 2, 2, 2, rng.randint(2, most), most])
            ref, *alts = rng.sample(BASES, count)
            if len(alts) > 1 and rng.random() < 0.4:
                alts[rng.randrange(len(alts))] = rng.choice(["*", "<DEL>"])
            calls = [_call(rng, count) for _ in samples]
            fixed = (contig, str(10 + 9 * i), rng.choice([".", f"rs{i}"]), ref)
            columns = (*fixed, ",".join(alts) or ".", *_rest(rng, len(alts)), "GT", *calls)
            f.write("\t".join(columns) + "\n")
    return path


def _call(rng: random.Random, count: int) -> str:
    def allele() -> str:
        return "." if rng.random() < 0.05 else str(rng.randrange(count))

    if rng.random() < 0.1:
        return allele()
    return rng.choice("/|").join((allele(), allele()))


def _rest(rng: random.Random, alts: int) -> tuple[str, str, str]:
    def numbers(count: int) -> str:
        return ",".join(str(rng.randrange(1000)) for _ in range(count))

    info = [f"DP={rng.randrange(99)}"]
    if alts:
        alleles = alts + 1
        info += [f"AC={numbers(alts)}", f"AD={numbers(alleles)}"]
        info += [f"AF={','.join(f'{rng.random():.3g}' for _ in range(alts))}"]
        info += [f"NOTE={','.join(rng.choice(['a', 'b|c', 'dd']) for _ in range(alts))}"]
        info += [f"PG={numbers(alleles * (alleles + 1) // 2)}"]
    info += [f"X={numbers(rng.randint(1, 3))}"]
    kept = [each for each in info if rng.random() < 0.7]
    filters = rng.choice([".", "PASS", "q10"])
    return rng.choice([".", "7", "30.5"]), filters, ";".join(kept) or "."


def normalised(vcf: Path) -> Path:
    """What bcftools norm makes of it: other ALTs are REF."""
    out = vcf.with_suffix(".norm.vcf")
    run("bcftools", "norm", "--no-version", "-N", "-m", "-any", "-o", out, vcf)
    return out


def with_others_missing(vcf: Path) -> Path:
    """The same with other ALTs missing, as bcftools norm --multi-overlaps . and vt have it."""
    out = vcf.with_suffix(".missing.vcf")
    calls = [line.split("\t")[9:] for line in _lines(vcf)]
    made = iter(_lines(normalised(vcf)))
    with open(out, "w") as f:
        f.writelines(f"{line}\n" for line in vcf.read_text().splitlines() if line[0] == "#")
        for line, site in zip(_lines(vcf), calls, strict=True):
            alts = line.split("\t")[4].split(",")
            for number in range(1, len(alts) + 1):
                fields = next(made).split("\t")
                assert fields[4] == alts[number - 1]
                f.write("\t".join([*fields[:9], *(_shown(call, number) for call in site)]) + "\n")
    return out


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line[0] != "#"]


def _shown(call: str, number: int) -> str:
    separator = "|" if "|" in call else "/"
    shown = {"0": "0", ".": ".", str(number): "1"}
    return separator.join(shown.get(allele, ".") for allele in call.split(separator))
