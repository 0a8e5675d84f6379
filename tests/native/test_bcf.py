"""BCF records through the binding, against a plain encoder of one allele after another."""

from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biofuse.native import BcfEncoder, NativeError, PackedRows, Rows

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
        ([0, -3], 1, 2, "an allele that the site does not have"),
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
