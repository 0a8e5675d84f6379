"""Any bytes of a `.bcf` with several fields of FORMAT, against the whole file."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import bcf
from support.bcf_formats import set_calls, values_of
from support.reads import View, check
from support.stores import make_store, random_genotypes
from support.views import open_encoder, plan_view

from biofuse.encode.ranges import Answers
from biofuse.encode.tables import MappedTables

BLOCK = 65311
ALLELES = {"_ARRAY_DIMENSIONS": ["variants", "samples", "alleles"]}


class Shown:
    """A view's `.bcf`, and what it is to be: the records that the encoder makes one by one."""

    def __init__(self, store: Path, folder: Path, *options):
        self.plan = plan_view(store, folder, "--format", "bcf", "--bcf-fields", "all", *options)
        tables = MappedTables.of_plan(self.plan, str(folder))
        # Of which a part of a run fits at a time.
        encoder = open_encoder(self.plan, folder, 8 << 20, scratch_bytes=1 << 20, threads=3)
        (streamed,) = self.plan.streamed
        self.answers = Answers(self.plan, tables.views, encoder, 1 << 20)
        self.size = streamed.size
        stream = bytearray((folder / streamed.header).read_bytes())
        offsets = tables.views[streamed.offsets].cast("Q")
        for record in range(streamed.records):
            out = bytearray(offsets[record + 1] - offsets[record])
            encoder.encode(0, record, record + 1, memoryview(out))
            stream += out
        assert len(stream) == streamed.stream
        self.expected = bcf.framed(bytes(stream))
        assert len(self.expected) == self.size

    def read(self, offset: int, size: int) -> bytes:
        size = min(size, self.size - offset)
        return b"".join(self.answers.answer(0, offset, size)) if size > 0 else b""


def add_fields(store: Path, num_variants: int, num_samples: int, chunks: list[tuple[int, int]]):
    """Fields of several types, each in chunks of its own."""
    rng = np.random.default_rng(7)
    shape = (num_variants, num_samples)
    depth = rng.integers(-1, 300, shape).astype(np.int16)
    set_calls(store, "DP", depth, chunks[0])
    counts = rng.integers(-1, 40, (*shape, 3)).astype(np.int8)
    counts[..., 2] = -2
    set_calls(store, "AD", counts, (*chunks[1], 3), attributes=ALLELES)
    set_calls(store, "GP", rng.random((*shape, 3)).astype(np.float32), (*chunks[2], 3))
    words = np.array(["PASS", "", "q10;s50", "."], dtype=object)
    set_calls(store, "FT", rng.choice(words, shape), chunks[3])
    return store, depth


def many_blocks(folder):
    store = make_store(folder / "x.vcz", random_genotypes(100, 1501, seed=3), chunks=(30, 999))
    chunks = [(30, 999), (17, 400), (100, 1501), (41, 700)]
    return add_fields(store, 100, 1501, chunks)[0], ()


def large_records(folder):
    """Records of a megabyte."""
    store = make_store(folder / "x.vcz", random_genotypes(7, 40_001, seed=4), chunks=(3, 9000))
    chunks = [(4, 9000), (7, 40_001), (2, 17_000), (3, 20_000)]
    return add_fields(store, 7, 40_001, chunks)[0], ()


def few_samples(folder):
    store = make_store(folder / "x.vcz", random_genotypes(3000, 9, seed=6), chunks=(1000, 4))
    chunks = [(1000, 4), (700, 9), (311, 5), (1500, 9)]
    return add_fields(store, 3000, 9, chunks)[0], ("-s", "S0007,S0002,S0003", "-i", "N_MISSING<3")


STORES = [many_blocks, large_records, few_samples]


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    made: dict[str, Shown] = {}

    def get(make) -> Shown:
        if make.__name__ not in made:
            folder = tmp_path_factory.mktemp("fields")
            store, options = make(folder)
            made[make.__name__] = Shown(store, folder / "plan", *options)
        return made[make.__name__]

    return get


def ranges(size: int):
    """Offsets and sizes, often about the ends of blocks."""
    edges = st.integers(0, size // BLOCK + 1).flatmap(
        lambda n: st.integers(n * BLOCK - 40, n * BLOCK + 40)
    )
    offsets = (edges | st.integers(0, size)).filter(lambda n: 0 <= n < size)
    sizes = st.integers(1, 100) | st.integers(1, 3 * BLOCK) | st.just(1 << 20)
    return st.lists(st.tuples(offsets, sizes), min_size=1, max_size=5)


@pytest.mark.parametrize("make", STORES)
@given(data=st.data())
@settings(max_examples=15)
def test_any_bytes(make, shown, data):
    seen = shown(make)
    for offset, size in data.draw(ranges(seen.size)):
        assert seen.read(offset, size) == seen.expected[offset : offset + size]


@pytest.mark.parametrize("make", STORES)
@pytest.mark.parametrize("size", [61_000, 131_072, 1 << 20])
def test_from_beginning_to_end(make, size, shown):
    seen = shown(make)
    found = b"".join(seen.read(offset, size) for offset in range(0, seen.size, size))
    assert found == seen.expected
    # Each record is made about once.
    before = seen.answers.use.records_encoded
    for offset in range(0, seen.size, size):
        seen.read(offset, size)
    made = seen.answers.use.records_encoded - before
    assert made <= 1.1 * seen.plan.streamed[0].records + 2 * seen.size // size


def test_what_they_say(shown, tmp_path):
    """The file of all these bytes has the values of the store."""
    folder = tmp_path / "store"
    folder.mkdir()
    store = make_store(folder / "x.vcz", random_genotypes(100, 151, seed=3), chunks=(30, 99))
    _, depth = add_fields(store, 100, 151, [(30, 99), (17, 40), (100, 151), (41, 70)])
    path = tmp_path / "x.bcf"
    path.write_bytes(Shown(store, tmp_path / "plan").expected)
    assert values_of(path, "DP") == [["." if n == -1 else str(n) for n in row] for row in depth]


@pytest.fixture(scope="module")
def view(module_biofuse, made):
    store = made("bcf-field-reads", lambda folder: many_blocks(folder)[0])
    options = ("--format", "bcf", "--bcf-fields", "all", "--memory", "16MiB")
    with contextlib.ExitStack() as stack:
        mount = stack.enter_context(module_biofuse.mount(store, *options))
        path = Path(f"{mount.stem}.bcf")
        yield View(path, path.read_bytes(), mount.status)


@settings(max_examples=10)
@given(data=st.data())
def test_reads_of_a_mount_from_several_threads(view, data):
    size = len(view.expected)
    assert view.path.stat().st_size == size
    threads = data.draw(st.lists(ranges(size), min_size=2, max_size=5))
    advice = data.draw(st.sampled_from([os.POSIX_FADV_NORMAL, os.POSIX_FADV_RANDOM]))
    with ThreadPoolExecutor(len(threads)) as pool:
        for done in [pool.submit(check, view, reads, advice) for reads in threads]:
            done.result()


def test_a_mount_has_the_same_bytes(view, shown):
    assert view.expected == shown(many_blocks).expected
