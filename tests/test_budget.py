"""A mount of 100,000 samples stays within its budget while it is read, and small when idle."""

import os
import random
import signal
import subprocess
import threading
import time

import pytest
from support.damage import chunk_of
from support.program import wait_until
from support.resident import family, held, sampled
from support.wide import ROW_BYTES, SLOW, make_wide

from biofuse.memory import process_memory

MIB = 1 << 20
CHUNK_ROWS = 8
# Beside the budget: what allocators and interpreters take more of while there is much to do.
SLACK = 12 * MIB
IDLE = 16 * MIB
STEP = 1 * MIB


@pytest.fixture(scope="module")
def wide(made):
    return made("wide", lambda directory: make_wide(directory, CHUNK_ROWS))


@pytest.fixture(scope="module")
def slow(made):
    return made("wide-slow", lambda directory: make_wide(directory, 3, SLOW))


@pytest.fixture(scope="module")
def phased(made):
    return made("wide-phased", lambda directory: make_wide(directory, 3, phased=True))


def expected_at(records: bytes, offset: int, size: int) -> bytes:
    """Bytes of the .bed, past its first three."""
    start = (offset - 3) % len(records)
    data = records[start : start + size]
    while len(data) < size:
        data += records[: size - len(data)]
    return data


def read_whole(path, readers: int, records: bytes | None, share: float = 1) -> list[str]:
    """Read a share of a file from several threads, each beginning elsewhere.

    Returns what was wrong.
    """
    size = int(path.stat().st_size * share)
    wrong = []

    def read(number: int) -> None:
        fd = os.open(path, os.O_RDONLY)
        try:
            begin = size // readers * number
            end = size if number == readers - 1 else size // readers * (number + 1)
            for offset in range(begin, end, STEP):
                wanted = min(STEP, end - offset)
                data = os.pread(fd, wanted, offset)
                if len(data) != wanted:
                    wrong.append(f"{len(data)} bytes at {offset}")
                elif records and offset > 3 and data != expected_at(records, offset, wanted):
                    wrong.append(f"other bytes at {offset}")
        except OSError as error:
            wrong.append(str(error))
        finally:
            os.close(fd)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def check_budget(mount, file, budget: float, records: bytes | None, share: float = 1) -> None:
    """Read a file by 16 readers, and look at what the mount's processes hold meanwhile."""
    serve = mount.pid("serve")
    # The worker is there, with its store open and all it needs imported.
    with open(file, "rb", buffering=0) as f:
        os.pread(f.fileno(), 1, file.stat().st_size - 1)
    assert len(family(serve)) == 2
    base = held(family(serve))
    began = time.monotonic()
    with sampled(serve) as samples:
        assert read_whole(file, 16, records, share) == []
    took = time.monotonic() - began
    # One at the end at least; a small part of what there would be on a machine of its own.
    assert len(samples) > took
    # That it took some of the budget shows that something was measured.
    assert base + 8 * MIB < max(samples) <= base + budget * MIB + SLACK


@pytest.mark.slow
@pytest.mark.parametrize("budget", [64, 128, 1024])
@pytest.mark.parametrize("name", ["bed", "bgen"])
def test_sixteen_readers(name, budget, wide, biofuse):
    store, records = wide
    formats = {"bed": "plink", "bgen": "bgen"}
    with biofuse.mount(
        store, "--format", formats[name], "--memory", f"{budget}MiB", "--threads", "4"
    ) as mount:
        file = mount.dir / f"wide.{name}"
        check_budget(mount, file, budget, *((records,) if name == "bed" else (None, 0.25)))


@pytest.mark.slow
def test_sixteen_readers_of_chunks_that_are_decoded_whole(slow, biofuse):
    store, records = slow
    with biofuse.mount(store, "--format", "plink", "--memory", "128MiB", "--threads", "4") as mount:
        # Planes of a row of chunks, which the first read leaves in the cache.
        kept = 1_000 * 2 * ROW_BYTES
        check_budget(mount, mount.bed, 128 - kept / MIB, records, 0.6)


@pytest.mark.slow
def test_sixteen_readers_of_phased_calls(phased, biofuse):
    store, _ = phased
    with biofuse.mount(
        store, "--format", "bgen", "--phased", "--memory", "64MiB", "--threads", "4"
    ) as mount:
        check_budget(mount, mount.dir / "wide.bgen", 64, None, 0.4)


def _short(mount) -> None:
    for _ in range(5):
        with open(mount.bed, "rb") as f:
            assert len(f.read(16 * MIB)) == 16 * MIB


def _whole(mount) -> None:
    assert read_whole(mount.bed, 1, None) == []


def _random(mount) -> None:
    generator = random.Random(1)
    size = mount.bed.stat().st_size
    with open(mount.bed, "rb") as f:
        for _ in range(100):
            os.pread(f.fileno(), 25_000, generator.randrange(size))


def _many(mount) -> None:
    assert read_whole(mount.bed, 16, None) == []


def _killed(mount) -> None:
    with subprocess.Popen(["cat", mount.bed], stdout=subprocess.PIPE) as reader:
        reader.stdout.read(MIB)
        reader.send_signal(signal.SIGKILL)


def settle(serve: int) -> None:
    """Wait until nothing but the serving process is left."""
    wait_until(lambda: family(serve) == [serve], "the worker has ended", 15)
    assert held([serve]) <= IDLE


@pytest.mark.slow
def test_idle_is_small_after_reads_of_every_kind(wide, biofuse):
    store, records = wide
    options = ("--format", "plink", "--idle-timeout", "1")
    with biofuse.mount(store, *options) as mount:
        serve = mount.pid("serve")
        for use in (_short, _whole, _random, _many, _killed):
            use(mount)
            settle(serve)
        offset = 3 + 5 * ROW_BYTES
        with open(mount.bed, "rb", buffering=0) as f:
            assert os.pread(f.fileno(), ROW_BYTES, offset) == records[5 * ROW_BYTES :][:ROW_BYTES]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fast", "slow"])
def test_idle_is_small_after_reads_of_a_bgen(name, wide, slow, biofuse):
    store, _ = {"fast": wide, "slow": slow}[name]
    with biofuse.mount(store, "--format", "bgen", "--phased", "--idle-timeout", "1") as mount:
        assert read_whole(mount.dir / "wide.bgen", 4, None, 0.03) == []
        settle(mount.pid("serve"))


@pytest.mark.slow
def test_idle_is_small_after_an_error_and_by_default(wide, biofuse, tmp_path):
    store, _ = make_wide(tmp_path, 2)
    chunk = chunk_of(store, 1)
    chunk.unlink()
    chunk.write_bytes(b"no frame")
    with biofuse.mount(store, "--format", "plink") as mount:
        mount.expect_log("call_genotype/")
        with pytest.raises(OSError, match="Input/output"), open(mount.bed, "rb") as f:
            f.read()
        settle(mount.pid("serve"))


def state(pid: int) -> tuple[int, int]:
    """File descriptors and threads of a process."""
    return len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))


@pytest.mark.slow
def test_a_thousand_cycles_leave_nothing(wide, biofuse):
    store, _ = wide
    workers = set()

    def cycles(mount, count: int) -> None:
        for number in range(count):
            with open(mount.bed, "rb", buffering=0) as f:
                # Else the kernel answers what it has read before.
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                os.pread(f.fileno(), 25_000, number * 100_003)

    def look(mount) -> tuple[int, tuple, int, tuple]:
        """Of the worker while it lives, then of the serving process."""
        serve = mount.pid("serve")
        [worker] = set(family(serve)) - {serve}
        workers.add(worker)
        anonymous = process_memory(worker).anonymous
        of_worker = state(worker)
        settle(serve)
        return held([serve]), state(serve), anonymous, of_worker

    with biofuse.mount(store, "--format", "plink", "--idle-timeout", "2") as mount:
        cycles(mount, 200)
        before = look(mount)
        for count in (300, 300, 400):
            cycles(mount, count)
            after = look(mount)
            assert after[0] - before[0] < 2 * MIB
            assert after[1][0] == before[1][0]
            # A thread that syncs the plan may have gone.
            assert after[1][1] <= before[1][1]
            assert after[2] - before[2] < 8 * MIB
            assert after[3] == before[3]
    assert len(workers) == 4
