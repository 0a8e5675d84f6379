"""`frame_index_size` and `frame_span`: which bytes of a frame must be read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biofuse import native

from . import frames, strategies


def sound_frame() -> tuple[np.ndarray, bytes]:
    array = np.random.default_rng(3).integers(-1, 2, 5000).astype(np.int8)
    return array, frames.encode(array, blocksize=1024)


@given(data=st.data())
def test_index_size_and_span(data):
    array = data.draw(strategies.alleles((data.draw(st.integers(1, 6000)),)))
    frame = data.draw(strategies.encoded(array))
    p = frames.parts(frame)
    size = native.frame_index_size(frame[:16], array.size, len(frame))
    assert size == p.index_size
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, array.size - 1)] * 2)))
    blocks = range(first // p.block_size, last // p.block_size + 1)
    start, stop = native.frame_span(frame[:size], array.size, len(frame), first, last)
    if p.memcpyed:
        assert start == 16 + blocks[0] * p.block_size
        assert stop == 16 + blocks[-1] * p.block_size + p.raw_size(blocks[-1])
    else:
        greatest = max(p.offsets[b] for b in blocks)
        behind = [offset for offset in p.offsets if offset > greatest]
        assert start == min(p.offsets[b] for b in blocks)
        assert stop == min(behind, default=len(frame))
        assert max(p.stop(b) for b in blocks) <= stop


def test_the_head_may_be_longer_than_the_header():
    array, frame = sound_frame()
    assert native.frame_index_size(frame, array.size, len(frame)) == frames.parts(frame).index_size


@pytest.mark.parametrize("size", range(16))
def test_a_header_cut_short(size):
    array, frame = sound_frame()
    with pytest.raises(native.NativeError, match="shorter than its header") as caught:
        native.frame_index_size(frame[:size], array.size, len(frame))
    assert not caught.value.unsupported


@pytest.mark.parametrize("size", [16, 20, 35])
def test_an_offset_table_cut_short(size):
    array, frame = sound_frame()
    assert frames.parts(frame).index_size == 36
    with pytest.raises(native.NativeError):
        native.frame_span(frame[:size], array.size, len(frame), 0, 0)
    rows = native.Rows(1, array.size, 1, np.array([array.size], dtype=np.uint32))
    with pytest.raises(native.NativeError):
        rows.set_frame(0, frame[:size], frame, 0, len(frame))


@pytest.mark.parametrize("first, last", [(1, 0), (0, 5000), (5000, 5000), (0, 2**64 - 1)])
def test_a_span_outside_the_content(first, last):
    array, frame = sound_frame()
    with pytest.raises(native.NativeError):
        native.frame_span(frame, array.size, len(frame), first, last)


@pytest.mark.parametrize("entry", range(5))
@pytest.mark.parametrize("value", [0, 35, -3, 1 << 31, (1 << 32) - 1])
def test_a_span_with_a_bad_offset(entry, value):
    array, frame = sound_frame()
    value = value if value >= 0 else len(frame) + value
    bad = frames.patched(frame, 16 + 4 * entry, frames.u32(value))
    with pytest.raises(native.NativeError, match="offset"):
        native.frame_span(bad, array.size, len(frame), 0, array.size - 1)


@pytest.mark.parametrize(
    "expected, stored, raw",
    [("frame's size", 1, 0), ("frame's size", -1, 0), ("number of bytes", 0, 1)],
)
def test_sizes_that_disagree(expected, stored, raw):
    array, frame = sound_frame()
    with pytest.raises(native.NativeError, match=expected) as caught:
        native.frame_index_size(frame, array.size + raw, len(frame) + stored)
    assert not caught.value.unsupported


@pytest.mark.parametrize("size", [0, 5001, (1 << 32) - 1])
def test_impossible_block_sizes(size):
    array, frame = sound_frame()
    bad = frames.patched(frame, frames.BLOCK_SIZE, frames.u32(size))
    with pytest.raises(native.NativeError, match="block size") as caught:
        native.frame_index_size(bad, array.size, len(frame))
    assert not caught.value.unsupported


@pytest.mark.parametrize("cname", ["lz4", "lz4hc", "blosclz", "zlib"])
def test_other_codecs_are_unsupported(cname):
    frame = frames.encode(np.zeros(5000, dtype=np.int8), cname=cname)
    with pytest.raises(native.NativeError) as caught:
        native.frame_index_size(frame, 5000, len(frame))
    assert caught.value.unsupported


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_wider_elements_are_unsupported(dtype):
    frame = frames.encode(np.zeros(5000, dtype=dtype))
    with pytest.raises(native.NativeError) as caught:
        native.frame_index_size(frame, 5000 * np.dtype(dtype).itemsize, len(frame))
    assert caught.value.unsupported


@pytest.mark.parametrize(
    "position, value",
    [(0, 1), (0, 3), (1, 2), (frames.FLAGS, 0x9C), (frames.TYPE_SIZE, 0)],
    ids=["version 1", "version 3", "codec version", "reserved flag", "element size 0"],
)
def test_frames_of_another_kind_are_unsupported(position, value):
    array, frame = sound_frame()
    bad = frames.patched(frame, position, bytes([value]))
    with pytest.raises(native.NativeError) as caught:
        native.frame_index_size(bad, array.size, len(frame))
    assert caught.value.unsupported


@pytest.mark.parametrize(
    "size, blocksize, refused",
    [
        (8 << 20, 8 << 20, False),
        ((8 << 20) + 8, (8 << 20) + 8, True),
        (128 * 16384, 128, False),
        (128 * 16384 + 1, 128, True),
    ],
    ids=["largest", "too large", "most", "too many"],
)
def test_uncommon_blocks_are_unsupported(size, blocksize, refused):
    """Sound, but blocks that are too large cost memory and too many of them time."""
    frame = frames.encode(np.zeros(size, dtype=np.int8), clevel=1, blocksize=blocksize)
    p = frames.parts(frame)
    assert p.block_size == blocksize and not p.memcpyed
    if refused:
        with pytest.raises(native.NativeError, match="uncommonly") as caught:
            native.frame_index_size(frame[:16], size, len(frame))
        assert caught.value.unsupported
    else:
        assert native.frame_index_size(frame[:16], size, len(frame)) == p.index_size


@pytest.mark.parametrize("junk", [b"", b"\0", b"\2\1", bytes(16), b"\xff" * 64])
def test_what_is_no_frame(junk):
    with pytest.raises(native.NativeError):
        native.frame_index_size(junk, 5000, len(junk))


def test_a_gap_behind_a_block_is_not_part_of_it():
    """Else who has made the store would say how much is read into memory."""
    array = np.random.default_rng(1).integers(0, 2, 8192, dtype=np.int8)
    frame = bytearray(frames.encode(array, blocksize=4096))
    size = native.frame_index_size(frame, array.size, len(frame))
    second = int.from_bytes(frame[20:24], "little")
    gap = 1 << 20
    frame[second:second] = bytes(gap)
    frame[20:24] = (second + gap).to_bytes(4, "little")
    frame[12:16] = len(frame).to_bytes(4, "little")
    start, stop = native.frame_span(frame[:size], array.size, len(frame), 0, 0)
    assert start < second <= stop <= start + 2 * 4096
    rows = native.Rows(2, 4096, 1, np.array([4096], dtype=np.uint32))
    rows.set_frame(0, frame[:size], frame[start:stop], start, len(frame))
    assert rows.alleles(0) == array[:4096].tobytes()
