"""A field a call beside the genotype."""

import random
from pathlib import Path

_DECLARATION = '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth of a call">\n'


def add_depths(vcf: Path, out: Path, seed: int = 0) -> Path:
    """Write a VCF of genotypes again, with a random depth, 0 to 99, in every call."""
    rng = random.Random(seed)
    with open(vcf) as lines, open(out, "w") as f:
        for line in lines:
            if line.startswith("#CHROM"):
                f.write(_DECLARATION)
            if not line.startswith("#"):
                fields = line.rstrip("\n").split("\t")
                calls = [f"{call}:{rng.randrange(100)}" for call in fields[9:]]
                line = "\t".join([*fields[:8], "GT:DP", *calls]) + "\n"
            f.write(line)
    return out
