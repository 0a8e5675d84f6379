"""Large blocks whose upper planes are constant: zstd ends such a block in runs of one byte,
which the kernels leave undecoded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biofuse import native

from . import frames

ZSTD_BLOCK = 1 << 17
# The content's size in four bytes, no checksum: the one kind of zstd frame that is split.
SPLIT_DESCRIPTOR = 0xA0

# Of a run of alleles: bits of a low plane that zstd cannot drop, and sign planes that are
# clear, set, or repeat one byte that is neither.
RUNS = {
    "reference": [0],
    "alternative": [1],
    "missing": [-1],
    "fill": [-2],
    "calls": None,
    "alternating": [-1, 0],
    "two in eight": [0, 0, -1, 1, 0, 0, 0, -1],
    "wide": [5],
    "wide pattern": [1, 3, 64, -128],
}


def make_run(kind: str, size: int, seed: int) -> np.ndarray:
    pattern = RUNS[kind]
    if pattern is None:
        return np.random.default_rng(seed).integers(0, 2, size).astype(np.int8)
    return np.resize(np.array(pattern, dtype=np.int8), size)


def check_frame(array: np.ndarray, frame: bytes) -> None:
    num_rows, samples = array.shape
    rows = native.Rows(num_rows, samples, 1, np.array([samples], dtype=np.uint32))
    rows.set_frame(0, frame, frame, 0, len(frame))
    # Twice, so that what a block leaves in the buffers meets the other blocks.
    for row in [*range(num_rows), *range(0, num_rows, 2)]:
        assert rows.alleles(row) == array[row].tobytes(), row


def is_split(frame: bytes, block: int) -> bool:
    """Whether a block is a zstd frame that ends in a run of one byte."""
    p = frames.parts(frame)
    data = frame[p.offsets[block] + 4 : p.stop(block)]
    return (
        p.sizes[block] != p.raw_size(block)
        and data[4] == SPLIT_DESCRIPTOR
        and data[-4] >> 1 & 3 == 1  # its last block, of one byte behind three
    )


@pytest.mark.parametrize("kind", RUNS)
@pytest.mark.parametrize("block_size", [1 << 19, 3 << 18, 1 << 18])
def test_constant_upper_planes(kind, block_size):
    """The tail begins where a plane does or, in blocks of 3 * 2**18, within one."""
    array = make_run(kind, 2 * block_size, 1).reshape(16, -1)
    frame = frames.encode(array, blocksize=block_size)
    if kind not in ("wide pattern", "two in eight"):
        assert is_split(frame, 0) and is_split(frame, 1)
    check_frame(array, frame)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_blocks_of_runs(data):
    """A few runs of alleles, of any length, in blocks of any size."""
    block_size = data.draw(
        st.sampled_from([65_784, 65_792, 65_800, 100_000, 1 << 17, 200_000, 200_001, 3 << 17])
    )
    kinds = data.draw(st.lists(st.sampled_from(list(RUNS)), min_size=1, max_size=6))
    runs = []
    for seed, kind in enumerate(kinds):
        size = data.draw(st.sampled_from([1, 7, 8, 1000, 65_536, block_size, 2 * ZSTD_BLOCK]))
        runs.append(make_run(kind, size, seed))
    flat = np.concatenate(runs)
    num_rows = data.draw(st.integers(1, 9))
    samples = -(-flat.size // num_rows)
    array = np.resize(flat, (num_rows, samples))
    clevel = data.draw(st.sampled_from([1, 3, 5, 9]))
    check_frame(array, frames.encode(array, clevel=clevel, blocksize=block_size))


@pytest.mark.parametrize("chunk_samples", [4001, 4000])
def test_split_and_whole_blocks_among_each_other(chunk_samples):
    """Blocks without a missing call beside blocks with one, over two sample chunks."""
    first = np.random.default_rng(1).integers(0, 2, (400, chunk_samples)).astype(np.int8)
    second = first[:, ::-1].copy()
    first[[130, 131, 260, 399], [0, 7, 100, chunk_samples - 1]] = [-1, -2, 3, -1]
    second[[5, 200], [3, 4]] = [-1, 2]
    sizes = np.array([chunk_samples, chunk_samples - 3], dtype=np.uint32)
    made = [frames.encode(array, blocksize=1 << 18) for array in (first, second)]
    found = {is_split(frame, b) for frame in made for b in range(frames.parts(frame).num_blocks)}
    assert found == {False, True}
    for kept in (None, np.arange(1, 2 * chunk_samples - 3, 2, dtype=np.uint32)):
        rows = native.Rows(400, chunk_samples, 1, sizes, kept)
        for i, frame in enumerate(made):
            rows.set_frame(i, frame, frame, 0, len(frame))
        whole = np.concatenate([first, second[:, :-3]], axis=1)
        expected = whole if kept is None else whole[:, kept]
        for row in range(0, 400, 3):
            assert rows.alleles(row) == expected[row].tobytes(), row


def test_a_run_that_is_not_the_end():
    """The low plane begins in the same byte that the upper planes are."""
    array = np.zeros((4, 1 << 20), dtype=np.int8)
    array[:, 1 << 19 :] = np.random.default_rng(4).integers(0, 2, (4, 1 << 19))
    frame = frames.encode(array, blocksize=1 << 21)
    assert is_split(frame, 0)
    check_frame(array, frame)


@pytest.mark.parametrize("lead", range(1, 9))
def test_a_block_without_missing_calls_behind_one_with(lead):
    """Its sign plane is not written out; what the row had there before must go."""
    size = 1 << 18
    missing = np.full((2, size), -1, dtype=np.int8)
    plain = np.random.default_rng(lead).integers(0, 2, (2, size)).astype(np.int8)
    rows = native.Rows(2, size, 1, np.array([lead, 1001, lead, 77], dtype=np.uint32))
    for chunk, array in enumerate([missing, plain, missing, plain]):
        frame = frames.encode(array, blocksize=size)
        rows.set_frame(chunk, frame, frame, 0, len(frame))
    for row in range(2):
        expected = [missing[row, :lead], plain[row, :1001], missing[row, :lead], plain[row, :77]]
        assert rows.alleles(row) == np.concatenate(expected).tobytes()


def test_an_unshuffled_block_behind_a_split_one():
    """The last block is not a multiple of eight, and has missing calls again."""
    array = np.random.default_rng(6).integers(0, 2, (5, 60_001)).astype(np.int8)
    array[4, 30_000::7] = -1
    frame = frames.encode(array, blocksize=1 << 18)
    assert is_split(frame, 0) and frames.parts(frame).raw_size(1) % 8 != 0
    check_frame(array, frame)
