"""Reads at any offset, from many threads, with a budget that is too small for the file."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import reference
from support.reads import View, check
from support.stores import make_store, random_genotypes

HEADER = len(reference.MAGIC)


def big(directory):
    """16 MB of `.bed`, twice a budget of 8 MiB."""
    rows = random_genotypes(701, 3202, seed=1)
    order = np.random.default_rng(2).integers(0, len(rows), size=20_000)
    store = make_store(directory / "x.vcz", rows[order], chunks=(1237, 3202))
    encoded = np.frombuffer(reference.bed(rows)[HEADER:], dtype=np.uint8).reshape(len(rows), -1)
    return store, (), reference.MAGIC + encoded[order].tobytes()


def small(num_variants, num_samples, chunks, encoding, ploidy=2):
    def make(directory):
        genotypes = random_genotypes(num_variants, num_samples, ploidy, seed=num_samples)
        store = make_store(directory / "x.vcz", genotypes, chunks=chunks, encoding=encoding)
        return store, (), reference.bed(genotypes)

    return make


def shuffled_samples(directory):
    genotypes = random_genotypes(900, 1603, seed=5)
    store = make_store(directory / "x.vcz", genotypes, chunks=(113, 301))
    kept = np.random.default_rng(6).permutation(1603)[:701]
    (directory / "samples").write_text("".join(f"S{i:04d}\n" for i in kept))
    return store, ("-S", directory / "samples"), reference.bed(genotypes[:, kept])


def few_variants(directory):
    genotypes = random_genotypes(3000, 1003, seed=7)
    store = make_store(
        directory / "x.vcz", genotypes, chunks=(90, 1003), positions=np.arange(1, 3001)
    )
    kept = [i for i in range(3000) if i % 370 < 41]
    wanted = " | ".join(f"(POS > {i} & POS <= {i + 41})" for i in range(0, 3000, 370))
    return store, ("-i", wanted), reference.bed(genotypes[kept])


STORES = {
    "big": big,
    "sample-chunks": small(1100, 3202, (207, 999), "v2-blosc-zstd-bit"),
    "slow-path": small(1400, 1003, (170, 301), "v2-gzip"),
    "v3": small(1100, 3202, (137, 1601), "v3-blosc-zstd-bit"),
    "sharded": small(900, 1003, (101, 250), "v3-sharded"),
    "haploid": small(3000, 1501, (391, 700), "v2-blosc-zstd-bit", ploidy=1),
    "shuffled-samples": shuffled_samples,
    "few-variants": few_variants,
}


@pytest.fixture(scope="module")
def view(module_biofuse, made):
    """`view(name)` mounts a store the first time, until the module's end."""
    views = {}
    with contextlib.ExitStack() as stack:

        def get(name: str) -> View:
            if name not in views:
                store, options, expected = made(f"reads-{name}", STORES[name])
                mount = stack.enter_context(
                    module_biofuse.mount(store, "--memory", "8MiB", *options)
                )
                views[name] = View(mount.bed, expected, mount.status)
            return views[name]

        yield get


@pytest.mark.slow
@pytest.mark.parametrize("name", STORES)
@settings(max_examples=20)
@given(data=st.data())
def test_any_reads_from_several_threads(name, view, data):
    seen = view(name)
    size = len(seen.expected)
    assert seen.path.stat().st_size == size
    offsets = st.integers(0, size + 10) | st.integers(size - 3000, size) | st.integers(0, 3000)
    sizes = st.integers(0, 5000) | st.integers(0, 400_000)
    reads = st.lists(st.tuples(offsets, sizes), min_size=1, max_size=6)
    threads = data.draw(st.lists(reads, min_size=2, max_size=6))
    # Without the kernel's read-ahead, serve sees the very reads.
    advice = data.draw(st.sampled_from([os.POSIX_FADV_NORMAL, os.POSIX_FADV_RANDOM]))
    with ThreadPoolExecutor(len(threads)) as pool:
        for done in [pool.submit(check, seen, reads, advice) for reads in threads]:
            done.result()


@pytest.mark.parametrize("name", ["slow-path", "v3", "few-variants"])
def test_a_whole_file(name, view):
    seen = view(name)
    assert seen.path.read_bytes() == seen.expected


@pytest.mark.parametrize("size", [77_777, 1_000_003])
def test_from_beginning_to_end_in_odd_sizes(size, view):
    seen = view("big")
    check(seen, [(offset, size) for offset in range(0, len(seen.expected), size)])


def test_from_end_to_beginning(view):
    seen = view("big")
    check(seen, [(offset, 90_001) for offset in range(len(seen.expected), -1, -90_001)])
    check(seen, [(0, 90_001)])


def test_pieces_that_come_out_of_order(view):
    """As the kernel's read-ahead has them: neighbours change places."""
    seen = view("big")
    step = 128 << 10
    offsets = range(0, len(seen.expected), step)
    order = [min(n ^ 1, len(offsets) - 1) for n in range(len(offsets))]
    check(seen, [(offsets[n], step) for n in order], os.POSIX_FADV_RANDOM)
    rng = np.random.default_rng(3)
    shuffled = np.concatenate([rng.permutation(order[i : i + 6]) for i in range(0, len(order), 6)])
    check(seen, [(offsets[int(n)], step) for n in shuffled], os.POSIX_FADV_RANDOM)


def test_sixteen_readers_at_places_of_their_own(view):
    """More runs than what is kept has room for."""
    seen = view("big")
    part = len(seen.expected) // 16
    parts = [
        [(offset, 60_000) for offset in range(n * part, (n + 1) * part, 60_000)] for n in range(16)
    ]
    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(check, seen, reads) for reads in parts]:
            done.result()
    # In turns, from one thread and one handle.
    check(seen, [read for turn in zip(*parts, strict=True) for read in turn[:8]])


def test_the_budget_was_too_small(view):
    """The tests above cannot have been answered from what was kept."""
    seen = view("big")
    check(seen, [(offset, 500_000) for offset in range(0, len(seen.expected), 500_000)])
    status = seen.status()
    assert status["budget"] == 8 << 20
    assert status["budget"] < len(seen.expected) / 1.5
    assert status["counters"]["bytes_encoded"] > status["budget"]
    assert status["counters"]["errors"] == 0


@pytest.mark.parametrize("name", ["big", "haploid"])
def test_around_the_header(name, view):
    seen = view(name)
    check(seen, [(o, s) for o in range(8) for s in (0, 1, 2, 3, 4, 9, 5000)])


@pytest.mark.parametrize("name", ["big", "shuffled-samples"])
def test_around_the_end(name, view):
    seen = view(name)
    size = len(seen.expected)
    reads = [(size + o, s) for o in (-801, -2, -1, 0, 1, 4096, 1 << 40) for s in (0, 1, 2, 9999)]
    check(seen, reads)
    check(seen, reads, os.POSIX_FADV_RANDOM)


def test_around_the_edges_of_chunks(view):
    seen = view("big")
    edges = [HEADER + row * 801 for row in range(0, 20_000, 1237)]
    check(seen, [(e - before, 1700) for e in edges[1:] for before in (0, 1, 801, 802)])
