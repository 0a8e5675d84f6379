"""BGEN records of probabilities and dosages, against exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import bgen_reference

from biofuse import native

from .bgen_records import Kind, Records, plain_names
from .bgen_value_calls import (
    FILL,
    MISSING,
    Call,
    check_rounded,
    check_stored,
    ds_call,
    floats,
    gp_call,
)
from .test_bgen import packed_rows, u32s

pytestmark = pytest.mark.slow

PROPERTY = settings(deadline=None, max_examples=200)
MAKE = {"GP": gp_call, "DS": ds_call}

ANY_BITS = st.integers(0, 2**32 - 1)
IN_RANGE = st.one_of(
    st.sampled_from([0.0, 1.0, 0.5, 0.25, 1 / 3, 2 / 3, 0.1, 1e-30, -0.0005, 1.0005]),
    st.floats(0, 1, width=32),
    st.integers(0, 100).map(lambda n: n / 100),
)
ABSENT = st.sampled_from([FILL, MISSING, 0x7FC00000, 0xFFC00001])
BAD = st.one_of(
    st.sampled_from([float("inf"), float("-inf"), -0.01, 1.01, 2.01, -1.0, 3.0, 1e30]), ANY_BITS
)


@st.composite
def sums_to_one(draw):
    a, b = sorted(draw(st.tuples(*[st.floats(0, 1, width=32)] * 2)))
    return [a, b - a, 1 - b]


@st.composite
def gp_values(draw, sound):
    """Three values of a call; where `sound`, such as stores hold."""
    kind = draw(st.sampled_from(["sum", "sum", "haploid", "absent", "zero", "off", "any"]))
    if kind == "haploid":
        a = draw(st.floats(0, 1, width=32))
        return [a, 1 - a, draw(ABSENT)]
    if kind == "absent":
        values = draw(sums_to_one())
        values[draw(st.integers(0, 2))] = draw(ABSENT)
        return values if draw(st.booleans()) else [draw(ABSENT)] * 3
    if kind == "zero":
        return [0.0, -0.0005, 0.0]
    if kind == "off":
        scale = draw(st.sampled_from([0.91, 0.95, 1.05, 1.0009]))
        return [x * scale for x in draw(st.sampled_from([[0.5, 0.25, 0.25], [0.1, 0.9, 0.0]]))]
    if kind == "any" and not sound:
        each = st.one_of(IN_RANGE, ABSENT, BAD)
        return [draw(each), draw(each), draw(each)]
    return draw(sums_to_one())


@st.composite
def ds_values(draw, sound):
    dosage = st.one_of(IN_RANGE, st.floats(0, 2, width=32), ABSENT)
    return [draw(dosage if sound else st.one_of(dosage, BAD))]


@st.composite
def rows_of_values(draw, sound):
    """Field, genotypes of shape (rows, samples, ploidy), values (rows, samples, n)."""
    field = draw(st.sampled_from(["GP", "DS"]))
    ploidy = draw(st.sampled_from([1, 2]))
    num_rows, samples = draw(st.integers(1, 3)), draw(st.integers(1, 12))
    palette = [0, 1, -1, -2] if ploidy == 2 else [0, 1, -1]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    genotypes = rng.choice(np.int8(palette), (num_rows, samples, ploidy))
    extra = draw(st.lists(st.one_of(ABSENT, BAD), max_size=2))
    count = num_rows * samples
    if field == "DS":
        drawn = [draw(ds_values(sound)) + extra for _ in range(count)]
    elif ploidy == 1 and draw(st.booleans()):
        drawn = [draw(gp_values(sound))[:2] for _ in range(count)]
    else:
        drawn = [draw(gp_values(sound)) + extra for _ in range(count)]
    values = np.stack([floats(*call) for call in drawn]).reshape(num_rows, samples, -1)
    return field, genotypes, values


def check_records(kind: Kind, genotypes: np.ndarray, values: np.ndarray) -> int:
    """Each row on its own. Returns how many were refused, as they had to be."""
    num_rows, samples, ploidy = genotypes.shape
    num_values = values.shape[2]
    records = Records(kind, plain_names(num_rows), samples, ploidy)
    rows = packed_rows(genotypes)
    refused = 0
    for i in range(num_rows):
        calls: list[Call | None] = [
            MAKE[kind.field](genotypes[i, s].tolist(), values[i, s]) for s in range(samples)
        ]
        flat = values[i : i + 1].reshape(1, -1)
        if None in calls:
            with pytest.raises(native.NativeError) as caught:
                records.encode(rows, [i], i, values=flat, num_values=num_values)
            assert caught.value.allele and caught.value.row == i
            refused += 1
            continue
        body = records.encode(rows, [i], i, values=flat, num_values=num_values)
        (stored,) = records.parse(body, 1)
        shown = [call.as_diploid() if kind.as_diploid else call for call in calls]
        check_stored(stored, shown, kind.bits)
    return refused


@PROPERTY
@given(drawn=rows_of_values(sound=True), bits=st.sampled_from([8, 16]), dip=st.booleans())
def test_values_of_stores(drawn, bits, dip):
    field, genotypes, values = drawn
    check_records(Kind(field, bits, dip), genotypes, values)


@PROPERTY
@given(drawn=rows_of_values(sound=False), bits=st.sampled_from([8, 16]), dip=st.booleans())
def test_any_values(drawn, bits, dip):
    """Infinities, negative values, sums away from 1: an error, or what is right."""
    field, genotypes, values = drawn
    check_records(Kind(field, bits, dip), genotypes, values)


BAD_GP = [
    (float("inf"), 0.0, 0.0),
    (0.0, float("-inf"), 0.0),
    (0.0, 1.0, float("inf")),
    (-0.01, 0.5, 0.51),
    (1.01, 0.0, 0.0),
    (0.3, 0.3, 0.25),
    (0.5, 0.5, 0.15),
    (0.5, 0.3, FILL),
    (1.0, 0.2, FILL),
    (1.0, 1.0, 1.0),
]


@pytest.mark.parametrize("values", BAD_GP, ids=str)
@pytest.mark.parametrize("sample", [0, 1, 2])
def test_what_is_no_probability(values, sample):
    drawn = np.stack([floats(0.5, 0.25, 0.25)] * 3)[np.newaxis]
    drawn[0, sample] = floats(*values)
    genotypes = np.zeros((1, 3, 2), dtype=np.int8)
    assert check_records(Kind("GP"), genotypes, drawn) == 1


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), -0.01, 2.01, 1e30])
def test_what_is_no_dosage(value):
    genotypes = np.zeros((1, 3, 2), dtype=np.int8)
    drawn = floats(1.0, value, 2.0).reshape(1, 3, 1)
    assert check_records(Kind("DS"), genotypes, drawn) == 1


def test_a_haploid_dosage_is_at_most_one():
    genotypes = np.array([[[0, -2], [0, 0]], [[0, 0], [0, -2]]], dtype=np.int8)
    drawn = np.stack([floats(1.5, 1.5)] * 2).reshape(2, 2, 1)
    assert check_records(Kind("DS"), genotypes, drawn) == 2
    assert check_records(Kind("DS"), genotypes[:, :, :1] * 0, drawn / 2) == 0


def test_a_third_probability_of_a_haploid_store():
    drawn = np.stack([floats(0.5, 0.25, 0.25)]).reshape(1, 1, 3)
    assert check_records(Kind("GP"), np.zeros((1, 1, 1), dtype=np.int8), drawn) == 1


@pytest.mark.parametrize("dip", [False, True])
@pytest.mark.parametrize("values", [(1.0, FILL, FILL), (0.9995, FILL, FILL), (1.0, FILL)])
def test_one_probability_is_that_of_ref(values, dip):
    genotypes = np.array([[[0, 0], [0, -2], [-1, -1]]], dtype=np.int8)
    drawn = np.stack([floats(*values)] * 3)[np.newaxis]
    assert check_records(Kind("GP", 8, dip), genotypes, drawn) == 0
    for bad in (0.5, 1.2, -0.5):
        drawn[0, 1, 0] = bad
        assert check_records(Kind("GP", 8, dip), genotypes, drawn) == 1


def test_two_probabilities_of_a_diploid_call():
    genotypes = np.array([[[0, -2], [0, 0]], [[0, -2], [1, -2]]], dtype=np.int8)
    drawn = np.full((2, 2, 2), 0.5, dtype=np.float32)
    assert check_records(Kind("GP"), genotypes, drawn) == 1


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("dip", [False, True])
@pytest.mark.parametrize("field", ["GP", "DS"])
def test_samples_of_several_tiles(field, bits, dip):
    """Tiles are of 2,048 samples and of 8,192 bytes, stored blocks of 65,535."""
    samples = 22_001
    rng = np.random.default_rng(1)
    # In eighths, so that every sum is 1.
    eighths = rng.multinomial(8, [0.4, 0.3, 0.3], size=samples).astype(np.float32) / 8
    genotypes = rng.choice(np.int8([0, 1]), (1, samples, 2))
    haploid = rng.random(samples) < 0.2
    genotypes[0, haploid, 1] = -2
    values = eighths
    if field == "DS":
        values = (eighths[:, 1:2] + 2 * eighths[:, 2:]) / np.where(haploid, 2, 1)[:, None]
    else:
        values[haploid, 0] = 1 - values[haploid, 1]
        values.view(np.uint32)[haploid, 2] = FILL
    values.view(np.uint32)[rng.random(samples) < 0.1, 0] = MISSING
    drawn = values.astype(np.float32, copy=False)[np.newaxis]
    assert check_records(Kind(field, bits, dip), genotypes, drawn) == 0


@pytest.mark.parametrize("bits", [8, 16])
def test_rounding_is_the_references(bits):
    """On values of which sums and thirds are exact, ties among them."""
    sixteenths = [(a / 16, b / 16, (16 - a - b) / 16) for a in range(17) for b in range(17 - a)]
    samples = len(sixteenths)
    values = np.array(sixteenths, dtype=np.float32)
    records = Records(Kind("GP", bits), plain_names(1), samples, 2)
    rows = packed_rows(np.zeros((1, samples, 2), dtype=np.int8))
    body = records.encode(rows, [0], values=values.reshape(1, -1), num_values=3)
    (stored,) = records.parse(body, 1)
    for call, integers in zip(sixteenths, stored.integers.tolist(), strict=True):
        exact = [Fraction(x) for x in call]
        assert integers == bgen_reference.round_as_specified(exact, bits)[:2]


def test_the_check_of_rounding_fails_where_it_must():
    third = [Fraction(1, 3)] * 3
    check_rounded(third, [85, 85], 8)
    for wrong in ([86, 85], [86, 84], [84, 85]):
        with pytest.raises(AssertionError):
            check_rounded(third, wrong, 8)
    half = [Fraction(1, 2), Fraction(1, 2), Fraction(0)]
    check_rounded(half, [128, 127], 8)
    for wrong in ([127, 128], [127, 127], [128, 126]):
        with pytest.raises(AssertionError):
            check_rounded(half, wrong, 8)


def test_values_must_be_there():
    rows = packed_rows(np.zeros((1, 4, 2), dtype=np.int8))
    for field, too_few in (("GP", 1), ("DS", 0)):
        records = Records(Kind(field), plain_names(1), 4, 2)
        with pytest.raises(native.NativeError, match="given none"):
            records.encode(rows, [0])
        if too_few:
            with pytest.raises(native.NativeError, match="given none"):
                given_values = np.zeros((1, 4 * too_few), dtype=np.float32)
                records.encode(rows, [0], values=given_values, num_values=too_few)


@pytest.mark.parametrize("shape", [(1, 11), (1, 13), (1, 4), (2, 12), (0, 12), (1, 0)])
def test_values_of_another_shape(shape):
    rows = packed_rows(np.zeros((2, 4, 2), dtype=np.int8))
    records = Records(Kind("GP"), plain_names(2), 4, 2)
    with pytest.raises(ValueError, match=r"shape|as many"):
        records.encode(rows, [0], values=np.zeros(shape, dtype=np.float32), num_values=3)
    body = records.encode(
        rows, u32s(0), values=np.full((1, 12), 1 / 3, dtype=np.float32), num_values=3
    )
    assert len(records.parse(body, 1)) == 1
