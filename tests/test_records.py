"""Records and the blocks that they are cut into."""

import os
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biofuse.manifest import StreamedFile
from biofuse.serve.records import Records, Table, cut_blocks


def fixed(count: int, record_size: int, header_size: int = 3) -> Records:
    size = header_size + count * record_size
    return Records(
        StreamedFile("x", "f", "h", header_size, size, count, record_size, record_size), None
    )


def varied(sizes: list[int], header_size: int = 7) -> Records:
    offsets = list(accumulate(sizes, initial=header_size))
    file = StreamedFile(
        "x", "f", "h", header_size, offsets[-1], len(sizes), max(sizes, default=0), offsets="o"
    )
    return Records(file, offsets)


@st.composite
def cut_files(draw):
    """Records, first records of chunk rows, and a slot that holds the largest record."""
    rows = draw(st.lists(st.integers(1, 40), max_size=30))
    starts = list(accumulate(rows, initial=0))
    count = starts.pop()
    if draw(st.booleans()):
        records = fixed(count, draw(st.integers(1, 900)))
    else:
        sizes = draw(st.lists(st.integers(1, 900), min_size=count, max_size=count))
        records = varied(sizes)
    largest = max((records.start(i + 1) - records.start(i) for i in range(count)), default=1)
    return records, starts, draw(st.integers(largest, largest + 20_000))


@given(cut_files())
def test_blocks_have_every_record_once_and_fit_the_slot(cut):
    records, starts, slot = cut
    blocks = list(cut_blocks(records, starts, slot))
    assert blocks[-1] == records.count
    if records.count:
        assert blocks[0] == 0
    assert blocks == sorted(set(blocks))
    for first, last in pairwise(blocks):
        assert 0 < records.start(last) - records.start(first) <= slot


@given(cut_files())
def test_blocks_keep_to_chunk_rows(cut):
    """A block is whole chunk rows, not too many, or lies within one that is too large."""
    records, starts, slot = cut
    blocks = list(cut_blocks(records, starts, slot))
    bounds = [*starts, records.count]
    row_of = {start: i for i, start in enumerate(bounds)}
    for first, last in pairwise(blocks):
        if first in row_of and last in row_of:
            assert row_of[last] - row_of[first] <= 8
            continue
        row = max(i for i, start in enumerate(bounds) if start <= first)
        assert last <= bounds[row + 1]
        assert records.start(bounds[row + 1]) - records.start(bounds[row]) > slot


@given(cut_files())
def test_small_chunk_rows_are_put_together(cut):
    records, starts, slot = cut
    blocks = list(cut_blocks(records, starts, slot))
    bounds = [*starts, records.count]
    for first, last in pairwise(blocks):
        if first in starts and last in starts:
            row = bounds.index(last)
            with_next = records.start(bounds[row + 1]) - records.start(first)
            assert with_next > slot or row - bounds.index(first) == 8


def test_a_large_chunk_row_is_cut_evenly():
    blocks = list(cut_blocks(fixed(1000, 100), [0], 30_000))
    assert blocks == [0, 250, 500, 750, 1000]


def test_no_records():
    assert list(cut_blocks(fixed(0, 5), [], 100)) == [0]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.data())
def test_every_byte_is_in_the_record_that_holds_it(sizes, data):
    for records in (varied(sizes), fixed(len(sizes), sizes[0])):
        offset = data.draw(st.integers(records.header_size, records.size - 1))
        record = records.at(offset)
        assert records.start(record) <= offset < records.start(record + 1)
        assert records.start(records.count) == records.size


@pytest.mark.parametrize(
    "values", [[], [7], list(range(0, 3000, 7)), [2**63], list(range(8192)), list(range(20_000))]
)
def test_a_table_in_a_file(values, tmp_path):
    path = tmp_path / "t"
    path.write_bytes(b"".join(v.to_bytes(8, "little") for v in values))
    fd = os.open(path, os.O_RDONLY)
    try:
        table = Table(fd)
        assert list(table) == values
        assert [table[i] for i in range(len(table))] == values
        assert len(table) == len(values)
        for index in (-1, len(values)):
            with pytest.raises(IndexError):
                table[index]
    finally:
        os.close(fd)


def test_a_table_that_was_cut_short(tmp_path):
    path = tmp_path / "t"
    path.write_bytes(bytes(80))
    with path.open("r+b") as f:
        table = Table(f.fileno())
        f.truncate(44)
        assert table[4] == 0
        with pytest.raises(OSError, match="ends at element 5"):
            table[5]
        with pytest.raises(OSError, match="ends at element 5"):
            list(table)
