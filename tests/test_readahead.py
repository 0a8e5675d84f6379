"""Runs of reads are told from lone ones."""

import random

from hypothesis import given
from hypothesis import strategies as st

from biofuse.serve.readahead import RunDetector

MIB = 1 << 20


def observe(detector, offset, size=128 << 10):
    return detector.observe(offset, offset + size)


def test_the_first_read_announces_nothing():
    detector = RunDetector()
    assert not observe(detector, 0).announced
    assert detector.active() == 0


def test_reads_that_follow_one_another_are_a_run():
    detector = RunDetector()
    runs = [observe(detector, n * (128 << 10)) for n in range(10)]
    assert all(run is runs[0] for run in runs)
    assert runs[0].announced
    assert detector.active() == 1


def test_far_reads_are_no_run():
    detector = RunDetector()
    rng = random.Random(1)
    for _ in range(200):
        assert not observe(detector, rng.randrange(1 << 20) * 64 * MIB, 25_000).announced
    assert detector.active() == 0


@given(st.permutations(range(24)), st.integers(2, 6))
def test_a_run_stays_one_out_of_order(order, reach):
    """As the kernel's read-ahead comes: each piece at most `reach` places away."""
    order = sorted(order[:24], key=lambda n: n // reach * 100 + order.index(n))
    detector = RunDetector()
    runs = {id(observe(detector, n * (128 << 10))) for n in order}
    assert len(runs) == 1


def test_several_runs_at_once():
    detector = RunDetector()
    places = [n * 1024 * MIB for n in range(8)]
    seen = [{id(observe(detector, p + step * MIB)) for step in range(5)} for p in places]
    assert all(len(ids) == 1 for ids in seen)
    assert len(set.union(*seen)) == 8
    assert detector.active() == 8


def test_interleaved_runs_are_told_apart():
    detector = RunDetector()
    ids = [set(), set(), set()]
    for step in range(20):
        for n in range(3):
            ids[n].add(id(observe(detector, n * 1024 * MIB + step * (128 << 10))))
    assert [len(found) for found in ids] == [1, 1, 1]


def test_old_runs_end():
    detector = RunDetector()
    for step in range(4):
        observe(detector, step * (128 << 10))
    assert detector.active() == 1
    for n in range(1, 100):
        observe(detector, n * 64 * MIB, 25_000)
    assert detector.active() == 0


def test_memory_is_bounded():
    detector = RunDetector()
    for n in range(2000):
        observe(detector, n * 64 * MIB)
    assert len(detector._runs) <= 16


def test_a_run_is_where_its_furthest_read_was():
    """A piece that comes late does not take it back."""
    detector = RunDetector()
    first = observe(detector, 0, 8 * MIB)
    assert observe(detector, 6 * MIB + MIB // 2, 4096) is first
    assert observe(detector, 9 * MIB + MIB // 2, 4096) is first


def test_a_run_that_nobody_joins_ends_beside_one_that_goes_on():
    detector = RunDetector()
    for step in range(4):
        observe(detector, 1024 * MIB + step * 4096, 4096)
    for step in range(60):
        observe(detector, step * 4096, 4096)
    assert detector.active() == 2
    for step in range(60, 120):
        observe(detector, step * 4096, 4096)
    assert detector.active() == 1
