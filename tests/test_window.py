"""The window's slots, and which blocks lose theirs."""

import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biofuse.errors import BiofuseError
from biofuse.serve.blocks import Block, BlockTable, State
from biofuse.serve.window import Window, WindowShape, shape_window

PAGE = os.sysconf("SC_PAGESIZE")


@given(st.integers(0, 1 << 30), st.integers(0, 40 << 20))
def test_a_shape_holds_records_and_keeps_to_its_size(size, record):
    try:
        shape = shape_window(size, record)
    except BiofuseError as error:
        # Only where two slots of each kind would not fit.
        assert "--memory" in str(error)
        slot = -(-max(record, 1) // PAGE) * PAGE
        assert size < 4 * max(slot, size // 8 + PAGE)
        return
    assert shape.size <= size
    assert min(shape.run_slot, shape.point_slot) >= record
    assert shape.run_slots >= 2
    assert shape.point_slots >= 2
    assert shape.run_slot % PAGE == shape.point_slot % PAGE == 0


def test_the_budget_that_is_asked_for_is_enough():
    import re

    with pytest.raises(BiofuseError) as error:
        shape_window(1 << 20, 5 << 20)
    need = int(re.search(r"--memory (\d+)MiB", str(error.value))[1])
    # A window gets half of the budget.
    shape_window((need << 20) // 2, 5 << 20)


@pytest.fixture
def window():
    window = Window(WindowShape(3 * PAGE, 3, PAGE, 2))
    yield window
    os.close(window.fd)


def test_slots_do_not_overlap(window):
    taken = [(window.take(True), 3 * PAGE) for _ in range(3)]
    taken += [(window.take(False), PAGE) for _ in range(2)]
    assert window.take(True) is None
    assert window.take(False) is None
    ends = sorted((start, start + size) for start, size in taken)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(ends))
    assert ends[-1][1] <= window.shape.size


def test_what_another_process_writes_is_read(window):
    slot = window.take(True)
    os.pwrite(window.fd, b"hello", slot)
    assert bytes(window.bytes_at(slot, 5)) == b"hello"


def test_pages_are_given_back(window):
    assert window.resident() == 0
    os.pwrite(window.fd, b"x" * window.shape.size, 0)
    assert window.resident() >= window.shape.size
    window.release_pages()
    assert window.resident() == 0
    assert bytes(window.bytes_at(0, 4)) == b"\0\0\0\0"


def add(table, first, run=True, state=State.READY, **fields):
    block = Block(0, first, first + 10, 100 * first, 100 * first + 1000, run, True, 0.0, state)
    for name, value in fields.items():
        setattr(block, name, value)
    table.add(block)
    return block


def test_a_block_is_found_by_each_of_its_bytes(window):
    table = BlockTable(window)
    block = add(table, 10)
    assert table.find(0, 999) is None
    assert all(table.find(0, n) is block for n in range(1000, 2000))
    assert table.find(0, 2000) is None
    assert table.find(1, 1500) is None
    assert table.find(0, 1500, run=True) is block
    assert table.find(0, 1500, run=False) is None


def test_the_least_recently_used_is_evicted(window):
    table = BlockTable(window)
    blocks = [add(table, 10 * n) for n in range(3)]
    assert all(table.place(b) for b in blocks)
    table.touch(blocks[0])
    new = add(table, 90, state=State.QUEUED)
    assert table.place(new)
    assert list(table) == [blocks[0], blocks[2], new]


def test_one_that_was_read_to_its_end_goes_first(window):
    table = BlockTable(window)
    blocks = [add(table, 10 * n) for n in range(3)]
    assert all(table.place(b) for b in blocks)
    blocks[2].spent = True
    assert table.place(add(table, 90, state=State.QUEUED))
    assert blocks[2] not in list(table)


@pytest.mark.parametrize("fields", [{"waiters": 1}, {"state": State.SENT}])
def test_what_is_waited_for_or_written_to_is_never_evicted(window, fields):
    table = BlockTable(window)
    blocks = [add(table, 10 * n, **fields) for n in range(3)]
    assert all(table.place(b) for b in blocks)
    assert not table.place(add(table, 90, state=State.QUEUED))
    assert all(b in list(table) for b in blocks)


def test_slots_of_the_other_kind_are_not_taken(window):
    table = BlockTable(window)
    points = [add(table, 10 * n, run=False) for n in range(2)]
    runs = [add(table, 100 + 10 * n, waiters=1) for n in range(3)]
    assert all(table.place(b) for b in points + runs)
    assert not table.place(add(table, 900, state=State.QUEUED))
    assert table.place(add(table, 910, run=False, state=State.QUEUED))
    assert points[0] not in list(table)


def test_a_slot_is_free_again_after_its_block(window):
    table = BlockTable(window)
    for n in range(20):
        block = add(table, 10 * n, waiters=1)
        assert table.place(block)
        table.remove(block)
        assert block.slot is None
    for n in range(3):
        assert table.place(add(table, 10 * n))
    table.clear()
    assert list(table) == []
    assert {window.take(True) for _ in range(3)} == {0, 3 * PAGE, 6 * PAGE}
