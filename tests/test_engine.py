"""Any bytes of any streamed file, made by the engine, are those of a naive encoder."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support import reference
from support.stores import make_store
from support.views import encoded_parts, open_fast_path, plan_view

BUDGETS = [4 << 20, 64 << 20]


@st.composite
def stores(draw):
    """Genotypes and how they are stored, on the fast path."""
    variants, samples = draw(st.integers(1, 60)), draw(st.integers(1, 90))
    ploidy = draw(st.sampled_from([1, 2, 2]))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    weights = draw(st.sampled_from([[0.5, 0.3, 0.2], [0.99, 0.01, 0.0], [0, 0, 1], [0, 1, 0]]))
    genotypes = rng.choice([0, 1, -1], p=weights, size=(variants, samples, ploidy))
    if ploidy == 2 and draw(st.booleans()):
        genotypes[rng.random((variants, samples)) < 0.2, 1] = -2
    return {
        "genotypes": genotypes.astype("int8"),
        "chunks": (draw(st.integers(1, 70)), draw(st.integers(1, 100))),
        "encoding": draw(st.sampled_from(["v2-blosc-zstd-bit", "v3-blosc-zstd-bit"])),
    }


def read(fast, file: int, offset: int, size: int) -> bytes:
    """What the engine makes, given what it wants."""
    for _ in range(10):
        found = fast.engine.read(file, offset, size)
        if isinstance(found, bytes):
            return found
        assert fast.give(found), (found.array, found.chunk_row)
    raise AssertionError("the engine wants the same things again and again")


def prepare(fast) -> None:
    """All that is read ahead."""
    while (found := fast.engine.prepare()) is not False:
        if found is not True:
            fast.give(found)


@settings(max_examples=60, deadline=None)
@given(stores(), st.data())
def test_any_bytes(store, data):
    genotypes = store["genotypes"]
    samples = genotypes.shape[1]
    kept = data.draw(st.none() | st.lists(st.integers(0, samples - 1), min_size=1, unique=True))
    names = [f"S{i:04d}" for i in range(samples)]
    folder = Path(tempfile.mkdtemp())
    try:
        path = make_store(folder / "x.vcz", samples=names, **store)
        options = ["--format", "plink", "--format", "bgen"]
        if kept is not None:
            options += ["-s", ",".join(names[i] for i in kept)]
            genotypes = genotypes[:, kept]
        plan = plan_view(path, folder / "plan", *options)
        whole = [b"".join(encoded_parts(plan, folder / "plan", n)) for n in range(2)]
        assert whole[0] == reference.bed(genotypes)
        fast = open_fast_path(plan, folder / "plan", data.draw(st.sampled_from(BUDGETS)))
        for _ in range(8):
            file = data.draw(st.integers(0, 1))
            offset = data.draw(st.integers(0, len(whole[file]) + 3))
            size = data.draw(st.integers(0, len(whole[file]) + 3))
            for start in (offset, offset + size):
                assert read(fast, file, start, size) == whole[file][start : start + size]
            if data.draw(st.booleans()):
                prepare(fast)
    finally:
        shutil.rmtree(folder)
