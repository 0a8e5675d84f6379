"""Chunks that are not stored.

They hold the fill value. zarr-python, and so bio2zarr, does not store chunks that are all
zero even where Zarr v2's fill value is null, so that null means zero.
"""

import dataclasses

import numpy as np
import pytest
from support import reference
from support.oracles import plink2_make_bed, vcztools_view_plink
from support.stores import chunk_files, make_store, random_genotypes, vcf_store
from support.vcf import random_vcf

GENOTYPES = random_genotypes(30, 40, seed=1)
CHUNKS = (8, 16)
PATHS = ["v2-blosc-zstd-bit", "v3-blosc-zstd-bit", "v2-gzip", "v3-zstd"]


def store_without(path, encoding, fill_value, row=1, column=1):
    """A store without chunk (row, column), and its genotypes where that reads as `fill_value`."""
    store = make_store(path, GENOTYPES, chunks=CHUNKS, encoding=encoding, fill_value=fill_value)
    folder = store / "call_genotype"
    prefix = "c/" if (folder / "zarr.json").exists() else ""
    separator = "/" if prefix else "."
    (folder / (prefix + separator.join([str(row), str(column), "0"]))).unlink()
    genotypes = GENOTYPES.copy()
    if fill_value is not None:
        genotypes[8 * row : 8 * row + 8, 16 * column : 16 * column + 16] = fill_value
    return store, genotypes


@pytest.mark.slow
@pytest.mark.parametrize("fill_value", [0, 1, -1])
@pytest.mark.parametrize("encoding", PATHS)
def test_an_absent_chunk_has_the_fill_value(encoding, fill_value, biofuse, tmp_path):
    store, genotypes = store_without(tmp_path / "x.vcz", encoding, fill_value)
    assert np.array_equal(reference.genotypes_of(store), genotypes)
    with biofuse.mount(store) as mount:
        assert mount.bed.read_bytes() == reference.bed(genotypes)


@pytest.mark.parametrize("encoding", ["v2-blosc-zstd-bit", "v3-zstd"])
def test_no_chunk_at_all(encoding, biofuse, tmp_path):
    genotypes = np.zeros((30, 41, 2), dtype=np.int8)
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=CHUNKS, encoding=encoding)
    assert chunk_files(store) == []
    with biofuse.mount(store) as mount:
        assert mount.bed.read_bytes() == reference.bed(genotypes)


@pytest.mark.parametrize("encoding", ["v2-blosc-zstd-bit", "v2-gzip"])
def test_null_stands_for_zero(encoding, biofuse, tmp_path):
    store, _ = store_without(tmp_path / "x.vcz", encoding, None)
    genotypes = reference.genotypes_of(store)
    assert not genotypes[8:16, 16:32].any()
    with biofuse.mount(store) as mount:
        seen = mount.fileset()
    assert seen.bed == reference.bed(genotypes)
    assert vcztools_view_plink(store, tmp_path / "v") == seen


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_converted_stretches_without_a_variant_allele(zarr_format, biofuse, tmp_path):
    """What bio2zarr makes of chunks of 0/0: nothing."""
    vcf = random_vcf(9, 60, chroms=("1", "2"), seed=3)
    sites = [
        dataclasses.replace(site, calls=["0/0"] * 9) if 10 <= i < 40 else site
        for i, site in enumerate(vcf.sites)
    ]
    path, store = vcf_store(
        dataclasses.replace(vcf, sites=sites),
        tmp_path,
        variants_chunk_size=10,
        samples_chunk_size=4,
        zarr_format=zarr_format,
    )
    assert len(chunk_files(store)) == 3 * 3
    with biofuse.mount(store) as mount:
        seen = mount.fileset()
    assert seen == plink2_make_bed(path, tmp_path / "p")
    assert vcztools_view_plink(store, tmp_path / "v") == seen
