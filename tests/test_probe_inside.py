"""What the probe finds of live memory: each owner once, whatever shows it."""

import gc
import mmap

import numpy as np
import pytest

from benchmarks import probe_inside

MIB = 1 << 20


def found(make) -> list[int]:
    """Sizes that are there only as long as what `make` returns is held."""
    gc.collect()
    before = probe_inside.large_arrays()
    held = make()
    after = probe_inside.large_arrays()
    for size in before:
        after.remove(size)
    del held
    return after


class Holder:
    """What a probe comes across: an object with an attribute."""

    def __init__(self, *values):
        self.values = values


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: np.zeros(3 * MIB, np.uint8),
        lambda: np.zeros(3 * MIB, np.uint8)[:10],
        lambda: np.zeros(3 * MIB, np.uint8).reshape(3, MIB)[1:].T,
        lambda: np.frombuffer(bytes(3 * MIB), np.uint8),
        lambda: np.frombuffer(bytearray(3 * MIB), np.uint32)[::2],
        lambda: np.frombuffer(memoryview(bytes(3 * MIB))[5:], np.uint8).reshape(-1, 1)[:4],
    ],
)
def test_an_array_counts_what_it_keeps_alive(make):
    assert found(lambda: Holder(make())) == [3 * MIB]


@pytest.mark.slow
def test_arrays_of_one_owner_count_once():
    def make():
        owner = np.zeros(2 * MIB, np.uint8)
        other = bytes(4 * MIB)
        shown = [np.frombuffer(other, np.uint8)[i:] for i in range(3)]
        return Holder(owner, owner[1:], owner.view(np.int8), *shown)

    assert found(make) == [4 * MIB, 2 * MIB]


def test_small_arrays_are_left_out():
    assert found(lambda: Holder(np.zeros(MIB, np.uint8))) == []


def test_memoryviews_of_one_owner_count_once():
    data = bytearray(5 * MIB)
    before = probe_inside.holders().get("memoryview", {"count": 0, "bytes": 0})
    views = Holder(*(memoryview(data)[i:] for i in range(4)))
    released = memoryview(data)
    released.release()
    after = probe_inside.holders()["memoryview"]
    assert after["bytes"] - before["bytes"] == 5 * MIB
    assert after["count"] - before["count"] >= 4
    del views


def test_holders_tell_their_own_bytes():
    from biofuse import native
    from biofuse.genotypes.cache import ByteCache

    cache = ByteCache(MIB)
    cache.put("k", b"", 1234)
    rows = native.Rows(4, 1000, 2, np.array([1000], np.uint32))
    held = Holder(cache, rows, native.Cache(MIB), mmap.mmap(-1, 8192))
    sizes = {name: one["bytes"] for name, one in probe_inside.holders().items()}
    assert sizes["ByteCache"] >= 1234
    assert sizes["Rows"] >= rows.nbytes > 0
    assert sizes["mmap"] >= 8192
    assert "Cache" in sizes
    del held


def test_a_zarr_array_holds_nothing(tmp_path):
    import zarr

    held = Holder(zarr.create_array(tmp_path / "a", shape=(10**12,), dtype="int8"))
    one = probe_inside.holders()["Array"]
    assert one["count"] >= 1 and one["bytes"] == 0
    del held
