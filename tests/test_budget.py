"""A mount of 100,000 samples stays within its budget while it is read, and small when idle."""

import os
import random
import signal
import subprocess
import threading

import pytest
from support.damage import chunk_of
from support.resident import family, held, sampled, settles_below
from support.wide import ROW_BYTES, make_wide

MIB = 1 << 20
CHUNK_ROWS = 8
# Two interpreters, their libraries, and what is not in the budget.
BASE = 64 * MIB
IDLE = 40 * MIB
STEP = 1 * MIB


@pytest.fixture(scope="module")
def wide(made):
    return made("wide", lambda directory: make_wide(directory, CHUNK_ROWS))


def expected_at(records: bytes, offset: int, size: int) -> bytes:
    """Bytes of the .bed, past its first three."""
    start = (offset - 3) % len(records)
    data = records[start : start + size]
    while len(data) < size:
        data += records[: size - len(data)]
    return data


def read_whole(path, readers: int, records: bytes | None) -> list[str]:
    """Read a file from several threads, each beginning elsewhere. Returns what was wrong."""
    size = path.stat().st_size
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


@pytest.mark.parametrize("budget", [64, 128, 1024])
def test_the_whole_bed_by_sixteen_readers(budget, wide, biofuse):
    store, records = wide
    with biofuse.mount(store, "--format", "plink", "--memory", f"{budget}MiB") as mount:
        with sampled(mount.pid("serve")) as samples:
            assert read_whole(mount.bed, 16, records) == []
        assert len(samples) > 2
        assert max(samples) <= BASE + budget * MIB


def test_the_whole_bgen_by_sixteen_readers(wide, biofuse):
    store, _ = wide
    with biofuse.mount(store, "--format", "bgen", "--memory", "64MiB") as mount:
        with sampled(mount.pid("serve")) as samples:
            assert read_whole(mount.dir / "wide.bgen", 16, None) == []
        assert max(samples) <= BASE + 64 * MIB


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


def test_idle_is_small_after_reads_of_every_kind(wide, biofuse):
    store, records = wide
    options = ("--format", "plink", "--idle-timeout", "1")
    with biofuse.mount(store, *options) as mount:
        serve = mount.pid("serve")
        for use in (_short, _whole, _random, _many, _killed):
            use(mount)
            assert settles_below(serve, IDLE, 15), use.__name__
            # No more than a worker's end: the window is given back too.
            assert settles_below(serve, IDLE, 5)
        offset = 3 + 5 * ROW_BYTES
        with open(mount.bed, "rb", buffering=0) as f:
            assert os.pread(f.fileno(), ROW_BYTES, offset) == records[5 * ROW_BYTES :][:ROW_BYTES]


def test_idle_is_small_after_an_error_and_by_default(wide, biofuse, tmp_path):
    store, _ = make_wide(tmp_path, 2)
    chunk = chunk_of(store, 1)
    chunk.unlink()
    chunk.write_bytes(b"no frame")
    with biofuse.mount(store, "--format", "plink") as mount:
        mount.expect_log("call_genotype/")
        with pytest.raises(OSError, match="Input/output"), open(mount.bed, "rb") as f:
            f.read()
        assert settles_below(mount.pid("serve"), IDLE, 15)


def test_a_thousand_cycles_leave_nothing(wide, biofuse):
    store, _ = wide

    def cycle(mount, count: int) -> tuple[int, int, int]:
        for number in range(count):
            with open(mount.bed, "rb", buffering=0) as f:
                os.pread(f.fileno(), 25_000, number * 100_003)
        serve = mount.pid("serve")
        assert settles_below(serve, IDLE, 15)
        # Nothing but the serving process is left.
        while len(family(serve)) > 1:
            pass
        threads = len(os.listdir(f"/proc/{serve}/task"))
        return held([serve]), len(os.listdir(f"/proc/{serve}/fd")), threads

    with biofuse.mount(store, "--format", "plink", "--idle-timeout", "1") as mount:
        before = cycle(mount, 200)
        after = cycle(mount, 1_000)
        assert after[0] - before[0] < 2 * MIB
        assert after[1:] == before[1:]
