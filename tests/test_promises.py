"""What docs/semantics.md and docs/security.md say that no other module's tests show."""

import contextlib
import json
import os
import signal
import socket

import pytest
from support import reference
from support.damage import chunk_of, flip
from support.program import mounts_below, wait_until
from support.stores import make_store, random_genotypes
from support.syscalls import statx

from biofuse import runtime
from biofuse.api.settings import ServingOptions
from biofuse.memory import process_memory

GENOTYPES = random_genotypes(600, 103, seed=21)
BED = reference.bed(GENOTYPES)
# Of linux/stat.h and linux/fcntl.h: all that stat tells, by whoever serves it.
BASIC, ASK = 0x7FF, 0x2000


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(200, 52))


def direct(path) -> bytes:
    """A file's first bytes, past the page cache."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        return os.pread(fd, 5000, 0)
    finally:
        os.close(fd)


def test_files_stay_what_they_are_whatever_becomes_of_the_store(store, biofuse):
    def facts() -> dict:
        names = sorted(os.listdir(mount.dir))
        told = {name: statx(os.fsencode(mount.dir / name), ASK, BASIC) for name in names}
        times = {f"time of {name}": os.stat(mount.dir / name).st_mtime_ns for name in names}
        return {**told, **times, "fam": direct(mount.fam), "bim": direct(mount.bim)}

    with biofuse.mount(store, "--format", "plink") as mount:
        mount.expect_log("changed")
        before = facts()
        assert len(before) == 8
        flip(chunk_of(store, 0))
        (store / "call_genotype").rename(store / "other")
        (store / "variant_position").rename(store / "away")
        os.utime(store, (1_500_000_000, 1_500_000_000))
        with pytest.raises(OSError):
            direct(mount.bed)
        assert facts() == before


def test_opening_asks_nothing_of_the_store_and_keeps_nothing(store, biofuse):
    with biofuse.mount(store, "--format", "plink", "--idle-timeout", "0.2") as mount:
        wait_until(lambda: mount.pid("encode") is None, "the worker has ended")
        serve = mount.pid("serve")
        held = sorted(os.listdir(f"/proc/{serve}/fd"))
        starts = mount.status()["counters"]["worker_starts"]
        away = store.rename(store.with_name("away"))
        files = [os.open(path, os.O_RDONLY) for path in mount.dir.iterdir() for _ in range(100)]
        assert sorted(os.listdir(f"/proc/{serve}/fd")) == held
        assert mount.status()["counters"]["worker_starts"] == starts
        for file in files:
            os.close(file)
        away.rename(store)
        assert mount.bed.read_bytes() == BED


@pytest.mark.parametrize(("is_local", "seconds"), [(True, 30), (False, 120)])
def test_how_long_a_read_may_take(is_local, seconds):
    assert ServingOptions().seconds_to_answer(is_local) == seconds
    assert ServingOptions(timeout=7).seconds_to_answer(is_local) == 7


def test_what_auto_unmount_takes(store, biofuse):
    with biofuse.mount(store, "--auto-unmount", "--idle-timeout", "0.2") as mount:
        wait_until(lambda: mount.pid("encode") is None, "the worker has ended")
        serve = mount.pid("serve")
        [keeper] = [p.pid for p in biofuse.processes() if p.pid != serve]
        # What both have is shared, until one of them writes to it.
        assert process_memory(keeper).pss < 8 << 20


def test_auto_unmount_is_killed_with_all_of_a_job(store, biofuse):
    """Then the next command unmounts."""
    directory = biofuse.new_directory()
    biofuse("mount", store, directory, "--auto-unmount")
    # At once, as a batch system does: whoever unmounts acts as soon as the others are gone.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for process in biofuse.processes():
            # The worker goes with the serving process.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)
    wait_until(lambda: not biofuse.processes(), "they are gone")
    assert mounts_below(biofuse.home) == [str(directory)]
    assert f"{directory} was left by a mount that was killed" in biofuse("status").stderr
    assert mounts_below(biofuse.home) == []


WORDS = [
    b"",
    b"umount\n",
    b'{"command": "stop"}\n',
    b"GET /metrics HTTP/1.1\r\n\r\n",
    b"\0\xff" * 50_000,
]


def test_the_status_socket_takes_no_command(store, biofuse, monkeypatch):
    """Whatever is written to it, it answers with the status and does nothing else."""
    with biofuse.mount(store, "--format", "plink") as mount:
        monkeypatch.setenv("BIOFUSE_RUNTIME_DIR", str(biofuse.runtime))
        path = runtime.read_record(str(mount.dir)).socket
        assert os.stat(path).st_mode & 0o777 == 0o600
        for words in WORDS:
            assert json.loads(answer_to(path, words))["mountpoint"] == str(mount.dir)
        assert mount.bed.read_bytes() == BED
        assert mount.status()["counters"]["errors"] == 0


def answer_to(path: str, words: bytes) -> bytes:
    told = b""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        # It has answered and gone, and has not read what there was.
        with contextlib.suppress(BrokenPipeError):
            client.sendall(words)
        with contextlib.suppress(ConnectionResetError):
            while data := client.recv(1 << 16):
                told += data
    return told
