"""What is measured of stores at a distance; each case is a transport and a delay."""

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from .compare import default_read_ahead
from .environments import HERE
from .far import Far
from .measure import TIMEOUT_SECONDS, random_reads, read_file, run, warm_memory
from .memory import sampling
from .mounts import OURS, PEER, Mount, Mounter, MountError
from .processes import role
from .report import Results
from .stores import Maker
from .views import PLINK, View

PLAIN, LOCAL = "plain", "local"
SIDES = (OURS, PEER, PLAIN, LOCAL)
AT_ONCE = 32
SETTLE_SECONDS = 1.0
WAIT_SECONDS = 30
READ_BYTES = 25_000
FAILURES = (
    MountError,
    RuntimeError,
    OSError,
    subprocess.CalledProcessError,
    subprocess.TimeoutExpired,
)


@dataclass(frozen=True)
class Remote:
    """Everything that a measurement needs.

    Attributes
    ----------
    far : Far
        The server.
    maker : Maker
        Gives the stores.
    mounter : Mounter
        Mounts them.
    results : Results
        Where the measurements go.
    sides : tuple of str
        Some of `SIDES`.
    views : tuple of View
        Views to measure.
    stores : tuple of str
        Stores to measure.
    repeats, peer_repeats : int
        Repetitions; the peer's, which takes long.
    reads : int
        Random reads a repetition.
    read_seconds : float
        No random read starts after this time.
    our_options : tuple of str
        More options of our mounts.
    scratch, made : Path
        Directories of output files, and of stores that are made of others.
    transport : str
        ``http`` or ``s3``.
    delay : int
        Milliseconds.
    """

    far: Far
    maker: Maker
    mounter: Mounter
    results: Results
    sides: tuple[str, ...]
    views: tuple[View, ...]
    stores: tuple[str, ...]
    repeats: int
    peer_repeats: int
    reads: int
    read_seconds: float
    our_options: tuple[str, ...]
    scratch: Path
    made: Path
    transport: str = "http"
    delay: int = 0

    @property
    def conditions(self) -> str:
        """How the case is called in tables."""
        return f"{self.transport} {self.delay:3} ms"

    def times(self, *among: str) -> Iterator[str]:
        """Yield the sides to measure, each as often as it is measured, in turn."""
        for repetition in range(self.repeats):
            for side in among:
                most = self.peer_repeats if side == PEER else self.repeats
                if side in self.sides and repetition < most:
                    yield side

    def add(self, measure: str, store: str, side: str, unit: str, value: float, more="") -> None:
        """Add a value of this case."""
        # What is local is not measured again for each case.
        conditions = "" if side == LOCAL else self.conditions
        name = f"{conditions}, {more}" if more else conditions
        self.results.add(measure, store, side, name, unit, value)

    def attempt(self, what: str, measure: Callable[[], None]) -> None:
        """Measure something; where that fails, a fact says so, and the rest goes on."""
        try:
            measure()
        except FAILURES as error:
            said = " ".join(str(error).split())[-300:]
            self.results.facts[f"failed: {what}, {self.conditions}"] = said
            self.results.say(f"failed: {what}, {self.conditions}: {said}")

    def url(self, name: str, folder: str = "stores", suffix: str = ".vcz") -> str:
        """Return where a store is."""
        return self.far.url(self.transport, self.delay, f"{folder}/{name}{suffix}")

    @contextmanager
    def mount(
        self,
        side: str,
        name: str,
        view: View,
        options: Sequence[str] = ("--no-cache",),
        url: str | None = None,
        settle: bool = True,
        backend: str = "obstore",
    ) -> Iterator[Mount]:
        """Mount a store of this case; with `settle` there is a worker, which has nothing to do."""
        if side == OURS:
            words = [*self.our_options, "--idle-timeout", "120", *options]
        elif side == PEER:
            words = ["--backend-storage", backend]
        else:
            words = ["--no-cache", "--idle-timeout", "120"]
        with self.mounter.mount(
            OURS if side == LOCAL else side,
            self.maker.store(name) if side == LOCAL else url or self.url(name),
            view,
            default_read_ahead(side),
            words,
            self.far.environment(self.transport, self.delay),
        ) as mount:
            if settle:
                wait_for_worker(mount, side != PEER)
                time.sleep(SETTLE_SECONDS)
            yield mount


def wait_for_worker(mount: Mount, is_ours: bool, there: bool = True) -> None:
    """Wait until our worker is there, or until there is none."""
    deadline = time.monotonic() + WAIT_SECONDS
    while is_ours:
        roles = {role(process) for process in mount.processes()}
        if ("encode" in roles) == there:
            return
        if time.monotonic() > deadline:
            raise RuntimeError("the worker is there" if not there else "there is no worker")
        time.sleep(0.02)


def objects(store: Path) -> list[str]:
    """Return the keys of a store's chunks of calls."""
    folder = store / "call_genotype"
    files = [path for path in folder.rglob("*") if path.is_file()]
    hidden = (".zarray", ".zattrs", "zarr.json")
    return sorted(str(path.relative_to(store)) for path in files if path.name not in hidden)


def download(case: Remote, url: str, names: Sequence[str]) -> tuple[float, int]:
    """Get objects plainly, in a process of its own.

    Parameters
    ----------
    case : Remote
        Where they are.
    url : str
        The store.
    names : sequence of str
        Keys of the objects.

    Returns
    -------
    tuple of float and int
        Seconds and bytes.
    """
    listed = case.scratch / "objects.txt"
    listed.write_text("\n".join(names))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.download", url, str(listed), str(AT_ONCE)],
        cwd=HERE.parent,
        env={**os.environ, **case.far.environment(case.transport, case.delay)},
        stdout=subprocess.PIPE,
        check=True,
        timeout=TIMEOUT_SECONDS,
    )
    told = json.loads(done.stdout)
    return told["seconds"], told["bytes"]


def whole(case: Remote) -> None:
    """Read whole files, from mounts with a running worker, beside plain downloads."""
    for name in case.stores:
        names = objects(case.maker.store(name))
        for view in case.views:
            measure = f"whole {view.suffix}"

            def one(side: str, name=name, view=view, measure=measure, names=names) -> None:
                if side == PLAIN:
                    seconds, size = download(case, case.url(name), names)
                    case.add(measure, name, side, "s", seconds)
                    case.add(f"{measure}: requests", name, side, "", len(names))
                    case.add(f"{measure}: fetched", name, side, "MB", size / 1e6)
                    return
                with case.mount(side, name, view) as mount:
                    warm_memory(mount.file.stat().st_size)
                    with case.far.counting(case.transport, case.delay) as counted:
                        seconds = read_file(mount.file)
                case.add(measure, name, side, "s", seconds)
                if side != LOCAL:
                    [requests] = counted
                    case.add(f"{measure}: requests", name, side, "", len(requests.all))
                    case.add(f"{measure}: fetched", name, side, "MB", requests.size / 1e6)
                    case.add(f"{measure}: at once", name, side, "", requests.most_at_once())

            sides = list(case.times(OURS, PEER, PLAIN))
            local = case.results.series.get((measure, name, LOCAL, ""))
            if local is None:
                sides += case.times(LOCAL)
            for side in sides:
                case.attempt(f"{measure} of {name}, {side}", lambda side=side, one=one: one(side))


def random_access(case: Remote) -> None:
    """Read 25 KB here and there: first on a fresh mount, then where each chunk was touched."""
    for name in case.stores[:1]:
        for repetition, side in enumerate(case.times(OURS, PEER)):

            def one(side=side, name=name, repetition=repetition) -> None:
                with case.mount(side, name, PLINK) as mount:
                    warm_memory(0)
                    first = random_reads(mount.file, repetition, case.reads, case.read_seconds)
                    add_reads(case, name, side, "first touch", first)
                    if side == PEER:
                        return
                    touch_each_row(case, name, mount)
                    with case.far.counting(case.transport, case.delay) as counted:
                        seed = repetition + 1000
                        again = random_reads(mount.file, seed, case.reads, case.read_seconds)
                    add_reads(case, name, side, "touched", again)
                    [requests] = counted
                    each = len(requests.all) / len(again)
                    case.add("random 25 KB: requests a read", name, side, "", each, "touched")

            case.attempt(f"random reads of {name}, {side}", one)


def add_reads(case: Remote, name: str, side: str, which: str, latencies: list[float]) -> None:
    """Add the median of some reads, in milliseconds and in round trips."""
    median = 1000 * statistics.median(latencies)
    case.add("random 25 KB of .bed", name, side, "ms", median, which)
    if case.delay:
        case.add("random 25 KB: round trips", name, side, "", median / case.delay, which)


def touch_each_row(case: Remote, name: str, mount: Mount) -> None:
    """Read a little where each row of chunks has its first variants."""
    array = json.loads((case.maker.store(name) / "call_genotype" / ".zarray").read_text())
    row = array["chunks"][0] * -(-array["shape"][1] // 4)
    with open(mount.file, "rb", buffering=0) as file:
        for first in range(3, mount.file.stat().st_size, row):
            os.pread(file.fileno(), 1, first)


def after_idle(case: Remote) -> None:
    """Time the first read after the worker has ended; ours alone has one."""
    for name in case.stores[:1]:
        for _ in case.times(OURS):

            def one(name=name) -> None:
                options = ["--no-cache", "--idle-timeout", "1"]
                with case.mount(OURS, name, PLINK, options, settle=False) as mount:
                    size = mount.file.stat().st_size
                    chooser = random.Random(1)
                    for _ in range(3):
                        wait_for_worker(mount, True, there=False)
                        offset = chooser.randrange(max(1, size - READ_BYTES))
                        with open(mount.file, "rb", buffering=0) as file:
                            started = time.perf_counter()
                            os.pread(file.fileno(), READ_BYTES, offset)
                            seconds = time.perf_counter() - started
                        case.add("first read after idle", name, OURS, "ms", 1000 * seconds)

            case.attempt(f"first read after idle of {name}", one)


def mounting(case: Remote) -> None:
    """Time mounts: the first, the second, and one with a plan that was made before."""
    for name in case.stores:
        for side in case.times(OURS, PEER):

            def timed(which: str, side: str, *options: str, name: str = name) -> None:
                with case.far.counting(case.transport, case.delay) as counted:
                    with case.mount(side, name, PLINK, options, settle=False) as mount:
                        seconds = mount.ready_seconds
                    time.sleep(SETTLE_SECONDS / 2)
                [requests] = counted
                case.add("mount", name, side, "s", seconds, which)
                case.add("mount: requests", name, side, "", len(requests.all), which)
                case.add("mount: rounds", name, side, "", requests.rounds(), which)

            def one(side=side, timed=timed) -> None:
                if side == PEER:
                    timed("first", side)
                    return
                with tempfile.TemporaryDirectory(dir=case.scratch) as cache:
                    timed("first", side, f"--cache-dir={cache}")
                    timed("second", side, f"--cache-dir={cache}")

            case.attempt(f"mount of {name}, {side}", one)

            def planned(name=name, timed=timed) -> None:
                plan = make_plan(case, name)
                timed("with --plan", OURS, "--no-cache", "--plan", str(plan))

            if side == OURS:
                case.attempt(f"mount of {name} with --plan", planned)


def make_plan(case: Remote, name: str) -> Path:
    """Make a plan to be shared, with ``biofuse plan``."""
    plan = case.scratch / f"{name}.plan"
    plan.unlink(missing_ok=True)
    command = [case.mounter.ours, "plan", *case.our_options, case.url(name), "-o", str(plan)]
    variables = {**os.environ, **case.far.environment(case.transport, case.delay)}
    done = subprocess.run(command, env=variables, capture_output=True, timeout=TIMEOUT_SECONDS)
    if done.returncode:
        raise RuntimeError(f"biofuse plan: {done.stderr.decode(errors='replace')[-200:]}")
    return plan


def jobs(case: Remote) -> None:
    """Count what one job of many asks for: a region, with a plan that they share."""
    for name in case.stores:

        def one(name=name) -> None:
            plan = make_plan(case, name)
            with case.mount(OURS, name, PLINK, settle=False) as mount:
                lines = mount.stem.with_suffix(".bim").read_text().splitlines()
            middle = [line.split()[3] for line in lines[len(lines) // 2 :][:200:199]]
            contig = lines[len(lines) // 2].split()[0]
            region = f"{contig}:{middle[0]}-{middle[-1]}"
            command = [case.mounter.ours, "run", *case.our_options, "--plan", str(plan)]
            command += ["--no-cache", "-r", region, case.url(name), "--", "cat", "{bed}"]
            variables = {**os.environ, **case.far.environment(case.transport, case.delay)}
            with case.far.counting(case.transport, case.delay) as counted:
                started = time.perf_counter()
                subprocess.run(
                    command,
                    env=variables,
                    stdout=subprocess.DEVNULL,
                    check=True,
                    timeout=TIMEOUT_SECONDS,
                )
                seconds = time.perf_counter() - started
            [requests] = counted
            case.add("job of 200 variants, shared plan", name, OURS, "s", seconds)
            case.add("job: requests", name, OURS, "", len(requests.all))

        for _ in case.times(OURS):
            case.attempt(f"job with a shared plan of {name}", one)


def frequencies(case: Remote) -> None:
    """Run ``plink2 --freq`` on `tall`, beside a plain download of its calls."""
    if not shutil.which("plink2") or "tall" not in case.stores:
        return
    names, url = objects(case.maker.store("tall")), case.url("tall")
    for side in case.times(OURS, PEER, PLAIN, LOCAL):

        def one(side=side) -> None:
            if side == PLAIN:
                case.add("plink2 --freq", "tall", side, "s", download(case, url, names)[0])
                return
            with case.mount(side, "tall", PLINK) as mount:
                warm_memory(mount.file.stat().st_size)
                output = case.scratch / "freq"
                words = ["plink2", "--bfile", mount.stem, "--freq", "--out", output]
                case.add("plink2 --freq", "tall", side, "s", run(words))

        case.attempt(f"plink2 --freq, {side}", one)


def memory(case: Remote) -> None:
    """Sample the memory of all processes while files are streamed; nothing is timed here."""
    for name in case.stores:
        for view in case.views:

            def one(name=name, view=view) -> None:
                with case.mount(OURS, name, view) as mount:
                    with sampling(mount) as peak:
                        read_file(mount.file, 2048)
                    measure = f"peak PSS, {view.suffix} streamed"
                    case.add(measure, name, OURS, "MiB", peak.memory.pss / 2**20)

            if OURS in case.sides:
                case.attempt(f"memory of {view.suffix} of {name}", one)


def icechunk(case: Remote) -> None:
    """Read a whole `.bed` from an Icechunk repository; on S3 alone."""
    if case.transport != "s3":
        return
    for name in case.stores:
        path = case.made / f"{name}.icechunk"
        if not path.exists():
            command = [sys.executable, "-m", "benchmarks.iced", case.maker.store(name), path]
            subprocess.run([str(word) for word in command], cwd=HERE.parent, check=True)
        # Options of a backend that is named are not Icechunk's.
        named = ("--backend-storage", "icechunk") if case.our_options else ()
        there = replace(case, our_options=named)
        for side in case.times(OURS, PEER):

            def one(side=side, there=there, name=name) -> None:
                url = there.url(name, "made", ".icechunk")
                with there.mount(side, name, PLINK, url=url, backend="icechunk") as mount:
                    warm_memory(mount.file.stat().st_size)
                    with there.far.counting(there.transport, there.delay) as counted:
                        seconds = read_file(mount.file)
                [requests] = counted
                case.add("icechunk: whole .bed", name, side, "s", seconds)
                case.add("icechunk: requests", name, side, "", len(requests.all))
                case.add("icechunk: fetched", name, side, "MB", requests.size / 1e6)

            case.attempt(f"icechunk of {name}, {side}", one)


MEASUREMENTS: dict[str, Callable[[Remote], None]] = {
    "whole": whole,
    "random": random_access,
    "idle": after_idle,
    "mount": mounting,
    "jobs": jobs,
    "freq": frequencies,
    "memory": memory,
    "icechunk": icechunk,
}
