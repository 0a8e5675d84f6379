"""Any bytes of a `.bcf`, of the engine and of the other way, against the whole file."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import bcf
from support.oracles import run
from support.reads import View, check
from support.stores import make_store, random_genotypes
from support.views import open_encoder, open_fast_path, plan_view

from biofuse.encode.ranges import Answers
from biofuse.encode.tables import MappedTables

BLOCK = 65311


class Both:
    """A view's `.bcf`, made by the engine and in the other way."""

    def __init__(self, store: Path, folder: Path, *options):
        self.plan = plan_view(store, folder, "--format", "bcf", *options)
        self.fast = open_fast_path(self.plan, folder, 24 << 20)
        tables = MappedTables.of_plan(self.plan, str(folder))
        encoder = open_encoder(self.plan, folder, 8 << 20)
        (streamed,) = self.plan.streamed
        self.header = (folder / streamed.header).read_bytes()
        self.answers = Answers(self.plan, tables.views, encoder, 1 << 20)
        self.size = streamed.size
        stream = bytearray(self.header)
        offsets = tables.views[streamed.offsets].cast("Q")
        for record in range(streamed.records):
            out = bytearray(offsets[record + 1] - offsets[record])
            encoder.encode(0, record, record + 1, memoryview(out))
            stream += out
        assert len(stream) == streamed.stream
        self.expected = bcf.framed(bytes(stream))
        assert len(self.expected) == self.size

    def fast_bytes(self, offset: int, size: int) -> bytes:
        found = self.fast.engine.read(0, offset, size)
        while not isinstance(found, bytes):
            assert self.fast.give(found)
            found = self.fast.engine.read(0, offset, size)
        return found

    def slow_bytes(self, offset: int, size: int) -> bytes:
        size = min(size, self.size - offset)
        return b"".join(self.answers.answer(0, offset, size)) if size > 0 else b""


def many_blocks(folder):
    """Records of 6 KB, of which ten or eleven are in a block."""
    genotypes = random_genotypes(300, 3202, seed=3)
    return make_store(folder / "x.vcz", genotypes, chunks=(70, 999)), ()


def large_records(folder):
    """Records of 140 KB, which take more than two blocks."""
    genotypes = random_genotypes(23, 70_001, seed=4)
    return make_store(folder / "x.vcz", genotypes, chunks=(9, 20_000)), ()


def small(folder):
    """A file of one block."""
    return make_store(folder / "x.vcz", random_genotypes(3, 5, seed=5)), ()


def few_samples(folder):
    """Tens of thousands of records of 50 bytes, of samples in another order."""
    genotypes = random_genotypes(9000, 9, seed=6)
    return make_store(folder / "x.vcz", genotypes, chunks=(1000, 4)), ("-s", "S0007,S0002,S0003")


def no_variants(folder):
    store = make_store(folder / "x.vcz", random_genotypes(9, 5, seed=7))
    return store, ("-i", "POS<0")


def other_ploidies(folder):
    genotypes = np.random.default_rng(8).choice([0, 1, -1], size=(90, 1003, 3)).astype(np.int8)
    genotypes[::2, ::3, 2] = -2
    genotypes[::3, ::3, 1] = np.where(genotypes[::3, ::3, 2] == -2, -2, genotypes[::3, ::3, 1])
    return make_store(folder / "x.vcz", genotypes, chunks=(31, 400)), ()


STORES = [many_blocks, large_records, small, few_samples, no_variants, other_ploidies]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    made: dict[str, Both] = {}

    def get(make) -> Both:
        if make.__name__ not in made:
            folder = tmp_path_factory.mktemp("bcf")
            store, options = make(folder)
            made[make.__name__] = Both(store, folder / "plan", *options)
        return made[make.__name__]

    return get


def ranges(size: int):
    """Offsets and sizes, often about the ends of blocks."""
    edges = st.integers(0, size // BLOCK + 1).flatmap(
        lambda n: st.integers(n * BLOCK - 40, n * BLOCK + 40)
    )
    offsets = (edges | st.integers(0, size)).filter(lambda n: 0 <= n < size)
    sizes = st.integers(1, 100) | st.integers(1, 3 * BLOCK) | st.just(1 << 20)
    return st.lists(st.tuples(offsets, sizes), min_size=1, max_size=8)


@pytest.mark.parametrize("make", STORES)
@given(data=st.data())
@settings(max_examples=30)
def test_any_bytes(make, both, data):
    seen = both(make)
    for offset, size in data.draw(ranges(seen.size)):
        expected = seen.expected[offset : offset + size]
        assert seen.fast_bytes(offset, size) == expected
        assert seen.slow_bytes(offset, size) == expected


@pytest.mark.parametrize("make", STORES)
@pytest.mark.parametrize("size", [4096, 61_000, 131_072, 1 << 20])
def test_from_beginning_to_end(make, size, both):
    seen = both(make)
    for read in (seen.fast_bytes, seen.slow_bytes):
        found = b"".join(read(offset, size) for offset in range(0, seen.size, size))
        assert found == seen.expected
    assert seen.fast_bytes(seen.size, 10) == b""


def test_what_is_read_on_in_is_made_once(tmp_path):
    """Of small records: a block of which a read has the first part is kept for the next one."""
    seen = Both(many_blocks(tmp_path)[0], tmp_path / "plan")
    before = seen.answers.use.records_encoded
    step = 131_072
    for offset in range(0, seen.size, step):
        seen.slow_bytes(offset, step)
    assert seen.answers.use.records_encoded - before <= seen.plan.streamed[0].records * 1.02


def test_the_stream_is_read_by_bcftools(both, tmp_path):
    """Also where it was cut in another place by each of many reads."""
    for make in STORES:
        seen = both(make)
        path = tmp_path / "x.bcf"
        step = 7919
        size = min(seen.size, 400 * step)
        pieces = [seen.fast_bytes(offset, step) for offset in range(0, size, step)]
        if size == seen.size:
            path.write_bytes(b"".join(pieces))
            _, records = bcf.take_apart(path.read_bytes())
            lines = run("bcftools", "query", "-f", "%POS\n", path).splitlines()
            assert len(lines) == len(records) == seen.plan.streamed[0].records


@pytest.fixture(scope="module")
def view(module_biofuse, made):
    def get_store(folder):
        return many_blocks(folder)[0]

    store = made("bcf-reads", get_store)
    with contextlib.ExitStack() as stack:
        mount = stack.enter_context(
            module_biofuse.mount(store, "--format", "bcf", "--memory", "8MiB")
        )
        path = Path(f"{mount.stem}.bcf")
        yield View(path, path.read_bytes(), mount.status)


@settings(max_examples=15)
@given(data=st.data())
def test_reads_of_a_mount_from_several_threads(view, data):
    size = len(view.expected)
    assert view.path.stat().st_size == size
    threads = data.draw(st.lists(ranges(size), min_size=2, max_size=5))
    advice = data.draw(st.sampled_from([os.POSIX_FADV_NORMAL, os.POSIX_FADV_RANDOM]))
    with ThreadPoolExecutor(len(threads)) as pool:
        for done in [pool.submit(check, view, reads, advice) for reads in threads]:
            done.result()


def test_a_mount_has_the_same_bytes(view, both):
    assert view.expected == both(many_blocks).expected
