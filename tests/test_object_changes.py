"""Objects that are replaced or removed under a mount: old bytes or ESTALE, never a mixture."""

import errno
import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support import reference
from support.damage import error_of, read_everywhere, read_uncached
from support.places import PLAIN, consolidated
from support.program import wait_until
from support.stores import chunk_files, copy_store, make_store, random_genotypes, zip_store

# Six rows of two chunks.
GENOTYPES = random_genotypes(120, 2300, seed=21)
OTHERS = random_genotypes(120, 2300, seed=22)
BED = reference.bed(GENOTYPES)
RECORD = 575
ROW = 20 * RECORD
OFFSETS = range(0, len(BED), 3 * RECORD)
ENCODINGS = ["v2-blosc-zstd-bit", "v3-zstd", "v2-none"]


def make(genotypes, encoding="v2-blosc-zstd-bit", chunks=(20, 1200)):
    def make_it(folder):
        store = make_store(folder / "x.vcz", genotypes, chunks=chunks, encoding=encoding)
        return consolidated(store)

    return make_it


@pytest.fixture
def pair(made):
    """`pair(encoding)`: a store, and the same with other calls."""

    def get(encoding: str = ENCODINGS[0]):
        return (
            made(f"changed-old-{encoding}", make(GENOTYPES, encoding)),
            made(f"changed-new-{encoding}", make(OTHERS, encoding)),
        )

    return get


@pytest.fixture
def large(made):
    """A store of more than a worker keeps that has little memory; and its `.bed`."""
    genotypes = random_genotypes(4000, 2300, seed=23)
    store = made("changed-large", make(genotypes, "v2-none", (100, 2300)))
    return store, reference.bed(genotypes)


def replace(there, new, keys=None) -> list[str]:
    """Put new chunks of calls in the old ones' places; returns their keys."""
    keys = keys or [str(file.relative_to(new)) for file in chunk_files(new)]
    for key in keys:
        there.replace(key, (new / key).read_bytes())
    return keys


def row_offsets(row: int) -> list[int]:
    """Offsets of reads that lie in a row of chunks."""
    return [o for o in OFFSETS if 3 + row * ROW <= o < 3 + (row + 1) * ROW - 100]


@pytest.mark.parametrize("place", PLAIN)
@pytest.mark.parametrize(
    "encoding",
    [ENCODINGS[0], *(pytest.param(name, marks=pytest.mark.slow) for name in ENCODINGS[1:])],
)
def test_what_was_replaced_before_it_was_read(encoding, place, pair, placer, biofuse):
    old, new = pair(encoding)
    there = placer.put(place, old)
    with there.mount(biofuse, "--idle-timeout", "0.5") as mount:
        # What the worker has read ahead is gone with it.
        wait_until(lambda: mount.pid("encode") is None, "the worker has ended")
        replace(there, new)
        mount.expect_log("changed")
        errors = read_everywhere(mount.bed, BED, 3 * RECORD)
        assert set(errors.values()) == {errno.ESTALE}
        assert set(OFFSETS) - set(errors) <= {0}
        assert "changed" in mount.log_text()


@pytest.mark.parametrize("place", PLAIN)
def test_what_was_replaced_after_some_of_it_was_read(place, pair, placer, biofuse):
    old, new = pair()
    there = placer.put(place, old)
    with there.mount(biofuse) as mount:
        mount.expect_log("changed")
        assert read_uncached(mount.bed, 3 + 2 * ROW, 100) == BED[3 + 2 * ROW :][:100]
        there.proxy.clear()
        replace(there, new)
        # What the worker has may be shown; whatever it asks for has changed.
        errors = read_everywhere(mount.bed, BED, 3 * RECORD)
        assert set(errors.values()) <= {errno.ESTALE}
        asked = there.proxy.traffic.of("*/call_genotype/*", "GET")
        assert errors or not len(asked)


@pytest.mark.parametrize("place", PLAIN)
@pytest.mark.parametrize("row", [0, 3])
def test_one_row_that_was_replaced(row, place, pair, placer, biofuse):
    """Of the same size too, which is so without a codec."""
    old, new = pair("v2-none")
    there = placer.put(place, old)
    keys = [f"call_genotype/{row}.{column}.0" for column in (0, 1)]
    assert [len((old / key).read_bytes()) for key in keys] == [
        len((new / key).read_bytes()) for key in keys
    ]
    with there.mount(biofuse, "--idle-timeout", "0.5") as mount:
        mount.expect_log("changed")
        assert read_uncached(mount.bed, 3 + 5 * ROW, 100) == BED[3 + 5 * ROW :][:100]
        wait_until(lambda: mount.pid("encode") is None, "the worker has ended")
        replace(there, new, keys)
        errors = read_everywhere(mount.bed, BED, 3 * RECORD)
        assert {errors.get(offset) for offset in row_offsets(row)} == {errno.ESTALE}
        assert set(errors.values()) == {errno.ESTALE}


@pytest.mark.slow
@pytest.mark.parametrize("place", PLAIN)
@pytest.mark.parametrize("asked", range(1, 5))
def test_a_large_object_that_is_replaced_between_two_of_its_requests(
    asked, place, made, placer, biofuse
):
    """It is read by ranges, where that is cheaper than to read it whole."""
    rng = np.random.default_rng(4)
    both = rng.integers(-1, 2, size=(2, 500, 12_000, 2), dtype=np.int8)
    old = made("large-old", make(both[0], chunks=(500, 12_000)))
    new = made("large-new", make(both[1], chunks=(500, 12_000)))
    expected = reference.bed(both[0])
    there = placer.put(place, old, delay=0.02, bandwidth=10e6)
    [key] = [str(file.relative_to(old)) for file in chunk_files(old)]
    with there.mount(biofuse, "--format", "plink") as mount:
        mount.expect_log("changed")
        there.proxy.clear()
        fault = there.proxy.fault(
            "call", there.path(key), skip=asked, call=lambda: replace(there, new)
        )
        errors = read_everywhere(mount.bed, expected, 50 * 3000)
        if fault.happened:
            assert errors
        assert set(errors.values()) <= {errno.ESTALE}


@pytest.mark.parametrize("place", PLAIN)
def test_many_readers_while_objects_are_replaced(place, pair, placer, biofuse):
    old, new = pair()
    there = placer.put(place, old, delay=0.05)
    with there.mount(biofuse) as mount:
        mount.expect_log("changed")
        there.proxy.clear()
        there.proxy.fault("call", "*/call_genotype/*", skip=4, call=lambda: replace(there, new))
        with ThreadPoolExecutor(4) as pool:
            # Which sees that what comes is the old store's.
            found = list(pool.map(lambda _: read_everywhere(mount.bed, BED, 3 * RECORD), range(4)))
    assert {code for errors in found for code in errors.values()} == {errno.ESTALE}


@pytest.mark.parametrize("place", PLAIN)
def test_an_etag_that_differs(place, large, placer, biofuse):
    """Told by the server alone: size and all else are as they were."""
    store, expected = large
    there = placer.put(place, store)
    with there.mount(biofuse, "--format", "plink", "--memory", "4MiB") as mount:
        mount.expect_log("changed")
        # Of an object that nobody has listed, the ETag is known since it was read.
        assert mount.bed.read_bytes() == expected
        fault = there.proxy.fault("changed", there.path("call_genotype/[0-9]*"), times=None)
        errors = read_everywhere(mount.bed, expected, 50 * RECORD)
        assert fault.happened
        assert set(errors.values()) == {errno.ESTALE}


# Where nobody has a list, a chunk that is gone is one that was never stored.
@pytest.mark.parametrize(
    ("what", "place"),
    [("chunk", "s3"), ("array", "s3"), ("metadata", "s3"), ("metadata", "http")],
)
def test_what_was_deleted(what, place, pair, placer, biofuse):
    old, _ = pair()
    there = placer.put(place, old)
    keys = {
        "chunk": ["call_genotype/3.0.0"],
        "array": [str(file.relative_to(old)) for file in (old / "call_genotype").rglob("*.*")],
        "metadata": [".zmetadata", ".zgroup", "call_genotype/.zarray"],
    }[what]
    with there.mount(biofuse, "--idle-timeout", "0.5") as mount:
        mount.expect_log("cannot read x.bed")
        wait_until(lambda: mount.pid("encode") is None, "the worker has ended")
        for key in keys:
            there.delete(key)
        errors = read_everywhere(mount.bed, BED, 3 * RECORD)
        if what == "chunk":
            assert {errors.get(offset) for offset in row_offsets(3)} <= {errno.ESTALE, errno.EIO}
            assert "call_genotype/3.0.0" in mount.log_text()
        else:
            assert set(errors.values()) == {errno.ESTALE}
            assert set(OFFSETS) - set(errors) <= {0}


def test_a_chunk_that_was_read_and_then_deleted(pair, placer, biofuse):
    """That it was there is known even without a list."""
    old, _ = pair()
    there = placer.put("http", old)
    key = "call_genotype/3.0.0"
    with there.mount(biofuse, "--memory", "8MiB") as mount:
        mount.expect_log(key)
        assert mount.bed.read_bytes() == BED
        there.proxy.clear()
        there.delete(key)
        errors = read_everywhere(mount.bed, BED, 3 * RECORD)
        assert set(errors.values()) <= {errno.ESTALE}
        assert errors or not len(there.proxy.traffic.of(there.path(key)))


@pytest.mark.parametrize("place", PLAIN)
def test_metadata_that_was_replaced(place, pair, placer, biofuse):
    """By a longer array's: a worker that begins afterwards does not take it for the old one."""
    old, _ = pair()
    there = placer.put(place, old)
    with there.mount(biofuse, "--idle-timeout", "0.5") as mount:
        mount.expect_log("changed")
        wait_until(lambda: mount.pid("encode") is None, "the worker has ended")
        for key in (".zmetadata", "call_genotype/.zarray"):
            data = (old / key).read_bytes()
            longer = data.replace(b"120,", b"160,")
            assert longer != data
            there.replace(key, longer)
        errors = read_everywhere(mount.bed, BED, 3 * RECORD)
        assert set(errors.values()) == {errno.ESTALE}


@pytest.mark.parametrize("place", ["http", pytest.param("s3", marks=pytest.mark.slow)])
def test_metadata_is_looked_at_once_a_second_while_something_is_fetched(
    place, large, placer, biofuse
):
    """Of more than the worker can keep, which is read again and again."""
    store, expected = large
    there = placer.put(place, store)
    offsets = itertools.cycle(range(3, len(expected) - 100, 100 * RECORD))

    def read_next() -> None:
        offset = next(offsets)
        assert read_uncached(mount.bed, offset, 100) == expected[offset : offset + 100]

    with there.mount(biofuse, "--format", "plink", "--memory", "4MiB") as mount:
        mount.expect_log("changed")
        read_next()
        worker = mount.pid("encode")
        there.proxy.clear()
        began = time.monotonic()
        while time.monotonic() - began < 2.5:
            read_next()
        looks = there.proxy.traffic.of("*/.z*").paths()
        assert looks
        assert all(2 <= times <= time.monotonic() - began + 1 for times in looks.values())
        there.replace(".zmetadata", (store / ".zmetadata").read_bytes() + b" ")
        wait_until(lambda: error_of(mount.bed, next(offsets), 100) == errno.ESTALE, "it is seen")
        assert mount.pid("encode") == worker


@pytest.mark.parametrize("place", PLAIN)
def test_a_plan_is_not_used_for_a_store_that_has_changed(place, pair, placer, biofuse):
    old, new = pair()
    there = placer.put(place, old)
    with there.mount(biofuse) as mount:
        assert mount.bed.read_bytes() == BED
    for file in sorted(new.rglob("*")):
        if file.is_file():
            there.replace(str(file.relative_to(new)), file.read_bytes())
    # What is dated later than a plan is refused, and these files are dated ahead.
    dated = time.time() + 5
    wait_until(lambda: place == "s3" or time.time() > dated, "the files are of the past")
    with there.mount(biofuse) as mount:
        assert mount.bed.read_bytes() == reference.bed(OTHERS)


@pytest.mark.parametrize("place", ["s3-zip", "http-zip"])
def test_a_zip_that_was_replaced(place, pair, placer, biofuse, tmp_path):
    old, new = pair()
    there = placer.put(place, old)
    data = zip_store(copy_store(new, tmp_path / "new.vcz")).read_bytes()
    with there.mount(biofuse, "--idle-timeout", "0.5") as mount:
        mount.expect_log("changed")
        wait_until(lambda: mount.pid("encode") is None, "the worker has ended")
        there.replace("", data)
        errors = read_everywhere(mount.bed, BED, 3 * RECORD)
        assert set(errors.values()) == {errno.ESTALE}
        assert set(OFFSETS) - set(errors) <= {0}


def test_icechunk_is_read_from_one_snapshot(made, placer, biofuse):
    """Commits that follow are not seen by a mount, nor are they an error."""
    old, new = (
        made("snapshot-old", make(GENOTYPES, "v3-blosc-zstd-bit")),
        made("snapshot-new", make(OTHERS, "v3-blosc-zstd-bit")),
    )
    there = placer.put("icechunk", old)
    with there.mount(biofuse, "--idle-timeout", "0.5") as mount:
        wait_until(lambda: mount.pid("encode") is None, "the worker has ended")
        there.commit(new)
        assert mount.bed.read_bytes() == BED
    with there.mount(biofuse) as mount:
        assert mount.bed.read_bytes() == reference.bed(OTHERS)
