"""Columns of texts: against Python's strings, and chunks of them against numcodecs."""

import math
import struct
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numcodecs import VLenUTF8

from biofuse import native

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
LISTS = st.lists(st.one_of(st.sampled_from(["", ".", "A", "rs1", "x" * 300]), TEXT), max_size=20)
# What is UTF-8 and what is not, in pieces.
PIECES = st.sampled_from(
    [
        *(b"a", b"\x7f", b"\x80", b"\xbf", b"\xc1\x81", b"\xc2\x80", b"\xdf\xbf", b"\xc3", b"\xff"),
        *(b"\xe0\x9f\xbf", b"\xe0\xa0\x80", b"\xed\x9f\xbf", b"\xed\xa0\x80", b"\xef\xbf\xbf"),
        *(b"\xf0\x8f\xbf\xbf", b"\xf0\x90\x80\x80", b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80"),
        *(b"\xf5\x80\x80\x80", b"\xe2\x82", b"\xf0\x9f\x92", b"\xe2\x28\xa1", b"\xf0\x9f\x28\x80"),
    ]
)


def u64s(*values) -> np.ndarray:
    return np.array(values, dtype=np.uint64)


def u32s(*values) -> np.ndarray:
    return np.array(values, dtype=np.uint32)


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(LISTS)
def test_a_column_is_a_list_of_str(texts):
    column = native.Texts.of(texts)
    assert list(column) == texts
    assert [column[i] for i in range(len(column))] == texts
    sizes = [len(text.encode()) for text in texts]
    assert (column.nbytes, column.longest()) == (sum(sizes), max(sizes, default=0))
    assert list(column.blank()) == [""] * len(texts)
    for i in (-1, len(texts)):
        with pytest.raises(IndexError):
            column[i]


@given(LISTS, TEXT)
def test_what_stands_for_empty_texts(texts, instead):
    column = native.Texts.of(texts).or_else(instead)
    shown = [text or instead for text in texts]
    assert list(column) == shown
    assert column.nbytes == sum(len(text.encode()) for text in shown)
    assert list(column.or_else("")) == texts


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=9), st.integers(1, 3), st.sampled_from(" \t"))
def test_rows(texts, width, separator):
    rows = [row[:width] for row in texts]
    columns = [native.Texts.of([row[k] for row in rows]).or_else("?") for k in range(width)]
    wanted = "".join(separator.join(text or "?" for text in row) + "\n" for row in rows)
    assert native.text_rows(columns, separator) == wanted.encode()


def test_rows_that_are_none():
    one, two = native.Texts.of(["a"]), native.Texts.of(["a", "b"])
    for columns, separator in (([], "\t"), ([one, two], "\t"), ([one], "é"), ([one], "ab")):
        with pytest.raises((ValueError, TypeError)):
            native.text_rows(columns, separator)
    with pytest.raises(TypeError):
        native.text_rows([one, "a"], "\t")


def as_plink(number: float) -> str:
    """A number with eight digits, a half of the last one to the even one, as C's %g has it."""
    if number == 0:
        return "0"
    exact = Decimal(abs(number))
    exponent = exact.adjusted()
    scaled = exact.scaleb(7 - exponent)
    whole = int(scaled)
    left = scaled - whole
    if abs(left - Decimal("0.5")) < Decimal("4e-7"):
        whole += whole % 2
    else:
        # Where it begins to be no half, a bit of the multiplication decides.
        assume(abs(abs(left - Decimal("0.5")) - Decimal("5e-7")) > Decimal("5e-8"))
        whole += left > Decimal("0.5")
    return f"{math.copysign(float(Decimal(whole).scaleb(exponent - 7)), number):.8g}"


@given(
    st.lists(
        st.one_of(
            st.sampled_from([0.0, -0.0, 1.0, 99999999.5, 9999999.95, 0.1, 1e-4, 99999.9999e-9]),
            st.floats(-300, 300, allow_nan=False),
            st.integers(0, 10**10).map(lambda n: n / 10**9),
            st.tuples(st.integers(1, 10**9), st.integers(-20, 20)).map(
                lambda n: n[0] * 10.0 ** n[1]
            ),
        ),
        max_size=30,
    )
)
def test_centimorgans(numbers):
    found = native.centimorgan_texts(np.array(numbers, np.float64))
    assert list(found) == [as_plink(number) for number in numbers]


def test_centimorgans_beyond():
    numbers = [math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, -1e-300]
    found = list(native.centimorgan_texts(np.array(numbers)))
    assert found[:3] == ["nan", "inf", "-inf"]
    assert [float(text) for text in found[3:]] == pytest.approx(numbers[3:], rel=1e-7)
    assert max(map(len, found)) <= 16


@given(LISTS, st.data())
def test_columns_that_share_their_bytes(texts, data):
    whole, starts, sizes = map(np.asarray, native.Texts.of(texts).parts)
    if texts:
        rows = data.draw(st.lists(st.integers(0, len(texts) - 1)))
        column = native.Texts(whole, starts[rows], sizes[rows])
        assert list(column) == [texts[i] for i in rows]


@pytest.mark.parametrize(
    ("start", "size"), [(0, 5), (4, 1), (5, 0), (2**64 - 1, 2), (2**63, 0), (1, 2**32 - 1)]
)
def test_texts_that_lie_elsewhere(start, size):
    with pytest.raises(native.NativeError, match="outside") as caught:
        native.Texts(b"abcd", u64s(0, start), u32s(4, size))
    assert caught.value.row == 1


@settings(max_examples=500)
@given(st.lists(st.lists(PIECES, max_size=4).map(b"".join), max_size=5))
def test_texts_are_utf8(pieces):
    sizes = [len(piece) for piece in pieces]
    starts = np.cumsum([0, *sizes], dtype=np.uint64)[:-1]
    wrong = [not is_utf8(piece) for piece in pieces]
    data = b"".join(pieces)
    if not any(wrong):
        column = native.Texts(data, starts, u32s(*sizes))
        assert list(column) == [piece.decode() for piece in pieces]
        return
    with pytest.raises(native.NativeError, match="UTF-8") as caught:
        native.Texts(data, starts, u32s(*sizes))
    assert caught.value.row == wrong.index(True)


def test_columns_of_another_length():
    with pytest.raises(ValueError, match="length"):
        native.Texts(b"abcd", u64s(0), u32s(1, 1))


@pytest.mark.parametrize("bad", [None, b"x", 3])
def test_texts_are_str(bad):
    with pytest.raises(TypeError):
        native.Texts.of(["a", bad])


def test_lone_surrogates_are_no_text():
    with pytest.raises(UnicodeEncodeError):
        native.Texts.of(["a", "\ud800"])
    with pytest.raises(UnicodeEncodeError):
        native.Texts.of(["a"]).or_else("\ud800")


def test_bytes_are_kept_alive():
    data = bytearray(b"abcd")
    column = native.Texts(data, u64s(1), u32s(2)).or_else(".")
    with pytest.raises(BufferError):
        data.append(0)
    del data
    assert list(column) == ["bc"]


def read(chunk: bytes, count: int, base: int = 0) -> tuple[np.ndarray, np.ndarray]:
    starts, sizes = np.zeros(count, dtype=np.uint64), np.zeros(count, dtype=np.uint32)
    native.vlen_texts(chunk, base, starts, sizes)
    return starts, sizes


@given(LISTS, st.integers(0, 2**40), st.binary(max_size=3))
def test_a_chunk_is_read(texts, base, more):
    chunk = bytes(VLenUTF8().encode(np.array(texts, dtype=object))) + more
    starts, sizes = read(chunk, len(texts), base)
    found = [chunk[int(i) - base :][:n].decode() for i, n in zip(starts, sizes, strict=True)]
    assert found == texts


def numcodecs_reads(chunk: bytes, count: int) -> bool:
    """Whether numcodecs takes a chunk for one of so many texts."""
    try:
        return len(VLenUTF8().decode(chunk)) == count
    except (ValueError, OverflowError):
        return False


@settings(max_examples=500)
@example([""], [(3, 128)], None)
@given(
    LISTS,
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3),
    st.one_of(st.none(), st.integers(0, 300)),
)
def test_a_damaged_chunk(texts, changes, cut):
    """It is taken if numcodecs takes it, and then for the same texts."""
    chunk = bytearray(VLenUTF8().encode(np.array(texts, dtype=object)))
    for at, byte in changes:
        chunk[at % len(chunk)] = byte
    chunk = bytes(chunk[:cut])
    # That takes memory for as many as are said to be there.
    if len(chunk) < 4 or struct.unpack_from("<I", chunk)[0] != len(texts):
        with pytest.raises(native.NativeError):
            read(chunk, len(texts))
    elif numcodecs_reads(chunk, len(texts)):
        column = native.Texts(chunk, *read(chunk, len(texts)))
        assert list(column) == VLenUTF8().decode(chunk).tolist()
    else:
        with pytest.raises(native.NativeError):
            read(chunk, len(texts))


def test_another_number_of_texts():
    chunk = bytes(VLenUTF8().encode(np.array(["a", "b"], dtype=object)))
    for count in (0, 1, 3):
        with pytest.raises(native.NativeError, match="number"):
            read(chunk, count)
    with pytest.raises(ValueError, match="length"):
        native.vlen_texts(chunk, 0, u64s(0, 0), u32s(0))
