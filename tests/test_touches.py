"""When a chunk row is worth fetching whole, for those who read here and there in it."""

from hypothesis import given
from hypothesis import strategies as st

from biofuse.genotypes.touches import NEAR, Touches


def test_the_first_read_never_does():
    assert not Touches().suffice("a", 10 * NEAR, 1, 0)


def test_reads_nearby_are_one():
    touches = Touches()
    for position in range(0, NEAR, 1000):
        assert not touches.suffice("a", position, 1, 0)
    assert touches.suffice("a", 10 * NEAR, 1, 0)


def test_each_chunk_row_is_counted_for_itself():
    touches = Touches()
    assert not touches.suffice("a", 0, 1, 0)
    assert not touches.suffice("b", 10 * NEAR, 1, 0)


def test_what_is_not_there_is_not_fetched():
    touches = Touches()
    for i in range(10):
        assert not touches.suffice("a", 10 * i * NEAR, 0, NEAR)


@given(size=st.integers(1, 1 << 28), per_delay=st.integers(0, 1 << 26))
def test_parts_never_take_much_longer_than_all_of_it(size, per_delay):
    touches = Touches()
    count = 0
    while not touches.suffice("a", 2 * NEAR * count, size, per_delay):
        count += 1
    spent = count * (per_delay + NEAR)
    assert count == 1 or spent - (per_delay + NEAR) < size
    assert spent >= size
