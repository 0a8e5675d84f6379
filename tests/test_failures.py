"""Damage to the store and to the worker: right bytes or an error, never a hang."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from support import reference
from support.damage import (
    DAMAGE,
    chunk_of,
    error_of,
    flip,
    key_of,
    read_everywhere,
    read_uncached,
)
from support.program import wait_until
from support.stores import copy_store, make_store, random_genotypes

# Three rows of two chunks; 251 bytes a record.
GENOTYPES = random_genotypes(600, 1003, seed=21)
BED = reference.bed(GENOTYPES)
RECORD = 251
ROW = 200 * RECORD
DEATH = "the encoder process ended unexpectedly"


@pytest.fixture
def fresh_store(made, tmp_path):
    """`fresh_store(encoding)` is a store of the test's own."""

    def get(encoding: str = "v2-blosc-zstd-bit") -> Path:
        def make(folder):
            return make_store(folder / "x.vcz", GENOTYPES, chunks=(200, 502), encoding=encoding)

        return copy_store(made(f"failures-{encoding}", make), tmp_path / "x.vcz")

    return get


def outside(offsets, first: int, last: int) -> list[int]:
    """Offsets of reads whose pages hold nothing of the bytes first to last."""
    return [o for o in offsets if not first - 8192 < o < last + 8192]


def check_only_middle_fails(mount, code: int) -> None:
    first, last = 3 + ROW, 3 + 2 * ROW
    errors = read_everywhere(mount.bed, BED, 5 * RECORD)
    assert outside(errors, first, last) == []
    assert set(errors.values()) == {code}
    inside = [o for o in range(0, len(BED), 5 * RECORD) if first <= o < last - 100]
    assert set(inside) <= set(errors)


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_chunk_fails_what_it_holds_and_nothing_else(damage, biofuse, fresh_store):
    store = fresh_store()
    chunk = chunk_of(store, 2)
    DAMAGE[damage](chunk)
    with biofuse.mount(store) as mount:
        mount.expect_log(key_of(store, chunk))
        # A frame that is none of zstd's is tried with zarr-python first.
        mount.expect_log("chunks that are not what its metadata says")
        check_only_middle_fails(mount, errno.EIO)
        with pytest.raises(OSError):
            mount.bed.read_bytes()
        status = mount.status()
        assert status["counters"]["errors"] > 0
        assert status["counters"]["worker_deaths"] == 0
        log = mount.log_text()
    assert key_of(store, chunk) in log
    assert "x.bed" in log


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["v2-gzip", "v3-zstd", "v3-blosc-lz4", "v3-blosc-zstd-bit"])
def test_a_damaged_chunk_of_another_encoding(encoding, biofuse, fresh_store):
    store = fresh_store(encoding)
    chunk = chunk_of(store, 2)
    os.truncate(chunk, chunk.stat().st_size // 2)
    with biofuse.mount(store) as mount:
        mount.expect_log(key_of(store, chunk))
        check_only_middle_fails(mount, errno.EIO)
        assert key_of(store, chunk) in mount.log_text()


def test_an_error_is_logged_once_and_counted_every_time(biofuse, fresh_store):
    store = fresh_store()
    chunk = chunk_of(store, 2)
    os.truncate(chunk, 10)
    with biofuse.mount(store) as mount:
        mount.expect_log(key_of(store, chunk))
        for _ in range(3):
            # The page that this is in begins within the 228th.
            assert error_of(mount.bed, 3 + ROW + 9000, 50) == errno.EIO
        assert mount.status()["counters"]["errors"] >= 3
        (line,) = mount.log_text().splitlines()
    assert "ERROR" in line
    assert "cannot read x.bed from variant 228 of the view: " in line
    assert key_of(store, chunk) in line


def test_programs_see_the_error(biofuse, fresh_store, tmp_path):
    store = fresh_store()
    os.truncate(chunk_of(store, 2), 10)
    with biofuse.mount(store) as mount:
        mount.expect_log("cannot read x.bed")
        for command in (["cp", mount.bed, tmp_path / "out"], ["cat", mount.bed]):
            done = subprocess.run(command, capture_output=True)
            assert done.returncode != 0
            assert b"Input/output error" in done.stderr


CHANGES = {
    "truncated": lambda chunk: os.truncate(chunk, chunk.stat().st_size // 2),
    "flipped": flip,
    "written-anew": lambda chunk: chunk.write_bytes(chunk.read_bytes()),
    "with-old-times": lambda chunk: (
        flip(chunk),
        os.utime(chunk, (chunk.parent.stat().st_mtime - 9,) * 2),
    ),
    "removed": lambda chunk: chunk.unlink(),
    "replaced": lambda chunk: (
        chunk.with_name("new").write_bytes(chunk.read_bytes()),
        chunk.with_name("new").rename(chunk),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoding", "change"),
    [
        *(("v2-blosc-zstd-bit", change) for change in CHANGES),
        *(("v3-blosc-zstd-bit", change) for change in ("flipped", "removed")),
        *(("v2-none", change) for change in CHANGES),
    ],
)
def test_a_chunk_that_changes_under_the_mount(change, encoding, biofuse, fresh_store):
    store = fresh_store(encoding)
    chunk = chunk_of(store, 2)
    with biofuse.mount(store) as mount:
        mount.expect_log("cannot read x.bed")
        assert read_uncached(mount.bed, 0, 3000) == BED[:3000]
        time.sleep(0.02)
        CHANGES[change](chunk)
        errors = read_everywhere(mount.bed, BED, 5 * RECORD)
        # Whether other chunks are still shown or not, this one is not.
        inside = {o for o in errors if 3 + ROW <= o < 3 + 2 * ROW - 100}
        whole = [o for o in range(0, len(BED), 5 * RECORD) if 3 + ROW <= o < 3 + 2 * ROW - 100]
        assert inside == set(whole)
        assert {errors[o] for o in inside} == {errno.ESTALE}
        assert "changed" in mount.log_text()
        assert mount.status()["counters"]["errors"] >= len(errors)


def test_genotypes_that_are_replaced_under_the_mount(biofuse, fresh_store, tmp_path):
    store = fresh_store()
    other = make_store(tmp_path / "y.vcz", GENOTYPES[::-1].copy(), chunks=(200, 502))
    with biofuse.mount(store) as mount:
        mount.expect_log("the store changed")
        assert read_uncached(mount.bed, 0, 3000) == BED[:3000]
        (store / "call_genotype").rename(store / "old")
        (other / "call_genotype").rename(store / "call_genotype")
        errors = read_everywhere(mount.bed, BED, 10 * RECORD)
        assert set(errors.values()) == {errno.ESTALE}
        # At most what the kernel had before is still served.
        assert [o for o in range(0, len(BED), 10 * RECORD) if o > ROW and o not in errors] == []
        assert "the store changed" in mount.log_text()
    with biofuse.mount(store) as again:
        assert again.bed.read_bytes() == reference.bed(GENOTYPES[::-1])


def test_a_store_that_goes_away_and_comes_back(biofuse, fresh_store):
    store = fresh_store()
    with biofuse.mount(store, "--idle-timeout", "0.5") as mount:
        mount.expect_log("cannot read x.bed")
        assert read_uncached(mount.bed, 0, 3000) == BED[:3000]
        away = store.rename(store.with_name("away"))
        assert error_of(mount.bed, 2 * ROW, 50) in (errno.EIO, errno.ESTALE)
        wait_until(lambda: workers(biofuse) == [], "the worker has ended")
        assert error_of(mount.bed, ROW, 50) in (errno.EIO, errno.ESTALE)
        away.rename(store)
        assert read_everywhere(mount.bed, BED, 10 * RECORD) == {}


def test_a_store_that_is_deleted(biofuse, fresh_store):
    store = fresh_store()
    with biofuse.mount(store) as mount:
        mount.expect_log("cannot read x.bed")
        shutil.rmtree(store)
        errors = read_everywhere(mount.bed, BED, 20 * RECORD)
        assert set(errors.values()) <= {errno.EIO, errno.ESTALE}
        assert len(errors) == len(range(0, len(BED), 20 * RECORD))
        assert mount.fam.read_text().startswith("S0000\tS0000\t")


def workers(program) -> list[int]:
    return [p.pid for p in program.processes() if p.role == "encode"]


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def command_of(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def the_worker(program) -> int:
    """The worker's process, once it reads requests: it maps the kernels then."""

    def loaded():
        return [p for p in workers(program) if "_native" in Path(f"/proc/{p}/maps").read_text()]

    return wait_until(loaded, "a worker is at work")[0]


@pytest.fixture
def large_store(made):
    """More than a budget of 2 MiB; and its `.bed`."""

    def make(folder):
        order = np.random.default_rng(1).integers(0, 600, size=12_000)
        rows = np.frombuffer(BED[3:], dtype=np.uint8).reshape(600, RECORD)
        store = make_store(folder / "x.vcz", GENOTYPES[order], chunks=(700, 1003))
        return store, BED[:3] + rows[order].tobytes()

    return made("failures-large", make)


class Readers:
    """Threads that read on and on, with what went wrong, while a block lasts."""

    def __init__(self, path: Path, expected: bytes, count: int):
        self.wrong: list = []
        self._counts = [0] * count
        self._path, self._expected = path, expected
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._read, args=(n,)) for n in range(count)]

    def _read(self, n: int) -> None:
        offset = n * 1_000_000
        while not self._done.is_set():
            try:
                data = read_uncached(self._path, offset, 30_000)
                if data != self._expected[offset : offset + 30_000]:
                    self.wrong.append(offset)
            except OSError as error:
                self.wrong.append(error)
            self._counts[n] += 1
            offset = (offset + 137_003) % len(self._expected)

    def wait_for(self, more: int) -> None:
        """Wait until every thread has made some more reads."""
        goal = [count + more for count in self._counts]
        wait_until(
            lambda: all(n >= m for n, m in zip(self._counts, goal, strict=True)), "reads go on"
        )

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.slow
def test_a_worker_that_is_killed_while_it_is_read_from(biofuse, large_store):
    store, expected = large_store
    with biofuse.mount(store, "--memory", "4MiB") as mount:
        mount.expect_log(DEATH)
        with Readers(mount.bed, expected, 3) as readers:
            for _ in range(5):
                readers.wait_for(5)
                kill(the_worker(biofuse))
                # A new one answers what the last one had, so that nobody notices.
                readers.wait_for(5)
        assert readers.wrong == []
        counters = mount.status()["counters"]
        assert counters["worker_deaths"] == 5
        assert counters["worker_starts"] == 6
        assert counters["errors"] == 0


@contextlib.contextmanager
def every_worker(serve: int, act):
    """Do something to every worker as soon as it is there, while a block lasts."""
    peace = threading.Event()

    def act_on_all():
        while not peace.is_set():
            for pid in children(serve):
                # Not before it runs a program of its own: until then serve waits for it.
                if b"biofuse.encode" in command_of(pid):
                    act(pid)
            time.sleep(0.002)

    thread = threading.Thread(target=act_on_all)
    thread.start()
    try:
        yield
    finally:
        peace.set()
        thread.join()


def test_a_worker_with_a_request_is_killed(biofuse, fresh_store):
    """It is stopped first, so that it surely has one; the next worker answers it."""
    with biofuse.mount(fresh_store()) as mount:
        mount.expect_log(DEATH)
        assert read_uncached(mount.bed, 0, 100) == BED[:100]
        pid = the_worker(biofuse)
        os.kill(pid, signal.SIGSTOP)
        found = []
        reader = threading.Thread(target=lambda: found.append(read_uncached(mount.bed, ROW, 999)))
        reader.start()
        wait_until(lambda: mount.status()["under_way"] > 0, "the read waits")
        kill(pid)
        reader.join()
        assert found == [BED[ROW : ROW + 999]]
        counters = mount.status()["counters"]
        assert counters["worker_deaths"] == 1
        assert counters["worker_starts"] == 2
        assert counters["errors"] == 0


def stop_surely(pid: int) -> None:
    """Stop a process, and wait until each of its threads stands still."""
    os.kill(pid, signal.SIGSTOP)

    def states():
        stats = [(task / "stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
        return {stat.rpartition(")")[2].split()[0] for stat in stats}

    wait_until(lambda: states() == {"T"}, "the process is stopped")


def read_directly(path: Path, offset: int, size: int) -> bytes:
    """A read that the kernel asks for once; through its page cache it asks again on failure."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        return os.pread(fd, size, offset)
    finally:
        os.close(fd)


def test_a_worker_that_does_not_answer(biofuse, fresh_store):
    """Its reads fail, it is killed, and the next worker answers."""
    options = ("--timeout", "1", "--idle-timeout", "60")
    with biofuse.mount(fresh_store(), *options) as mount:
        mount.expect_log(DEATH)
        mount.expect_log("cannot read x.bed")
        stuck = the_worker(biofuse)
        stop_surely(stuck)
        with pytest.raises(OSError) as caught:
            read_directly(mount.bed, ROW, 999)
        assert caught.value.errno == errno.EIO
        assert "no answer from the store in 1 s" in mount.log_text()

        def attempt():
            # Where the machine is loaded, the next worker may need more than a second to begin.
            try:
                return read_directly(mount.bed, ROW, 999)
            except OSError as error:
                assert error.errno == errno.EIO
                return None

        assert wait_until(attempt, "the next worker answers", 30) == BED[ROW : ROW + 999]
        assert stuck not in [p.pid for p in biofuse.processes()]
        counters = mount.status()["counters"]
        assert counters["worker_deaths"] >= 1
        assert counters["worker_starts"] == counters["worker_deaths"] + 1
        assert counters["errors"] >= 1


def test_workers_that_are_all_killed_at_once(biofuse, fresh_store):
    with biofuse.mount(fresh_store()) as mount:
        mount.expect_log(DEATH)
        mount.expect_log("cannot read x.bed")
        with every_worker(mount.pid("serve"), kill):
            wait_until(lambda: not workers(biofuse), "the first worker is dead")
            codes = [error_of(mount.bed, ROW, 100) for _ in range(3)]
        assert codes == [errno.EIO] * 3
        assert read_everywhere(mount.bed, BED, 10 * RECORD) == {}
        status = mount.status()
        assert status["counters"]["errors"] >= 3
        assert status["counters"]["worker_deaths"] >= 6


def test_an_idle_mount_gives_everything_back(biofuse, fresh_store):
    with biofuse.mount(fresh_store(), "--idle-timeout", "0.5") as mount:
        assert mount.bed.read_bytes() == BED
        wait_until(lambda: workers(biofuse) == [], "the worker has ended")
        status = mount.status()
        assert [p["role"] for p in status["processes"]] == ["serve"]
        assert status["caches"]["size"] == 0
        for _ in range(2):
            assert read_uncached(mount.bed, ROW, 9999) == BED[ROW : ROW + 9999]
            assert mount.status()["caches"]["size"] > 0
            wait_until(lambda: workers(biofuse) == [], "the worker has ended")
        counters = mount.status()["counters"]
        assert counters["worker_starts"] == 3
        assert counters["worker_deaths"] == counters["errors"] == 0


def test_serve_holds_no_heavy_package(biofuse, fresh_store):
    with biofuse.mount(fresh_store()) as mount:
        assert mount.bed.read_bytes() == BED
        serve = Path(f"/proc/{mount.pid('serve')}/maps").read_text()
        worker = Path(f"/proc/{the_worker(biofuse)}/maps").read_text()
    assert "python" in serve
    assert "_native" in worker
    for name in ("numpy", "zarr", "numcodecs", "vcztools", "pandas", "_native", "libzstd", "fuse3"):
        assert name not in serve, name


def test_a_reader_that_is_killed_in_the_middle(biofuse, fresh_store):
    with biofuse.mount(fresh_store()) as mount:
        assert read_uncached(mount.bed, 0, 100) == BED[:100]
        pid = the_worker(biofuse)
        os.kill(pid, signal.SIGSTOP)
        try:
            with subprocess.Popen(["cat", mount.bed], stdout=subprocess.DEVNULL) as reader:
                wait_until(lambda: mount.status()["under_way"] > 0, "the read waits")
                reader.kill()
                assert reader.wait(20) == -signal.SIGKILL
        finally:
            os.kill(pid, signal.SIGCONT)
        assert read_everywhere(mount.bed, BED, 10 * RECORD) == {}
        assert mount.status()["counters"]["worker_deaths"] == 0


def test_a_worker_does_not_outlive_serve(biofuse, fresh_store):
    with biofuse.mount(fresh_store()) as mount:
        assert read_uncached(mount.bed, 0, 100) == BED[:100]
        the_worker(biofuse)
        kill(mount.pid("serve"))
        wait_until(lambda: not biofuse.processes(), "no process is left")
        with pytest.raises(OSError) as caught:
            read_uncached(mount.bed, 0, 100)
        assert caught.value.errno in (errno.ENOTCONN, errno.ECONNABORTED)


# Shards of two rows of chunks: the second has the last 200 variants.
SHARDED_ROW = 2 * ROW


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_shard_that_changes_under_the_mount(change, biofuse, fresh_store):
    store = fresh_store("v3-sharded")
    shard = store / "call_genotype" / "c" / "1" / "0" / "0"
    with biofuse.mount(store, "--memory", "16MiB", "--threads", "1") as mount:
        mount.expect_log("cannot read x.bed")
        assert read_uncached(mount.bed, 0, 3000) == BED[:3000]
        time.sleep(0.02)
        CHANGES[change](shard)
        errors = read_everywhere(mount.bed, BED, 5 * RECORD)
        inside = [o for o in range(0, len(BED), 5 * RECORD) if o >= 3 + SHARDED_ROW]
        assert {errors.get(o) for o in inside} == {errno.ESTALE}
        assert "call_genotype/c/1/0/0" in mount.log_text()


def test_an_absent_shard_is_said_at_mount(biofuse, fresh_store):
    store = fresh_store("v3-sharded")
    assert biofuse("info", store, "--json").stdout.count("are not stored") == 0
    (store / "call_genotype" / "c" / "1" / "0" / "0").unlink()
    directory = biofuse.new_directory()
    said = biofuse("mount", store, directory, "--format", "plink").stderr
    biofuse("umount", directory)
    assert "1 of 2 shards of call_genotype is not stored and is shown as REF" in said
