"""The files of the chunk cache: what is used, bounded, trusted and left by others."""

import errno
import multiprocessing
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.users import NOBODY, SOMEBODY, can_become_others, give, program_of

from biofuse.stores import chunk_cache as module
from biofuse.stores.chunk_cache import ChunkCache
from biofuse.stores.kept import place_name
from biofuse.stores.pins import number_of


@pytest.fixture
def kept(tmp_path):
    """The directory of a cache on disk."""
    return tmp_path / "chunks"


def entries(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if module._ENTRY.fullmatch(path.name)]


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


def test_another_s_entries_are_not_used(kept):
    assert can_become_others(), "root runs these tests"
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
