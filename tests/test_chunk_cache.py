"""`--chunk-cache`: what one mount has fetched is on disk for the next, and never what is old."""

import errno
import multiprocessing
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support import reference
from support.damage import read_everywhere, read_uncached
from support.places import PLAIN, consolidated
from support.program import wait_until
from support.stores import chunk_files, make_store, random_genotypes
from support.users import NOBODY, SOMEBODY, can_become_others, give, program_of

from biofuse.stores import chunk_cache as module
from biofuse.stores.chunk_cache import ChunkCache
from biofuse.stores.kept import place_name
from biofuse.stores.pins import number_of

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

CONTENT = os.urandom(9000)


def meta(tag: str, size: int, **more) -> dict:
    return {"e_tag": tag, "size": size, "last_modified": datetime(2025, 1, 2, tzinfo=UTC), **more}


def put(cache: ChunkCache, key: str, content: bytes = CONTENT, tag: str = '"a"') -> None:
    cache.put("store", key, meta(tag, len(content)), content)


def total(kept: Path) -> int:
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in entries(kept))


def test_versions(kept):
    cache = ChunkCache(str(kept), 1 << 20)
    assert cache.find("store", "k", None) is None
    put(cache, "k")
    put(cache, "k", b"other", 'W/"b"')
    found = cache.find("store", "k", number_of("a"))
    assert (bytes(found.data), found.meta) == (CONTENT, meta('"a"', 9000))
    found = cache.find("store", "k", number_of("b"))
    assert (bytes(found.data), found.meta) == (b"other", meta('W/"b"', 5))
    assert cache.find("store", "k", number_of("c")) is None
    assert cache.find("store", "l", number_of("a")) is None
    assert cache.find("another", "k", number_of("a")) is None
    # Of any version, that which was written or used last.
    first, second = sorted(entries(kept), key=lambda path: path.stat().st_size)
    os.utime(first, (10, 10))
    os.utime(second, (20, 20))
    assert bytes(cache.find("store", "k", None).data) == CONTENT
    os.utime(second, (5, 5))
    assert bytes(cache.find("store", "k", None).data) == b"other"
    cache.put("store", "untold", meta('"a"', 0, last_modified=None), b"")
    found = cache.find("store", "untold", None)
    assert (len(found.data), found.meta["last_modified"]) == (0, None)


def test_those_unused_for_longest_go(kept):
    size = 20 * 12288
    cache = ChunkCache(str(kept), size)
    for number in range(20):
        put(cache, str(number))
        [path] = [p for p in entries(kept) if p.stat().st_mtime > 1000]
        os.utime(path, (number, number))
    assert total(kept) == size
    # To use it is to touch it.
    assert cache.find("store", "0", number_of("a")) is not None
    (kept / "precious").write_text("x")
    put(cache, "20")
    assert total(kept) <= 0.9 * size
    left = [n for n in range(21) if cache.find("store", str(n), number_of("a")) is not None]
    assert left == [0, *range(4, 21)]
    # One that is larger than all is not kept, and nothing goes for it.
    put(cache, "large", bytes(size))
    assert total(kept) == 18 * 12288
    assert (kept / "precious").read_text() == "x"


def test_what_was_left_unfinished_goes(kept):
    cache = ChunkCache(str(kept), 40 << 10)
    put(cache, "0")
    [folder] = kept.iterdir()
    names = [folder / f"new-{digit * 32}" for digit in "12"]
    for name in names:
        name.write_bytes(bytes(50_000))
    os.utime(names[0], (time.time() - 7200, time.time() - 7200))
    for number in range(1, 5):
        put(cache, str(number))
    # The other may be being written.
    assert [name.exists() for name in names] == [False, True]
    # What was counted may be lost.
    for data in (b"", b"abc", b"\xff" * 8):
        (folder / "total").write_bytes(data)
        put(cache, data.hex())
        assert cache.find("store", data.hex(), number_of("a")) is not None
        assert total(kept) <= 40 << 10


def test_a_lock_that_is_never_given_back(kept, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    cache = ChunkCache(str(kept), 1 << 20)
    put(cache, "0")
    [folder] = kept.iterdir()
    with module._opened(str(folder)) as fd, module._locked(fd) as has_lock:
        assert has_lock
        put(cache, "1")
        assert cache.find("store", "0", None) is not None
    assert cache.find("store", "1", None) is None
    assert not list(folder.glob("new-*"))
    put(cache, "1")
    assert cache.find("store", "1", None) is not None


def test_a_full_disk(kept, monkeypatch, caplog):
    cache = ChunkCache(str(kept), 1 << 20)
    put(cache, "0")
    real = os.write

    def write(fd, data):
        if len(data) > 5000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    for key in ("1", "2"):
        put(cache, key)
    [record] = caplog.records
    assert "No space left on device" in record.message
    assert len([path for path in kept.rglob("*") if path.stat().st_size > 8]) == len(
        [*entries(kept), *(path for path in kept.rglob("*") if path.is_dir())]
    )
    assert cache.find("store", "0", None) is not None


def test_links_are_not_followed(kept, tmp_path):
    cache = ChunkCache(str(kept), 1 << 20)
    put(cache, "0")
    [path] = entries(kept)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert cache.find("store", "0", number_of("a")) is None
    path.unlink()
    path.parent.rename(tmp_path / "part")
    path.parent.symlink_to(tmp_path / "part")
    assert cache.find("store", "0", number_of("a")) is None


def _use(parent: str, number: int, size: int, failed) -> None:
    """Write and read many entries, some of which others write too."""
    cache = ChunkCache(parent, size)
    for step in range(150):
        key = str(step if step % 3 else f"{number}-{step}")
        content = key.encode() * 2000
        put(cache, key, content)
        for other in range(max(0, step - 5), step + 1):
            found = cache.find("store", str(other), number_of("a"))
            if found is not None and bytes(found.data) != str(other).encode() * 2000:
                failed.set()


def test_many_processes_at_once(kept):
    size = 50 * 8192
    context = multiprocessing.get_context("fork")
    failed = context.Event()
    users = [
        context.Process(target=_use, args=(str(kept), number, size, failed)) for number in range(6)
    ]
    for user in users:
        user.start()
    most = 0
    while any(user.is_alive() for user in users):
        # One that is just being removed cannot be looked at.
        try:
            most = max(most, total(kept))
        except FileNotFoundError:
            continue
    for user in users:
        user.join()
        assert user.exitcode == 0
    assert not failed.is_set()
    assert 0 < most <= size
    [folder] = kept.iterdir()
    assert not list(folder.glob("new-*"))
    assert int.from_bytes((folder / "total").read_bytes(), "little") == total(kept)


def test_a_process_that_is_killed_while_it_writes(kept):
    size = 50 * 8192
    context = multiprocessing.get_context("fork")
    failed = context.Event()
    for number in range(8):
        user = context.Process(target=_use, args=(str(kept), number, size, failed))
        user.start()
        time.sleep(0.05)
        os.kill(user.pid, signal.SIGKILL)
        user.join()
    _use(str(kept), 9, size, failed)
    assert not failed.is_set()
    assert total(kept) <= size


def test_each_user_has_a_folder():
    users = [NOBODY, SOMEBODY] if can_become_others() else [os.geteuid()]
    with program_of(os.geteuid()) as biofuse:
        shared = biofuse.home / "shared"
        shared.mkdir()
        shared.chmod(0o1777)
        for user in users:
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    if can_become_others():
                        os.setresgid(user, user, user)
                        os.setresuid(user, user, user)
                    cache = ChunkCache(str(shared), 1 << 20)
                    before = cache.find("store", "k", None)
                    put(cache, "k", str(user).encode())
                    after = cache.find("store", "k", None)
                    status = int(before is not None or bytes(after.data) != str(user).encode())
                finally:
                    os._exit(status)
            assert os.waitpid(pid, 0)[1] == 0
            folder = shared / f"biofuse-chunks-{user}"
            assert folder.stat().st_uid == user
            assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(not can_become_others(), reason="needs root")
def test_another_s_entries_are_not_used(kept):
    kept.mkdir()
    cache = ChunkCache(str(kept), 1 << 20)
    put(cache, "k")
    [path] = entries(kept)
    give(path, SOMEBODY)
    assert cache.find("store", "k", number_of("a")) is None
    give(path, os.geteuid())
    assert cache.find("store", "k", number_of("a")) is not None
    give(path.parents[1], SOMEBODY)
    assert cache.find("store", "k", number_of("a")) is None


def test_names_of_places():
    def name(url, env=(), **options):
        return place_name(url, options, dict(env))

    assert name("s3://b/x.vcz") == name("s3://b/x.vcz/")
    assert name("s3://b/x.vcz") != name("s3://b/y.vcz")
    here, there = {"AWS_ENDPOINT_URL": "http://h"}, {"AWS_ENDPOINT_URL": "http://t"}
    assert len({name("s3://b/x"), name("s3://b/x", here), name("s3://b/x", there)}) == 3
    assert name("s3://b/x", endpoint="http://h") != name("s3://b/x")
    secret = {"AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
    assert name("s3://b/x", secret, secret_access_key="s") == name("s3://b/x")
    signed = "https://me:pass@h/x?id=5&sig=abc&X-Amz-Signature=d&sv=1&se=2"
    assert name(signed) == name("https://h/x?id=5") != name("https://h/x?id=6")
    assert name("abfss://c@a.host/x") != name("abfss://d@a.host/x")
