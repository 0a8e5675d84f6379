"""Any records of any store, asked for in any order, are what a naive encoder makes."""

import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import reference
from support.stores import ENCODINGS, add_field, make_store
from support.views import open_encoder, plan_view

CACHES = [0, 1 << 20, 64 << 20]


@st.composite
def stores(draw):
    """Genotypes and how they are stored."""
    variants, samples = draw(st.integers(1, 60)), draw(st.integers(1, 90))
    ploidy = draw(st.sampled_from([1, 2, 2]))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    weights = draw(st.sampled_from([[0.5, 0.3, 0.2], [0.99, 0.01, 0.0], [0, 0, 1], [0, 1, 0]]))
    genotypes = rng.choice([0, 1, -1], p=weights, size=(variants, samples, ploidy))
    if ploidy == 2 and draw(st.booleans()):
        genotypes[rng.random((variants, samples)) < 0.2, 1] = -2
    return {
        "genotypes": genotypes.astype(draw(st.sampled_from(["int8", "int8", "int8", "int16"]))),
        "chunks": (draw(st.integers(1, 70)), draw(st.integers(1, 100))),
        "encoding": draw(st.sampled_from([e for e in ENCODINGS if e != "v2-filter"])),
    }


class View:
    """A view's encoder, and the bytes that it must make."""

    def __init__(self, store, directory, genotypes, cache_bytes, *options):
        self.plan = plan_view(store, directory, *options)
        self.encoder = open_encoder(self.plan, directory, cache_bytes)
        self.record_size = self.plan.streamed[0].record_size
        self.expected = reference.bed(genotypes)[len(reference.MAGIC) :]
        assert self.plan.streamed[0].size == len(self.expected) + len(reference.MAGIC)

    def check(self, first, last):
        out = bytearray(b"\xaa" * ((last - first) * self.record_size))
        self.encoder.encode(0, first, last, memoryview(out))
        assert out == self.expected[first * self.record_size : last * self.record_size]


@pytest.mark.slow
@settings(max_examples=50)
@given(stores(), st.data())
def test_any_records(store, data):
    genotypes = store["genotypes"]
    variants, samples = genotypes.shape[:2]
    kept = data.draw(st.none() | st.lists(st.integers(0, samples - 1), min_size=1, unique=True))
    names = [f"S{i:04d}" for i in range(samples)]
    folder = Path(tempfile.mkdtemp())
    try:
        path = make_store(folder / "x.vcz", samples=names, **store)
        options = [] if kept is None else ["-s", ",".join(names[i] for i in kept)]
        if kept is not None:
            genotypes = genotypes[:, kept]
        cache = data.draw(st.sampled_from(CACHES))
        view = View(path, folder / "plan", genotypes, cache, *options)
        for _ in range(4):
            first = data.draw(st.integers(0, variants))
            view.check(first, data.draw(st.integers(first, variants)))
        view.check(0, variants)
    finally:
        shutil.rmtree(folder)


@settings(max_examples=15)
@given(stores(), st.data())
def test_any_records_of_some_variants(store, data):
    variants = store["genotypes"].shape[0]
    kept = sorted(data.draw(st.sets(st.integers(0, variants - 1), min_size=1)))
    folder = Path(tempfile.mkdtemp())
    try:
        positions = np.arange(variants) + 1
        positions[kept] += 1000
        path = make_store(folder / "x.vcz", positions=positions, **store)
        genotypes = store["genotypes"][kept]
        view = View(path, folder / "plan", genotypes, 1 << 20, "-i", "POS>1000")
        first = data.draw(st.integers(0, len(kept)))
        view.check(first, data.draw(st.integers(first, len(kept))))
        view.check(0, len(kept))
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("encoding", ["v2-blosc-zstd-bit", "v2-gzip"])
def test_several_threads(encoding, tmp_path):
    rng = np.random.default_rng(1)
    genotypes = rng.choice([0, 1, -1], size=(400, 403, 2)).astype(np.int8)
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(33, 100), encoding=encoding)
    view = View(store, tmp_path / "plan", genotypes, 1 << 20)
    barrier = threading.Barrier(6)

    def work(seed):
        barrier.wait()
        own = np.random.default_rng(seed)
        for _ in range(40):
            first, last = np.sort(own.integers(0, 401, size=2))
            view.check(int(first), int(last))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))


class Emptied(list):
    """Something was there a moment ago, and another thread has it now."""

    def __len__(self):
        return 1

    def pop(self):
        raise IndexError("pop from empty list")


def test_what_another_thread_takes_first_is_made_anew(tmp_path):
    genotypes = np.zeros((5, 4, 2), dtype=np.int8)
    store = make_store(tmp_path / "x.vcz", genotypes)
    add_field(store, "call_DP", np.arange(20, dtype=np.int32).reshape(5, 4))
    words = ("--format", "bcf", "--bcf-fields", "GT,DP")
    plan = plan_view(store, tmp_path / "plan", *words)
    found = []
    for emptied in (False, True):
        encoder = open_encoder(plan, tmp_path / "plan", 1 << 20)
        if emptied:
            encoder._idle_rows = Emptied()
            encoder._values["call_DP"]._idle_decoders = Emptied()
        found.append(bytearray(plan.streamed[0].stream - plan.streamed[0].header_size))
        encoder.encode(0, 0, 5, memoryview(found[-1]))
    assert found[0] == found[1] != bytes(len(found[0]))
