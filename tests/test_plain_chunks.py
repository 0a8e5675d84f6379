"""Chunks off the fast path that are decoded without zarr-python."""

import json
import subprocess
import sys

import numpy as np
import pytest
import zarr
from support import reference
from support.stores import (
    ENCODINGS,
    add_field,
    chunk_files,
    copy_store,
    make_store,
    random_genotypes,
)
from support.views import make_view, open_encoder, plan_view

from biofuse.errors import BiofuseError
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.describe import describe
from biofuse.genotypes.plain import decode

GENOTYPES = random_genotypes(61, 203, seed=1)
CHUNKS = (17, 64)
NOT_PLAIN = {"v2-filter", "v3-sharded"}


def described(store, name="call_genotype") -> tuple[GenotypeArray, zarr.Array]:
    """An array as the worker gets it, by way of JSON, and as zarr has it."""
    array = zarr.open_group(store, mode="r")[name]
    return GenotypeArray.from_json(json.loads(json.dumps(describe(array).to_json()))), array


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_plain_encoding_is_read_as_zarr_does(encoding, tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=CHUNKS, encoding=encoding)
    described_array, array = described(store)
    assert (described_array.plain is None) == (encoding in NOT_PLAIN)
    if encoding in NOT_PLAIN:
        return
    for row, column in ((0, 0), (3, 3), (2, 1)):
        data = (store / described_array.key(row, column)).read_bytes()
        part = slice(row * 17, row * 17 + 17), slice(column * 64, column * 64 + 64)
        expected = array[part]
        found = decode(described_array, data)
        assert found.shape == (*CHUNKS, 2)
        assert (found[: expected.shape[0], : expected.shape[1]] == expected).all()


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["v2-gzip", "v2-none", "v2-fortran", "v3-zstd", "v3-none"])
@pytest.mark.parametrize("dtype", [">i2", "<i2", ">i4", "<i8", "u1"])
def test_every_type(dtype, encoding, biofuse, tmp_path):
    calls = np.maximum(GENOTYPES, 0) if dtype == "u1" else GENOTYPES
    store = make_store(tmp_path / "x.vcz", calls.astype(dtype), chunks=CHUNKS, encoding=encoding)
    assert described(store)[0].plain is not None
    with biofuse.mount(store) as mount:
        assert mount.bed.read_bytes() == reference.bed(calls)


PROGRAM = """
import sys, time
from pathlib import Path
from biofuse.encode.encoder import Encoder
from biofuse.manifest import read_plan
plan = read_plan(Path(sys.argv[1], "plan.json").read_text())
out = bytearray(plan.streamed[0].size - 3)
Encoder(plan, {}, 1 << 20, time.time_ns()).encode(0, 0, plan.num_variants, memoryview(out))
print("zarr" in sys.modules, out.hex())
"""


@pytest.mark.parametrize("encoding", ["v2-gzip", "v2-blosc-lz4-bit", "v3-zstd", "v2-filter"])
def test_zarr_is_imported_where_it_is_needed(encoding, tmp_path):
    """By a process that encodes as the worker does."""
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=CHUNKS, encoding=encoding)
    plan_view(store, tmp_path / "plan")
    imported, data = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "plan"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert imported == str(encoding in NOT_PLAIN)
    assert bytes.fromhex(data) == reference.bed(GENOTYPES)[3:]


def test_values_and_chunks_that_are_not_stored(tmp_path):
    """The fill value is zarr's business."""
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=CHUNKS, encoding="v2-gzip")
    ds = np.random.default_rng(1).random(GENOTYPES.shape[:2]).astype(np.float64)
    add_field(store, "call_DS", ds, chunks=CHUNKS, encoding="v2-zstd")
    with_all = plan_view(store, tmp_path / "all", "--format", "bgen", "--bgen-field", "DS")
    assert with_all.fields["call_DS"]["plain"]["dtype"] == "<f8"
    absent = copy_store(store, tmp_path / "absent.vcz")
    chunk_files(absent)[5].unlink()
    calls = np.array(zarr.open_group(absent, mode="r")["call_genotype"])
    assert (calls != GENOTYPES).any()
    assert make_view(absent, tmp_path / "v").bed == reference.bed(calls)


@pytest.mark.parametrize("encoding", ["v2-gzip", "v2-none", "v2-blosc-lz4-bit", "v3-zstd"])
@pytest.mark.parametrize("damage", ["cut", "cut by one", "longer", "empty"])
def test_damaged_chunks(damage, encoding, tmp_path):
    """An error that names the chunk, never other bytes."""
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=CHUNKS, encoding=encoding)
    plan = plan_view(store, tmp_path / "plan")
    described_array, _ = described(store)
    chunk = store / described_array.key(1, 2)
    data = chunk.read_bytes()
    other = make_store(
        tmp_path / "y.vcz", random_genotypes(40, 203), chunks=(40, 64), encoding=encoding
    )
    longer = (other / described(other)[0].key(0, 2)).read_bytes()
    half = data[: len(data) // 2]
    changed = {"cut": half, "cut by one": data[:-1], "longer": longer, "empty": b""}
    chunk.write_bytes(changed[damage])
    encoder = open_encoder(plan, tmp_path / "plan", 1 << 20)
    row = bytearray(51)
    encoder.encode(0, 16, 17, memoryview(row))
    assert row == reference.bed(GENOTYPES)[3 + 16 * 51 :][:51]
    with pytest.raises(BiofuseError, match=r"call_genotype/(c/)?1[./]2[./]0: the chunk cannot be"):
        encoder.encode(0, 17, 18, memoryview(row))
