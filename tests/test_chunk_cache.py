"""`--chunk-cache`: what one mount has fetched is on disk for the next, and never what is old."""

import errno
import time
import zlib
from pathlib import Path

import pytest
from support import reference
from support.damage import read_everywhere, read_uncached
from support.faults import GARBLED
from support.places import PLAIN, consolidated
from support.program import wait_until
from support.stores import chunk_files, make_store, random_genotypes

from biofuse.stores import chunk_cache as module

GENOTYPES = random_genotypes(120, 2300, seed=21)
OTHERS = random_genotypes(120, 2300, seed=22)
BED = reference.bed(GENOTYPES)
OTHER_BED = reference.bed(OTHERS)
RECORD = 575
# Six rows of two.
CHUNKS = 12
CALLS = "*/call_genotype/[0-9]*"
FORMATS = ("--format", "plink")


def make(genotypes, encoding="v2-blosc-zstd-bit"):
    def make_it(folder):
        path = make_store(folder / "x.vcz", genotypes, chunks=(20, 1200), encoding=encoding)
        return consolidated(path)

    return make_it


@pytest.fixture
def old(made):
    return made("kept-old", make(GENOTYPES))


@pytest.fixture
def new(made):
    return made("kept-new", make(OTHERS))


@pytest.fixture
def kept(tmp_path):
    """The directory of a cache on disk."""
    return tmp_path / "chunks"


def entries(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if module._ENTRY.fullmatch(path.name)]


def mount(there, biofuse, kept, *options):
    return there.mount(biofuse, *FORMATS, "--chunk-cache", kept, *options)


def fill(there, biofuse, kept) -> None:
    """Read all once, and wait until it is kept."""
    with mount(there, biofuse, kept) as first:
        assert first.bed.read_bytes() == BED
        wait_until(lambda: len(entries(kept)) == CHUNKS, "all chunks are kept")
        assert first.log_text() == ""
    there.proxy.clear()


def replace(there, new) -> None:
    """Put other calls in the place of all chunks."""
    for file in chunk_files(new):
        there.replace(str(file.relative_to(new)), file.read_bytes())


def fetched(there) -> int:
    """Bytes of chunks that came."""
    return there.proxy.traffic.of(CALLS, "GET").sizes()


@pytest.mark.parametrize("place", PLAIN)
def test_a_second_mount_fetches_no_chunk(place, old, kept, placer, biofuse):
    there = placer.put(place, old)
    fill(there, biofuse, kept)
    with mount(there, biofuse, kept) as second:
        assert second.bed.read_bytes() == BED
        found = there.proxy.traffic.of(CALLS, "GET")
        if place == "s3":
            # A list has told of all versions.
            assert len(found) == 0, str(found)
        else:
            # Of each, whether it is what it was.
            assert {request.status for request in found} == {304}, str(found)
            assert len(found) == CHUNKS
        requests = second.status()["requests"]
        stored = sum(file.stat().st_size for file in chunk_files(old))
        assert (requests["kept"], requests["bytes_kept"]) == (CHUNKS, stored)
        assert " from --chunk-cache" in biofuse("status", second.dir).stdout
        # What this process knows is asked no more, by readers here and there neither.
        there.proxy.clear()
        for offset in range(3, len(BED), 7 * RECORD):
            assert read_uncached(second.bed, offset, 50) == BED[offset : offset + 50]
        assert len(there.proxy.traffic.of(CALLS, "GET")) == 0


@pytest.mark.parametrize("place", PLAIN)
def test_another_worker_of_the_same_mount(place, old, kept, placer, biofuse):
    there = placer.put(place, old)
    with mount(there, biofuse, kept, "--idle-timeout", "0.5") as one:
        assert one.bed.read_bytes() == BED
        wait_until(lambda: one.pid("encode") is None, "the worker has ended")
        assert len(entries(kept)) == CHUNKS
        there.proxy.clear()
        assert read_everywhere(one.bed, BED, 3 * RECORD) == {}
        assert fetched(there) == 0


@pytest.mark.parametrize("place", PLAIN)
def test_with_a_plan_in_a_file(place, old, new, kept, placer, biofuse, tmp_path):
    """Which was made some time ago: what has been replaced since is not shown."""
    there = placer.put(place, old)
    biofuse.env.update(there.env)
    biofuse("plan", there.url, "-o", tmp_path / "p", *FORMATS)
    fill(there, biofuse, kept)
    more = ("--plan", tmp_path / "p", "--no-cache")
    with mount(there, biofuse, kept, *more) as second:
        assert second.bed.read_bytes() == BED
        assert fetched(there) == 0
    key = str(chunk_files(new)[-1].relative_to(new))
    there.replace(key, (new / key).read_bytes())
    # Servers tell times in seconds, and the next mount is not to be the earlier one.
    time.sleep(7)
    with mount(there, biofuse, kept, *more) as second:
        second.expect_log("call_genotype")
        errors = read_everywhere(second.bed, BED, 3 * RECORD)
        assert set(errors.values()) == {errno.ESTALE}


@pytest.mark.parametrize("place", PLAIN)
@pytest.mark.parametrize("encoding", ["v3-zstd", pytest.param("v2-none", marks=pytest.mark.slow)])
def test_chunks_that_are_decoded_whole(place, encoding, kept, placer, biofuse, made):
    there = placer.put(place, made(f"kept-{encoding}", make(GENOTYPES, encoding)))
    fill(there, biofuse, kept)
    with mount(there, biofuse, kept) as second:
        assert second.bed.read_bytes() == BED
        assert fetched(there) == 0


@pytest.mark.parametrize("place", PLAIN)
def test_what_was_replaced_is_shown_by_a_new_mount(place, old, new, kept, placer, biofuse):
    there = placer.put(place, old)
    fill(there, biofuse, kept)
    replace(there, new)
    # Files of the web server are dated ahead, and what is later than a plan is refused.
    dated = time.time() + 5
    wait_until(lambda: place == "s3" or time.time() > dated, "the files are of the past")
    # Not every object of a web server is looked at before a plan is used again.
    with mount(there, biofuse, kept, "--no-cache") as second:
        assert second.bed.read_bytes() == OTHER_BED
        wait_until(lambda: len(entries(kept)) == 2 * CHUNKS, "all chunks are kept")


@pytest.mark.parametrize("place", PLAIN)
def test_what_was_replaced_under_a_mount(place, old, new, kept, placer, biofuse):
    """Where it was asked for before, the old bytes are on disk, and are not shown."""
    there = placer.put(place, old)
    fill(there, biofuse, kept)
    with mount(there, biofuse, kept, "--idle-timeout", "0.5") as second:
        wait_until(lambda: second.pid("encode") is None, "the worker has ended")
        replace(there, new)
        second.expect_log("replaced")
        errors = read_everywhere(second.bed, BED, 3 * RECORD)
        assert set(errors.values()) == {errno.ESTALE}
        assert len(errors) >= len(range(0, len(BED), 3 * RECORD)) - 1


@pytest.mark.slow
def test_a_store_of_too_many_objects_to_list(old, kept, placer, biofuse):
    """Versions that the plan's listing has told of are asked for one by one."""
    there = placer.put("s3", old)
    fill(there, biofuse, kept)
    bucket = placer.s3.bucket(there.base.split("/")[1])
    for number in range(3010):
        bucket.put(f"x.vcz/more/{number}", b"")
    for statuses in ({304}, {304, 200}):
        with mount(there, biofuse, kept) as second:
            there.proxy.clear()
            assert second.bed.read_bytes() == BED
            found = there.proxy.traffic.of(CALLS, "GET")
            assert {request.status for request in found} == statuses, str(found)
        if 200 not in statuses:
            # One that is lost is fetched, as any other.
            entries(kept)[0].unlink()
            there.proxy.clear()


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "flipped":
        data[-5] ^= 1
    elif how == "torn":
        data = data[: len(data) // 2]
    elif how == "head":
        data[8] ^= 1
    elif how == "zeros":
        data = bytearray(len(data))
    elif how == "empty":
        data = bytearray()
    else:
        # Another chunk's, in its place.
        data = bytearray(next(p for p in entries(path.parents[2]) if p != path).read_bytes())
    path.write_bytes(data)


@pytest.mark.parametrize("place", PLAIN)
def test_damaged_entries_are_fetched_again(place, old, kept, placer, biofuse):
    there = placer.put(place, old)
    fill(there, biofuse, kept)
    hurt = entries(kept)[:6]
    whole = {path: path.read_bytes() for path in hurt}
    for path, how in zip(hurt, ("flipped", "torn", "head", "zeros", "empty", "other"), strict=True):
        damage(path, how)
    with mount(there, biofuse, kept) as second:
        assert second.bed.read_bytes() == BED
        assert len(there.proxy.traffic.of(CALLS, "GET", 200)) == 6
        wait_until(
            lambda: all(p.exists() and p.read_bytes() == whole[p] for p in hurt), "all are kept"
        )


@pytest.mark.parametrize("kind", ["garble", "short"])
@pytest.mark.parametrize("place", PLAIN)
def test_what_came_damaged_is_fetched_again(place, kind, old, kept, placer, biofuse):
    """Though it had the object's version: by the same mount, and by others."""
    there = placer.put(place, old)
    with mount(there, biofuse, kept, "--timeout", "3") as first:
        first.expect_log("call_genotype")
        fault = there.proxy.fault(kind, CALLS, method="GET", times=None)
        # A part that is too short is asked for again, until the deadline.
        errors = read_everywhere(first.bed, BED, 50 * RECORD)
        assert set(errors.values()) == {errno.EIO}
        there.proxy.faults.remove(fault)
        assert read_everywhere(first.bed, BED, 3 * RECORD) == {}
    with mount(there, biofuse, kept) as second:
        assert second.bed.read_bytes() == BED
        assert second.log_text() == ""


def garble(entry: Path) -> None:
    """Make what an entry keeps no frame, as if it had come so."""
    content = bytearray(entry.read_bytes())
    magic, size, _, told, of = module._HEAD.unpack_from(content)
    start = module._HEAD.size
    content = content[: start + told] + GARBLED + content[start + told + len(GARBLED) :]
    module._HEAD.pack_into(content, 0, magic, size, zlib.crc32(content[start:]), told, of)
    entry.write_bytes(content)


def test_what_has_come_damaged_to_another_mount_is_seen_by_nobody(old, kept, placer, biofuse):
    there = placer.put("s3", old)
    fill(there, biofuse, kept)
    for entry in entries(kept):
        garble(entry)
    with mount(there, biofuse, kept) as second:
        second.expect_log("call_genotype has chunks that are not what its metadata says")
        assert second.bed.read_bytes() == BED
        assert entries(kept) == []
    fill(there, biofuse, kept)


def test_what_cannot_be_shown_is_kept(kept, placer, biofuse, made):
    """It is not damaged: nothing of it is fetched twice, by this mount or another."""
    genotypes = GENOTYPES.copy()
    genotypes[50, 7, 0] = 2
    there = placer.put("s3", made("kept-wide", make(genotypes)))
    for times in (CHUNKS, 0):
        with mount(there, biofuse, kept) as each:
            there.proxy.clear()
            each.expect_log("an allele")
            errors = read_everywhere(each.bed, BED, RECORD)
            assert set(errors.values()) == {errno.EIO}
            assert len(there.proxy.traffic.of(CALLS, "GET", 200)) == times
        assert len(entries(kept)) == CHUNKS


def test_what_cannot_be_written_is_told_once(old, placer, biofuse, tmp_path):
    there = placer.put("s3", old)
    file = tmp_path / "file"
    file.write_text("")
    with mount(there, biofuse, file / "chunks") as one:
        one.expect_log("chunks are not kept in ")
        assert one.bed.read_bytes() == BED
        wait_until(one.log_text, "it is told")
        assert one.log_text().count("chunks are not kept in ") == 1
        assert "Not a directory" in one.log_text()


def test_a_folder_that_others_may_write_to_is_not_used(old, kept, placer, biofuse):
    there = placer.put("s3", old)
    fill(there, biofuse, kept)
    [folder] = kept.iterdir()
    folder.chmod(0o777)
    entries(kept)[0].unlink()
    with mount(there, biofuse, kept) as second:
        second.expect_log("others may write to ")
        assert second.bed.read_bytes() == BED
        assert len(there.proxy.traffic.of(CALLS, "GET", 200)) == CHUNKS
        wait_until(second.log_text, "it is told")
    assert len(entries(kept)) == CHUNKS - 1


def test_options_that_do_not_go_together(old, biofuse):
    said = biofuse.fails("mount", old, biofuse.new_directory(), "--chunk-cache-size", "1GiB")
    assert said == "--chunk-cache-size goes with --chunk-cache"


def test_a_local_store_needs_none(old, kept, biofuse):
    with biofuse.mount(old, *FORMATS, "--chunk-cache", kept) as one:
        assert one.bed.read_bytes() == BED
    assert not kept.exists()


@pytest.mark.parametrize("place", PLAIN)
def test_no_secrets(place, old, kept, placer, biofuse):
    there = placer.put(place, old)
    fill(there, biofuse, kept)
    secrets = [value.encode() for name, value in there.env.items() if "KEY" in name]
    for path in kept.rglob("*"):
        for secret in [*secrets, there.url.encode()]:
            assert secret not in str(path).encode()
            assert path.is_dir() or secret not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0


# The files themselves.
