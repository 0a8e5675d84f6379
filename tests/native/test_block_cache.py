"""`native.Cache`: the same bytes as without it, by many threads and at any size."""

import threading
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biofuse import native

from . import frames, reference, strategies

# Blocks so large that what else an entry takes is little beside its two planes.
BLOCK = 1 << 15
ENTRY = 2 * BLOCK // 8 + 600


def u32s(*values) -> np.ndarray:
    return np.array(values, dtype=np.uint32)


@dataclass(frozen=True)
class Stored:
    """A chunk's frame, of shape (rows, samples, ploidy), and what the cache calls it."""

    array: np.ndarray
    frame: bytes
    identity: int = 0
    version: int = 0

    def give(self, rows: native.Rows, chunk: int = 0) -> None:
        frame = self.frame
        rows.set_frame(chunk, frame, frame, 0, len(frame), self.identity, self.version)

    def rows(self, cache: native.Cache | None) -> native.Rows:
        rows = native.Rows(*self.array.shape, u32s(self.array.shape[1]), None, cache)
        self.give(rows)
        return rows


def one_row_blocks(seed: int, identity=0, version=0, num_rows=8, values=(0, 1, -1)) -> Stored:
    """A frame of which each row is a block."""
    rng = np.random.default_rng(seed)
    array = rng.choice(np.int8(values), (num_rows, BLOCK, 1))
    frame = frames.encode(array, blocksize=BLOCK, clevel=1)
    assert frames.parts(frame).num_blocks == num_rows
    return Stored(array, frame, identity, version)


def is_held(cache: native.Cache, stored: Stored, row: int) -> bool:
    """Whether the cache has the block of a row: then a frame of the same name and shape, but
    of other content, is not looked at."""
    ones = np.ones_like(stored.array)
    assert not np.array_equal(ones[row], stored.array[row])
    frame = frames.encode(ones, blocksize=frames.parts(stored.frame).block_size)
    other = Stored(ones, frame, stored.identity, stored.version)
    # Rows that are encoded one by one leave blocks of one row out of the cache.
    rows = other.rows(cache)
    size = -(-ones.shape[1] // 4)
    out = bytearray(size)
    rows.encode(native.Plink1Encoder(), u32s(row), 0, size, out)
    found = bytes(out)
    if found == reference.bed_record(stored.array[row]):
        return True
    assert found == reference.bed_record(ones[row])
    return False


def test_a_block_is_decoded_once():
    cache = native.Cache(10 * ENTRY)
    stored = one_row_blocks(1)
    assert not is_held(cache, stored, 3)
    assert stored.rows(cache).alleles(3) == stored.array[3].tobytes()
    assert is_held(cache, stored, 3)
    assert not is_held(cache, stored, 4)


@pytest.mark.slow
@pytest.mark.parametrize("difference", ["identity", "version", "block"])
@pytest.mark.parametrize("far", [1, 2**32, 2**63])
def test_blocks_of_other_names_are_others(difference, far):
    """Down to the highest bit of a name."""
    cache = native.Cache(10 * ENTRY)
    first = one_row_blocks(1)
    second = one_row_blocks(2, **{difference: far} if difference != "block" else {"identity": 1})
    rows = [stored.rows(cache) for stored in (first, second)]
    for row in (3, 4, 3):
        for stored, each in zip((first, second), rows, strict=True):
            assert each.alleles(row) == stored.array[row].tobytes()
            assert is_held(cache, stored, row)


@pytest.mark.slow
@pytest.mark.parametrize("room", [1, 2, 3, 5])
def test_the_block_used_longest_ago_makes_room(room):
    cache = native.Cache(room * ENTRY)
    stored = one_row_blocks(1)
    rows = stored.rows(cache)
    for row in range(1, 8):
        rows.alleles(row)
    rows.release()
    # What is looked at is used by that, so the oldest comes first.
    held = [is_held(cache, stored, row) for row in range(1, 8)]
    assert held == [False] * (7 - room) + [True] * room


def test_using_a_block_keeps_it():
    cache = native.Cache(2 * ENTRY)
    stored = one_row_blocks(1)
    rows = stored.rows(cache)
    for row in (1, 2, 1, 3):
        rows.alleles(row)
    rows.release()
    assert [is_held(cache, stored, row) for row in (1, 2, 3)] == [True, False, True]


def test_planes_of_wide_blocks_take_more_room():
    """Eight planes, not two, if alleles take as many."""
    narrow, wide = one_row_blocks(1), one_row_blocks(2, 1, values=(0, 1, 100, -1))
    cache = native.Cache(4 * ENTRY + 1000)
    rows = [stored.rows(cache) for stored in (narrow, wide)]
    for row in (1, 2, 3):
        rows[0].alleles(row)
    rows[0].release()
    assert rows[1].alleles(1) == wide.array[1].tobytes()
    rows[1].release()
    assert not any(is_held(cache, narrow, row) for row in (1, 2, 3))


def test_blocks_in_use_stay():
    """Though others want their room; those are read without the cache."""
    cache = native.Cache(ENTRY)
    stored = one_row_blocks(1)
    user, other = stored.rows(cache), stored.rows(cache)
    assert user.alleles(1) == stored.array[1].tobytes()
    for row in range(2, 8):
        assert other.alleles(row) == stored.array[row].tobytes()
        assert user.alleles(1) == stored.array[1].tobytes()
        assert is_held(cache, stored, 1) and not is_held(cache, stored, row)
    # Let go of in each way there is.
    user.release()
    assert other.alleles(2) == stored.array[2].tobytes()
    assert is_held(cache, stored, 2) and not is_held(cache, stored, 1)
    del other
    stored.give(user)
    assert user.alleles(3) == stored.array[3].tobytes()
    assert is_held(cache, stored, 3)
    user.set_constant(0, 0)
    last = stored.rows(cache)
    assert last.alleles(4) == stored.array[4].tobytes()
    assert is_held(cache, stored, 4)


def test_a_cache_tells_what_it_holds():
    cache = native.Cache(3 * ENTRY)
    stored = one_row_blocks(1)
    rows = stored.rows(cache)
    sizes = [cache.nbytes]
    for row in range(1, 6):
        rows.alleles(row)
        sizes.append(cache.nbytes)
    assert sizes[0] == 0
    each = sizes[1]
    assert 2 * BLOCK // 8 < each <= ENTRY
    assert sizes[1:] == [each, 2 * each, 3 * each, 3 * each, 3 * each]


def test_rows_tell_what_they_hold_beside_the_cache():
    stored = one_row_blocks(1)
    alone = stored.rows(None)
    before = alone.nbytes
    # Planes of the row, and room for a compressed and a raw block.
    assert before > 2 * BLOCK // 8 + 2 * BLOCK
    alone.alleles(1)
    assert alone.nbytes == before + 2 * (BLOCK // 8 + 80)
    shared = stored.rows(native.Cache(10 * ENTRY))
    shared.alleles(1)
    assert shared.nbytes == before


@pytest.mark.parametrize("limit", [0, 1, ENTRY - 1000])
def test_a_cache_too_small_for_any_block(limit):
    cache = native.Cache(limit)
    stored = one_row_blocks(1)
    rows = stored.rows(cache)
    for row in (1, 2, 1):
        assert rows.alleles(row) == stored.array[row].tobytes()
        assert not is_held(cache, stored, row)


def test_what_small_blocks_take_beside_their_bits_is_counted():
    """Two planes of 16 bytes and 80 spare ones, and 120 bytes that tell of them."""
    array = np.random.default_rng(5).choice(np.int8([0, 1]), (40, 128, 1))
    stored = Stored(array, frames.encode(array, blocksize=128))
    rows = stored.rows(cache := native.Cache(2000))
    for row in range(1, 40):
        rows.alleles(row)
    rows.release()
    held = sum(is_held(cache, stored, row) for row in range(1, 40))
    assert 0 < held <= 2000 // (2 * (16 + 80) + 120)


def test_more_blocks_than_a_cache_has_entries():
    rng = np.random.default_rng(5)
    array = rng.choice(np.int8([0, 1]), (3000, 128, 1))
    frame = frames.encode(array, blocksize=128, shuffle=0)
    assert frames.parts(frame).num_blocks == 3000
    stored = Stored(array, frame)
    rows = stored.rows(native.Cache(1 << 40))
    for row in [*range(3000), *rng.integers(0, 3000, 3000).tolist()]:
        assert rows.alleles(row) == array[row].tobytes()


def test_blocks_of_rows_that_were_all_read_are_not_kept():
    """A run that covers a block has no more use for it."""
    stored = one_row_blocks(1)
    cache = native.Cache(10 * ENTRY)
    size = BLOCK // 4
    out = bytearray(3 * size)
    stored.rows(cache).encode(native.Plink1Encoder(), u32s(2, 3, 4), 0, size, out)
    assert bytes(out) == b"".join(reference.bed_record(row) for row in stored.array[2:5])
    assert not any(is_held(cache, stored, row) for row in range(8))


def test_a_block_that_cannot_be_decoded_is_not_kept():
    """An error leaves nothing locked, and no planes under the block's name."""
    sound = one_row_blocks(1)
    p = frames.parts(sound.frame)
    bad = Stored(
        sound.array, frames.patched(sound.frame, p.offsets[3] + 4, b"\0\0\0\0"), sound.identity
    )
    cache = native.Cache(10 * ENTRY)
    broken, good = bad.rows(cache), sound.rows(cache)
    for _ in range(2):
        assert broken.alleles(2) == sound.array[2].tobytes()
        with pytest.raises(native.NativeError, match="block"):
            broken.alleles(3)
        assert not is_held(cache, sound, 3)
    assert good.alleles(3) == sound.array[3].tobytes()
    # Now it is there, under a name that promises the same content.
    assert broken.alleles(3) == sound.array[3].tobytes()


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_the_same_rows_as_without(data):
    """Several chunks, with rows that begin within bytes and blocks that end within rows."""
    chunk_row = data.draw(strategies.chunk_rows())
    limit = data.draw(st.sampled_from([0, 400, 900, 2000, 10_000, 1 << 30]))
    cache = native.Cache(limit)
    sizes = u32s(*(chunk.num_samples for chunk in chunk_row.chunks))
    users = []
    for _ in range(2):
        rows = native.Rows(*chunk_row.shape, sizes, chunk_row.kept, cache)
        for i, chunk in enumerate(chunk_row.chunks):
            if chunk.kind == "frame":
                Stored(chunk.array, chunk.frame, i).give(rows, i)
            else:
                chunk.give(rows, i)
        users.append(rows)
    expected = chunk_row.expected
    orders = st.lists(st.integers(0, len(expected) - 1), min_size=1, max_size=30)
    for number, row in enumerate(data.draw(orders)):
        assert users[number % 2].alleles(row) == expected[row].tobytes()


@pytest.mark.parametrize("limit", [3000, 12_000, 60_000, 1 << 30])
def test_many_threads(limit):
    """Each with its own chunks of the same names, at sizes that evict all the time."""
    chunks = []
    for number in range(6):
        rng = np.random.default_rng(number)
        values = (0, 1, 2, -1) if number == 5 else (0, 1, -1)
        array = rng.choice(np.int8(values), (64, 501, 2))
        frame = frames.encode(array, blocksize=4096)
        chunks.append(Stored(array, frame, number // 2, number % 2))
    cache = native.Cache(limit)
    records = [[reference.bed_record(row) for row in c.array] for c in chunks[:5]]
    size = len(records[0][0])
    start = threading.Barrier(6)
    failures = []

    def work(seed: int) -> None:
        try:
            rng = np.random.default_rng(seed)
            rows = native.Rows(64, 501, 2, u32s(501), None, cache)
            start.wait(60)
            for _ in range(150):
                number = int(rng.integers(6))
                chunks[number].give(rows)
                first = int(rng.integers(64))
                wanted = range(first, min(64, first + int(rng.integers(1, 9))))
                if number == 5:
                    assert rows.alleles(first) == chunks[5].array[first].tobytes()
                    continue
                out = bytearray(size * len(wanted))
                rows.encode(native.Plink1Encoder(), u32s(*wanted), 0, size, out)
                assert bytes(out) == b"".join(records[number][row] for row in wanted)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert not any(thread.is_alive() for thread in threads)
