"""`.bed` records against a naive encoder and the field's own."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vcztools import _vcztools

from biofuse import native

from . import reference, strategies

NARROW = ("plain", "missing", "fill", "absent")
ALLELES = (-2, -1, 0, 1)


def packed_rows(array: np.ndarray, kept=None) -> native.Rows:
    """Rows of an array of shape (rows, samples, ploidy)."""
    num_rows, samples, ploidy = array.shape
    rows = native.Rows(*array.shape, np.array([samples], dtype=np.uint32), kept)
    flat = np.ascontiguousarray(array).reshape(num_rows, samples * ploidy)
    rows.set_packed(0, native.PackedRows(flat, 0))
    return rows


def bed_records(rows: native.Rows, wanted, num_samples: int) -> list[bytes]:
    size = -(-num_samples // 4)
    out = bytearray(b"\xee" * (size * len(wanted)))
    rows.encode(native.Plink1Encoder(), np.array(wanted, dtype=np.uint32), 0, size, out)
    return [bytes(out[i * size : (i + 1) * size]) for i in range(len(wanted))]


@settings(max_examples=150, deadline=None)
@given(chunk_row=strategies.chunk_rows(NARROW))
def test_records(chunk_row):
    expected = chunk_row.expected
    wanted = list(range(len(expected)))
    found = bed_records(chunk_row.rows(), wanted, expected.shape[1])
    assert found == [reference.bed_record(row) for row in expected]


@settings(max_examples=150, deadline=None)
@given(chunk_row=strategies.chunk_rows())
def test_an_allele_that_cannot_be_shown_is_an_error(chunk_row):
    """Only where it occurs, and only in samples that are kept."""
    rows = chunk_row.rows()
    for number, row in enumerate(chunk_row.expected):
        if reference.is_wide(row):
            with pytest.raises(native.NativeError) as caught:
                bed_records(rows, [number], len(row))
            assert caught.value.allele and not caught.value.unsupported
            assert (caught.value.chunk, caught.value.row) == (-1, number)
        else:
            assert bed_records(rows, [number], len(row)) == [reference.bed_record(row)]


@pytest.mark.parametrize("shift", range(5))
def test_every_diploid_call_as_vcztools_has_it(shift):
    """All 16 pairs, at every place within a byte."""
    calls = list(itertools.product(ALLELES, ALLELES)) * 5
    array = np.array([*calls[:shift], *calls], dtype=np.int8)[np.newaxis]
    theirs = np.zeros(-(-array.shape[1] // 4), dtype=np.uint8)
    _vcztools.encode_plink(array, theirs)
    (ours,) = bed_records(packed_rows(array), [0], array.shape[1])
    assert ours == theirs.tobytes() == reference.bed_record(array[0])


@pytest.mark.parametrize("ploidy", [1, 2])
@pytest.mark.parametrize("samples", [*range(1, 18), 31, 32, 33, 63, 64, 65, 1003, 3202])
def test_any_number_of_samples(samples, ploidy):
    array = np.random.default_rng(samples).choice(np.int8(ALLELES), (5, samples, ploidy))
    records = bed_records(packed_rows(array), range(5), samples)
    assert records == [reference.bed_record(row) for row in array]


@pytest.mark.parametrize("allele", [*range(-128, -2), *range(2, 128)])
def test_one_wide_allele_among_many(allele):
    array = np.random.default_rng(1).choice(np.int8(ALLELES), (1, 200, 2))
    array[0, allele % 200, allele % 2] = allele
    with pytest.raises(native.NativeError, match="allele"):
        bed_records(packed_rows(array), [0], 200)
    kept = np.array([s for s in range(200) if s != allele % 200], dtype=np.uint32)
    (record,) = bed_records(packed_rows(array, kept), [0], 199)
    assert record == reference.bed_record(array[0, kept])


@given(data=st.data())
def test_records_at_given_offsets(data):
    """Where they lie in a file, of which the output begins with the first."""
    num_rows, samples = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 40))
    array = data.draw(strategies.alleles((num_rows, samples, 2), NARROW))
    wanted = data.draw(st.lists(st.integers(0, num_rows - 1), min_size=1, max_size=20))
    size = -(-samples // 4)
    start, trail = data.draw(st.integers(0, 2**62)), data.draw(st.integers(0, 9))
    offsets = np.arange(len(wanted) + 1, dtype=np.uint64) * np.uint64(size) + np.uint64(start)
    out = bytearray(b"\xee" * (len(wanted) * size + trail))
    rows = packed_rows(array)
    encoder = native.Plink1Encoder()
    number = data.draw(st.integers(0, 2**64 - 1 - len(wanted)))
    rows.encode(encoder, np.array(wanted, dtype=np.uint32), number, 0, out, offsets)
    body = b"".join(reference.bed_record(array[row]) for row in wanted)
    assert bytes(out) == body + b"\xee" * trail


def test_no_samples_kept_gives_empty_records():
    rows = packed_rows(np.zeros((3, 5, 2), dtype=np.int8), np.array([], dtype=np.uint32))
    assert rows.alleles(2) == b""
    assert bed_records(rows, [0, 1, 2], 0) == [b"", b"", b""]


@pytest.mark.parametrize("size", [0, 1, 3, 4])
def test_a_record_of_another_size_is_an_error(size):
    rows = packed_rows(np.zeros((1, 7, 2), dtype=np.int8))
    with pytest.raises(native.NativeError):
        rows.encode(native.Plink1Encoder(), np.zeros(1, np.uint32), 0, size, bytearray(8))


def test_ploidy_beyond_two_is_an_error():
    rows = packed_rows(np.zeros((1, 4, 3), dtype=np.int8))
    with pytest.raises(native.NativeError):
        bed_records(rows, [0], 4)
