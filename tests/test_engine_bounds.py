"""What the engine takes of files, of a network and of the time of those who wait."""

import dataclasses
import os
import resource
import socket
import struct
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support import reference
from support.stores import make_store, random_genotypes, zip_store
from support.views import open_encoder, open_fast_path, plan_view, record_offsets

from biofuse.encode.fast import FastPath
from biofuse.encode.tables import MappedTables
from biofuse.errors import StoreChangedError
from biofuse.protocol import Request
from biofuse.stores import Location, open_store
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


class FarStore:
    """A store of which each read takes its time, and that keeps account."""

    far = True

    def __init__(self, path, seconds: float = 0):
        self._store = open_store(Location(str(path)))
        self._seconds = seconds
        self._lock = threading.Lock()
        self.asked: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0

    def get_many(self, ranges):
        with self._lock:
            self.asked.update(r.key for r in ranges)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self._seconds)
        with self._lock:
            self.at_once -= 1
        return self._store.get_many(ranges)

    def signature(self, keys):
        return None


def open_far(plan, folder, store, memory=64 * MIB) -> FastPath:
    tables = MappedTables.open(str(folder), plan.table_names())
    headers = [(folder / streamed.header).read_bytes() for streamed in plan.streamed]
    plan = dataclasses.replace(plan, signature=None)
    return FastPath(plan, tables.views, headers, store, int(memory), 16, 2 * MIB, time.time_ns())


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


def test_no_chunk_row_is_read_ahead_that_has_no_record(tmp_path):
    genotypes = random_genotypes(600, 50, seed=1)
    path, plan = view(
        tmp_path,
        genotypes,
        *("-i", "POS<=50 | POS>500"),
        chunks=(100, 25),
        positions=np.arange(1, 601),
    )
    store = FarStore(path)
    fast = open_far(plan, tmp_path / "plan", store)
    # The first time, whoever reads here and there wants no more than a block.
    assert not fast.give(fast.engine.read(0, HEADER, 13))
    for record in range(3):
        read(fast, plan, record)
    prepare(fast)
    assert {key.split("/")[1].split(".")[0] for key in store.asked} == {"0", "5"}


def test_a_chunk_row_is_fetched_by_one_of_those_who_want_it(tmp_path):
    genotypes = random_genotypes(1600, 50, seed=1)
    path, plan = view(tmp_path, genotypes, chunks=(100, 25))
    store = FarStore(path, seconds=0.1)
    fast = open_far(plan, tmp_path / "plan", store)
    fast._begun.extend((0, row) for row in range(16))
    expected = reference.bed(genotypes)[HEADER:]

    def check(record):
        assert read(fast, plan, record) == expected[13 * record : 13 * record + 13]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(check, range(100, 116)))
        assert store.asked == {"call_genotype/1.0.0": 1, "call_genotype/1.1.0": 1}
        list(pool.map(check, range(0, 1600, 100)))
    assert set(store.asked.values()) == {1}
    assert 1 < store.most_at_once <= 4


def test_a_chunk_row_that_cannot_be_fetched_is_told_to_all_who_wait(tmp_path):
    path, plan = view(tmp_path, random_genotypes(200, 50, seed=1), chunks=(100, 25))
    store = FarStore(path, seconds=0.2)
    fast = open_far(plan, tmp_path / "plan", store)
    fast._begun.append((0, 1))
    wanted = fast.engine.read(0, HEADER + 13 * 100, 13)
    for chunk in path.glob("call_genotype/1.*"):
        chunk.write_bytes(b"this is no frame")
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: fast.give(wanted), range(8))) == {False}
    assert max(store.asked.values()) == 1


@pytest.mark.parametrize(("readers", "most"), [(1, 2), (12, 6)])
def test_chunk_rows_are_not_fetched_again_and_again_for_many_readers(readers, most, tmp_path):
    """Where the cache, of 2 MiB, has no room for a row of 300 KiB of each, and planes."""
    genotypes = random_genotypes(250 * readers, 3000, seed=1)
    path, plan = view(tmp_path, genotypes, "--format", "bgen", chunks=(250, 3000))
    store = FarStore(path)
    fast = open_far(plan, tmp_path / "plan", store, memory=4.5 * MIB)
    offsets = record_offsets(plan, tmp_path / "plan")
    for record in range(0, 240, 5):
        for reader in range(readers):
            start, stop = (offsets[250 * reader + record + i] for i in (0, 5))
            # What is not fetched is made in the other way.
            for _ in range(3):
                found = fast.engine.read(0, start, stop - start)
                if isinstance(found, bytes) or not fast.give(found):
                    break
    assert 1 <= max(store.asked.values()) <= most


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
    monkeypatch.setattr(resource, "getrlimit", lambda which: (128, 128))
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
    monkeypatch.setattr(resource, "getrlimit", lambda which: (128, 128))
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
