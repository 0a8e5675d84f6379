"""A store of 100,000 samples, made in seconds: one row of chunks, repeated by hard links."""

import os
from pathlib import Path

import numcodecs
import numpy as np
import zarr

from support.stores import blosc

SAMPLES = 100_000
CHUNK = (1_000, 10_000)
ROW_BYTES = SAMPLES // 4


# What bio2zarr compresses with, which makes Blosc blocks of 512 KiB.
FAST = blosc(clevel=7)
SLOW = numcodecs.Zstd(1)


def make_wide(
    directory: Path, chunk_rows: int, compressor=FAST, phased: bool = False
) -> tuple[Path, bytes]:
    """Make a store.

    Parameters
    ----------
    directory : Path
    chunk_rows : int
        Rows of chunks, each of 1,000 variants.
    compressor : numcodecs codec
        Of its calls.
    phased : bool
        Whether it says that some calls are phased.

    Returns
    -------
    store : Path
    records : bytes
        What a .bed has for the variants of one row of chunks.
    """
    height, width = CHUNK
    variants = height * chunk_rows
    store = directory / "wide.vcz"
    group = zarr.open_group(store, mode="w", zarr_format=2, attributes={"vcf_zarr_version": "0.4"})

    def add(name: str, values, dims: list[str]):
        values = np.asarray(values)
        dtype = str if values.dtype.kind == "U" else values.dtype
        array = group.create_array(
            name,
            shape=values.shape,
            chunks=tuple(max(1, n) for n in values.shape),
            dtype=dtype,
            attributes={"_ARRAY_DIMENSIONS": dims},
        )
        array[...] = values

    rng = np.random.default_rng(1)
    add("contig_id", ["1"], ["contigs"])
    add("sample_id", [f"s{i}" for i in range(SAMPLES)], ["samples"])
    add("variant_contig", np.zeros(variants, np.int8), ["variants"])
    add("variant_position", np.arange(1, variants + 1, dtype=np.int32), ["variants"])
    add("variant_allele", [["A", "C"]] * variants, ["variants", "alleles"])
    calls = group.create_array(
        "call_genotype",
        shape=(variants, SAMPLES, 2),
        chunks=(height, width, 2),
        dtype=np.int8,
        compressors=compressor,
        chunk_key_encoding={"name": "v2", "separator": "/"},
        attributes={"_ARRAY_DIMENSIONS": ["variants", "samples", "ploidy"]},
    )
    expected = np.empty((height, ROW_BYTES), np.uint8)
    shifts = np.array([0, 2, 4, 6], np.uint8)
    for column in range(SAMPLES // width):
        alleles = np.zeros((height, width, 2), np.int8)
        places = rng.integers(0, alleles.size, alleles.size // 50)
        alleles.reshape(-1)[places] = 1
        calls[:height, column * width : (column + 1) * width] = alleles
        # .bed: 3 for two copies of REF, 2 for one, 0 for none.
        code = np.array([3, 2, 0], np.uint8)[alleles.sum(axis=2)]
        packed = (code.reshape(height, -1, 4) << shifts).sum(axis=2, dtype=np.uint8)
        expected[:, column * width // 4 : (column + 1) * width // 4] = packed
    if phased:
        array = group.create_array(
            "call_genotype_phased",
            shape=(variants, SAMPLES),
            chunks=(height, width),
            dtype=bool,
            compressors=compressor,
            chunk_key_encoding={"name": "v2", "separator": "/"},
            attributes={"_ARRAY_DIMENSIONS": ["variants", "samples"]},
        )
        array[:height] = rng.random((height, 1)) < rng.random((1, SAMPLES))
    _repeat(store / "call_genotype", chunk_rows)
    if phased:
        _repeat(store / "call_genotype_phased", chunk_rows)
    return store, expected.tobytes()


def _repeat(array: Path, chunk_rows: int) -> None:
    """Link the first row of chunks to the others."""
    first = array / "0"
    for row in range(1, chunk_rows):
        for file in sorted(p for p in first.rglob("*") if p.is_file()):
            target = array / str(row) / file.relative_to(first)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, target)
