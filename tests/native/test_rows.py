"""`native.Rows` against numpy, over every geometry and setting of Blosc."""

import numcodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biofuse import native

from . import frames, strategies
from .strategies import Chunk, ChunkRow

PROPERTY = settings(deadline=None, max_examples=250)


def check_rows(chunk_row: ChunkRow, order) -> None:
    rows = chunk_row.rows()
    expected = chunk_row.expected
    for row in order:
        assert rows.alleles(row) == expected[row].tobytes(), row


@PROPERTY
@given(chunk_row=strategies.chunk_rows(), seed=st.integers(0, 2**32 - 1))
def test_rows_are_the_alleles(chunk_row, seed):
    """Ascending, then in any order, so that every cursor moves both ways."""
    count = chunk_row.shape[0]
    rng = np.random.default_rng(seed)
    check_rows(chunk_row, [*range(count), *rng.permutation(count).tolist()])


@PROPERTY
@given(data=st.data())
def test_frame_is_decoded_as_blosc_does(data):
    """The frames that these tests make are sound in the eyes of c-blosc too."""
    array = data.draw(strategies.alleles((data.draw(st.integers(1, 3000)),)))
    frame = data.draw(strategies.encoded(array))
    assert frames.decode(frame) == array.tobytes()
    rows = native.Rows(1, array.size, 1, np.array([array.size], dtype=np.uint32))
    rows.set_frame(0, frame, frame, 0, len(frame))
    assert rows.alleles(0) == array.tobytes()


@PROPERTY
@given(data=st.data())
def test_a_span_of_the_frame_is_enough(data):
    """Rows first to last need only the span that frame_span gives; what lies outside
    it is an error or right, never wrong."""
    ploidy = data.draw(st.sampled_from([1, 2]))
    num_rows, samples = data.draw(st.integers(1, 60)), data.draw(strategies.SIZES)
    array = data.draw(strategies.alleles((num_rows, samples, ploidy)))
    frame = data.draw(strategies.encoded(array))
    taken = data.draw(st.integers(1, samples))
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, num_rows - 1)] * 2)))
    index_size = native.frame_index_size(frame[:16], array.nbytes, len(frame))
    index = frame[:index_size]
    start, stop = native.frame_span(
        index,
        array.nbytes,
        len(frame),
        first * samples * ploidy,
        (last * samples + taken) * ploidy - 1,
    )
    rows = native.Rows(num_rows, samples, ploidy, np.array([taken], dtype=np.uint32))
    rows.set_frame(0, index, frame[start:stop], start, len(frame))
    for row in range(num_rows):
        try:
            found = rows.alleles(row)
        except native.NativeError as error:
            assert not first <= row <= last
            assert (error.chunk, error.row) == (0, row)
        else:
            assert found == array[row, :taken].tobytes()


@PROPERTY
@given(data=st.data())
def test_packed_rows_may_be_some_of_the_chunk(data):
    ploidy = data.draw(st.sampled_from([1, 2]))
    num_rows, samples = data.draw(st.integers(1, 30)), data.draw(strategies.SIZES)
    array = data.draw(strategies.alleles((num_rows, samples, ploidy)))
    first = data.draw(st.integers(0, num_rows))
    last = data.draw(st.integers(first, num_rows))
    packed = native.PackedRows(array[first:last].reshape(last - first, samples * ploidy), first)
    assert (packed.first_row, packed.last_row) == (first, last)
    rows = native.Rows(num_rows, samples, ploidy, np.array([samples], dtype=np.uint32))
    rows.set_packed(0, packed)
    for row in range(num_rows):
        if first <= row < last:
            assert rows.alleles(row) == array[row].tobytes()
        else:
            with pytest.raises(native.NativeError):
                rows.alleles(row)


@PROPERTY
@given(data=st.data())
def test_a_chunk_may_be_set_again(data):
    """One object serves many chunk rows: no content of the one before shows."""
    first = data.draw(strategies.chunk_rows())
    rows = first.rows()
    num_rows = first.shape[0]
    rows.alleles(num_rows - 1)
    for _ in range(2):
        chunks = []
        for i, old in enumerate(first.chunks):
            kind = data.draw(st.sampled_from(["frame", "packed", "constant"]))
            array = data.draw(strategies.alleles(first.shape))
            if kind == "constant":
                array = np.full(first.shape, data.draw(st.integers(-128, 127)), dtype=np.int8)
            frame = data.draw(strategies.encoded(array)) if kind == "frame" else b""
            chunks.append(Chunk(array, old.num_samples, kind, frame))
            chunks[-1].give(rows, i)
        expected = ChunkRow(chunks, first.kept).expected
        for row in range(num_rows):
            assert rows.alleles(row) == expected[row].tobytes()


def random_alleles(shape, values=(-2, -1, 0, 1), seed=0) -> np.ndarray:
    return np.random.default_rng(seed).choice(np.array(values, dtype=np.int8), size=shape)


@pytest.mark.parametrize("blocksize", [0, 1 << 14, 6404, 6400, 12808])
@pytest.mark.parametrize("shuffle", [0, 2])
def test_rows_of_the_1000_genomes_panel(blocksize, shuffle):
    """3,202 x 2 = 6,404 bits: rows begin at every half byte, blocks end inside rows."""
    array = random_alleles((60, 3202, 2))
    frame = frames.encode(array, shuffle=shuffle, blocksize=blocksize)
    check_rows(ChunkRow([Chunk(array, 3202, "frame", frame)], None), range(60))


@pytest.mark.parametrize("ploidy", [1, 2])
def test_many_sample_chunks_of_large_blocks(ploidy):
    """Blosc's own block size, blocks of many rows, a partial last chunk."""
    chunks = []
    for i, taken in enumerate([1003, 1003, 517]):
        array = random_alleles((700, 1003, ploidy), seed=i)
        chunks.append(Chunk(array, taken, "frame", frames.encode(array)))
        assert frames.parts(chunks[-1].frame).num_blocks > 1
    kept = np.arange(3, 2523, 7, dtype=np.uint32)
    for selection in (None, kept, kept[::-1].copy()):
        check_rows(ChunkRow(chunks, selection), range(0, 700, 5))


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 15, 16, 100, 126, 127])
def test_tiny_frames_are_memcpyed(size):
    array = random_alleles((1, size, 1))
    frame = frames.encode(array)
    assert frames.parts(frame).memcpyed
    check_rows(ChunkRow([Chunk(array, size, "frame", frame)], None), [0])


@pytest.mark.parametrize("shuffle", [0, 1, 2])
def test_incompressible_frames_are_memcpyed(shuffle):
    array = random_alleles((20, 1000, 1), values=range(-128, 128))
    frame = frames.encode(array, shuffle=shuffle, blocksize=4096)
    assert frames.parts(frame).memcpyed
    check_rows(ChunkRow([Chunk(array, 1000, "frame", frame)], None), range(20))


@pytest.mark.parametrize("shuffle", [0, 1, 2])
@pytest.mark.parametrize("num_rows", [40, 41])
def test_blocks_stored_raw(shuffle, num_rows):
    """Incompressible blocks among others are stored as they are, but shuffled."""
    array = np.zeros((num_rows, 1000, 1), dtype=np.int8)
    array[10:18] = random_alleles((8, 1000, 1), values=range(-128, 128))
    array[-1] = random_alleles((1000, 1), values=range(-128, 128))
    frame = frames.encode(array, shuffle=shuffle, blocksize=1000)
    raw = frames.parts(frame).stored_raw()
    assert 0 < len(raw) < num_rows
    check_rows(ChunkRow([Chunk(array, 1000, "frame", frame)], None), range(num_rows))


@pytest.mark.parametrize("last", range(1, 18))
def test_last_block_of_any_length(last):
    """It is bit-shuffled only if its length is a multiple of eight."""
    array = random_alleles((1, 4 * 1024 + last, 1))
    frame = frames.encode(array, blocksize=1024)
    p = frames.parts(frame)
    assert (p.num_blocks, p.raw_size(4), p.memcpyed) == (5, last, False)
    check_rows(ChunkRow([Chunk(array, array.size, "frame", frame)], None), [0])


def test_frame_made_by_many_threads(monkeypatch):
    """Threads store blocks in the order in which they finish them."""
    monkeypatch.setattr(numcodecs.blosc, "use_threads", True)
    before = numcodecs.blosc.set_nthreads(8)
    try:
        array = random_alleles((2000, 1003, 2))
        array[:1000] = 0
        made = [frames.encode(array, clevel=c, blocksize=1 << 14) for c in (1, 3, 5, 7)]
    finally:
        numcodecs.blosc.set_nthreads(before)
    for frame in made:
        check_rows(ChunkRow([Chunk(array, 1003, "frame", frame)], None), range(0, 2000, 97))


def test_wide_values_in_one_block_only():
    """Planes 1 to 6 come and go from block to block and from chunk to chunk."""
    first, second = random_alleles((64, 50, 2), seed=1), random_alleles((64, 50, 2), seed=2)
    first[20, 3, 1], second[21, 49, 0], second[60, 0, 0] = 100, 2, -3
    chunks = [
        Chunk(array, 50, "frame", frames.encode(array, blocksize=128)) for array in (first, second)
    ]
    check_rows(ChunkRow(chunks, None), [*range(64), *range(63, -1, -1)])
    check_rows(ChunkRow(chunks, np.arange(0, 100, 3, dtype=np.uint32)), range(64))


def full_row_reader(values: np.ndarray, kept, widths) -> native.Rows:
    """Rows of a chunk row of bits in chunks of samples of these widths, at most 40."""
    rows = native.Rows(len(values), 40, 1, np.array(widths, dtype=np.uint32), kept)
    start = 0
    for i, width in enumerate(widths):
        chunk = np.zeros((len(values), 40), dtype=np.int8)
        chunk[:, :width] = values[:, start : start + width]
        frame = frames.encode(chunk[..., None], blocksize=128)
        rows.set_frame(i, frame, frame, 0, len(frame))
        start += width
    return rows


@PROPERTY
@given(data=st.data())
def test_full_rows_are_those_with_every_bit_set(data):
    """Of all samples, or of some in any order."""
    widths = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=4))
    total = sum(widths)
    values = np.ones((12, total), dtype=np.int8)
    for row in data.draw(st.sets(st.integers(0, 11))):
        values[row, data.draw(st.integers(0, total - 1))] = 0
    kept = data.draw(st.none() | st.lists(st.integers(0, total - 1), min_size=1, max_size=90))
    wanted = sorted(data.draw(st.sets(st.integers(0, 11))))
    rows = full_row_reader(values, None if kept is None else np.array(kept, np.uint32), widths)
    found = rows.full_rows(np.array(wanted, dtype=np.uint32))
    seen = values if kept is None else values[:, kept]
    assert found.tolist() == [row for row in wanted if seen[row].all()]


def test_full_rows_of_what_was_not_given():
    rows = native.Rows(3, 40, 1, np.array([40], dtype=np.uint32))
    with pytest.raises(native.NativeError) as caught:
        rows.full_rows(np.array([1], dtype=np.uint32))
    assert (caught.value.chunk, caught.value.row) == (0, 1)
    assert len(rows.full_rows(np.array([], dtype=np.uint32))) == 0
