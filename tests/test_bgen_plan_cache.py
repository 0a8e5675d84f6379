"""What a kept plan has of calls themselves, an index's first bytes and a notice, is never stale."""

import os
from pathlib import Path

import numpy as np
import pytest
import zarr
from support.bgen import check_index, parse
from support.changes import rewrite_in_place
from support.stores import add_field, chunk_files, make_store, random_genotypes

GENOTYPES = random_genotypes(60, 23, seed=3)
OTHER = random_genotypes(60, 23, seed=4)
# Chunks are files in folders of folders, in one folder, or parts of a file.
ENCODINGS = ["v3-blosc-zstd-bit", "v3-gzip", "v3-v2-keys", "v2-dot-keys", "v3-sharded"]


# Of calls of one allele, which there are, nothing is to be told.
SHOWN = ("--format", "bgen", "--phased", "--haploid-as-diploid")


def seen(biofuse, store: Path, *options) -> tuple[bytes, str]:
    """The `.bgen`, whose index is checked; and what mount said."""
    directory = biofuse.new_directory()
    done = biofuse("mount", store, directory, *SHOWN, *options)
    try:
        data = (directory / "x.bgen").read_bytes()
        check_index(directory / "x", data, parse(data))
    finally:
        biofuse("umount", directory)
    # Where no call of a chunk is phased, zarr left the chunk out.
    lines = done.stderr.splitlines()
    return data, "\n".join(line for line in lines if "chunks of call_genotype_phased" not in line)


def kept(biofuse) -> dict[str, int]:
    found = list(biofuse.cache.rglob("plan.json"))
    return {p.parent.name: p.parent.stat().st_ino for p in found}


def other_chunk(store: Path, number: int, encoding: str) -> tuple[Path, bytes]:
    """A chunk's file, and what it would have of other genotypes."""
    other = make_store(store.parent / "other.vcz", OTHER, chunks=(20, 9), encoding=encoding)
    return chunk_files(store)[number], chunk_files(other)[number].read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["replaced", "in-place"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_chunk_that_an_index_has_bytes_of(encoding, how, biofuse, tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 9), encoding=encoding)
    before, _ = seen(biofuse, store)
    plans = kept(biofuse)
    assert len(plans) == 1
    assert seen(biofuse, store)[0] == before
    assert kept(biofuse) == plans
    chunk, data = other_chunk(store, 0, encoding)
    if how == "replaced":
        (chunk.parent / "new").write_bytes(data)
        os.rename(chunk.parent / "new", chunk)
    else:
        rewrite_in_place(chunk, data)
    after, _ = seen(biofuse, store)
    assert after[:1000] != before[:1000]
    assert kept(biofuse) != plans


def test_a_chunk_that_appears(biofuse, tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 9), encoding="v3-blosc-zstd-bit")
    chunk = chunk_files(store)[0]
    data = chunk.read_bytes()
    chunk.unlink()
    before, said = seen(biofuse, store)
    assert "not stored" in said
    chunk.write_bytes(data)
    after, said = seen(biofuse, store)
    assert after[:1000] != before[:1000] and said == ""


def test_a_chunk_that_no_file_of_the_plan_depends_on(biofuse, tmp_path):
    encoding = "v3-blosc-zstd-bit"
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 9), encoding=encoding)
    before, _ = seen(biofuse, store)
    plans = kept(biofuse)
    chunk, data = other_chunk(store, -1, encoding)
    rewrite_in_place(chunk, data)
    assert seen(biofuse, store)[0] != before
    assert kept(biofuse) == plans


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["v3-blosc-zstd-bit", "v2-blosc-zstd-bit", "v3-sharded"])
def test_phase_that_changes(encoding, biofuse, tmp_path):
    """Of a variant far from the first bytes."""
    genotypes = np.abs(GENOTYPES).clip(0, 1)
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(20, 9), encoding=encoding)
    phased = np.zeros((60, 23), dtype=bool)
    phased[:, 3] = True
    add_field(store, "call_genotype_phased", phased, chunks=(20, 9), encoding=encoding)
    assert seen(biofuse, store)[1] == ""
    zarr.open_group(store, mode="r+")["call_genotype_phased"][50] = True
    assert "has phased variants" in seen(biofuse, store)[1]
    zarr.open_group(store, mode="r+")["call_genotype_phased"][50] = phased[50]
    assert seen(biofuse, store)[1] == ""


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["v2-blosc-zstd-bit", "v3-blosc-zstd-bit", "v2-gzip"])
def test_first_bytes_that_cannot_be_read(encoding, biofuse, tmp_path):
    """That is said, and the index is made again as long as it lacks them."""
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 9), encoding=encoding)
    chunk = chunk_files(store)[0]
    data, status = chunk.read_bytes(), chunk.stat()
    rewrite_in_place(chunk, b"x" * len(data))
    directory = biofuse.new_directory()
    done = biofuse("mount", store, directory, *SHOWN)
    biofuse("umount", directory)
    assert "reads of them fail: call_genotype/" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert kept(biofuse) == {}
    # As after an error that was not the file's: nothing tells that it is gone.
    rewrite_in_place(chunk, data)
    os.utime(chunk, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert seen(biofuse, store)[1] == ""
    assert len(kept(biofuse)) == 1
