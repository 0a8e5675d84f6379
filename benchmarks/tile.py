"""Repeat a store's full variant chunks as hard links; run with the benchmark environment's Python.

The new store has as many variants as asked for and takes almost no disk space.
Positions keep growing over the repeats, so that the store stays sorted, and the
contig length and the region index are made to fit.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

import numpy as np
import zarr

REWRITTEN = ("variant_position", "contig_length", "region_index")


def dimensions(array: Path) -> list[str]:
    """Return the dimension names of a Zarr v2 array.

    Parameters
    ----------
    array : Path
        Directory of the array.

    Returns
    -------
    list of str
        As in ``_ARRAY_DIMENSIONS``; empty if the array has none.
    """
    attributes = array / ".zattrs"
    if not attributes.exists():
        return []
    return json.loads(attributes.read_text()).get("_ARRAY_DIMENSIONS", [])


def copy_metadata(source: Path, target: Path, **changes: list[int]) -> dict:
    """Copy an array's metadata, with a new shape and, if given, new chunks.

    Parameters
    ----------
    source, target : Path
        Directories of the arrays; the target is made.
    **changes : list of int
        ``shape`` or ``chunks`` to set.

    Returns
    -------
    dict
        The source's metadata, unchanged.
    """
    target.mkdir()
    metadata = json.loads((source / ".zarray").read_text())
    (target / ".zarray").write_text(json.dumps({**metadata, **changes}, indent=1))
    if (source / ".zattrs").exists():
        shutil.copyfile(source / ".zattrs", target / ".zattrs")
    return metadata


def link_chunks(source: Path, target: Path, chunk: int, full: int, variants: int) -> None:
    """Hard-link the chunk files of one array, repeated over the full variant chunks.

    Parameters
    ----------
    source, target : Path
        Directories of the arrays.
    chunk : int
        Variants in a chunk.
    full : int
        Full variant chunks in the source, which are repeated in turn.
    variants : int
        Variants of the target.
    """
    files: dict[int, list[str]] = {}
    for name in os.listdir(source):
        if name[0].isdigit():
            first, _, rest = name.partition(".")
            files.setdefault(int(first), []).append(f".{rest}" if rest else "")
    for index in range(-(-variants // chunk)):
        for rest in files.get(index % full, []):
            os.link(source / f"{index % full}{rest}", target / f"{index}{rest}")


def rewrite_sites(source: Path, target: Path, chunk: int, full: int, variants: int) -> None:
    """Write the positions, the contig length and the region index of a tiled store.

    Parameters
    ----------
    source, target : Path
        Directories of the stores.
    chunk, full, variants : int
        As for `link_chunks`.
    """
    old = zarr.open_group(source, mode="r")
    if old["contig_length"].shape != (1,):
        raise SystemExit("tile.py repeats stores of one contig only")
    length = int(old["contig_length"][0])
    index = np.arange(variants)
    period = chunk * full
    position = old["variant_position"][:][index % period] + length * (index // period)
    end = position + old["variant_length"][:][index % period] - 1
    starts = np.arange(0, variants, chunk)
    stops = np.minimum(starts + chunk, variants)
    regions = np.column_stack(
        [
            np.arange(starts.size),
            np.zeros(starts.size, dtype=int),
            position[starts],
            position[stops - 1],
            np.maximum.reduceat(end, starts),
            stops - starts,
        ]
    )
    copy_metadata(source / "variant_position", target / "variant_position", shape=[variants])
    copy_metadata(source / "contig_length", target / "contig_length")
    copy_metadata(
        source / "region_index",
        target / "region_index",
        shape=list(regions.shape),
        chunks=list(regions.shape),
    )
    new = zarr.open_group(target, mode="r+")
    new["variant_position"][:] = position
    new["contig_length"][:] = np.array([position[-1] + length])
    new["region_index"][:] = regions


def tile(source: Path, target: Path, variants: int) -> None:
    """Make a store of `variants` variants from another's full chunks.

    Parameters
    ----------
    source : Path
        A Zarr v2 store whose arrays of variants share one chunk size.
    target : Path
        The store to make.
    variants : int
        Its number of variants.
    """
    genotypes = json.loads((source / "call_genotype" / ".zarray").read_text())
    chunk = genotypes["chunks"][0]
    full = genotypes["shape"][0] // chunk
    if full == 0:
        raise SystemExit(f"{source.name} has no full chunk of variants to repeat")
    target.mkdir(parents=True)
    for entry in sorted(source.iterdir()):
        if entry.is_file() and entry.name in (".zattrs", ".zgroup"):
            shutil.copyfile(entry, target / entry.name)
        elif not entry.is_dir() or entry.name in REWRITTEN:
            continue
        elif dimensions(entry)[:1] == ["variants"]:
            shape = json.loads((entry / ".zarray").read_text())["shape"]
            metadata = copy_metadata(entry, target / entry.name, shape=[variants, *shape[1:]])
            if metadata["chunks"][0] != chunk:
                raise SystemExit(f"{entry.name} has its own variant chunk size")
            link_chunks(entry, target / entry.name, chunk, full, variants)
        else:
            shutil.copytree(entry, target / entry.name)
    rewrite_sites(source, target, chunk, full, variants)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--variants", type=int, required=True)
    args = parser.parse_args()
    tile(args.source, args.target, args.variants)


if __name__ == "__main__":
    main()
