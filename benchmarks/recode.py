"""Copy a store with its genotypes in Blosc lz4, which the fast path does not take.

Run with the benchmark environment's Python.
"""

import argparse
import shutil
from pathlib import Path

import numcodecs
import zarr


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    args = parser.parse_args()
    shutil.copytree(
        args.source, args.target, ignore=lambda _, names: {"call_genotype"} & set(names)
    )
    old = zarr.open_group(args.source, mode="r")["call_genotype"]
    new = zarr.open_group(args.target, mode="r+").create_array(
        "call_genotype",
        shape=old.shape,
        chunks=old.chunks,
        dtype=old.dtype,
        compressors=numcodecs.Blosc("lz4", 5, numcodecs.Blosc.BITSHUFFLE),
        chunk_key_encoding={"name": "v2", "separator": "/"},
        fill_value=None,
        attributes=dict(old.attrs),
    )
    height = old.chunks[0]
    for start in range(0, old.shape[0], height):
        new[start : start + height] = old[start : start + height]


if __name__ == "__main__":
    main()
