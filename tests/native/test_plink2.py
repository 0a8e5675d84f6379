"""`.pgen` records through the binding, against a plain encoder of one call after another."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biofuse import native

from . import reference, strategies
from .test_plink1 import NARROW, packed_rows

MISSING, ALLELE = 3, 16384
FILL = np.array(0x7F800002, np.uint32).view(np.float32)
NAN = np.array(0x7F800001, np.uint32).view(np.float32)


def hard_call(call: list[int]) -> int:
    """Copies of ALT, of which a haploid call has two or none; 3 where an allele is missing."""
    if len(call) == 2 and call[1] == -2:
        call = call[:1]
    return MISSING if any(a < 0 for a in call) else sum(call) * 2 // len(call)


def packed(codes: list[int]) -> bytes:
    out = bytearray(-(-len(codes) // 4))
    for i, code in enumerate(codes):
        out[i // 4] |= code << 2 * (i % 4)
    return bytes(out)


def records(rows: native.Rows, encoder, wanted, num_samples: int, number=0, values=None, each=0):
    size = encoder.record_size(num_samples)
    out = bytearray(b"\xee" * (size * len(wanted)))
    rows.encode(
        *(encoder, np.array(wanted, dtype=np.uint32), number, size, out),
        values=values,
        num_values=each,
    )
    return [bytes(out[i * size : (i + 1) * size]) for i in range(len(wanted))]


@settings(max_examples=150, deadline=None)
@given(chunk_row=strategies.chunk_rows(NARROW))
def test_hard_calls(chunk_row):
    expected = chunk_row.expected
    wanted = list(range(len(expected)))
    found = records(chunk_row.rows(), native.Plink2Encoder(), wanted, expected.shape[1])
    assert found == [packed([hard_call(call) for call in row.tolist()]) for row in expected]


@settings(max_examples=60, deadline=None)
@given(chunk_row=strategies.chunk_rows())
def test_an_allele_that_cannot_be_shown_is_an_error(chunk_row):
    rows = chunk_row.rows()
    for number, row in enumerate(chunk_row.expected):
        if reference.is_wide(row):
            with pytest.raises(native.NativeError) as caught:
                records(rows, native.Plink2Encoder(), [number], len(row))
            assert caught.value.allele and caught.value.row == number


def dosage_of(value: list[Fraction | None]) -> int | None:
    """In 16384ths of an allele, halves up; None if it is missing."""
    if value[0] is None:
        return None
    copies = value[0] if len(value) == 1 else value[1] + 2 * value[2]
    return int(copies * ALLELE + Fraction(1, 2))


def with_dosages(codes: list[int], stored: dict[int, int]) -> bytes:
    """A record of which the dosages of some samples are stored, and zeros in place of others'."""
    present = np.zeros(len(codes), bool)
    present[list(stored)] = True
    dosages = np.zeros(len(codes), "<u2")
    dosages[: len(stored)] = list(stored.values())
    bits = np.packbits(present, bitorder="little")
    return packed(codes) + bits.tobytes() + dosages.tobytes()


def expected_dosages(calls, values, use_calls: bool) -> bytes:
    codes, stored = [], {}
    for sample, (call, value) in enumerate(zip(calls, values, strict=True)):
        dosage, code = dosage_of(value), hard_call(call)
        if dosage is None:
            code = code if use_calls else MISSING
        else:
            nearest = (dosage + ALLELE // 2) // ALLELE
            code = nearest if abs(dosage - nearest * ALLELE) * 10 <= ALLELE else MISSING
            if dosage != nearest * ALLELE:
                stored[sample] = dosage
        codes.append(code)
    return with_dosages(codes, stored)


@st.composite
def dosage_rows(draw):
    samples = draw(st.integers(1, 40))
    each = draw(st.sampled_from([1, 3]))
    alike = draw(st.sampled_from([None, None, 0, 64]))
    calls, values = [], []
    for _ in range(samples):
        calls.append(draw(st.lists(st.integers(-1, 1), min_size=2, max_size=2)))
        if draw(st.integers(0, 5)) == 0:
            values.append([None] * each)
            continue
        first = alike if alike is not None else draw(st.integers(0, 64))
        if each == 1:
            values.append([Fraction(first, 32)])
        else:
            second = 0 if alike is not None else draw(st.integers(0, 64 - first))
            third = 64 - first - second
            values.append([Fraction(n, 64) for n in (third, second, first)])
    return calls, values, each


@settings(max_examples=150, deadline=None)
@given(row=dosage_rows(), use_calls=st.booleans(), record=st.integers(0, 10**6))
def test_dosages(row, use_calls, record):
    calls, values, each = row
    flat = np.array(
        [[NAN if v is None else float(v) for value in values for v in value]], dtype=np.float32
    )
    # A NaN of another payload than the one that stands for what is missing.
    flat.view(np.uint32)[np.isnan(flat)] = 0x7F800001
    rows = packed_rows(np.array([calls], dtype=np.int8))
    encoder = native.Plink2Encoder("DS" if each == 1 else "GP", use_calls)
    (found,) = records(rows, encoder, [0], len(calls), record, flat, each)
    assert found == expected_dosages(calls, values, use_calls)


def test_haploid_probabilities():
    calls = np.array([[[0, -2], [1, -2], [1, -2]]], dtype=np.int8)
    values = np.array([[1, 0, FILL, 0.25, 0.75, FILL, 0, 1, FILL]], dtype=np.float32)
    values.view(np.uint32)[0, 2::3] = 0x7F800002
    (found,) = records(
        packed_rows(calls), native.Plink2Encoder("GP"), [0], 3, values=values, each=3
    )
    assert found == with_dosages([0, 3, 2], {1: 24576})


@pytest.mark.parametrize("value", [-0.01, 2.01, np.inf])
def test_what_is_no_dosage(value):
    calls = np.zeros((1, 5, 2), dtype=np.int8)
    values = np.ones((1, 5), dtype=np.float32)
    values[0, 3] = value
    with pytest.raises(native.NativeError) as caught:
        records(packed_rows(calls), native.Plink2Encoder("DS"), [0], 5, values=values, each=1)
    assert caught.value.sample == 3


def test_sizes():
    assert [native.Plink2Encoder().record_size(n) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]
    assert [native.Plink2Encoder("DS").record_size(n) for n in (0, 1, 4, 5)] == [0, 4, 10, 13]
    with pytest.raises(KeyError):
        native.Plink2Encoder("PL")


def test_arguments():
    rows = packed_rows(np.zeros((1, 5, 2), dtype=np.int8))
    one = np.zeros(1, np.uint32)
    with pytest.raises(native.NativeError, match="another size"):
        rows.encode(native.Plink2Encoder(), one, 0, 3, bytearray(3))
    with pytest.raises(native.NativeError, match="was given none"):
        rows.encode(native.Plink2Encoder("DS"), one, 0, 13, bytearray(13))
    triploid = packed_rows(np.zeros((1, 5, 3), dtype=np.int8))
    with pytest.raises(native.NativeError, match="another size"):
        triploid.encode(native.Plink2Encoder(), one, 0, 2, bytearray(2))
