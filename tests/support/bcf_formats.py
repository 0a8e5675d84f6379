"""VCFs that have every kind of FORMAT, and what a VCF's text says of them."""

import math
import random
import re
from pathlib import Path

import numpy as np
import zarr

from support import bcf
from support.oracles import run

# By key: Number, Type, and what a header may say of it.
FORMATS = {
    "DP": ("1", "Integer", "Depth, 100%"),
    "GQ": ("1", "Integer", r"A \"quality\", Phred"),
    "BIG": ("1", "Integer", "Of 32 bits"),
    "AD": ("R", "Integer", "Depths of alleles"),
    "EC": ("A", "Integer", "Counts of ALT"),
    "PL": ("G", "Integer", "Likelihoods"),
    "I3": ("3", "Integer", "Three"),
    "IN": (".", "Integer", "Some"),
    "F1": ("1", "Float", "A float"),
    "AF": ("A", "Float", "Floats of ALT"),
    "GL": ("G", "Float", "Floats of genotypes"),
    "FN": (".", "Float", "Floats"),
    "FT": ("1", "String", "A filter"),
    "SN": (".", "String", "Texts"),
    "C1": ("1", "Character", "A letter"),
    "LAA": (".", "Integer", "Local alleles"),
}
# Some have the name of a field of INFO too.
assert set(FORMATS) & set(bcf.INFO)


def _one(kind: str, rng: random.Random) -> str:
    if kind == "Integer":
        # -1 and -2 are what a store has for missing integers.
        return str(rng.choice([0, 1, 7, 127, -3, -120, -121, -128]))
    if kind == "Float":
        return rng.choice(["0", "1.5", "-0.25", "1e-10", "3.40282e+38", "0.333333"])
    if kind == "Character":
        return rng.choice("ACGT")
    return rng.choice(["a", "PASS", "b c", "x" * 14, "y" * 15, "LowQual;q10", "1|2"])


def _value(key: str, alleles: int, ploidy: int, rng: random.Random) -> str:
    number, kind, _ = FORMATS[key]
    if rng.random() < 0.3:
        return "."
    if key == "BIG":
        return str(rng.choice([2**31 - 1, -(2**31) + 8, 10**9, 70_000]))
    if key == "GQ":
        return str(rng.choice([0, 99, 32767, -32760, -32761, 20_000]))
    counts = {
        "A": alleles - 1,
        "R": alleles,
        "G": math.comb(alleles + ploidy - 1, ploidy),
        ".": rng.randrange(1, 17),
    }
    count = counts[number] if number in counts else int(number)
    values = [_one(kind, rng) for _ in range(count)]
    if count > 1 and rng.random() < 0.4:
        values[rng.randrange(count)] = "."
    return ",".join(values) or "."


def write_vcf(
    path: Path,
    num_samples: int,
    num_sites: int,
    calls: bcf.Calls = bcf.DIPLOID,
    most_alleles: int = 4,
    seed: int = 0,
    ploidy: int = 2,
) -> Path:
    """A VCF as that of `bcf.write_vcf`, whose sites take turns in what they have of FORMAT."""
    bcf.write_vcf(path, num_samples, num_sites, calls, most_alleles, seed)
    rng = random.Random(seed)
    lines = []
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            if line.startswith("#CHROM"):
                lines += [
                    f'##FORMAT=<ID={key},Number={number},Type={kind},Description="{text}">'
                    for key, (number, kind, text) in FORMATS.items()
                ]
            lines.append(line)
            continue
        fields = line.split("\t")
        alleles = 1 if fields[4] == "." else 1 + fields[4].count(",") + 1
        keys = [key for key in FORMATS if rng.random() < 0.8]
        keys = [key for key in keys if not (FORMATS[key][0] == "A" and alleles == 1)]
        rng.shuffle(keys)
        fields[8] = ":".join(["GT", *keys])
        for i in range(9, len(fields)):
            values = [fields[i], *(_value(key, alleles, ploidy, rng) for key in keys)]
            # Those at the end may be left out.
            while len(values) > 1 and values[-1] == "." and rng.random() < 0.5:
                values.pop()
            fields[i] = ":".join(values)
        lines.append("\t".join(fields))
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def calls_of(path: Path, *options: str) -> list[tuple[str, list[dict[str, str]]]]:
    """Each site, and what of FORMAT its samples have that is not missing, as bcftools writes it.

    Without the missing floats behind all others: bio2zarr does not tell them from those that are
    not there.
    """
    found = []
    for line in run("bcftools", "view", "-H", *options, path).splitlines():
        site, names, *samples = line.split("\t", 8)[:8], *line.split("\t")[8:]
        keys = names.split(":")
        each = []
        for sample in samples:
            pairs = zip(keys, sample.split(":"), strict=False)
            values = {key: value for key, value in pairs if value.strip(".,")}
            for key in values:
                if FORMATS.get(key, ("", ""))[1] == "Float":
                    values[key] = re.sub(r"(,\.)+$", "", values[key])
            each.append(values)
        found.append(("\t".join(site), each))
    return found


def values_of(path: Path, key: str, *options: str) -> list[list[str]]:
    """What each sample of each site has of a field."""
    lines = run("bcftools", "query", "-f", rf"[%{key}\t]\n", *options, path).splitlines()
    return [line.split("\t")[:-1] for line in lines]


def set_calls(
    store: Path, name: str, values: np.ndarray, chunks, compressor="auto", **more
) -> None:
    """A field of calls, made anew."""
    attributes = more.pop("attributes", {})
    root = zarr.open_group(store, mode="r+")
    array = root.create_array(
        f"call_{name}",
        shape=values.shape,
        dtype="str" if values.dtype == object else values.dtype,
        chunks=chunks,
        compressors=compressor,
        overwrite=True,
        attributes=attributes or {},
    )
    array[...] = values
