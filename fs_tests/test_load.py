"""How soon a mount answers under load, and when its worker comes and goes.

The figures are at the end of the report, and in docs/reliability.md.
"""

import ast
import contextlib
import errno
import hashlib
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from support.program import wait_until
from support.syscalls import statx

from biofuse.api.live import read_status
from fs_tests.conftest import ALL_FORMATS, STREAMED

READERS = 64
# Of them, those that compare what they read.
COMPARING = 8
AT_FORCE_SYNC, STATX_BASIC = 0x2000, 0x7FF
# Sidecars that are read beside, one of each kind.
SIDECARS = ("x.bim", "x.bgen.bgi", "x.bcf.csi", "x.pvar")
# Seconds within which 99 of 100 must be answered; or, where the machine is busy otherwise, so many
# times as long as a process takes there that gives back what it is given. An answer takes several
# turns of who serves, between those of all readers.
SOON, TIMES_ECHO = 0.05, 20


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


# Reads a file past the page cache, again and again, and holds its hash against one that is known.
# It prints how often it was right, wrong, and which errors it had instead.
_COMPARE = """
import collections, errno, hashlib, os, signal, sys, time
path, right = sys.argv[1:]
going = True
def stop(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, stop)
counts = collections.Counter()
print(flush=True)
while going:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
        try:
            found = hashlib.sha256()
            while data := os.read(fd, 1 << 20):
                found.update(data)
        finally:
            os.close(fd)
    except OSError as error:
        counts[errno.errorcode[error.errno]] += 1
        time.sleep(0.1)
    else:
        counts["right" if found.hexdigest() == right else "wrong"] += 1
print(dict(counts))
"""


@contextlib.contextmanager
def comparing(mount: Path, oracle: Path, names: list[str]) -> Iterator[Counter]:
    """Programs that read as `readers` do, and compare; what they found is known afterwards."""
    found = []
    for i in range(COMPARING):
        name = names[i % len(names)]
        right = hashlib.sha256((oracle / name).read_bytes()).hexdigest()
        command = [sys.executable, "-S", "-c", _COMPARE, mount / name, right]
        found.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    counts: Counter = Counter()
    try:
        for each in found:
            assert each.stdout is not None
            each.stdout.readline()
        yield counts
        for each in found:
            each.terminate()
        for each in found:
            counts.update(ast.literal_eval(each.communicate(timeout=120)[0]))
            assert each.returncode == 0
    finally:
        for each in found:
            each.kill()
            each.wait()


_Found = TypeVar("_Found")


class Times:
    """How long each kind of operation took."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self._cat = subprocess.Popen(
            ["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def __enter__(self) -> "Times":
        return self

    def __exit__(self, *_: object) -> None:
        self._cat.communicate()

    def echo(self) -> None:
        """Have another process give back what it is given: what any answer takes at least."""
        assert self._cat.stdin is not None and self._cat.stdout is not None
        self._cat.stdin.write(b"x")
        assert self._cat.stdout.read(1) == b"x"

    def measure(self, name: str, operation: Callable[[], _Found]) -> _Found:
        """Returns what the operation gave."""
        began = time.perf_counter()
        found = operation()
        self.seconds.setdefault(name, []).append(time.perf_counter() - began)
        return found

    def worst(self, part: float = 0.99) -> dict[str, float]:
        """Seconds in which that part of each kind was answered."""
        return {name: sorted(found)[int(len(found) * part)] for name, found in self.seconds.items()}

    def late(self) -> dict[str, float]:
        """Kinds that take longer than they may, with how long."""
        worst = self.worst()
        limit = max(SOON, TIMES_ECHO * worst["echo"])
        return {name: value for name, value in worst.items() if value > limit}

    def report(self) -> str:
        return "; ".join(
            f"{name}: {len(found)}, median {1000 * statistics.median(found):.1f} ms, "
            f"p99 {1000 * self.worst()[name]:.1f} ms, most {1000 * max(found):.1f} ms"
            for name, found in self.seconds.items()
        )


def look_around(mount, sidecars: dict[str, bytes], times: Times, chooser: random.Random) -> None:
    """What a mount answers without the worker, once each."""
    directory = mount.dir
    times.measure("echo", times.echo)
    times.measure("ls", lambda: os.listdir(directory))
    # Which nobody has asked for before, so that the kernel does not know it.
    times.measure("lookup", lambda: (directory / f"no{chooser.random()}").exists())
    times.measure("stat", lambda: os.stat(mount.bed))
    # Past the kernel's cache.
    path = os.fsencode(mount.bed)
    times.measure("statx", lambda: statx(path, AT_FORCE_SYNC, STATX_BASIC))
    for name, expected in sidecars.items():
        page = chooser.randrange(len(expected) // 4096 + 1)
        found = times.measure(name, lambda: read_anew(directory / name, page))  # noqa: B023
        assert found == expected[4096 * page :][:4096], (name, page)
    times.measure("status", lambda: read_status(str(directory)))


def sidecars_of(mount, oracle: Path) -> dict[str, bytes]:
    """What those hold that are read beside; a .bgi, which tells when it was made, on the mount."""
    folders = [mount.dir if name.endswith(".bgi") else oracle for name in SIDECARS]
    return {
        name: (folder / name).read_bytes() for name, folder in zip(SIDECARS, folders, strict=True)
    }


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


def test_what_is_answered_under_load(seed, is_long, place, oracle, biofuse, tell):
    """64 readers of streamed files, while the worker is stopped, killed and started.

    What is read is right; a read that two workers died of, and no other, is an error.

    How soon is told, and judged in the long form alone.
    """
    chooser = random.Random(seed)
    with place.mount(biofuse, *ALL_FORMATS) as mount, Times() as times:
        mount.expect_log("the encoder process ended unexpectedly")
        sidecars = sidecars_of(mount, oracle)
        streamed = [mount.dir / name for name in STREAMED]
        with (
            readers(streamed, READERS - COMPARING),
            comparing(mount.dir, oracle, list(STREAMED)) as compared,
            troubled(mount, random.Random(seed)) as done,
        ):
            began = time.monotonic()
            until, latest = began + (30 if is_long else 5), began + 60
            while time.monotonic() < until or (len(done) < 3 and time.monotonic() < latest):
                look_around(mount, sidecars, times, chooser)
                time.sleep(0.01)
        counters = mount.status()["counters"]
        answered = counters["reads"]
    tell(f"load: {times.report()}; reads {answered}; worker {len(done)} times in trouble")
    tell(f"load: files that were compared {dict(compared)}, errors {counters['errors']}")
    assert len(done) >= 3
    assert compared["right"] > 0
    # Whoever has an error has it from the mount, which has counted it.
    assert set(compared) <= {"right", "EIO"}
    assert compared["EIO"] <= counters["errors"]
    assert done.count("killed") >= 2 or counters["errors"] == 0
    assert answered > READERS
    if is_long:
        assert times.late() == {}


def want_the_end(path: Path, failed: list[tuple[str, int | None]]) -> None:
    """Read what the last chunk row has for a file; note with which error that ends."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    began = time.monotonic()
    code = None
    try:
        os.pread(fd, 4096, (os.fstat(fd).st_size - 8192) // 4096 * 4096)
    except OSError as error:
        code = error.errno
    finally:
        os.close(fd)
    # About when its deadline was over.
    failed.append((path.name, code if 3 < time.monotonic() - began < 12 else None))


class Elsewhere:
    """Reads of all streamed files, of any chunk row but the last ones.

    Parameters
    ----------
    mount, oracle : Path
        Folders of the same files.
    """

    def __init__(self, mount: Path, oracle: Path):
        self._mount = mount
        self._expected = {name: (oracle / name).read_bytes() for name in STREAMED}
        self._seen: set[tuple[str, int]] = set()

    def read(self, times: Times, chooser: random.Random, is_first_round: bool) -> None:
        """Read a page and compare it; where chunks may have to come first is a kind of its own."""
        name = chooser.choice(STREAMED)
        expected = self._expected[name]
        page = chooser.randrange(len(expected) * 10 // 12 // 4096)
        row = (name, page * 4096 * 12 // len(expected))
        is_known = row in self._seen and not is_first_round
        kind = "streamed" if is_known else "streamed, at first"
        self._seen.add(row)
        found = times.measure(kind, lambda: read_anew(self._mount / name, page))
        assert found == expected[4096 * page :][:4096]


def test_a_block_that_is_stuck(seed, is_long, placed, oracle, biofuse, tell):
    """It fails those who want it, when their time is over, and holds up nobody else."""
    place = placed("s3")
    with (
        place.mount(biofuse, *ALL_FORMATS, "--timeout", "4", "--no-cache") as mount,
        Times() as times,
    ):
        for name in STREAMED:
            mount.expect_log(f"cannot read {name}")
        # The last chunk row.
        place.proxy.fault("stall", path="*/call_genotype/c/11/*", times=None, seconds=600)
        chooser = random.Random(seed)
        sidecars = sidecars_of(mount, oracle)
        elsewhere = Elsewhere(mount.dir, oracle)
        failed: list[tuple[str, int | None]] = []
        rounds = 5 if is_long else 1
        for turn in range(rounds):
            waiting = [
                threading.Thread(target=want_the_end, args=(mount.dir / name, failed))
                for name in STREAMED * 2
            ]
            for each in waiting:
                each.start()
            while any(each.is_alive() for each in waiting):
                look_around(mount, sidecars, times, chooser)
                elsewhere.read(times, chooser, turn == 0)
                time.sleep(0.01)
        assert sorted(failed) == sorted((name, errno.EIO) for name in STREAMED * 2 * rounds)
        counters = mount.status()["counters"]
        tell(f"beside a block that is stuck: {times.report()}")
        place.proxy.clear()
    # Of nobody else.
    assert counters["errors"] == len(failed)
    assert counters["worker_deaths"] == 0
    if is_long:
        late = times.late()
        # Chunks have to come first.
        late.pop("streamed, at first", None)
        assert late == {}


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


def test_ten_thousand_openings(is_long, place, biofuse, tell):
    """Nothing of an opening stays, of the serving process's or of the worker's."""
    with place.mount(biofuse, *ALL_FORMATS) as mount:
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


def test_other_bytes_are_found(mount, oracle, tmp_path):
    """Of a file that a program compares with another's hash, as those of the load do."""
    (tmp_path / "x.bed").write_bytes((oracle / "x.bed").read_bytes()[:-1] + b"\x55")
    for folder, said in ((oracle, "right"), (tmp_path, "wrong")):
        with comparing(mount.dir, folder, ["x.bed"]) as counts:
            time.sleep(0.2)
        assert set(counts) == {said}
