"""What is fetched of a store at some distance, when, how often and by whom."""

import dataclasses
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support import reference
from support.stores import make_store, random_genotypes
from support.views import plan_view, record_offsets

from biofuse.encode.fast import FastPath
from biofuse.encode.tables import MappedTables
from biofuse.errors import BiofuseError, StoreChangedError
from biofuse.stores import Location, Range, open_store
from biofuse.stores.link import Link

HEADER = len(reference.MAGIC)
MIB = 1 << 20
# A moment in which what is to be fetched ahead would have been.
MOMENT = 0.3


class FarStore:
    """A store of which each request takes its time, and that keeps account."""

    far = True

    def __init__(self, path, seconds: float = 0):
        self._store = open_store(Location(str(path)))
        self._seconds = seconds
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(64)
        self.link = Link()
        self.asked: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self.bytes_per_delay = 0
        self.sizes = {
            f"call_genotype/{file.name}": file.stat().st_size
            for file in Path(path).glob("call_genotype/*")
        }
        self.fails = ""
        self.text = "as it was"
        self.looked = 0

    def get(self, key, most, ahead=False):
        with self._lock:
            self.asked[key] += 1
        return self._pool.submit(self._get, key, most)

    def _get(self, key, most):
        began = self.link.began()
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self._seconds)
        with self._lock:
            self.at_once -= 1
        self.link.answered(began)
        [piece] = self._store.get_many([Range(key, 0, most)])
        self.link.ended(began, 0 if piece is None else piece.size)
        if self.fails and self.fails in key:
            raise BiofuseError(f"{key} cannot be read: no answer")
        return piece

    def size(self, key):
        return self.sizes.get(key)

    def signature_soon(self, keys, known=""):
        self.looked += 1
        future = Future()
        future.set_result(self.text)
        return future

    def rows(self):
        return {int(key.split("/")[1].split(".")[0]) for key in self.asked}


def view(folder, genotypes, *options, **more):
    """A store's path, and its plan."""
    store = make_store(folder / "x.vcz", genotypes, **more)
    return store, plan_view(store, folder / "plan", *options)


def open_far(plan, folder, store, memory=64 * MIB) -> FastPath:
    tables = MappedTables.of_plan(plan, str(folder))
    plan = dataclasses.replace(plan, signature="as it was", watched=[".zgroup"])
    return FastPath(plan, tables.views, store, int(memory), 16, 2 * MIB, time.time_ns())


def read(fast, plan, record: int) -> bytes | None:
    """A record, by the engine, given what it wants; None if it is made in another way."""
    size = plan.streamed[0].record_size
    for _ in range(10):
        found = fast.engine.read(0, HEADER + record * size, size)
        if isinstance(found, bytes):
            return found
        if not fast.give(found):
            return None
    raise AssertionError("the engine wants the same things again and again")


def test_who_reads_here_and_there_gets_no_chunk_row_at_first(tmp_path, monkeypatch):
    # Of chunk rows of 1,300 bytes.
    monkeypatch.setattr("biofuse.encode.fetch.NEAR", 300)
    monkeypatch.setattr("biofuse.genotypes.touches.NEAR", 300)
    genotypes = random_genotypes(3000, 50, seed=1)
    path, plan = view(tmp_path, genotypes, chunks=(100, 25))
    store = FarStore(path)
    fast = open_far(plan, tmp_path / "plan", store)
    expected = reference.bed(genotypes)[HEADER:]
    assert read(fast, plan, 2050) is None
    assert not store.asked
    # Who comes to it again and again does, once that has cost as much.
    records = [2090, 2010] * 8
    found = [read(fast, plan, record) for record in records]
    first = next(i for i, data in enumerate(found) if data is not None)
    assert 2 <= first < 15
    wanted = [expected[13 * record : 13 * record + 13] for record in records]
    assert found[first:] == wanted[first:]
    assert 20 in store.rows()
    # And where it takes no longer than a round, who comes first.
    store.bytes_per_delay = MIB
    assert read(fast, plan, 1050) == expected[13 * 1050 : 13 * 1051]


def test_what_a_run_wants_next_is_fetched_before_it_asks(tmp_path):
    genotypes = random_genotypes(3000, 50, seed=1)
    path, plan = view(tmp_path, genotypes, chunks=(100, 25))
    store = FarStore(path, seconds=0.01)
    fast = open_far(plan, tmp_path / "plan", store)
    expected = reference.bed(genotypes)[HEADER:]
    for record in range(3):
        assert read(fast, plan, record) == expected[13 * record : 13 * record + 13]
    time.sleep(MOMENT)
    assert len(store.rows()) > 20
    before = sum(store.asked.values())
    for record in range(3, 2000):
        assert read(fast, plan, record) == expected[13 * record : 13 * record + 13]
    assert set(store.asked.values()) == {1}
    assert sum(store.asked.values()) - before < 20
    assert store.most_at_once > 8


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
    for record in range(3):
        read(fast, plan, record)
    time.sleep(MOMENT)
    assert store.rows() == {0, 5}


def test_a_chunk_row_is_fetched_by_one_of_those_who_want_it(tmp_path):
    genotypes = random_genotypes(1600, 50, seed=1)
    path, plan = view(tmp_path, genotypes, chunks=(100, 25))
    store = FarStore(path, seconds=0.1)
    store.bytes_per_delay = MIB
    fast = open_far(plan, tmp_path / "plan", store)
    expected = reference.bed(genotypes)[HEADER:]

    def check(record):
        assert read(fast, plan, record) == expected[13 * record : 13 * record + 13]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(check, range(110, 1600, 100)))
        list(pool.map(check, range(100, 116)))
    assert set(store.asked.values()) == {1}


def test_one_that_cannot_be_fetched_is_told_to_all_who_wait(tmp_path):
    path, plan = view(tmp_path, random_genotypes(200, 50, seed=1), chunks=(100, 25))
    store = FarStore(path, seconds=0.2)
    store.bytes_per_delay = MIB
    store.fails = "/1.1"
    fast = open_far(plan, tmp_path / "plan", store)
    wanted = fast.engine.read(0, HEADER + 13 * 100, 13)

    def give(_):
        with pytest.raises(BiofuseError, match=r"call_genotype/1\.1\.0 cannot be read"):
            fast.give(wanted)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(give, range(8)))
    assert max(store.asked.values()) == 1
    # It may go better later.
    store.fails = ""
    assert fast.give(wanted)


def test_frames_of_another_kind_are_made_in_another_way(tmp_path):
    path, plan = view(tmp_path, random_genotypes(200, 50, seed=1), chunks=(100, 25))
    store = FarStore(path)
    store.bytes_per_delay = MIB
    fast = open_far(plan, tmp_path / "plan", store)
    for chunk in path.glob("call_genotype/1.*"):
        chunk.write_bytes(b"this is no frame")
    wanted = fast.engine.read(0, HEADER + 13 * 100, 13)
    assert not fast.give(wanted)
    assert not fast.give(wanted)
    assert max(store.asked.values()) == 1


def test_a_store_that_was_changed_is_not_read_any_more(tmp_path):
    genotypes = random_genotypes(300, 50, seed=1)
    path, plan = view(tmp_path, genotypes, chunks=(100, 25))
    store = FarStore(path)
    store.bytes_per_delay = MIB
    fast = open_far(plan, tmp_path / "plan", store)
    # The last chunk row, so that nothing is fetched ahead.
    last = HEADER + 13 * 250
    assert read(fast, plan, 250) == reference.bed(genotypes)[last : last + 13]
    store.text = "another"
    wanted = fast.engine.read(0, HEADER, 13)
    with pytest.raises(StoreChangedError):
        fast.give(wanted)
    # Nor what was fetched before.
    assert not isinstance(fast.engine.read(0, last, 13), bytes)


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
