"""How soon a mount answers under load, when its worker comes and goes, and after days.

The figures are printed with pytest's -s, and are in docs/reliability.md.
"""

import contextlib
import errno
import os
import random
import signal
import statistics
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.program import wait_until

from biofuse.api.live import read_status
from biofuse.protocol import Request
from biofuse.serve.counters import Counters
from biofuse.serve.router import Router, Wanted
from biofuse.table import Table
from fs_tests.conftest import ALL_FORMATS

READERS = 64
# Seconds within which 99 of 100 must be answered.
SOON = 0.05
DAY = 86_400
SECOND = 10**9


@pytest.fixture(autouse=True)
def runtime_folder(biofuse, monkeypatch):
    """Where mounts leave word of themselves, for this process too."""
    monkeypatch.setenv("BIOFUSE_RUNTIME_DIR", str(biofuse.runtime))


@contextlib.contextmanager
def readers(paths: list[Path], number: int = READERS) -> Iterator[list[subprocess.Popen]]:
    """Programs that read files past the page cache, again and again."""
    loop = 'while :; do dd if="$1" of=/dev/null bs=1M iflag=direct status=none || sleep 0.1; done'
    found = [
        subprocess.Popen(
            ["sh", "-c", loop, "sh", paths[i % len(paths)]],
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for i in range(number)
    ]
    try:
        yield found
    finally:
        for each in found:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(each.pid, signal.SIGKILL)
            each.wait()


class Times:
    """How long each kind of operation took."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    def measure(self, name: str, operation: Callable[[], object]) -> None:
        began = time.perf_counter()
        operation()
        self.seconds.setdefault(name, []).append(time.perf_counter() - began)

    def worst(self, part: float = 0.99) -> dict[str, float]:
        """Seconds in which that part of each kind was answered."""
        return {name: sorted(found)[int(len(found) * part)] for name, found in self.seconds.items()}

    def report(self) -> str:
        return "; ".join(
            f"{name}: {len(found)}, median {1000 * statistics.median(found):.1f} ms, "
            f"p99 {1000 * self.worst()[name]:.1f} ms, most {1000 * max(found):.1f} ms"
            for name, found in self.seconds.items()
        )


def look_around(mount, times: Times, chooser: random.Random) -> None:
    """What a mount answers without the worker, once each."""
    directory = mount.dir
    times.measure("ls", lambda: os.listdir(directory))
    # Which nobody has asked for before, so that the kernel does not know it.
    times.measure("lookup", lambda: (directory / f"no{chooser.random()}").exists())
    times.measure("stat", lambda: os.stat(mount.bed))
    times.measure("sidecar", lambda: read_anew(mount.bim, chooser.randrange(10)))
    times.measure("status", lambda: read_status(str(directory)))


def read_anew(path: Path, page: int) -> bytes:
    """A page of a file, from who makes it and not from the kernel's cache."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        return os.pread(fd, 4096, 4096 * page)
    finally:
        os.close(fd)


@contextlib.contextmanager
def troubled(mount, chooser: random.Random) -> Iterator[list[str]]:
    """Have the worker stopped, killed and begun again, all the time."""
    done: list[str] = []
    ends = threading.Event()

    def trouble() -> None:
        while not ends.wait(0.5 + 2 * chooser.random()):
            pid = mount_worker(mount)
            if pid is None:
                continue
            with contextlib.suppress(ProcessLookupError):
                if chooser.random() < 0.5:
                    os.kill(pid, signal.SIGKILL)
                    done.append("killed")
                else:
                    os.kill(pid, signal.SIGSTOP)
                    ends.wait(chooser.random())
                    os.kill(pid, signal.SIGCONT)
                    done.append("stopped")

    thread = threading.Thread(target=trouble)
    thread.start()
    try:
        yield done
    finally:
        ends.set()
        thread.join()


def mount_worker(mount) -> int | None:
    found = read_status(str(mount.dir))["processes"]
    return next((each["pid"] for each in found if each["role"] == "encode"), None)


def test_what_is_answered_under_load(seed, is_long, placed, biofuse, tell):
    """64 readers of streamed files, while the worker is stopped, killed and started.

    How soon is told, and judged in the long form alone, which needs a machine to itself.
    """
    chooser = random.Random(seed)
    times = Times()
    with placed("local").mount(biofuse, *ALL_FORMATS) as mount:
        # A read that two workers died of is an error.
        mount.expect_log("the encoder process ended unexpectedly")
        streamed = [mount.dir / name for name in ("x.bed", "x.bgen", "x.pgen", "x.bcf")]
        with readers(streamed), troubled(mount, random.Random(seed)) as done:
            until = time.monotonic() + (120 if is_long else 8)
            while time.monotonic() < until:
                look_around(mount, times, chooser)
                time.sleep(0.01)
        answered = mount.status()["counters"]["reads"]
    tell(f"load: {times.report()}; reads {answered}; worker {len(done)} times in trouble")
    assert len(done) >= 3
    assert answered > READERS
    if is_long:
        assert {name: value for name, value in times.worst().items() if value > SOON} == {}


def test_a_block_that_is_stuck(seed, is_long, store, placed, biofuse, tell):
    """It fails those who want it, when their time is over, and holds up nobody else."""
    place = placed("s3")
    with place.mount(biofuse, "--format", "plink", "--timeout", "4", "--no-cache") as mount:
        mount.expect_log("x.bed")
        # The last chunk row, of which nothing is read ahead of the first.
        place.proxy.fault("stall", path="*/call_genotype/c/11/*", times=None, seconds=600)
        size = mount.bed.stat().st_size
        times = Times()
        failed: list[int | None] = []

        def want() -> None:
            fd = os.open(mount.bed, os.O_RDONLY | os.O_DIRECT)
            began = time.monotonic()
            try:
                os.pread(fd, 4096, (size - 8192) // 4096 * 4096)
                failed.append(None)
            except OSError as error:
                failed.append(error.errno)
            finally:
                os.close(fd)
            assert 3 < time.monotonic() - began < 12

        waiting = [threading.Thread(target=want) for _ in range(8)]
        for each in waiting:
            each.start()
        chooser = random.Random(seed)
        while any(each.is_alive() for each in waiting):
            look_around(mount, times, chooser)
            times.measure("streamed", lambda: read_anew(mount.bed, chooser.randrange(10)))
            time.sleep(0.01)
        assert failed == [errno.EIO] * 8
        tell(f"beside a block that is stuck: {times.report()}")
        worst = times.worst(0.9)
        place.proxy.clear()
    if is_long:
        assert {name: value for name, value in worst.items() if value > SOON} == {}


def held(pid: int) -> dict[str, int]:
    """What a process has that may grow: bytes of memory, descriptors, threads."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return {
        "memory": int(status["RssAnon"].split()[0]) << 10,
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": int(status["Threads"]),
    }


def test_ten_thousand_openings(is_long, placed, biofuse, tell):
    """Nothing of an opening stays, of the serving process's or of the worker's."""
    with placed("local").mount(biofuse, *ALL_FORMATS) as mount:
        names = [path.name for path in sorted(mount.dir.iterdir())]
        pids = [wait_until(lambda: mount.pid(role), role) for role in ("serve", "encode")]  # noqa: B023

        def cycle(times: int) -> None:
            for i in range(times):
                fd = os.open(mount.dir / names[i % len(names)], os.O_RDONLY | os.O_DIRECT)
                os.pread(fd, 4096, 4096 * (i % 7))
                os.close(fd)

        cycle(1000)
        before = [held(pid) for pid in pids]
        cycle(10_000 if is_long else 1500)
        after = [held(pid) for pid in pids]
    tell(f"before many openings {before}, after {after}")
    for one, other in zip(before, after, strict=True):
        assert other["descriptors"] == one["descriptors"]
        assert other["threads"] == one["threads"]
        assert other["memory"] <= one["memory"] + (1 << 20)


def test_workers_that_come_and_go(is_long, placed, oracle, biofuse, tell):
    """Real ones, with hardly a pause: the serving process holds no more than after the first."""
    with placed("local").mount(biofuse, "--format", "plink", "--idle-timeout", "0.1") as mount:
        expected = (oracle / "x.bed").read_bytes()[:4096]
        serve = mount.pid("serve")
        before = None
        for i in range(100 if is_long else 8):
            wait_until(lambda: mount_worker(mount) is None, "it has ended")
            assert read_anew(mount.bed, 0) == expected
            if i == 4:
                before = held(serve)
        wait_until(lambda: mount_worker(mount) is None, "it has ended")
        after = held(serve)
    tell(f"before many workers {before}, after {after}")
    assert after["descriptors"] <= before["descriptors"]
    assert after["threads"] == before["threads"]
    assert after["memory"] <= before["memory"] + (1 << 20)


class _Worker:
    """A worker that answers at once, in the table that it shares with the serving process."""

    def __init__(self, table: Table) -> None:
        self.pid: int | None = None
        self.starts = 0
        self._table = table

    def start(self) -> None:
        if self.pid is None:
            self.pid = 7
            self.starts += 1

    def send(self, message: bytes) -> bool:
        self.start()
        request = Request.unpack(message)
        self._table.mark(request.slot, request.unique, request.size, 0)
        return True

    def kill(self) -> None:
        self.stop()

    def stop(self) -> None:
        self.pid = None


def test_a_day_of_idle_cycles():
    """A read every twenty seconds, after each of which the worker ends, by a clock of ours."""
    now = 0
    table = Table()
    worker = _Worker(Table(table.fd))
    failed: list[int] = []
    router = Router(
        table,
        Counters(),
        lambda unique, code: not failed.append(unique),
        60,
        10,
        lambda file, error: None,
        clock=lambda: now,
    )
    router.link = worker

    def live(seconds: int) -> None:
        nonlocal now
        for _ in range(seconds // 20):
            router.read(Wanted(now + 1, 0, 0, 0, 4096, 1))
            for _ in range(40):
                now += SECOND // 2
                router.tick()

    live(2000)
    tracemalloc.start()
    live(2000)
    before = tracemalloc.get_traced_memory()[0]
    live(DAY)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert failed == []
    assert worker.starts == (4000 + DAY) // 20
    assert worker.pid is None
    assert after - before < 20_000
