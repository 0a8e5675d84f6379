"""BCF records through the binding, against a plain encoder of one allele after another."""

import math
import struct
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biofuse.native import BcfEncoder, CsiIndex, NativeError, PackedRows, Rows

HEAD = bytes(range(26))
PREFIX = b"\x11\x05\x21"


def codes(call: list[int], phased: bool) -> list[int | None]:
    """What stands for a call's alleles; None for one behind others that are."""
    found: list[int | None] = []
    for k, allele in enumerate(call):
        if allele == -2:
            found.append(None if k else 0)
        else:
            found.append((allele + 1) * 2 + (1 if phased and k else 0))
    return found


def expected(alleles: np.ndarray, phased: np.ndarray, width: int) -> bytes:
    kind, none = ("u1", 0x81) if width == 1 else ("<u2", 0x8001)
    values = [
        none if code is None else code
        for call, flag in zip(alleles.tolist(), phased.tolist(), strict=True)
        for code in codes(call, bool(flag))
    ]
    return np.array(values, dtype=kind).tobytes()


def head_of(num_alleles: int) -> bytes:
    return HEAD + num_alleles.to_bytes(2, "little") + b"\1\2\3\4" + b"rest"


def encode(alleles: np.ndarray, phased: np.ndarray | None, width: int, num_alleles: int) -> bytes:
    """A row of (samples, ploidy), as a record's genotypes."""
    samples, ploidy = alleles.shape
    counts = array("I", [samples])
    rows = Rows(1, samples, ploidy, counts)
    rows.set_packed(0, PackedRows(alleles.reshape(1, -1), 0))
    flags = None
    if phased is not None:
        flags = Rows(1, samples, 1, counts)
        flags.set_packed(0, PackedRows(phased.reshape(1, -1), 0))
    head = head_of(num_alleles)
    size = len(head) + len(PREFIX) + alleles.size * width
    offsets = array("Q", [70, 70 + size])
    encoder = BcfEncoder(width, PREFIX, offsets, head)
    assert encoder.data_size(samples, ploidy) == size - len(head)
    out = bytearray(size)
    chosen = array("I", [0])
    rows.encode(encoder, chosen, 0, 0, out, offsets, flags, chosen if flags else None)
    assert out[: len(head)] == head
    assert out[len(head) : len(head) + len(PREFIX)] == PREFIX
    return bytes(out[len(head) + len(PREFIX) :])


@st.composite
def rows(draw):
    """Calls, of which alleles behind the last one are fill, and which of them are phased."""
    ploidy = draw(st.integers(1, 5))
    samples = draw(st.integers(1, 70))
    most = draw(st.sampled_from([0, 1, 1, 2, 5, 62, 63, 126]))
    values = st.integers(-1, most) if draw(st.booleans()) else st.integers(0, most)
    calls = []
    for _ in range(samples):
        own = ploidy if draw(st.booleans()) else draw(st.integers(0, ploidy))
        calls.append([draw(values) for _ in range(own)] + [-2] * (ploidy - own))
    phased = draw(st.lists(st.integers(0, 1), min_size=samples, max_size=samples))
    return np.array(calls, dtype=np.int8), np.array(phased, dtype=np.int8), most


@given(rows(), st.booleans())
def test_any_calls(row, with_phase):
    alleles, phased, most = row
    if not with_phase:
        phased = np.zeros_like(phased)
    for width in (1, 2) if most <= 62 else (2,):
        found = encode(alleles, phased if with_phase else None, width, most + 1)
        assert found == expected(alleles, phased, width)


@pytest.mark.parametrize(
    ("call", "width", "num_alleles", "what"),
    [
        ([0, 2], 1, 2, "an allele that the site does not have"),
        ([0, 1], 1, 1, "an allele that the site does not have"),
        ([0, 1], 2, 1, "an allele that the site does not have"),
        ([63, 0], 1, 70, "an allele that the site does not have"),
        ([64, 0], 1, 70, "an allele that the site does not have"),
        ([127, 0], 1, 200, "an allele that the site does not have"),
        ([100, 0], 2, 100, "an allele that the site does not have"),
        ([0, -3], 1, 2, "a value below -2"),
        ([-2, 1], 1, 2, "an allele behind a fill value"),
        ([-2, -1], 2, 2, "an allele behind a fill value"),
    ],
)
@pytest.mark.parametrize("place", [0, 5, 8])
def test_what_cannot_be_shown(call, width, num_alleles, what, place):
    alleles = np.zeros((9, 2), dtype=np.int8)
    alleles[place] = call
    with pytest.raises(NativeError, match=what) as caught:
        encode(alleles, None, width, num_alleles)
    assert caught.value.allele


def test_arguments():
    with pytest.raises(ValueError, match="1 or 2 bytes"):
        BcfEncoder(3, PREFIX)
    alleles = np.zeros((4, 2), dtype=np.int8)
    rows = Rows(1, 4, 2, array("I", [4]))
    rows.set_packed(0, PackedRows(alleles.reshape(1, -1), 0))
    head = head_of(2)
    size = len(head) + len(PREFIX) + 8
    for offsets, heads in (
        ([0, size], head + b"more"),
        ([0, size], head[:-1]),
        ([0, size + 1], head),
        ([0, size, 2 * size], head),
    ):
        encoder = BcfEncoder(1, PREFIX, array("Q", offsets), heads)
        own = array("Q", [0, size])
        with pytest.raises(NativeError):
            rows.encode(encoder, array("I", [0]), 0, 0, bytearray(size), own)
    with pytest.raises(NativeError):
        rows.encode(BcfEncoder(1, PREFIX), array("I", [0]), 0, size, bytearray(size))


KEY = b"\x11\x21"
SHOWN = {"?": "i1", "b": "<i2", "B": "<i2"}
TYPES = {"i1": 1, "<i2": 2, "<i4": 3, "<f4": 5}
MISSING, NONE = 0x7F800001, 0x7F800002


def typed(count: int, kind: int) -> bytes:
    if count < 15:
        return bytes([count << 4 | kind])
    size = b"\x11" + bytes([count]) if count < 128 else b"\x12" + count.to_bytes(2, "little")
    return bytes([15 << 4 | kind]) + size


def count_of(per: str, room: int, num_alleles: int, ploidy: int) -> int:
    genotypes = math.comb(num_alleles + max(2, ploidy) - 1, max(2, ploidy))
    wanted = {"A": max(1, num_alleles - 1), "R": num_alleles, "G": genotypes}.get(per, room)
    return min(room, wanted)


def field_bytes(values: np.ndarray, code: str, count: int) -> bytes:
    """A field of samples x room values, as BCF has it."""
    kind = np.dtype("<f4" if code == "f" else SHOWN.get(code, "<i4"))
    none = np.iinfo(kind).min if code != "f" else 0
    out = []
    for own in values.tolist():
        shown = [none if code in "bhiq" and v == -1 else v for v in own[:count]]
        end = count
        while code in "bhiq" and len(own) > 1 and end > 0 and own[end - 1] == -2:
            end -= 1
        shown[end:] = [none + 1] * (count - end)
        shown[0] = none if end == 0 else shown[0]
        out.append(shown)
    return typed(count, TYPES[kind.str.replace("|", "")]) + np.array(out, dtype=kind).tobytes()


@st.composite
def formats(draw):
    """A code, what values are for, and values of samples, of which the last may be none."""
    code = draw(st.sampled_from(list("?bBhHiIqQ")))
    per = draw(st.sampled_from(["", "A", "R", "G"]))
    room = draw(st.integers(1, 20))
    num_alleles, ploidy = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    count = count_of(per, room, num_alleles, ploidy)
    info = np.iinfo(np.uint8 if code == "?" else code)
    least, most = max(info.min, -(2**31) + 8), min(info.max, 2**31 - 1)
    one = st.integers(0, 1) if code == "?" else st.integers(least, most)
    values = []
    for _ in range(draw(st.integers(1, 9))):
        kept = draw(st.integers(0, count)) if code in "bhiq" and room > 1 else count
        own = draw(st.lists(one, min_size=kept, max_size=kept))
        own += [-2 if code in "bhiq" else 0] * (room - kept)
        values.append(own)
    dtype = bool if code == "?" else code
    return code, per, num_alleles, ploidy, count, np.array(values, dtype=dtype)


def put(encoder, values, num_samples: int, ploidy: int, size: int) -> bytes:
    out = bytearray(size)
    encoder.put_field(0, values.reshape(1, -1), num_samples, ploidy, 0, out)
    return bytes(out)


@given(formats())
def test_any_field(case):
    code, per, num_alleles, ploidy, count, values = case
    samples, room = values.shape
    body = KEY + field_bytes(values, code, count)
    head = head_of(num_alleles)
    encoder = BcfEncoder(
        *(0, b"", array("Q", [9, 9 + len(head) + len(body)]), head),
        [(code, per, room, KEY)],
        array("Q", [0, len(head)]),
    )
    assert encoder.num_fields == 1
    assert encoder.data_size(samples, ploidy, num_alleles) == len(body)
    found = put(encoder, values, samples, ploidy, len(head) + len(body))
    assert found == bytes(len(head)) + body


def test_floats_of_a_field():
    bits = [[1, MISSING], [MISSING, NONE], [NONE, NONE], [2, NONE]]
    as_bits = {n: struct.unpack("<I", struct.pack("<f", n))[0] for n in (1, 2)}
    values = np.array([[as_bits.get(b, b) for b in row] for row in bits], dtype=np.uint32)
    head = head_of(2)
    size = len(KEY) + 1 + values.nbytes
    encoder = BcfEncoder(0, b"", array("Q", [0, len(head) + size]), head, [("f", "", 2, KEY)])
    found = put(encoder, values.view(np.float32), 4, 2, len(head) + size)
    values[2, 0] = MISSING
    assert found[len(head) :] == KEY + b"\x25" + values.tobytes()
    values[1] = [NONE, MISSING]
    with pytest.raises(NativeError, match="behind a fill value") as caught:
        put(encoder, values.view(np.float32), 4, 2, len(head) + size)
    assert (caught.value.row, caught.value.sample) == (0, 1)


@pytest.mark.parametrize(
    ("code", "per", "own", "what"),
    [
        ("i", "", [0, -(2**31)], "cannot hold"),
        ("q", "", [2**31, 0], "cannot hold"),
        ("Q", "", [2**64 - 1, 0], "cannot hold"),
        ("I", "", [2**31, 0], "cannot hold"),
        ("h", "A", [1, 1], "more values than the site has alleles"),
        ("b", "A", [1, -3], "more values than the site has alleles"),
    ],
)
def test_what_no_field_shows(code, per, own, what):
    values = np.full((5, 2), -2 if code in "bhiq" else 0, dtype=code)
    values[3] = own
    head = head_of(2)
    made = BcfEncoder(0, b"", None, None, [(code, per, 2, KEY)])
    size = len(head) + made.data_size(5, 2, 2)
    offsets, starts = array("Q", [0, size]), array("Q", [0, len(head)])
    encoder = BcfEncoder(0, b"", offsets, head, [(code, per, 2, KEY)], starts)
    with pytest.raises(NativeError, match=what) as caught:
        put(encoder, values, 5, 2, size)
    assert caught.value.sample == 3 and caught.value.row == 0 and caught.value.allele


def test_arguments_of_fields():
    for formats_ in ([("x", "", 1, KEY)], [("b", "", 0, KEY)]):
        with pytest.raises(ValueError, match="a field has a value"):
            BcfEncoder(1, PREFIX, None, None, formats_)
    with pytest.raises(ValueError, match="head_offsets"):
        BcfEncoder(0, b"", array("Q", [0, 50]), head_of(2), [("b", "R", 2, KEY)])
    with pytest.raises(ValueError, match="as many"):
        BcfEncoder(
            0, b"", array("Q", [0, 50]), head_of(2), [("b", "R", 2, KEY)], array("Q", [0, 1, 2])
        )
    head = head_of(2)
    size = len(head) + len(KEY) + 1 + 8
    encoder = BcfEncoder(0, b"", array("Q", [0, size]), head, [("b", "", 1, KEY)])
    values = np.zeros((1, 4), np.int8)
    assert put(encoder, values, 4, 2, size)
    for number, given_values, samples, first, room in (
        (1, values, 4, 0, size),
        (0, values[:, :3], 4, 0, size),
        (0, values, 3, 0, size),
        (0, values, 4, 1, size),
        (0, values, 4, 0, size - 1),
    ):
        with pytest.raises(NativeError):
            encoder.put_field(number, given_values, samples, 2, first, bytearray(room))


def test_sites_that_no_index_has():
    def add(contigs, positions, index=None):
        index = index or CsiIndex(3)
        n = len(contigs)
        offsets = array("Q", range(100, 100 + 50 * (n + 1), 50))
        index.add(array("i", contigs), array("q", positions), array("i", [1] * n), offsets)
        return index

    assert add([0, 0, 2, 2, 1], [1, 1, 5, 9, 2]).to_bytes()[:4] == b"CSI\1"
    for contigs, positions, row in (
        ([0, 0, 0], [5, 9, 8], 2),
        ([0, 1, 0], [5, 9, 8], 2),
        ([-1], [5], 0),
        ([3], [5], 0),
        ([0], [2**31 + 1], 0),
    ):
        with pytest.raises(NativeError) as caught:
            add(contigs, positions)
        assert caught.value.row == row
    with pytest.raises(NativeError) as caught:
        add([0], [8], add([0, 0], [5, 9]))
    assert caught.value.row == 0
    assert [len(CsiIndex(n).to_bytes()) for n in (0, 2)] == [28, 36]
