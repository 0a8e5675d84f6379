"""What the engine takes of files, of a network and of the time of those who wait."""

import dataclasses
import os
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support import reference
from support.stores import make_store, random_genotypes, zip_store
from support.views import open_encoder, open_fast_path, plan_view

from biofuse.errors import StoreChangedError
from biofuse.protocol import Request
from biofuse.table import Table

HEADER = len(reference.MAGIC)
MIB = 1 << 20


def view(folder, genotypes, *options, packed=False, **more):
    """A store's path, and its plan."""
    store = make_store(folder / "x.vcz", genotypes, **more)
    if packed:
        store = zip_store(store)
    return store, plan_view(store, folder / "plan", *options)


def read(fast, plan, record: int) -> bytes:
    """A record, by the engine, given what it wants."""
    size = plan.streamed[0].record_size
    for _ in range(10):
        found = fast.engine.read(0, HEADER + record * size, size)
        if isinstance(found, bytes):
            return found
        assert fast.give(found), (found.array, found.chunk_row)
    raise AssertionError("the engine wants the same things again and again")


def prepare(fast) -> int:
    """All that is read ahead. Returns in how many parts."""
    parts = 0
    while (found := fast.engine.prepare()) is not False:
        parts += 1
        if found is not True:
            fast.give(found)
    return parts


def files_below(folder) -> int:
    """Files that this process has open there."""
    names = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            names.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            continue
    return sum(name.startswith(f"{folder}/") for name in names)


@pytest.mark.slow
def test_who_waits_comes_before_what_is_read_ahead(tmp_path):
    """With fewer calls at a time than threads, as where many sample chunks share the budget."""
    genotypes = random_genotypes(12_000, 1603, seed=1)
    _, plan = view(tmp_path, genotypes, chunks=(2000, 1603))
    fast = open_fast_path(plan, tmp_path / "plan", 256 * MIB, threads=1, ahead_bytes=64 * MIB)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kernel, session = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, 100_000))
    table = Table()
    fast.engine.connect(theirs.fileno(), session.fileno(), table.memory)

    def serve():
        while fast.engine.serve() is not None:
            pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        for unique in range(3):
            ours.send(Request(0, 0, unique, 1000 * unique, 1000).pack())
            kernel.recv(2000)
        before = table.counters()["planes_ahead"]
        assert read(fast, plan, 11_000) == reference.bed(genotypes[11_000:11_001])[HEADER:]
        assert table.counters()["planes_ahead"] - before < 10
    finally:
        ours.close()
        thread.join()
        for each in (theirs, kernel, session):
            each.close()


def test_members_of_a_zip_file_are_read_through_one_descriptor(tmp_path):
    genotypes = random_genotypes(300, 8, seed=1)
    _, plan = view(tmp_path, genotypes, packed=True, chunks=(4, 2))
    fast = open_fast_path(plan, tmp_path / "plan", 64 * MIB)
    expected = reference.bed(genotypes)[HEADER:]
    before = files_below(tmp_path)
    for record in range(299, -1, -7):
        assert read(fast, plan, record) == expected[2 * record : 2 * record + 2]
    assert files_below(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize("chunks", [10, 60, 70])
def test_files_of_the_store_are_no_more_than_may_be_open(chunks, tmp_path, monkeypatch):
    """Half of what this process may have, whatever the number of sample chunks."""
    genotypes = random_genotypes(40, 2 * chunks, seed=1)
    _, plan = view(tmp_path, genotypes, chunks=(4, 2))
    monkeypatch.setattr("biofuse.encode.fast.files_left", lambda: 128)
    fast = open_fast_path(plan, tmp_path / "plan", 1024 * MIB, threads=4)
    size = plan.streamed[0].record_size
    expected = reference.bed(genotypes)[HEADER:]
    most, made = 0, set()

    def check(seed):
        nonlocal most
        for record in np.random.default_rng(seed).integers(0, 40, size=200):
            found = fast.engine.read(0, HEADER + int(record) * size, size)
            if isinstance(found, bytes):
                assert found == expected[int(record) * size :][:size]
            # Some chunks are not stored.
            made.add(isinstance(found, bytes) or fast.give(found))
            most = max(most, files_below(tmp_path))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(check, range(4)))
    assert most <= 64
    # What has more sample chunks than that is made in the other way.
    assert made == {chunks <= 64}


def test_what_is_read_ahead_is_opened_once(tmp_path, monkeypatch):
    """Even where a chunk row has more sample chunks than are kept open."""
    _, plan = view(tmp_path, random_genotypes(8, 1200, seed=1), chunks=(4, 20))
    monkeypatch.setattr("biofuse.encode.fast.files_left", lambda: 128)
    fast = open_fast_path(plan, tmp_path / "plan", 64 * MIB)
    table = Table()
    fast.engine.connect(-1, -1, table.memory)
    for record in range(2):
        read(fast, plan, record)
    fast.engine.publish()
    before = table.counters()["chunk_misses"]
    assert prepare(fast) > 60
    fast.engine.publish()
    # Each chunk that is prepared, and the next row's, which are opened before.
    assert table.counters()["chunk_misses"] - before <= 3 * 60


def test_a_fast_path_that_cannot_be_opened_leaves_nothing_open(tmp_path):
    _, plan = view(tmp_path, random_genotypes(8, 10, seed=1))
    plan = dataclasses.replace(plan, watched=["x" * 300])
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(OSError, match="cannot be looked at"):
            open_fast_path(plan, tmp_path / "plan", 64 * MIB)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("encoding", ["v3-blosc-zstd-bit", "v3-zstd"])
def test_a_folder_of_chunks_that_another_was_moved_to(encoding, tmp_path):
    """Its files are as old as ever."""
    store, plan = view(
        tmp_path, random_genotypes(40, 40, seed=1), chunks=(10, 20), encoding=encoding
    )
    time.sleep(0.05)
    fast = open_fast_path(plan, tmp_path / "plan", 64 * MIB)
    encoder = open_encoder(plan, tmp_path / "plan", 8 * MIB)
    time.sleep(0.05)
    row = store / "call_genotype" / "c" / "2"
    for old, new in [("0", "x"), ("1", "0"), ("x", "1")]:
        (row / old).rename(row / new)
    found = fast.engine.read(0, HEADER + 200, 10)
    assert not isinstance(found, bytes)
    assert not fast.give(found)
    with pytest.raises(StoreChangedError):
        encoder.encode(0, 20, 21, memoryview(bytearray(10)))
