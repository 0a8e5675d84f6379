"""Calls that a store may hold and a PLINK 1 file cannot show, or that no VCF gives."""

import errno
import os

import numpy as np
import pytest
import zarr
from support import reference
from support.oracles import plink2_make_bed, vcztools_view_plink
from support.stores import make_store, random_genotypes, vcf_store
from support.vcf import Site, Vcf, sample_names

PATHS = ["v2-blosc-zstd-bit", "v3-blosc-zstd-bit", "v2-gzip"]
# Rows of 1,003 bytes: a page of the kernel's holds four.
NUM_SAMPLES = 4012
ROW = 1003
BAD_ROW = 30


def with_allele(value):
    genotypes = random_genotypes(60, NUM_SAMPLES, seed=4)
    genotypes[BAD_ROW, 2000, 1] = value
    return genotypes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        (2, "v2-blosc-zstd-bit"),
        (3, "v3-blosc-zstd-bit"),
        (127, "v2-blosc-zstd-bit"),
        (-3, "v2-blosc-zstd-bit"),
        (-128, "v2-blosc-zstd-byte"),
        (2, "v2-gzip"),
        (-128, "v2-gzip"),
    ],
)
def test_an_allele_that_cannot_be_shown_is_an_error(value, encoding, biofuse, tmp_path):
    """Neither missing nor another allele: an error, for reads that touch the variant."""
    genotypes = with_allele(value)
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(20, 1500), encoding=encoding)
    expected = reference.bed(np.clip(genotypes, -2, 1))
    with biofuse.mount(store) as mount:
        mount.expect_log(f"(variant {BAD_ROW} of the store")
        fd = os.open(mount.bed, os.O_RDONLY)
        try:
            with pytest.raises(OSError) as error:
                os.pread(fd, 10, 3 + BAD_ROW * ROW + 500)
            assert error.value.errno == errno.EIO
            assert os.pread(fd, 4096, 0) == expected[:4096]
            after = -(-(3 + (BAD_ROW + 1) * ROW) // 4096) * 4096
            assert os.pread(fd, 1 << 20, after) == expected[after:]
        finally:
            os.close(fd)
        assert "allele" in mount.log_text()


@pytest.mark.parametrize("encoding", PATHS)
def test_one_of_a_sample_that_is_not_shown_is_none(encoding, biofuse, tmp_path):
    store = make_store(tmp_path / "x.vcz", with_allele(3), chunks=(20, 1500), encoding=encoding)
    kept = [i for i in range(1990, 2010) if i != 2000]
    names = ",".join(f"S{i:04d}" for i in kept)
    with biofuse.mount(store, "-s", names) as mount:
        assert mount.bed.read_bytes() == reference.bed(with_allele(0)[:, kept])


@pytest.mark.slow
@pytest.mark.parametrize("value", [300, -300, 128, 2**31 - 1, -(2**31)])
def test_wide_integers_do_not_wrap_around(value, biofuse, tmp_path):
    """256 + 1 is no ALT allele, and 2**32 - 1 no missing one."""
    genotypes = random_genotypes(12, NUM_SAMPLES, seed=4).astype("int32")
    genotypes[5, 100, 0] = value
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(20, 1500))
    with biofuse.mount(store) as mount:
        mount.expect_log("(variant 5 of the store")
        with pytest.raises(OSError) as error, open(mount.bed, "rb") as f:
            f.read()
        assert error.value.errno == errno.EIO


@pytest.mark.parametrize("encoding", ["v2-blosc-zstd-bit", "v2-gzip"])
def test_unsigned_genotypes(encoding, biofuse, tmp_path):
    genotypes = np.random.default_rng(1).integers(0, 2, size=(20, 37, 2)).astype("uint8")
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(7, 11), encoding=encoding)
    with biofuse.mount(store) as mount:
        assert mount.bed.read_bytes() == reference.bed(genotypes)


def test_an_unsigned_allele_of_255_is_not_missing(biofuse, tmp_path):
    genotypes = np.full((3, 8, 2), 255, dtype="uint8")
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(7, 11))
    with biofuse.mount(store) as mount:
        mount.expect_log("of the store")
        with pytest.raises(OSError), open(mount.bed, "rb") as f:
            f.read()


def test_sites_that_are_left_out_do_no_harm(biofuse, tmp_path):
    """Alleles beyond the second in the very blocks that the other sites lie in."""
    calls = ["0/0", "0/1", "1/1", "./."] * 9
    many = ["0/2", "2/2", "1/2", "./3"] * 9
    sites = [
        Site("1", 10 * i + 10, many if i % 3 == 1 else calls, alt="G,T,C" if i % 3 == 1 else "G")
        for i in range(40)
    ]
    path, store = vcf_store(
        Vcf(sample_names(36), sites), tmp_path, variants_chunk_size=7, samples_chunk_size=10
    )
    left = plink2_make_bed(path, tmp_path / "p", "--max-alleles", "2")
    with biofuse.mount(store, "-M", "2") as mount:
        assert mount.fileset() == left
    assert vcztools_view_plink(store, tmp_path / "v", "-M", "2") == left


@pytest.mark.parametrize("ploidy", [3, 4])
def test_more_than_two_alleles_a_call(ploidy, biofuse, tmp_path):
    genotypes = np.zeros((3, 8, ploidy), dtype=np.int8)
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(7, 11))
    line = biofuse.fails("mount", store, biofuse.new_directory())
    assert f"room for {ploidy} alleles a call" in line


@pytest.mark.parametrize("shape", [(5, 7), (5,), (5, 7, 2, 1)])
def test_genotypes_of_another_shape(shape, biofuse, tmp_path):
    store = make_store(tmp_path / "x.vcz", np.zeros((5, 7, 2), dtype=np.int8), chunks=(7, 11))
    root = zarr.open_group(store, mode="a")
    del root["call_genotype"]
    root.create_array("call_genotype", shape=shape, dtype="int8", chunks=shape)
    line = biofuse.fails("mount", store, biofuse.new_directory())
    assert f"{len(shape)} dimensions" in line


@pytest.mark.parametrize("dtype", ["float32", "bool", "complex64"])
def test_genotypes_that_are_no_integers(dtype, biofuse, tmp_path):
    store = make_store(tmp_path / "x.vcz", np.zeros((5, 7, 2), dtype=dtype), chunks=(7, 11))
    line = biofuse.fails("mount", store, biofuse.new_directory())
    # Its metadata has a fill value that is no number.
    assert ("fill_value" if dtype == "complex64" else dtype) in line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("variant_position", "truncated"),
        ("variant_position", "flipped"),
        ("variant_position", "empty"),
        ("variant_contig", "flipped"),
        ("variant_allele", "truncated"),
        ("variant_id", "flipped"),
        ("sample_id", "truncated"),
        ("contig_id", "empty"),
    ],
)
def test_a_damaged_field_is_told_when_mounting(name, how, biofuse, tmp_path):
    genotypes = random_genotypes(40, 37, seed=1)
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(7, 11))
    chunk = max(p for p in (store / name).iterdir() if not p.name.startswith("."))
    data = chunk.read_bytes()
    changed = {
        "truncated": data[: len(data) // 2],
        "flipped": data[:6] + bytes(b ^ 0xFF for b in data[6:]),  # sizes included
        "empty": b"",
    }
    chunk.write_bytes(changed[how])
    line = biofuse.fails("mount", store, biofuse.new_directory())
    assert name in line


def test_a_site_on_no_contig(biofuse, tmp_path):
    store = make_store(tmp_path / "x.vcz", random_genotypes(9, 7), contigs=["1"])
    line = biofuse.fails("mount", store, biofuse.new_directory())
    assert "contig" in line
