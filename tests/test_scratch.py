"""What calls that are under way take: no more than their part of the budget."""

import threading

import numpy as np
import pytest
import zarr
from support import stores
from support.program import wait_until
from support.stores import add_field, blosc, make_store, random_genotypes
from support.views import open_encoder, plan_view

from biofuse.encode.turns import Turns
from biofuse.genotypes.cache import ByteCache
from biofuse.genotypes.describe import describe
from biofuse.genotypes.frames import FrameReader
from biofuse.stores import Location, open_store

KIB = 1 << 10
ROWS, SAMPLES = 400, 1_000


@pytest.fixture(scope="module")
def genotypes():
    return random_genotypes(ROWS, SAMPLES)


def with_blocks(path, genotypes, size, monkeypatch):
    """A store of two sample chunks, 400 KB each, in Blosc blocks of a size."""
    monkeypatch.setitem(stores.ENCODINGS, "blocks", (2, blosc(blocksize=size), {}))
    return make_store(path, genotypes, chunks=(ROWS, SAMPLES // 2), encoding="blocks")


@pytest.mark.parametrize("block", [4 * KIB, 64 * KIB])
def test_no_more_is_read_of_frames_than_was_allowed(block, genotypes, tmp_path, monkeypatch):
    store = with_blocks(tmp_path / "x.vcz", genotypes, block, monkeypatch)
    array = describe(zarr.open_group(store, mode="r")["call_genotype"])
    reader = FrameReader(open_store(Location(str(store))), array, [0, 1], ByteCache(1 << 20))
    assert reader.block_size(0) == block
    whole = sum(path.stat().st_size for path in stores.chunk_files(store))
    for part in (0.5, 0.7, 0.9, 1, 2):
        allowed = int(part * whole)
        rows = reader.rows_within(0, 0, allowed)
        assert rows >= 1
        if part < 1:
            # Not more careful than blocks make it, or than reading whole frames does.
            assert rows >= min(ROWS * part, 0.6 * ROWS) - 3 * -(-block // SAMPLES) - 2
        for first in range(0, ROWS, 13):
            last = min(first + rows, ROWS) - 1
            frames = reader.read(0, [SAMPLES // 2] * 2, first, last)
            assert sum(len(frame.span) for frame in frames) <= allowed


@pytest.mark.parametrize("block", [4 * KIB, 32 * KIB, 64 * KIB])
def test_a_block_is_not_read_for_each_of_its_rows(block, genotypes, tmp_path, monkeypatch):
    """However little is allowed: over a network each time would be a request."""
    store = with_blocks(tmp_path / "x.vcz", genotypes, block, monkeypatch)
    array = describe(zarr.open_group(store, mode="r")["call_genotype"])
    reader = FrameReader(open_store(Location(str(store))), array, [0, 1], ByteCache(1 << 20))
    row = spans = 0
    while row < ROWS:
        stop = min(row + reader.rows_within(0, row, 1), ROWS)
        frames = reader.read(0, [SAMPLES // 2] * 2, row, stop - 1)
        spans += sum(len(frame.span) for frame in frames)
        row = stop
    # One that a row begins in and another ends in is read twice.
    assert spans <= 2.1 * sum(path.stat().st_size for path in stores.chunk_files(store))


def test_a_later_row_of_larger_chunks_is_looked_at(tmp_path):
    calls = np.zeros((2 * ROWS, SAMPLES, 2), np.int8)
    calls[ROWS:] = random_genotypes(ROWS, SAMPLES)
    store = make_store(tmp_path / "x.vcz", calls, chunks=(ROWS, SAMPLES))
    array = describe(zarr.open_group(store, mode="r")["call_genotype"])
    reader = FrameReader(open_store(Location(str(store))), array, [0], ByteCache(1 << 20))
    assert reader.rows_within(0, 0, 64 * KIB) >= ROWS
    assert reader.rows_within(1, 0, 64 * KIB) < ROWS // 2


def calls_of(store, directory, scratch, *options):
    plan = plan_view(store, directory, *options)
    encoder = open_encoder(plan, directory, 1 << 20, scratch_bytes=scratch, threads=8)
    own = encoder._scratch_of_a_call()
    assert encoder._calls == 1 or encoder._calls * (own + encoder._loaded_bytes) <= scratch
    return encoder._calls, own


def test_larger_blocks_leave_room_for_fewer_calls(genotypes, tmp_path, monkeypatch):
    small = with_blocks(tmp_path / "x.vcz", genotypes, 32 * KIB, monkeypatch)
    large = with_blocks(tmp_path / "y.vcz", genotypes, 256 * KIB, monkeypatch)
    # Two blocks, and two planes, an eighth each, for both sample chunks.
    assert calls_of(small, tmp_path / "p1", 1000 * KIB) == (8, 80 * KIB)
    assert calls_of(large, tmp_path / "p2", 2000 * KIB) == (2, 640 * KIB)
    assert calls_of(large, tmp_path / "p3", 100 * KIB) == (1, 640 * KIB)


def test_all_planes_are_counted_where_more_alleles_may_occur(genotypes, tmp_path, monkeypatch):
    store = with_blocks(tmp_path / "x.vcz", genotypes, 32 * KIB, monkeypatch)
    alleles = np.array([["A", "C", ""]] * ROWS, dtype=object)
    root = zarr.open_group(store, mode="r+")
    array = root.create_array(
        "variant_allele",
        shape=alleles.shape,
        dtype=str,
        overwrite=True,
        attributes={"_ARRAY_DIMENSIONS": ["variants", "alleles"]},
    )
    array[...] = alleles
    assert calls_of(store, tmp_path / "plan", 1000 * KIB)[1] == (2 * 32 + 2 * 32) * KIB


def test_values_and_every_field_are_counted(genotypes, tmp_path, monkeypatch):
    store = with_blocks(tmp_path / "x.vcz", genotypes, 32 * KIB, monkeypatch)
    _, of_calls = calls_of(store, tmp_path / "p1", 1000 * KIB, "--format", "bgen")
    add_field(store, "call_DS", np.zeros((ROWS, SAMPLES), np.float32), chunks=(ROWS, SAMPLES))
    _, of_values = calls_of(
        store, tmp_path / "p2", 1000 * KIB, "--format", "bgen", "--bgen-field", "DS"
    )
    assert of_values >= of_calls + 4_000_000
    add_field(store, "call_genotype_phased", np.ones((ROWS, SAMPLES), bool), encoding="v2-gzip")
    plan = plan_view(store, tmp_path / "p3", "--format", "bgen", "--phased")
    encoder = open_encoder(plan, tmp_path / "p3", 1 << 20, scratch_bytes=800 * KIB, threads=4)
    shares = []
    file = encoder._files[0]
    cut = type(file).cut
    monkeypatch.setattr(type(file), "cut", lambda *words: shares.append(words[-1]) or cut(*words))
    list(encoder._parts(file, 0, ROWS))
    assert set(shares) == {encoder._loaded_bytes // 2}


def test_no_more_calls_are_under_way_than_there_is_room_for(genotypes, tmp_path, monkeypatch):
    store = with_blocks(tmp_path / "x.vcz", genotypes, 256 * KIB, monkeypatch)
    plan = plan_view(store, tmp_path / "plan")
    encoder = open_encoder(plan, tmp_path / "plan", 0, scratch_bytes=2000 * KIB, threads=8)
    under_way, most, lock = [], [0], threading.Lock()
    part = encoder._encode_part

    def encode_part(*words):
        with lock:
            under_way.append(None)
            most[0] = max(most[0], len(under_way))
        try:
            return part(*words)
        finally:
            with lock:
                under_way.pop()

    monkeypatch.setattr(encoder, "_encode_part", encode_part)

    def work():
        encoder.encode(0, 0, ROWS, memoryview(bytearray(ROWS * SAMPLES // 4)))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] <= 2
    assert len(encoder._idle_rows) <= 2


def test_turns_are_taken_in_order():
    turns = Turns(1)
    order = []

    def wait(number):
        with turns:
            order.append(number)

    threads = [threading.Thread(target=wait, args=(number,)) for number in range(6)]
    with turns:
        for count, thread in enumerate(threads, 1):
            thread.start()
            wait_until(lambda count=count: len(turns._waiting) == count, "it waits")
    # It comes back at once, and overtakes none.
    wait(6)
    for thread in threads:
        thread.join()
    assert order == list(range(7))
