"""Reads at any offset of a `.bgen`, whose records differ in size, from many threads."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from support import bgen_reference as reference
from support.bgen import parse
from support.reads import View, check
from support.stores import add_field, make_store, random_genotypes
from support.views import make_files


def with_odd_names(store: Path, longest: int) -> Path:
    """Gives the variants IDs and alleles of many lengths, so that no two records are alike."""
    rng = np.random.default_rng(9)
    root = zarr.open_group(store, mode="r+")
    count = root["variant_id"].shape[0]
    sizes = rng.integers(longest, size=(count, 2)) * (rng.random((count, 2)) < 0.3)
    root["variant_id"][...] = np.array(
        [f"v{i}" + "x" * n for i, n in enumerate(sizes[:, 0])], object
    )
    alleles = [["A" * (1 + n), "C"] for n in sizes[:, 1]]
    root["variant_allele"][...] = np.array(alleles, dtype=object)
    return store


def of_calls(directory: Path, options=(), encoding="v2-blosc-zstd-bit"):
    """Calls of mixed ploidy, some variants phased: 11 MB, more than the budget."""
    genotypes = random_genotypes(3600, 1003, seed=1)
    store = make_store(directory / "x.vcz", genotypes, chunks=(207, 301), encoding=encoding)
    phased = np.repeat(np.arange(3600)[:, None] % 3 == 0, 1003, axis=1)
    add_field(store, "call_genotype_phased", phased, chunks=(190, 999), encoding=encoding)
    with_odd_names(store, 300)
    return store, options, {}


def slow(directory: Path):
    return of_calls(directory, encoding="v2-gzip")


def of_few(directory: Path):
    """Samples in another order, and variants in stretches."""
    genotypes = random_genotypes(3000, 603, seed=7)
    positions = np.arange(1, 3001)
    store = make_store(
        directory / "x.vcz",
        genotypes,
        chunks=(90, 603),
        positions=positions,
        encoding="v3-blosc-zstd-bit",
    )
    with_odd_names(store, 5000)
    samples = np.random.default_rng(6).permutation(603)[:251]
    (directory / "samples").write_text("".join(f"S{i:04d}\n" for i in samples))
    wanted = " | ".join(f"(POS > {i} & POS <= {i + 41})" for i in range(0, 3000, 370))
    variants = [i for i in range(3000) if i % 370 < 41]
    return (
        store,
        ("-S", directory / "samples", "-i", wanted, "--haploid-as-diploid"),
        {"samples": samples.tolist(), "variants": variants, "as_diploid": True},
    )


def of_values(directory: Path):
    """Probabilities at 16 bits, with haploid and missing calls: 40 rows over and over, 6 MB."""
    rng = np.random.default_rng(3)
    order = rng.integers(40, size=3000)
    genotypes = random_genotypes(40, 401, seed=4)
    gp = rng.dirichlet((0.5, 0.5, 0.5), size=(40, 401)).astype(np.float32)
    gp[genotypes[..., 1] == -2, 2] = reference.special(reference.FILL)
    gp[..., 1] += (genotypes[..., 1] == -2) * (1 - gp[..., 0] - gp[..., 1])
    gp[rng.random((40, 401)) < 0.1] = reference.special(reference.MISSING)
    store = make_store(directory / "x.vcz", genotypes[order], chunks=(170, 250))
    add_field(store, "call_GP", gp[order], chunks=(333, 111))
    with_odd_names(store, 300)
    return store, ("--bgen-field", "GP", "--bits", "16"), {"order": order}


STORES = {"calls": of_calls, "slow": slow, "few": of_few, "values": of_values}


def expected_bytes(store: Path, folder: Path, options, arguments) -> bytes:
    """A file that was made in this process and that the independent parser has checked."""
    stem = make_files(store, folder, "--format", "bgen", "--phased", *options)
    data = Path(f"{stem}.bgen").read_bytes()
    variants = parse(data).variants
    assert len({v.size for v in variants}) > 50
    if "order" not in arguments:
        reference.check_stored(variants, reference.expected(store, **arguments))
        return data
    order = arguments["order"].tolist()
    first = [order.index(row) for row in range(40)]
    rows = reference.expected(store, field="GP", bits=16, variants=first)
    group = zarr.open_group(store, mode="r")
    for variant, names, row in zip(variants, reference.names_of(group), order, strict=True):
        assert variant.names == names
        for field in ("ploidy", "missing", "integers"):
            assert np.array_equal(getattr(variant, field), getattr(rows[row], field)), names
    return data


@pytest.fixture(scope="module")
def view(module_biofuse, made, tmp_path_factory):
    """`view(name)` mounts a store the first time, until the module's end."""
    views = {}
    with contextlib.ExitStack() as stack:

        def get(name: str) -> View:
            if name not in views:
                store, options, arguments = made(f"bgen-reads-{name}", STORES[name])
                folder = tmp_path_factory.mktemp("expected") / "files"
                mount = stack.enter_context(
                    module_biofuse.mount(
                        store, "--format", "bgen", "--phased", "--memory", "8MiB", *options
                    )
                )
                views[name] = View(
                    Path(f"{mount.stem}.bgen"),
                    expected_bytes(store, folder, options, arguments),
                    mount.status,
                )
            return views[name]

        yield get


@pytest.mark.slow
@pytest.mark.parametrize("name", STORES)
@settings(max_examples=12)
@given(data=st.data())
def test_any_reads_from_several_threads(name, view, data):
    seen = view(name)
    size = len(seen.expected)
    assert seen.path.stat().st_size == size
    offsets = st.integers(0, size + 10) | st.integers(size - 3000, size) | st.integers(0, 30_000)
    sizes = st.integers(0, 5000) | st.integers(0, 400_000)
    reads = st.lists(st.tuples(offsets, sizes), min_size=1, max_size=6)
    threads = data.draw(st.lists(reads, min_size=2, max_size=6))
    # Without the kernel's read-ahead, serve sees the very reads.
    advice = data.draw(st.sampled_from([os.POSIX_FADV_NORMAL, os.POSIX_FADV_RANDOM]))
    with ThreadPoolExecutor(len(threads)) as pool:
        for done in [pool.submit(check, seen, reads, advice) for reads in threads]:
            done.result()


@pytest.mark.slow
@pytest.mark.parametrize("name", STORES)
def test_from_beginning_to_end_in_odd_sizes(name, view):
    seen = view(name)
    check(seen, [(offset, 77_777) for offset in range(0, len(seen.expected), 77_777)])
    assert seen.path.read_bytes() == seen.expected


def test_from_end_to_beginning(view):
    seen = view("calls")
    check(seen, [(offset, 90_001) for offset in range(len(seen.expected), -1, -90_001)])


@pytest.mark.parametrize("name", ["calls", "few", "values"])
def test_around_the_edges_of_records_and_of_their_strings(name, view):
    seen = view(name)
    variants = parse(seen.expected).variants
    reads = []
    for variant in [*variants[:3], *variants[:: len(variants) // 12], *variants[-2:]]:
        strings = sum(len(text) for text in (*variant.names[:3], *variant.names[4]))
        starts = (variant.offset, variant.offset + 20 + strings, variant.offset + variant.size)
        reads += [(o + d, s) for o in starts for d in (-9, -1, 0, 1) for s in (1, 10, 4000)]
    check(seen, reads, os.POSIX_FADV_RANDOM)


@pytest.mark.parametrize("name", STORES)
def test_around_the_end(name, view):
    seen = view(name)
    size = len(seen.expected)
    reads = [(size + o, s) for o in (-801, -2, -1, 0, 1, 4096, 1 << 40) for s in (0, 1, 2, 9999)]
    check(seen, reads)
    check(seen, reads, os.POSIX_FADV_RANDOM)


def test_the_budget_was_too_small(view):
    """More was encoded than can have been kept."""
    seen = view("calls")
    check(seen, [(offset, 500_000) for offset in range(0, len(seen.expected), 500_000)])
    status = seen.status()
    assert status["budget"] < len(seen.expected)
    assert status["counters"]["bytes_encoded"] > status["budget"]
    assert status["counters"]["errors"] == 0
