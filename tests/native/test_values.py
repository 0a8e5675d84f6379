"""`native.Values` against numpy and c-blosc, over every geometry and setting of Blosc."""

import numcodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biofuse import native

from . import frames

PROPERTY = settings(deadline=None, max_examples=200)
SPLIT_FREE = 0x10


def u32s(*values) -> np.ndarray:
    return np.array(values, dtype=np.uint32)


def bits(array: np.ndarray) -> bytes:
    """Bits of floats, of which NaNs have some that compare alike."""
    return np.ascontiguousarray(array).tobytes()


def random_values(shape, kind: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind == "any bits":
        return rng.integers(0, 2**32, shape, dtype=np.uint32).view(np.float32)
    if kind == "constant":
        return np.full(shape, 0.25, dtype=np.float32)
    values = rng.choice(np.float32([0, 0.5, 1, 0.25, 1 / 3]), shape)
    values.view(np.uint32)[rng.random(shape) < 0.1] = 0x7F800002
    return values


@st.composite
def encoded(draw, array):
    """A frame that the fast path takes, its blocks in any order."""
    frame = frames.encode(
        array,
        clevel=draw(st.integers(0, 9)),
        shuffle=draw(st.sampled_from([0, 1, 1])),
        blocksize=draw(st.sampled_from([0, 128, 132, 256, 1000, 1024, 4096])),
    )
    if draw(st.booleans()):
        blocks = frames.parts(frame).num_blocks
        order = draw(st.randoms(use_true_random=False)).sample(range(blocks), blocks)
        frame = frames.reordered(frame, order, gap=draw(st.sampled_from([0, 0, 1, 40])))
    return frame


def is_taken(frame: bytes) -> bool:
    """Whether a frame of float32 is of the kind that is read here."""
    p = frames.parts(frame)
    return p.block_size % 4 == 0 and (p.memcpyed or bool(frame[frames.FLAGS] & SPLIT_FREE))


def read(reader, frame, rows, count, out, column, index=None, span=None, start=0):
    reader.read(
        frame if index is None else index,
        frame if span is None else span,
        start,
        len(frame),
        np.array(rows, dtype=np.uint32),
        count,
        out,
        column,
    )


@PROPERTY
@given(data=st.data())
def test_rows_are_the_values(data):
    """Any rows in any order, the first values of each, into any columns; nothing beside."""
    num_rows, row_values = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 90))
    kind = data.draw(st.sampled_from(["any bits", "constant", "calls", "calls"]))
    array = random_values((num_rows, row_values), kind, data.draw(st.integers(0, 2**32 - 1)))
    frame = data.draw(encoded(array))
    assert frames.decode(frame) == bits(array)
    reader = native.Values(num_rows, row_values)
    for _ in range(2):
        rows = data.draw(st.lists(st.integers(0, num_rows - 1), max_size=12))
        count, column = data.draw(st.integers(0, row_values)), data.draw(st.integers(0, 5))
        spare = data.draw(st.integers(0, 3))
        out = np.full((len(rows) + spare, column + count + spare), 7, dtype=np.float32)
        wanted = out.copy()
        wanted[: len(rows), column : column + count] = array[rows, :count]
        if 0 in out.shape:
            continue
        if is_taken(frame) or not rows or not count:
            read(reader, frame, rows, count, out, column)
            assert bits(out) == bits(wanted)
        else:
            with pytest.raises(native.NativeError) as caught:
                read(reader, frame, rows, count, out, column)
            assert caught.value.unsupported


@PROPERTY
@given(data=st.data())
def test_a_span_of_the_frame_is_enough(data):
    """What lies outside the span is an error or right, never wrong."""
    num_rows, row_values = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 90))
    array = random_values((num_rows, row_values), "calls", data.draw(st.integers(0, 99)))
    frame = data.draw(encoded(array).filter(is_taken))
    count = data.draw(st.integers(1, row_values))
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, num_rows - 1)] * 2)))
    index_size = native.frame_index_size(frame[:16], array.nbytes, len(frame), 4)
    index = frame[:index_size]
    start, stop = native.frame_span(
        index,
        array.nbytes,
        len(frame),
        first * row_values * 4,
        (last * row_values + count) * 4 - 1,
        4,
    )
    reader = native.Values(num_rows, row_values)
    for row in range(num_rows):
        out = np.full((1, count), 7, dtype=np.float32)
        try:
            read(reader, frame, [row], count, out, 0, index, frame[start:stop], start)
        except native.NativeError as error:
            assert not first <= row <= last
            assert error.row == row and not error.unsupported
        else:
            assert bits(out) == bits(array[row, :count])


@pytest.mark.parametrize("shuffle", [0, 1])
@pytest.mark.parametrize("last", [1, 2, 7, 8, 255])
def test_the_last_block_is_shorter(shuffle, last):
    array = random_values((1, 4 * 256 + last), "calls", last)
    frame = frames.encode(array, shuffle=shuffle, blocksize=1024)
    p = frames.parts(frame)
    assert (p.num_blocks, p.raw_size(4), p.memcpyed) == (5, 4 * last, False)
    out = np.zeros_like(array)
    read(native.Values(*array.shape), frame, [0], array.size, out, 0)
    assert bits(out) == bits(array)


@pytest.mark.parametrize("shuffle", [0, 1])
def test_blocks_stored_raw(shuffle):
    """They are shuffled nevertheless."""
    array = random_values((8, 256), "constant", 0)
    array[3] = random_values(256, "any bits", 1)
    frame = frames.encode(array, shuffle=shuffle, blocksize=1024)
    assert frames.parts(frame).stored_raw() == [3]
    out = np.zeros_like(array)
    read(native.Values(*array.shape), frame, range(8), 256, out, 0)
    assert bits(out) == bits(array)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (20, 300)])
@pytest.mark.parametrize("shuffle", [0, 1, 2])
def test_memcpyed_frames(shape, shuffle):
    """Tiny or incompressible: not shuffled, whatever the flags say."""
    array = random_values(shape, "any bits", 4)
    frame = frames.encode(array, shuffle=shuffle, blocksize=1024)
    assert frames.parts(frame).memcpyed
    out = np.zeros_like(array)
    read(native.Values(*shape), frame, range(shape[0]), shape[1], out, 0)
    assert bits(out) == bits(array)


def test_blocks_of_the_codecs_own_size():
    array = random_values((300, 3003), "calls", 5)
    frame = frames.encode(array, shuffle=1)
    assert frames.parts(frame).num_blocks > 3
    out = np.zeros_like(array)
    read(native.Values(*array.shape), frame, range(299, -1, -1), 3003, out, 0)
    assert bits(out) == bits(array[::-1])


@pytest.mark.parametrize("dtype", ["i1", "i2", "f2", "f8", "c16"])
@pytest.mark.parametrize("shuffle", [0, 1, 2])
def test_elements_of_another_size(dtype, shuffle):
    size = np.dtype(dtype).itemsize
    array = np.zeros(8192 // size, dtype=dtype)
    frame = frames.encode(array, shuffle=shuffle, blocksize=1024)
    assert not frames.parts(frame).memcpyed
    with pytest.raises(native.NativeError) as caught:
        read(native.Values(8, 256), frame, [0], 1, np.zeros((1, 1), np.float32), 0)
    assert caught.value.unsupported


@pytest.mark.parametrize(
    "options",
    [
        {"shuffle": 2},
        {"cname": "lz4"},
        {"cname": "blosclz"},
        {"cname": "zlib"},
        {"blocksize": 1002},
    ],
    ids=str,
)
def test_other_kinds_of_frames(options):
    frame = frames.encode(np.zeros((8, 256), np.float32), **{"shuffle": 1, **options})
    assert not frames.parts(frame).memcpyed
    # c-blosc makes blocks of whole elements itself.
    if "blocksize" in options:
        frame = frames.patched(frame, frames.BLOCK_SIZE, frames.u32(options["blocksize"]))
    with pytest.raises(native.NativeError) as caught:
        read(native.Values(8, 256), frame, [0], 1, np.zeros((1, 1), np.float32), 0)
    assert caught.value.unsupported


def test_split_blocks():
    """As c-blosc splits them for other codecs, with a size for each byte of an element."""
    frame = frames.encode(np.zeros((8, 256), np.float32), shuffle=1)
    assert frame[frames.FLAGS] & SPLIT_FREE
    split = bytes([frame[frames.FLAGS] & ~SPLIT_FREE])
    with pytest.raises(native.NativeError) as caught:
        read(
            native.Values(8, 256),
            frames.patched(frame, frames.FLAGS, split),
            [0],
            1,
            np.zeros((1, 1), np.float32),
            0,
        )
    assert caught.value.unsupported
    made = numcodecs.Blosc("lz4", shuffle=1).encode(np.zeros((8, 256), np.float32))
    assert not made[frames.FLAGS] & SPLIT_FREE


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (2**16, 2**16), (1, 2**30), (2**32 - 1, 2**63)])
def test_impossible_shapes(shape):
    with pytest.raises(native.NativeError, match="shape"):
        native.Values(*shape)


def test_arguments_that_do_not_fit():
    array = np.zeros((4, 6), dtype=np.float32)
    frame = frames.encode(array)
    reader = native.Values(4, 6)
    out = np.full((2, 8), 7, dtype=np.float32)
    for rows, count, column in (
        ([0, 1, 2], 1, 0),
        ([0], 9, 0),
        ([0], 3, 6),
        ([0], 1, 8),
        ([0], 2, 2**64 - 1),
        ([0], 2**64 - 1, 1),
    ):
        with pytest.raises(ValueError, match="fit"):
            read(reader, frame, rows, count, out, column)
    for rows, count in (([4], 1), ([2**32 - 1], 1), ([0], 7)):
        with pytest.raises(native.NativeError, match="row"):
            read(reader, frame, rows, count, out, 0)
    for other in (native.Values(4, 5), native.Values(5, 6)):
        with pytest.raises(native.NativeError, match="shape"):
            read(other, frame, [0], 1, out, 0)
    assert (out == 7).all()


@PROPERTY
@given(data=st.data())
def test_gathered_samples(data):
    num_rows, samples = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 20))
    each = data.draw(st.integers(1, 4))
    array = random_values((num_rows, samples * each), "any bits", data.draw(st.integers(0, 99)))
    kept = data.draw(st.lists(st.integers(0, samples - 1), max_size=25))
    spare = data.draw(st.integers(0, 2))
    out = np.full((num_rows + spare, len(kept) * each + spare), 7, dtype=np.float32)
    if out.size == 0:
        return
    wanted = out.copy()
    picked = array.reshape(num_rows, samples, each)[:, kept]
    wanted[:num_rows, : len(kept) * each] = picked.reshape(num_rows, -1)
    native.gather_values(array, u32s(*kept), each, out)
    assert bits(out) == bits(wanted)


def test_gathered_samples_must_exist():
    array = np.zeros((2, 6), dtype=np.float32)
    out = np.full((2, 6), 7, dtype=np.float32)
    for kept, each in ((u32s(3), 2), (u32s(0, 2**32 - 1), 2), (u32s(6), 1), (u32s(0), 7)):
        with pytest.raises(ValueError, match="range"):
            native.gather_values(array, kept, each, out)
    for shape in ((1, 6), (2, 5)):
        with pytest.raises(ValueError, match="fit"):
            small = np.zeros(shape, dtype=np.float32)
            native.gather_values(array, u32s(0, 1, 2), 2, small)
    assert (out == 7).all()


@PROPERTY
@given(data=st.data())
def test_values_of_other_sizes(data):
    """Integers and flags of every width; those of a byte may be bit shuffled."""
    dtype = np.dtype(data.draw(st.sampled_from(["?", "i1", "u1", "i2", "u2", "i4", "i8"])))
    num_rows, row_values = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 200))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    raw = rng.integers(0, 256, (num_rows, row_values * dtype.itemsize), dtype=np.uint8)
    if data.draw(st.booleans()):
        raw[num_rows // 2 :] = 0
    array = raw % 2 == 1 if dtype.kind == "b" else raw.view(dtype)
    kinds = [0, 1, 2] if dtype.itemsize == 1 else [0, 1]
    frame = frames.encode(
        array,
        shuffle=data.draw(st.sampled_from(kinds)),
        clevel=data.draw(st.integers(0, 9)),
        blocksize=data.draw(st.sampled_from([0, 128, 256, 1000, 4096])),
    )
    reader = native.Values(num_rows, row_values, dtype.itemsize)
    wanted = data.draw(st.lists(st.integers(0, num_rows - 1), min_size=1, max_size=9))
    count = data.draw(st.integers(1, row_values))
    column, more = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 5))
    out = np.zeros((len(wanted), column + count + more), dtype=dtype)
    try:
        read(reader, frame, wanted, count, out, column)
    except native.NativeError as error:
        p = frames.parts(frame)
        assert error.unsupported
        assert p.block_size % dtype.itemsize or not frame[frames.FLAGS] & SPLIT_FREE
        return
    expected = np.zeros_like(out)
    expected[:, column : column + count] = array[wanted, :count]
    assert bits(out) == bits(expected)


@given(data=st.data())
def test_values_of_some_samples(data):
    dtype = data.draw(st.sampled_from(["i1", "i2", "f4", "i8"]))
    rows, samples, each = (data.draw(st.integers(1, 6)) for _ in range(3))
    kept = data.draw(st.lists(st.integers(0, samples - 1), min_size=1, max_size=9))
    values = np.arange(rows * samples * each).astype(dtype).reshape(rows, samples * each)
    out = np.zeros((rows, len(kept) * each), dtype=dtype)
    native.gather_values(values, u32s(*kept), each, out)
    expected = values.reshape(rows, samples, each)[:, kept].reshape(rows, -1)
    assert bits(out) == bits(expected)
    with pytest.raises(ValueError, match="out of range"):
        native.gather_values(values, u32s(samples), each, out)
    with pytest.raises(ValueError, match="do not fit"):
        native.gather_values(values, u32s(*kept, 0), each, out)


def test_outputs_of_other_values():
    array = np.zeros((3, 4), dtype=np.int16)
    reader = native.Values(3, 4, 2)
    frame = frames.encode(array, shuffle=0)
    with pytest.raises(ValueError, match="other values"):
        read(reader, frame, [0], 4, np.zeros((1, 4), np.int8), 0)
    with pytest.raises(native.NativeError, match="1, 2, 4 or 8 bytes"):
        native.Values(3, 4, 3)


WORDS = st.sampled_from(["", "", ".", "a", "é", "x" * 17])


@given(data=st.data())
def test_texts_of_samples(data):
    rows, samples, each = (data.draw(st.integers(1, 5)) for _ in range(3))
    size = rows * samples * each
    texts = data.draw(st.lists(WORDS, min_size=size, max_size=size))
    taken = data.draw(st.integers(1, samples))
    first, last = sorted(data.draw(st.integers(0, rows)) for _ in range(2))
    chunk = numcodecs.VLenUTF8().encode(np.array(texts, dtype=object))
    shape = (rows, samples * each, each, taken)
    cells = []
    for i in range(rows * samples):
        own = texts[i * each : (i + 1) * each]
        while own and not own[-1]:
            own.pop()
        cells.append((",".join(own) or ".").encode())
    kept = [cells[r * samples + s] for r in range(rows) for s in range(taken)]
    width = native.text_width(chunk, *shape)
    assert width == max(map(len, kept))
    out = np.full((last - first, taken * width + 2), 255, np.uint8)
    if last > first:
        native.text_cells(chunk, *shape, first, last, width, out)
        expected = kept[first * taken : last * taken]
        found = out[:, :-2].reshape(-1, width)
        assert [cell.tobytes() for cell in found] == [cell.ljust(width, b"\0") for cell in expected]
        assert (out[:, -2:] == 255).all()
    for cut in (0, 3, len(chunk) - 1):
        with pytest.raises(native.NativeError):
            native.text_width(memoryview(chunk)[:cut], *shape)
    with pytest.raises(native.NativeError, match="another number of texts"):
        native.text_width(chunk, rows + 1, *shape[1:])
    if width > 1:
        whole = np.zeros((rows, taken * width), np.uint8)
        with pytest.raises(native.NativeError, match="longer than any was"):
            native.text_cells(chunk, *shape, 0, rows, width - 1, whole)
