"""What the binding does with wrong arguments and broken contents: an error that tells
which chunk and row, and nothing of what was there before."""

import numpy as np
import pytest

from biofuse import native

from . import frames

ENCODER = native.Plink1Encoder()


def u32s(*values) -> np.ndarray:
    return np.array(values, dtype=np.uint32)


def one_chunk(samples=5, num_rows=4) -> native.Rows:
    return native.Rows(num_rows, samples, 1, u32s(samples))


def give(rows: native.Rows, chunk: int, frame: bytes) -> None:
    rows.set_frame(chunk, frame, frame, 0, len(frame))


@pytest.mark.parametrize("lead", [0, 5])
@pytest.mark.parametrize("value", [0, -1, 5])
def test_a_chunk_of_which_no_sample_is_taken(lead, value):
    rows = native.Rows(4, 5, 1, u32s(lead, 0, 3))
    rows.set_constant(0, 1)
    rows.set_constant(1, value)
    rows.set_constant(2, 0)
    assert rows.alleles(0) == b"\1" * lead + bytes(3)


def test_no_chunks_at_all():
    rows = native.Rows(4, 5, 2, u32s())
    assert rows.alleles(3) == b""


def test_content_must_be_given():
    rows = native.Rows(4, 5, 1, u32s(5, 5))
    rows.set_constant(0, 0)
    with pytest.raises(native.NativeError) as caught:
        rows.alleles(2)
    assert (caught.value.chunk, caught.value.row) == (1, 2)


def test_release_lets_go_of_every_content():
    rows = one_chunk()
    rows.set_constant(0, 1)
    assert rows.alleles(0) == b"\1" * 5
    rows.release()
    with pytest.raises(native.NativeError, match="content"):
        rows.alleles(0)
    rows.set_constant(0, 0)
    assert rows.alleles(0) == bytes(5)


@pytest.mark.parametrize("bad", ["frame", "packed"])
def test_after_content_was_refused_the_old_one_is_gone(bad):
    rows = one_chunk()
    frame = frames.encode(np.ones(20, dtype=np.int8))
    give(rows, 0, frame)
    assert rows.alleles(0) == b"\1" * 5
    with pytest.raises(native.NativeError) as caught:
        if bad == "frame":
            give(rows, 0, frame[:-1])
        else:
            rows.set_packed(0, native.PackedRows(np.zeros((4, 6), dtype=np.int8), 0))
    assert caught.value.chunk == 0
    with pytest.raises(native.NativeError, match="content"):
        rows.alleles(0)


def test_a_bad_block_is_an_error_each_time_and_others_are_read():
    array = np.random.default_rng(0).integers(0, 2, (8, 512)).astype(np.int8)
    frame = frames.encode(array, blocksize=1024)
    p = frames.parts(frame)
    bad = frames.patched(frame, p.offsets[2] + 4, b"\0\0\0\0")
    rows = native.Rows(8, 512, 1, u32s(512, 512))
    give(rows, 0, frame)
    give(rows, 1, bad)
    for _ in range(2):
        for row in range(8):
            if row // 2 == 2:
                with pytest.raises(native.NativeError, match="block") as caught:
                    rows.alleles(row)
                assert (caught.value.chunk, caught.value.row) == (1, row)
            else:
                assert rows.alleles(row) == array[row].tobytes() * 2


@pytest.mark.parametrize("shape", [(4, 4), (4, 6), (2, 10), (5, 5), (1, 20)])
def test_packed_rows_of_another_shape(shape):
    rows = one_chunk()
    with pytest.raises(native.NativeError, match="shape"):
        rows.set_packed(0, native.PackedRows(np.zeros(shape, dtype=np.int8), 0))


@pytest.mark.parametrize("first_row", [2, 3, 4, 2**32 - 1])
def test_packed_rows_beyond_the_chunk(first_row):
    rows = one_chunk()
    with pytest.raises(native.NativeError, match="shape"):
        rows.set_packed(0, native.PackedRows(np.zeros((3, 5), dtype=np.int8), first_row))


@pytest.mark.parametrize("start, size", [(1, 0), (0, 1), (10**6, -1), (2**64 - 1, 0)])
def test_a_span_that_is_not_in_the_frame(start, size):
    frame = frames.encode(np.ones(20, dtype=np.int8))
    span = frame + b"\0" * size if size >= 0 else frame[:size]
    with pytest.raises(native.NativeError, match="span"):
        one_chunk().set_frame(0, frame, span, start, len(frame))


@pytest.mark.parametrize("chunk", [1, 2**32 - 1])
def test_there_is_no_such_chunk(chunk):
    rows = one_chunk()
    frame = frames.encode(np.ones(20, dtype=np.int8))
    packed = native.PackedRows(np.zeros((4, 5), dtype=np.int8), 0)
    for call in (
        lambda: give(rows, chunk, frame),
        lambda: rows.set_packed(chunk, packed),
        lambda: rows.set_constant(chunk, 0),
    ):
        with pytest.raises(native.NativeError, match="no such"):
            call()


@pytest.mark.parametrize("row", [4, 2**32 - 1])
def test_there_is_no_such_row(row):
    rows = one_chunk()
    rows.set_constant(0, 0)
    with pytest.raises(native.NativeError, match="no such row"):
        rows.alleles(row)
    with pytest.raises(native.NativeError, match="no such row"):
        rows.encode(ENCODER, u32s(0, row), 0, 2, bytearray(4))


def test_kept_samples_must_exist():
    for kept in (u32s(5), u32s(0, 2**32 - 1), u32s(4, 5, 0)):
        with pytest.raises(native.NativeError, match="out of range"):
            native.Rows(4, 5, 1, u32s(5), kept)
    with pytest.raises(native.NativeError, match="out of range"):
        native.Rows(4, 5, 1, u32s(), u32s(0))


def test_kept_samples_are_copied():
    kept = u32s(1, 0)
    rows = native.Rows(1, 2, 1, u32s(2), kept)
    rows.set_packed(0, native.PackedRows(np.array([[0, 1]], dtype=np.int8), 0))
    kept[:] = 2**31
    assert rows.alleles(0) == b"\1\0"


@pytest.mark.parametrize(
    "shape, taken",
    [
        ((0, 5, 1), [5]),
        ((4, 0, 1), [0]),
        ((4, 5, 0), [5]),
        ((4, 5, 1), [6]),
        ((4, 2**31, 2**31), [2**31] * 4),
        ((2**31, 2**31, 4), [2]),
        ((1, 2**32 - 1, 2), [2**32 - 1] * 300),
        ((1, 2**31, 1), [2**31] * 2),
    ],
)
def test_impossible_shapes(shape, taken):
    with pytest.raises(native.NativeError):
        native.Rows(*shape, u32s(*taken))


@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_records_that_do_not_fit(size):
    rows = one_chunk()
    rows.set_constant(0, 0)
    with pytest.raises(native.NativeError, match="fit"):
        rows.encode(ENCODER, u32s(0, 1), 0, 2, bytearray(size))


@pytest.mark.parametrize("offsets", [[0, 2, 5], [2, 0, 2], [0, 2**64 - 1, 2], [4, 6, 9]])
def test_offsets_that_do_not_fit(offsets):
    rows = one_chunk()
    rows.set_constant(0, 0)
    with pytest.raises(native.NativeError):
        rows.encode(ENCODER, u32s(0, 1), 0, 0, bytearray(4), np.array(offsets, dtype=np.uint64))


def test_offsets_are_one_more_than_rows():
    rows = one_chunk()
    rows.set_constant(0, 0)
    for count in (1, 2, 4):
        with pytest.raises(ValueError, match="one more"):
            rows.encode(ENCODER, u32s(0, 1), 0, 0, bytearray(4), np.arange(count, dtype=np.uint64))


def test_no_rows_is_no_work():
    out = bytearray(b"\xee")
    one_chunk().encode(ENCODER, u32s(), 0, 2, out)
    assert out == b"\xee"


def test_an_encoder_of_no_format():
    rows = one_chunk()
    rows.set_constant(0, 0)
    with pytest.raises(TypeError):
        rows.encode(native.RecordEncoder(), u32s(0), 0, 2, bytearray(2))


def test_none_is_no_buffer():
    rows = one_chunk()
    rows.set_constant(0, 0)
    for call in (
        lambda: native.frame_index_size(None, 1, 1),
        lambda: native.frame_span(None, 1, 1, 0, 0),
        lambda: native.PackedRows(None, 0),
        lambda: native.Rows(1, 1, 1, None),
        lambda: rows.set_frame(0, None, b"", 0, 0),
        lambda: rows.set_frame(0, b"", None, 0, 0),
        lambda: rows.set_packed(0, None),
        lambda: rows.encode(None, u32s(0), 0, 2, bytearray(2)),
        lambda: rows.encode(ENCODER, None, 0, 2, bytearray(2)),
        lambda: rows.encode(ENCODER, u32s(0), 0, 2, None),
    ):
        with pytest.raises(TypeError):
            call()


def test_output_must_be_writable():
    rows = one_chunk()
    rows.set_constant(0, 0)
    with pytest.raises((BufferError, ValueError)):
        rows.encode(ENCODER, u32s(0), 0, 2, b"\0\0")


def test_contents_are_kept_alive():
    """Nobody else holds the frame when its rows are read."""
    rows = native.Rows(50, 1003, 2, u32s(1003))
    array = np.random.default_rng(5).integers(-1, 2, (50, 1003, 2)).astype(np.int8)
    frame = bytearray(frames.encode(array))
    give(rows, 0, frame)
    with pytest.raises(BufferError):
        frame.append(0)
    del frame
    assert [rows.alleles(row) for row in range(50)] == [row.tobytes() for row in array]
