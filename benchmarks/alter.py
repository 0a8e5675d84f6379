"""Copies of stores, of hard links, with other sites; run with the benchmark environment's Python.

``multiallelic`` gives a tenth of the sites 3 to 5 alleles, ``contigs`` divides them among 24
contigs.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

import numpy as np
import zarr

EVERY = 10
ALLELES = ["C", "G", "T", "AT"]
CONTIGS = [*map(str, range(1, 23)), "X", "Y"]


def link(source: Path, target: Path, but: set[str]) -> None:
    """Copy a store's folder as hard links, but for some arrays and what tells of regions."""
    shutil.copytree(
        source,
        target,
        copy_function=os.link,
        ignore=lambda _, names: {*but, "region_index", ".zmetadata"} & set(names),
    )


def replace(root: zarr.Group, old: zarr.Array, shape: tuple[int, ...], chunks) -> zarr.Array:
    """Make an array like another one, of another shape."""
    return root.create_array(
        old.path.rpartition("/")[2],
        shape=shape,
        chunks=chunks,
        dtype=old.dtype,
        compressors=old.compressors,
        filters=old.filters,
        chunk_key_encoding={"name": "v2", "separator": _separator(old)},
        fill_value=old.fill_value,
        attributes=dict(old.attrs),
    )


def _separator(array: zarr.Array) -> str:
    path = Path(str(array.store_path).removeprefix("file://")) / ".zarray"
    return json.loads(path.read_text()).get("dimension_separator", ".")


def multiallelic(source: Path, target: Path) -> None:
    """A store in which every tenth site has 3 to 5 alleles, which samples have at random."""
    link(source, target, {"call_genotype", "variant_allele"})
    old, new = zarr.open_group(source, mode="r"), zarr.open_group(target, mode="r+")
    rng = np.random.default_rng(1)
    alleles = old["variant_allele"][:]
    wide = np.full((len(alleles), 5), "", dtype=object)
    wide[:, :2] = alleles[:, :2]
    chosen = np.arange(0, len(alleles), EVERY)
    counts = rng.integers(2, 5, len(chosen))
    for row, count in zip(chosen, counts, strict=True):
        wide[row, 0] = "A"
        wide[row, 1 : 1 + count] = ALLELES[:count]
    array = old["variant_allele"]
    replace(new, array, wide.shape, (array.chunks[0], 5))[:] = wide
    calls = old["call_genotype"]
    out = replace(new, calls, calls.shape, calls.chunks)
    height = calls.chunks[0]
    for start in range(0, calls.shape[0], height):
        block = calls[start : start + height]
        for row, count in zip(chosen, counts, strict=True):
            if start <= row < start + len(block):
                shown = block[row - start]
                there = shown == 1
                shown[there] = rng.integers(1, count + 1, int(there.sum()))
        out[start : start + height] = block


def contigs(source: Path, target: Path) -> None:
    """A store whose sites lie in 24 contigs."""
    link(source, target, {"variant_contig", "contig_id", "contig_length"})
    old, new = zarr.open_group(source, mode="r"), zarr.open_group(target, mode="r+")
    array = old["variant_contig"]
    count = array.shape[0]
    replace(new, array, array.shape, array.chunks)[:] = np.arange(count) * len(CONTIGS) // count
    names = old["contig_id"]
    replace(new, names, (len(CONTIGS),), (len(CONTIGS),))[:] = np.array(CONTIGS, dtype=object)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["multiallelic", "contigs"])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    args = parser.parse_args()
    {"multiallelic": multiallelic, "contigs": contigs}[args.what](args.source, args.target)


if __name__ == "__main__":
    main()
