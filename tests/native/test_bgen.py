"""BGEN records of hard calls: taken apart by a parser written from the specification, and
compared with calls worked out in numpy."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import bgen_reference

from biofuse import native

from . import reference, strategies
from .bgen_records import Kind, Names, Records, data_size, plain_names

PROPERTY = settings(deadline=None, max_examples=150)
NARROW = ("plain", "missing", "fill", "absent")
ALLELES = (-2, -1, 0, 1)

KINDS = st.builds(Kind, st.just("GT"), st.sampled_from([8, 16]), st.booleans())
EVERY_KIND = [Kind("GT", bits, dip) for bits in (8, 16) for dip in (False, True)]

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
NAMES = st.tuples(TEXTS, TEXTS, TEXTS, st.integers(0, 2**32 - 1), st.tuples(TEXTS, TEXTS))


def u32s(*values) -> np.ndarray:
    return np.array(values, dtype=np.uint32)


def packed_rows(array: np.ndarray, kept=None) -> native.Rows:
    """Rows of an array of shape (rows, samples, ploidy)."""
    num_rows, samples, ploidy = array.shape
    rows = native.Rows(*array.shape, u32s(samples), kept)
    flat = np.ascontiguousarray(array).reshape(num_rows, samples * ploidy)
    rows.set_packed(0, native.PackedRows(flat, 0))
    return rows


def check_records(kind: Kind, array: np.ndarray, phased: np.ndarray | None = None) -> None:
    """Every row of an array, with its calls' phase, (rows, samples)."""
    num_rows, samples, ploidy = array.shape
    names = plain_names(num_rows)
    records = Records(kind, names, samples, ploidy)
    extra = {}
    if phased is not None:
        numbers = np.arange(num_rows, dtype=np.uint32)
        flags = phased.astype(np.int8)[:, :, None]
        extra = {"phased": packed_rows(flags), "phased_rows": numbers}
    body = records.encode(packed_rows(array), range(num_rows), **extra)
    wanted = [
        bgen_reference.hard_calls(
            names.rows[i],
            array[i],
            phased is not None and bool(phased[i].all()),
            kind.bits,
            kind.as_diploid,
        )
        for i in range(num_rows)
    ]
    bgen_reference.check_stored(records.parse(body, num_rows), wanted)


@PROPERTY
@given(data=st.data(), kind=KINDS, chunk_row=strategies.chunk_rows(NARROW))
def test_records(data, kind, chunk_row):
    """Rows of every geometry, in any order, as records anywhere in a file."""
    expected = chunk_row.expected
    num_rows, samples, ploidy = expected.shape
    if samples == 0:
        return
    wanted = data.draw(st.lists(st.integers(0, num_rows - 1), min_size=1, max_size=6))
    first = data.draw(st.integers(0, 3))
    count = first + len(wanted) + data.draw(st.integers(0, 2))
    names = Names(data.draw(st.lists(NAMES, min_size=count, max_size=count)))
    records = Records(kind, names, samples, ploidy, data.draw(st.sampled_from([0, 24, 2**40])))
    body = records.encode(chunk_row.rows(), wanted, first)
    found = records.parse(body, len(wanted))
    bgen_reference.check_stored(
        found,
        [
            bgen_reference.hard_calls(
                names.rows[first + i], expected[row], False, kind.bits, kind.as_diploid
            )
            for i, row in enumerate(wanted)
        ],
    )
    for i, stored in enumerate(found):
        assert stored.offset - 24 == records.offsets[first + i] - records.offsets[first]


@PROPERTY
@given(data=st.data(), kind=KINDS)
def test_phase(data, kind):
    """A record is phased if all of its calls are, of those samples that are kept."""
    ploidy = data.draw(st.sampled_from([1, 2]))
    num_rows, samples = data.draw(st.integers(1, 9)), data.draw(strategies.SIZES)
    array = data.draw(strategies.alleles((num_rows, samples, ploidy), NARROW))
    flags = np.ones((num_rows, samples, 1), dtype=np.int8)
    for _ in range(data.draw(st.integers(0, 4))):
        row, sample = data.draw(st.integers(0, num_rows - 1)), data.draw(st.integers(0, samples))
        flags[row, sample:] = 0
    kept = data.draw(strategies.selections(samples).filter(lambda k: k is None or len(k)))
    # The flags' chunks have rows of their own.
    order = data.draw(st.permutations(range(num_rows)))
    stored_flags = np.empty_like(flags)
    stored_flags[list(order)] = flags
    taken = slice(None) if kept is None else kept
    num_kept = samples if kept is None else len(kept)
    names = plain_names(num_rows)
    records = Records(kind, names, num_kept, ploidy)
    body = records.encode(
        packed_rows(array, kept),
        range(num_rows),
        phased=packed_rows(stored_flags, kept),
        phased_rows=u32s(*order),
    )
    bgen_reference.check_stored(
        records.parse(body, num_rows),
        [
            bgen_reference.hard_calls(
                names.rows[i],
                array[i, taken],
                bool(flags[i, taken].all()),
                kind.bits,
                kind.as_diploid,
            )
            for i in range(num_rows)
        ],
    )


@PROPERTY
@given(kind=KINDS, chunk_row=strategies.chunk_rows())
def test_an_allele_that_cannot_be_shown_is_an_error(kind, chunk_row):
    expected = chunk_row.expected
    num_rows, samples, ploidy = expected.shape
    if samples == 0:
        return
    rows = chunk_row.rows()
    names = plain_names(num_rows)
    records = Records(kind, names, samples, ploidy)
    for number, row in enumerate(expected[:8]):
        if reference.is_wide(row):
            with pytest.raises(native.NativeError) as caught:
                records.encode(rows, [number], number)
            assert caught.value.allele and not caught.value.unsupported
            assert (caught.value.chunk, caught.value.row) == (-1, number)
        else:
            wanted = bgen_reference.hard_calls(
                names.rows[number], row, False, kind.bits, kind.as_diploid
            )
            found = records.parse(records.encode(rows, [number], number), 1)
            bgen_reference.check_stored(found, [wanted])


@pytest.mark.parametrize("kind", EVERY_KIND, ids=str)
@pytest.mark.parametrize("phased", [False, True])
def test_every_diploid_call_at_every_place(kind, phased):
    """All 16 pairs, shifted through words and bytes."""
    calls = list(itertools.product(ALLELES, ALLELES))
    array = np.array([(calls * 7)[shift : shift + 80] for shift in range(32)], dtype=np.int8)
    check_records(kind, array, np.ones(array.shape[:2], dtype=bool) if phased else None)


@pytest.mark.parametrize("kind", EVERY_KIND, ids=str)
@pytest.mark.parametrize("ploidy", [1, 2])
def test_sizes_around_words_tiles_and_stored_blocks(kind, ploidy):
    """Tiles are of 2,048 samples, blocks of the zlib stream of 65,535 bytes at most."""
    # Of n samples there are 10 + n + ploidy * n * bits / 8 bytes.
    per_sample = 1 + ploidy * kind.bits // 8
    edges = [(k * 65535 - 10) // per_sample for k in (1, 2)]
    sizes = {1, 31, 32, 33, 63, 64, 65, 2047, 2048, 2049, 4096, 4097}
    for samples in sorted(sizes | {edge + d for edge in edges for d in (0, 1)}):
        rng = np.random.default_rng(samples)
        array = np.zeros((4, samples, ploidy), dtype=np.int8)
        array[1:] = rng.choice(np.int8([0, 1, 1, -1]), (3, samples, ploidy))
        if ploidy == 2:
            array[2, ::3, 1] = -2
            # All haploid: the longest padding.
            array[3, :, 1] = -2
        phased = np.ones((4, samples), dtype=bool)
        phased[1, -1] = False
        check_records(kind, array, phased)


@pytest.mark.parametrize("bits", [8, 16])
def test_any_padding(bits):
    """One haploid call after the other: every number of bytes that a stream is padded by."""
    samples = 64
    array = np.zeros((samples + 1, samples, 2), dtype=np.int8)
    for row in range(samples + 1):
        array[row, :row, 1] = -2
        array[row, ::5, 0] = 1
    check_records(Kind("GT", bits), array)
    check_records(Kind("GT", bits, True), array)


@given(samples=st.integers(0, 2**31), bits=st.sampled_from([8, 16]), dip=st.booleans())
def test_data_size(samples, bits, dip):
    """Up to records beyond 4 GiB."""
    encoder = native.BgenEncoder("GT", bits, dip)
    haploid = data_size(samples, samples if not dip else 2 * samples, bits)
    assert encoder.data_size(samples, 1) == haploid
    assert encoder.data_size(samples, 2) == data_size(samples, 2 * samples, bits)


def test_a_record_of_a_million_samples():
    """Of 5 MB; every stored block's length and the checksum are zlib's to check."""
    rng = np.random.default_rng(3)
    array = rng.choice(np.int8([0, 0, 0, 1, -1]), (1, 1_000_003, 2))
    array[0, 7::11, 1] = -2
    check_records(Kind("GT", 16), array, np.ones((1, array.shape[1]), dtype=bool))
