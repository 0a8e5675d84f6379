"""Any bytes of the files of a PLINK 2 fileset, from a mount and from the engine."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reads import View, check
from support.stores import add_field, make_store, random_genotypes
from support.views import make_files, open_fast_path, plan_view
from test_engine import prepare, stores
from test_plink2 import pgen_of

WORDS = ("--format", "plink2")


def hard_calls(folder):
    genotypes = random_genotypes(3000, 1003, seed=3)
    store = make_store(folder / "x.vcz", genotypes, chunks=(207, 400))
    return store, WORDS, pgen_of(genotypes)


def dosages(folder, encoding="v2-blosc-zstd-byte"):
    genotypes = random_genotypes(1500, 301, seed=4)
    store = make_store(folder / "x.vcz", genotypes, chunks=(170, 100))
    values = np.random.default_rng(1).random((1500, 301)).astype("f4")
    values[genotypes[..., 0] < 0] = np.nan
    add_field(store, "call_DS", values, chunks=(110, 90), encoding=encoding)
    words = (*WORDS, "--dosage", "DS")
    made = make_files(store, folder / "made", *words)
    return store, words, made.with_suffix(".pgen").read_bytes()


FILES = {
    "hard-calls": hard_calls,
    "dosages": dosages,
    "dosages-slow": lambda folder: dosages(folder, "v2-gzip"),
}


@pytest.fixture(scope="module")
def view(module_biofuse, made):
    """`view(name)` mounts a store the first time, until the module's end."""
    views = {}
    with contextlib.ExitStack() as stack:

        def get(name: str) -> View:
            if name not in views:
                store, words, expected = made(f"plink2-reads-{name}", FILES[name])
                mount = stack.enter_context(module_biofuse.mount(store, "--memory", "8MiB", *words))
                path = mount.dir / f"{mount.stem.name}.pgen"
                views[name] = View(path, expected, mount.status)
            return views[name]

        yield get


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=12)
@given(data=st.data())
def test_any_reads_from_several_threads(name, view, data):
    seen = view(name)
    size = len(seen.expected)
    assert seen.path.stat().st_size == size
    offsets = st.integers(0, size + 10) | st.integers(size - 3000, size) | st.integers(0, 6000)
    sizes = st.integers(0, 5000) | st.integers(0, 400_000)
    reads = st.lists(st.tuples(offsets, sizes), min_size=1, max_size=6)
    threads = data.draw(st.lists(reads, min_size=2, max_size=4))
    advice = data.draw(st.sampled_from([os.POSIX_FADV_NORMAL, os.POSIX_FADV_RANDOM]))
    with ThreadPoolExecutor(len(threads)) as pool:
        for done in [pool.submit(check, seen, reads, advice) for reads in threads]:
            done.result()


@pytest.mark.parametrize("name", FILES)
def test_a_whole_file(name, view):
    seen = view(name)
    assert seen.path.read_bytes() == seen.expected


def read(fast, offset: int, size: int) -> bytes:
    """What the engine makes, given what it wants: each chunk row that is not stored."""
    while not isinstance(found := fast.engine.read(0, offset, size), bytes):
        assert fast.give(found), (found.array, found.chunk_row)
    return found


@settings(max_examples=40, deadline=None)
@given(store=stores(), data=st.data())
def test_any_bytes_of_the_engine(store, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    path = make_store(folder / "x.vcz", **store)
    plan = plan_view(path, folder / "plan", "--format", "plink2")
    whole = pgen_of(store["genotypes"])
    fast = open_fast_path(plan, folder / "plan", data.draw(st.sampled_from([4 << 20, 64 << 20])))
    for _ in range(8):
        offset = data.draw(st.integers(0, len(whole) + 3))
        size = data.draw(st.integers(0, len(whole) + 3))
        for start in (offset, offset + size):
            assert read(fast, start, size) == whole[start : start + size]
        if data.draw(st.booleans()):
            prepare(fast)
