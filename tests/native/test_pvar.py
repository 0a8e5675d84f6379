"""Lines of a `.pvar` and INFO through the binding, against a plain formatter."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biofuse.native import NativeError, Texts, info_texts, pvar_lines

MISSING, NONE = 0x7F800001, 0x7F800002
FIELD = st.text(st.characters(codec="utf-8", exclude_characters=" \t\n\r"), min_size=1, max_size=9)
FLOAT = st.floats(width=32) | st.sampled_from([0.5, 1e6, 1e-5, 123456.5, 0.1, 3.4e38])


def texts(values) -> Texts:
    return Texts.of(list(values))


def as_float32(bits: list[int]) -> np.ndarray:
    return np.array(bits, dtype=np.uint32).view(np.float32)


def bits_of(number: float) -> int:
    return struct.unpack("<I", struct.pack("<f", number))[0]


def shown(bits: int) -> str:
    number = struct.unpack("<f", struct.pack("<I", bits))[0]
    return "." if math.isnan(number) else f"{number:g}"


@given(data=st.data())
def test_lines(data):
    n = data.draw(st.integers(0, 12))

    def column(strategy=FIELD):
        return data.draw(st.lists(strategy, min_size=n, max_size=n))

    chrom, ids, ref, alt, filters, info = (column() for _ in range(6))
    positions = column(st.integers(0, 2**63 - 1))
    quality = column(FLOAT.map(bits_of))
    given_columns = {
        "quality": (as_float32(quality), [shown(bits) for bits in quality]),
        "filter": (texts(filters), filters),
        "info": (texts(info), info),
    }
    chosen = data.draw(st.sets(st.sampled_from(list(given_columns))))
    found = pvar_lines(
        texts(chrom),
        np.array(positions, dtype=np.int64),
        texts(ids),
        texts(ref),
        texts(alt),
        **{name: given_columns[name][0] for name in chosen},
    )
    more = [given_columns[name][1] for name in given_columns if name in chosen]
    lines = zip(chrom, map(str, positions), ids, ref, alt, *more, strict=True)
    assert bytes(found).decode() == "".join("\t".join(line) + "\n" for line in lines)


@pytest.mark.parametrize("bad", ["", "a b", "a\tb", "a\n", "\r"])
@pytest.mark.parametrize("name", ["chrom", "id", "ref", "alt", "filter", "info"])
def test_what_is_no_field(name, bad):
    columns = {key: ["x"] * 4 for key in ("chrom", "id", "ref", "alt", "filter", "info")}
    columns[name][2] = bad
    made = {key: texts(values) for key, values in columns.items()}
    positions = np.arange(4, dtype=np.int64)
    with pytest.raises(NativeError) as caught:
        pvar_lines(positions=positions, **made)
    assert caught.value.row == 2
    positions[1] = -1
    with pytest.raises(NativeError) as caught:
        pvar_lines(positions=positions, **made)
    assert caught.value.row == 1


def test_columns_of_other_lengths():
    four, five = texts("abcd"), texts("abcde")
    positions = np.arange(4, dtype=np.int64)
    with pytest.raises(ValueError, match="length"):
        pvar_lines(four, positions, four, four, five)
    with pytest.raises(ValueError, match="length"):
        pvar_lines(four, positions, four, four, four, quality=np.zeros(3, np.float32))


TEXT = st.text(st.characters(codec="utf-8", exclude_characters=";,= \t\n\r."), max_size=6)


@st.composite
def fields(draw, count: int):
    """A field: its values for the binding, and what is to be there of each variant, or None."""
    kind = draw(st.sampled_from(["flag", "i", "q", "f", "text"]))
    if kind == "flag":
        flags = draw(st.lists(st.booleans(), min_size=count, max_size=count))
        return np.array(flags), [("" if flag else None) for flag in flags]
    width = draw(st.integers(1, 4))
    most = 2**31 - 1 if kind == "i" else 2**63 - 1
    one = {
        "f": FLOAT.map(bits_of) | st.sampled_from([MISSING, NONE, NONE]),
        "text": TEXT | st.sampled_from([".", "", ""]),
    }.get(kind, st.integers(-most, most) | st.sampled_from([-1, -2, -2, 0]))
    values = draw(st.lists(one, min_size=count * width, max_size=count * width))
    none, missing = {"f": (NONE, None), "text": ("", ".")}.get(kind, (-2, -1))
    expected = []
    for i in range(count):
        own = values[i * width : (i + 1) * width]
        # One number is never filled up.
        while own and own[-1] == none and (kind in ("f", "text") or width > 1):
            own.pop()
        words = []
        for value in own:
            if kind == "f":
                # Of which none but before others is missing.
                words.append(shown(value))
            elif kind == "text":
                words.append(value)
            else:
                words.append("." if value == missing else str(value))
        is_there = any(word not in (".", "") for word in words)
        expected.append(",".join(words) if is_there else None)
    if kind == "f":
        return as_float32(values), expected
    if kind == "text":
        return texts(values), expected
    return np.array(values, dtype=kind), expected


@given(data=st.data())
def test_info(data):
    count = data.draw(st.integers(0, 6))
    made = [data.draw(fields(count)) for _ in range(data.draw(st.integers(0, 4)))]
    keys = [f"K{i}" for i in range(len(made))]
    found = info_texts([(key, each[0]) for key, each in zip(keys, made, strict=True)], count)
    expected = []
    for i in range(count):
        own = [(key, each[1][i]) for key, each in zip(keys, made, strict=True)]
        expected.append(";".join(f"{k}={v}" if v else k for k, v in own if v is not None))
    assert list(found) == expected


def test_arguments():
    with pytest.raises(ValueError, match="differ in length"):
        info_texts([("A", np.zeros(3, np.int32))], 2)
    with pytest.raises(ValueError, match="one flag"):
        info_texts([("A", np.zeros(4, np.uint8))], 2)
    with pytest.raises(ValueError, match="differ in length"):
        info_texts([("A", texts(["x"]))], 2)
