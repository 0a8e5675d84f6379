"""However a store's genotypes are chunked and encoded, the bytes are the same."""

import contextlib
import re
import resource
import subprocess
from pathlib import Path

import numpy as np
import pytest
import zarr
from support import reference
from support.oracles import plink2_make_bed, vcztools_view_plink
from support.stores import ENCODINGS, make_store, random_genotypes, zip_store
from support.vcf import HAPLOID, random_vcf

from biofuse.genotypes.describe import ANYTHING, describe

# 403 samples in chunks of 64, 61 variants in chunks of 17: nothing divides anything.
GENOTYPES = random_genotypes(61, 403, seed=1)
CHUNKS = (17, 64)

FAST = {
    "v2-blosc-zstd-bit",
    "v2-blosc-zstd-byte",
    "v2-blosc-zstd-none",
    "v2-blosc-zstd-auto",
    "v2-blosc-zstd-level0",
    "v2-blosc-zstd-small-blocks",
    "v2-dot-keys",
    "v3-blosc-zstd-bit",
    "v3-blosc-zstd-byte",
    "v3-blosc-zstd-none",
    "v3-v2-keys",
}


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding(encoding, biofuse, tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=CHUNKS, encoding=encoding)
    with biofuse.mount(store) as mount:
        seen = mount.fileset()
    assert seen.bed == reference.bed(GENOTYPES)
    # vcztools 0.2.0 does not find its way in shards.
    if encoding != "v3-sharded":
        assert vcztools_view_plink(store, tmp_path / "v") == seen


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_which_encodings_are_fast(encoding, tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES[:2], chunks=CHUNKS, encoding=encoding)
    found = describe(zarr.open_group(store, mode="r")["call_genotype"])
    assert found.fast == (encoding in FAST), found.slow_reason


@pytest.mark.parametrize(
    ("dtype", "encoding"),
    [("int16", "v2-blosc-zstd-bit"), ("int32", "v3-blosc-zstd-bit"), ("int64", "v2-none")],
)
def test_wider_integers(dtype, encoding, biofuse, tmp_path):
    genotypes = GENOTYPES.astype(dtype)
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=CHUNKS, encoding=encoding)
    with biofuse.mount(store) as mount:
        assert mount.bed.read_bytes() == reference.bed(GENOTYPES)


@pytest.mark.parametrize("encoding", ["v2-blosc-zstd-bit", "v3-blosc-zstd-bit"])
def test_bit_shuffled_values_are_known_by_the_metadata(encoding, tmp_path):
    """Not first by a chunk that is met, which is then told of as one that is odd."""
    genotypes = GENOTYPES[:2].astype("int16")
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=CHUNKS, encoding=encoding)
    found = describe(zarr.open_group(store, mode="r")["call_genotype"], ANYTHING)
    assert found.slow_reason == "values are bit shuffled"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_variants", "num_samples", "chunks", "alike"),
    [
        (1, 1, (1, 1), True),
        (5, 1, (2, 1), False),
        (7, 3, (3, 2), True),
        (40, 9, (1, 1), False),
        (300, 5, (1000, 10_000), True),
        (130, 1003, (50, 1003), False),
        (130, 1003, (130, 250), True),
        (200, 3202, (67, 1001), False),
        # 6.4 MB and 1.3 MB a chunk: many Blosc blocks, whose edges fall within rows.
        (1500, 3202, (1000, 3202), True),
        (1500, 3202, (1000, 3202), False),
        (1500, 3202, (700, 999), True),
    ],
)
def test_chunk_shapes(num_variants, num_samples, chunks, alike, biofuse, tmp_path):
    genotypes = random_genotypes(num_variants, num_samples, seed=num_samples, alike=alike)
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=chunks)
    with biofuse.mount(store) as mount:
        assert mount.bed.read_bytes() == reference.bed(genotypes)


def test_incompressible_and_constant_chunks(biofuse, tmp_path):
    """Blosc stores what it cannot compress as it is, frame by frame and block by block."""
    genotypes = np.zeros((90, 2000, 2), dtype=np.int8)
    genotypes[30:60] = np.random.default_rng(1).integers(-1, 2, size=(30, 2000, 2))
    genotypes[60:75] = -1
    store = make_store(
        tmp_path / "x.vcz", genotypes, chunks=(45, 700), encoding="v2-blosc-zstd-small-blocks"
    )
    with biofuse.mount(store) as mount:
        assert mount.bed.read_bytes() == reference.bed(genotypes)


def test_more_sample_chunks_than_files_may_be_open(biofuse, tmp_path):
    """A chunk row of 1,500 files, where 1,024 may be open: the usual limit."""
    genotypes = random_genotypes(6, 1500, seed=3)
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(4, 1))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        mounted = biofuse.mount(store)
        mount = mounted.__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with contextlib.ExitStack() as stack:
        stack.push(mounted)
        assert mount.bed.read_bytes() == reference.bed(genotypes)


def test_more_sample_chunks_than_a_hard_limit_of_files(biofuse, tmp_path):
    """The limit is that of the shell which mounts, and cannot be raised."""
    genotypes = random_genotypes(6, 600, seed=3)
    genotypes[0] = 1  # So that zarr stores every chunk.
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(6, 1))
    directory = biofuse.new_directory()

    def limited(*arguments) -> None:
        script = 'ulimit -S -n 256 && ulimit -H -n 256 && exec "$@"'
        command = ["sh", "-c", script, "sh", *biofuse.command(*arguments)]
        done = subprocess.run(command, env=biofuse.env, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")

    expected = tmp_path / "expected"
    expected.write_bytes(reference.bed(genotypes))
    limited("run", store, "--", "cmp", "{bed}", expected)
    limited("mount", store, directory)
    for process in biofuse.processes():
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert re.search(r"Max open files +256 +256 ", limits)
    assert (directory / "x.bed").read_bytes() == expected.read_bytes()
    biofuse("umount", directory)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_samples", "encoding"),
    [
        (1, "v2-blosc-zstd-bit"),
        (5, "v2-blosc-zstd-bit"),
        (8, "v3-blosc-zstd-bit"),
        (1003, "v2-gzip"),
        (3202, "v3-blosc-zstd-bit"),
    ],
)
def test_haploid_stores(num_samples, encoding, biofuse, tmp_path):
    """Ploidy 1, which vcztools does not show: as plink2 has a VCF of haploid calls."""
    vcf = random_vcf(num_samples, 41, HAPLOID, seed=num_samples)
    values = {"0": 0, "1": 1, ".": -1}
    genotypes = np.array([[values[c] for c in s.calls] for s in vcf.sites], dtype=np.int8)
    store = make_store(
        tmp_path / "x.vcz", genotypes[:, :, np.newaxis], chunks=(9, 299), encoding=encoding
    )
    by_plink2 = plink2_make_bed(vcf.write(tmp_path / "x.vcf"), tmp_path / "p")
    with biofuse.mount(store) as mount:
        assert mount.bed.read_bytes() == by_plink2.bed == vcf.bed()
        assert mount.fam.read_text() == by_plink2.fam


@pytest.mark.parametrize("encoding", ["v2-gzip", "v3-blosc-zstd-bit", "v3-sharded"])
def test_zip_files(encoding, biofuse, tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=CHUNKS, encoding=encoding)
    with biofuse.mount(zip_store(store)) as mount:
        assert mount.bed.read_bytes() == reference.bed(GENOTYPES)


def test_null_samples_are_left_out(biofuse, tmp_path):
    names = [f"S{i}" if i % 7 else "" for i in range(403)]
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=CHUNKS, samples=names)
    kept = [i for i, name in enumerate(names) if name]
    with biofuse.mount(store) as mount:
        seen = mount.fileset()
    assert seen.bed == reference.bed(GENOTYPES[:, kept])
    assert [line.split()[1] for line in seen.fam.splitlines()] == [names[i] for i in kept]
    assert vcztools_view_plink(store, tmp_path / "v") == seen
