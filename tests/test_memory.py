"""Sizes that users write, and what processes hold."""

import mmap
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biofuse.errors import BiofuseError
from biofuse.memory import format_size, parse_size, process_memory

SIZES = {
    "0": 0,
    "1": 1,
    "65536": 65536,
    "7B": 7,
    "1k": 1024,
    "1K": 1024,
    "2kB": 2048,
    "1KiB": 1024,
    "128MiB": 128 << 20,
    "128M": 128 << 20,
    "128 mb": 128 << 20,
    " 1.5 GiB ": 3 << 29,
    "0.5k": 512,
    "2G": 2 << 30,
}


@pytest.mark.parametrize("text", SIZES)
def test_a_size(text):
    assert parse_size(text) == SIZES[text]


@pytest.mark.parametrize(
    "text", ["", " ", "MiB", "1T1", "-1", "+1", "1e6", "0x10", "1..5", "1 2", "ten", "1Mi B", "nan"]
)
def test_no_size(text):
    with pytest.raises(BiofuseError, match="is not a size"):
        parse_size(text)


@given(st.integers(0, 1 << 50))
def test_bytes_are_exact(size):
    assert parse_size(str(size)) == size


@given(st.integers(0, 1 << 20), st.sampled_from([("KiB", 10), ("MiB", 20), ("GiB", 30)]))
def test_whole_units_are_exact(number, unit):
    assert parse_size(f"{number}{unit[0]}") == number << unit[1]


@given(st.integers(0, 1 << 60))
def test_what_is_shown_is_near_what_is(size):
    number, unit = format_size(size).split()
    scale = {"B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}[unit]
    assert abs(float(number) * (1 << scale) - size) <= 0.06 * (1 << scale)
    assert unit == "TiB" or float(number) <= 1024


def test_memory_of_this_process():
    memory = process_memory(os.getpid())
    assert 0 < memory.anonymous <= memory.rss <= memory.peak
    assert 0 < memory.pss <= memory.rss
    assert set(memory.to_json()) == {"rss", "pss", "anonymous", "peak"}


def test_memory_that_is_touched_is_counted():
    before = process_memory(os.getpid()).anonymous
    # A mapping of its own: a heap block may lie in pages that were freed but never given back.
    with mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:
        for page in range(0, len(held), mmap.PAGESIZE):
            held[page] = 1
        assert process_memory(os.getpid()).anonymous - before > 60 << 20


def test_memory_of_no_process():
    assert process_memory(1 << 30) is None
