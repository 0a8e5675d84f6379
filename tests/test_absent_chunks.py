"""Chunks that are not stored: the fill value where there is one, else an error."""

import errno
import os

import numpy as np
import pytest
from support import reference
from support.stores import chunk_files, make_store, random_genotypes

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
def test_an_absent_chunk_without_a_fill_value_is_an_error(encoding, biofuse, tmp_path):
    # Rows of 1,000 bytes: the absent chunk has bytes 8,003 to 16,003.
    genotypes = random_genotypes(30, 4000, seed=2)
    store = make_store(
        tmp_path / "x.vcz", genotypes, chunks=(8, 1600), encoding=encoding, fill_value=None
    )
    (store / "call_genotype" / "1.1.0").unlink()
    expected = reference.bed(genotypes)
    with biofuse.mount(store) as mount:
        mount.expect_log("call_genotype/1.1.0 is missing from the store")
        fd = os.open(mount.bed, os.O_RDONLY)
        try:
            assert os.pread(fd, 4096, 0) == expected[:4096]
            for offset in (8003, 12000, 16002):
                with pytest.raises(OSError) as error:
                    os.pread(fd, 1, offset)
                assert error.value.errno == errno.EIO
            assert os.pread(fd, 20_000, 16_384) == expected[16_384:]
        finally:
            os.close(fd)
        assert "call_genotype/1.1.0" in mount.log_text()


def test_an_absent_chunk_that_no_kept_sample_lies_in_is_no_error(biofuse, tmp_path):
    store, _ = store_without(tmp_path / "x.vcz", "v2-blosc-zstd-bit", None)
    kept = [*range(16), *range(32, 40)]
    names = ",".join(f"S{i:04d}" for i in kept)
    with biofuse.mount(store, "-s", names) as mount:
        assert mount.bed.read_bytes() == reference.bed(GENOTYPES[:, kept])


def test_an_absent_chunk_of_a_variant_field_without_a_fill_value(biofuse, tmp_path):
    """A plan is not made from positions that are not there."""
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=CHUNKS)
    (store / "variant_position" / "1").unlink()
    metadata = store / "variant_position" / ".zarray"
    metadata.write_text(metadata.read_text().replace('"fill_value": 0', '"fill_value": null'))
    line = biofuse.fails("mount", store, biofuse.new_directory())
    assert "variant_position" in line
