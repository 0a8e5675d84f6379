"""What the BGEN binding does with wrong arguments, and the strings before genotype data."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biofuse import native

from .bgen_records import Kind, Names, Records, plain_names
from .test_bgen import NAMES, packed_rows, u32s

CALLS = np.zeros((3, 5, 2), dtype=np.int8)


def string(width: str, text: str) -> bytes:
    data = text.encode()
    return struct.pack(f"<{width}", len(data)) + data


def head(varid, rsid, chrom, position, alleles) -> bytes:
    """A variant's identifying data, by the specification."""
    texts = b"".join(string("H", text) for text in (varid, rsid, chrom))
    return texts + struct.pack("<IH", position, 2) + b"".join(string("I", a) for a in alleles)


@given(st.lists(NAMES, min_size=1, max_size=9))
def test_heads(rows):
    heads, sizes = Names(rows).heads()
    wanted = [head(*row) for row in rows]
    assert heads == b"".join(wanted)
    assert sizes.tolist() == [len(each) for each in wanted]


def columns(count: int) -> list:
    """Those of heads, in the order of the arguments."""
    texts = native.Texts.of(["x"] * count)
    return [texts, texts, texts, np.arange(count), texts, texts]


def test_no_heads():
    heads, sizes = native.bgen_heads(*columns(0))
    assert (heads, len(sizes)) == (b"", 0)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_longest_name(place):
    """65,535 bytes, which are fewer characters."""
    for text, fits in (("é" * 32767 + "x", True), ("é" * 32768, False)):
        row = ["a", "b", "c", 7, ("A", "C")]
        row[place] = text
        if fits:
            assert Names([tuple(row)]).heads()[0] == head(*row)
        else:
            with pytest.raises(ValueError, match="65535"):
                Names([tuple(row)]).heads()


def test_alleles_may_be_longer():
    row = ("a", "b", "c", 7, ("A" * 70_000, "C" * 65_536))
    assert Names([row]).heads()[0] == head(*row)


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)))))
def test_samples(names):
    assert native.bgen_samples(native.Texts.of(names)) == b"".join(string("H", n) for n in names)


def test_the_longest_sample():
    for size, fits in ((65_535, True), (65_536, False)):
        column = native.Texts.of(["a", "x" * size])
        if fits:
            assert native.bgen_samples(column).endswith(string("H", "x" * size))
        else:
            with pytest.raises(native.NativeError, match="65535") as caught:
                native.bgen_samples(column)
            assert caught.value.row == 1


@pytest.mark.parametrize("column", range(6))
def test_columns_of_another_length(column):
    for other in (0, 2):
        changed = columns(1)
        changed[column] = columns(other)[column]
        with pytest.raises(ValueError, match="length"):
            native.bgen_heads(*changed)


@pytest.mark.parametrize("position", [-1, 2**32, -(2**63)])
def test_positions_that_are_not_of_32_bits(position):
    changed = columns(2)
    changed[3] = np.array([2**32 - 1, position])
    with pytest.raises(native.NativeError, match="number") as caught:
        native.bgen_heads(*changed)
    assert caught.value.row == 1


@pytest.mark.parametrize("bits", [0, 1, 7, 9, 15, 17, 32])
def test_bits(bits):
    with pytest.raises(ValueError, match="bits"):
        native.BgenEncoder("GT", bits, False)


def test_fields():
    with pytest.raises(KeyError):
        native.BgenEncoder("GL", 8, False)


@pytest.mark.parametrize("first", [3, 4, 2**64 - 1])
def test_records_that_there_are_not(first):
    records = Records(Kind(), plain_names(3), 5, 2)
    out = bytearray(400)
    offsets = np.array([0, 300], dtype=np.uint64)
    with pytest.raises(native.NativeError, match="size"):
        packed_rows(CALLS).encode(records.encoder, u32s(0), first, 0, out, offsets)


def test_an_encoder_without_a_table():
    encoder = native.BgenEncoder("GT", 8, False)
    with pytest.raises(native.NativeError, match="size"):
        packed_rows(CALLS).encode(encoder, u32s(0), 0, 300, bytearray(300))


@pytest.mark.parametrize("change", [-1, 1, 7])
def test_a_record_of_another_size_than_the_table_says(change):
    """Its own head would be cut, or be followed by bytes of the next one."""
    records = Records(Kind(), plain_names(3), 5, 2)
    size = int(records.offsets[2] - records.offsets[1]) + change
    out = bytearray(b"\xee" * (size + 9))
    with pytest.raises(native.NativeError, match="size"):
        packed_rows(CALLS).encode(records.encoder, u32s(0), 1, size, out)
    assert out == b"\xee" * len(out)


def test_samples_of_another_number():
    """The data would be of another size, the strings taken from elsewhere."""
    for samples in (4, 6):
        records = Records(Kind(), plain_names(3), samples, 2)
        for number in range(3):
            size = int(records.offsets[number + 1] - records.offsets[number])
            with pytest.raises(native.NativeError, match=r"size|strings"):
                packed_rows(CALLS).encode(records.encoder, u32s(0), number, size, bytearray(size))


@pytest.mark.parametrize("lost", [1, 20, None])
def test_strings_that_are_not_there(lost):
    records = Records(Kind(), plain_names(3), 5, 2)
    heads = plain_names(3).heads()[0]
    short = heads[: len(heads) - lost] if lost else b""
    encoder = native.BgenEncoder("GT", 8, False, records.offsets, short)
    size = int(records.offsets[3] - records.offsets[2])
    with pytest.raises(native.NativeError, match="strings"):
        packed_rows(CALLS).encode(encoder, u32s(0), 2, size, bytearray(size))


def test_offsets_that_descend():
    records = Records(Kind(), plain_names(3), 5, 2, start=10**6)
    for position, value in ((0, 2**64 - 1), (1, 0), (2, 2**63)):
        offsets = records.offsets.copy()
        offsets[position] = value
        heads = plain_names(3).heads()[0]
        encoder = native.BgenEncoder("GT", 8, False, offsets, heads)
        size = int(records.offsets[2] - records.offsets[1])
        with pytest.raises(native.NativeError, match=r"size|strings"):
            packed_rows(CALLS).encode(encoder, u32s(0), 1, size, bytearray(size))


def test_ploidy_beyond_two():
    records = Records(Kind(), plain_names(1), 4, 2)
    with pytest.raises(native.NativeError, match="ploidy"):
        records.encode(packed_rows(np.zeros((1, 4, 3), dtype=np.int8)), [0])


def test_phase_of_another_shape():
    records = Records(Kind(), plain_names(3), 5, 2)
    for shape in ((3, 4, 1), (3, 6, 1), (3, 5, 2)):
        with pytest.raises(native.NativeError, match="shape"):
            records.encode(
                packed_rows(CALLS),
                [0],
                phased=packed_rows(np.ones(shape, dtype=np.int8)),
                phased_rows=u32s(0),
            )
    for numbers in (None, u32s(), u32s(0, 1)):
        with pytest.raises(ValueError, match="as many"):
            records.encode(
                packed_rows(CALLS),
                [0],
                phased=packed_rows(np.ones((3, 5, 1), dtype=np.int8)),
                phased_rows=numbers,
            )


def test_errors_tell_which_field():
    records = Records(Kind(), plain_names(3), 5, 2)
    phased = packed_rows(np.ones((3, 5, 1), dtype=np.int8))
    for genotype_row, phased_row in ((0, 3), (3, 0)):
        with pytest.raises(native.NativeError, match="no such row") as caught:
            records.encode(
                packed_rows(CALLS), [genotype_row], phased=phased, phased_rows=u32s(phased_row)
            )
        assert caught.value.row == 3
        assert caught.value.phased == (phased_row == 3)


def test_an_allele_that_cannot_be_shown_is_in_the_genotypes_row():
    """Not in that of the calls' phase, which is read after it."""
    wide = CALLS.copy()
    wide[2, 1, 0] = 5
    records = Records(Kind(), plain_names(3), 5, 2)
    phased = packed_rows(np.ones((3, 5, 1), dtype=np.int8))
    with pytest.raises(native.NativeError, match="allele") as caught:
        records.encode(packed_rows(wide), [2], phased=phased, phased_rows=u32s(1))
    assert (caught.value.row, caught.value.phased) == (2, False)


def test_no_samples():
    """A record of none is as the specification says, least ploidy no more than the greatest."""
    array = np.zeros((1, 5, 2), dtype=np.int8)
    records = Records(Kind(), plain_names(1), 0, 2)
    body = records.encode(packed_rows(array, u32s()), [0])
    payload = body[-10 - 4 : -4]
    count, alleles, least, most, phased, bits = struct.unpack("<IHBBBB", payload)
    assert (count, alleles, phased, bits) == (0, 2, 0, 8)
    assert least <= most
