"""Stores of which each read takes its time: how often they are asked, and for what."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr
from support.stores import chunk_files, copy_store, make_store

from biofuse.genotypes.cache import ByteCache
from biofuse.genotypes.describe import describe
from biofuse.genotypes.frames import FrameReader
from biofuse.stores import Location, open_store

HEAD = 4096
MIB = 1 << 20
SAMPLES = 20_000
CHUNK = 8_000
SIZES = [8_000, 8_000, 4_000]


def is_whole(start: int, stop: int | None) -> bool:
    """Whether a range is all that a frame may be, which is more than a decoded one."""
    return start == 0 and (stop is None or stop >= 200 * CHUNK * 2)


class FarStore:
    """A store that takes a while, and keeps account."""

    far = True

    def __init__(self, store, seconds: float = 0):
        self.bytes_per_delay = 1 << 30
        self._store = store
        self._seconds = seconds
        self._lock = threading.Lock()
        self.asked: list[tuple[str, int, int | None]] = []

    def get_many(self, ranges):
        with self._lock:
            self.asked.extend((r.key, r.start, r.stop) for r in ranges)
        time.sleep(self._seconds)
        return self._store.get_many(ranges)

    def whole(self) -> list[str]:
        return [asked[0] for asked in self.asked if is_whole(*asked[1:])]


@pytest.fixture(autouse=True)
def all_reads_count(monkeypatch):
    """However near they are to the last."""
    monkeypatch.setattr("biofuse.genotypes.touches.NEAR", 0)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    rng = np.random.default_rng(1)
    genotypes = rng.integers(-1, 2, size=(300, SAMPLES, 2), dtype=np.int8)
    return make_store(
        tmp_path_factory.mktemp("s") / "x.vcz",
        genotypes,
        chunks=(200, CHUNK),
        encoding="v2-blosc-zstd-small-blocks",
    )


def open_reader(path, cache_bytes: int, **more) -> tuple[FarStore, FrameReader]:
    store = FarStore(open_store(Location(str(path))), **more)
    array = describe(zarr.open_group(path, mode="r")["call_genotype"])
    return store, FrameReader(store, array, [0, 1, 2], ByteCache(cache_bytes))


def contents(frames) -> list[bytes]:
    return [bytes(f.index) + bytes(f.span) for f in frames]


def test_a_chunk_row_that_is_read_on_in_is_asked_for_once(path):
    store, reader = open_reader(path, 64 * MIB)
    local = FrameReader(
        open_store(Location(str(path))), reader._array, [0, 1, 2], ByteCache(64 * MIB)
    )
    keys = [reader._array.key(0, i) for i in range(3)]
    for first in range(0, 200, 10):
        frames = reader.read(0, SIZES, first, first + 9)
        expected = local.read(0, SIZES, first, first + 9)
        for frame, other in zip(frames, expected, strict=True):
            assert (frame.size, frame.version) == (other.size, other.version)
            assert bytes(frame.index) == bytes(other.index)
            assert frame.span_start == other.span_start
            assert bytes(frame.span) == bytes(other.span)
    assert store.whole() == keys
    # Heads, offset tables, which are longer, and the first block, which might have been all.
    others = [asked for asked in store.asked if asked[0] in keys and not is_whole(*asked[1:])]
    assert len(others) == 9


def test_who_reads_here_and_there_gets_no_more(path):
    store, reader = open_reader(path, 64 * MIB)
    reader.read(0, SIZES, 5, 5)
    reader.read(1, SIZES, 7, 7)
    assert store.whole() == []


def test_threads_wait_for_one_of_them(path):
    store, reader = open_reader(path, 64 * MIB, seconds=0.05)
    reader.read(0, SIZES, 0, 0)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda i: contents(reader.read(0, SIZES, i, i)), range(6)))
    assert len(store.whole()) == 3
    assert found == [contents(reader.read(0, SIZES, i, i)) for i in range(6)]


def test_frames_that_do_not_fit_are_not_kept(path):
    store, reader = open_reader(path, 2 * MIB)
    encoded = reader._shape(0).encoded
    assert encoded > MIB // 2
    for first in range(0, 60, 10):
        reader.read(0, SIZES, first, first + 9)
    assert store.whole() == []
    assert reader._cache.used <= reader._cache.limit


def test_parts_that_cost_little_are_read_as_parts(path):
    store, reader = open_reader(path, 64 * MIB)
    store.bytes_per_delay = 0
    for _ in range(3):
        for row in (3, 190):
            reader.read(0, SIZES, row, row)
    assert store.whole() == []


def test_what_is_not_there_is_asked_for_once(path, tmp_path):
    part = copy_store(path, tmp_path / "x.vcz")
    missing = chunk_files(part)[1]
    missing.unlink()
    store, reader = open_reader(part, 64 * MIB)
    for first in range(0, 50, 10):
        frames = reader.read(0, SIZES, first, first + 9)
        assert [frame is None for frame in frames] == [False, True, False]
    key = str(missing.relative_to(part))
    assert [asked for asked in store.asked if asked[0] == key] == [(key, 0, HEAD)]


def test_a_store_here_is_asked_again(path, tmp_path):
    """It sees that something came to be there, and says so."""
    part = copy_store(path, tmp_path / "x.vcz")
    chunk_files(part)[1].unlink()
    store, reader = open_reader(part, 64 * MIB)
    store.far = False
    for _ in range(2):
        store.asked.clear()
        assert reader.read(0, SIZES, 0, 0)[1] is None
        assert len(store.asked) >= 1
