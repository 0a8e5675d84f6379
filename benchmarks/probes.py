"""Memory, inside the encoder and end to end: ``python -m benchmarks.probes``."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from .environments import HERE
from .measure import drop_caches, read_file
from .mounts import OURS, PEER, Mount, Mounter
from .processes import high_water, memory
from .views import VIEWS

CYCLES = 5
CYCLE_MIB = 16
STEP_SECONDS = 0.25
MOMENTS = ("post-import", "post-open", "post-pass-1", "post-pass-5", "idle", "after malloc_trim(0)")
# The C library's own number of arenas: a value that it does not take counts as none.
DEFAULT_ARENAS = {"MALLOC_ARENA_MAX": "0"}
TWO_ARENAS = {"MALLOC_ARENA_MAX": "2"}


@dataclass(frozen=True)
class Setting:
    """One way to run a side.

    Attributes
    ----------
    name : str
    workers : int or None
        Threads that encode or read ahead; None for the side's default.
    environment : dict
        Variables to set.
    options : tuple of str
        Of the mount.
    preload : str or None
        Allocator that the peer preloads; ours has an option.
    """

    name: str
    workers: int | None = None
    environment: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    preload: str | None = None


ALLOCATORS = ("jemalloc", "tcmalloc", "mimalloc")
SETTINGS = {
    OURS: [
        Setting("default"),
        Setting("4 workers", 4),
        Setting("32 workers", 32),
        Setting("no trim", options=("--no-trim",)),
        Setting("arenas not capped", environment=DEFAULT_ARENAS),
        Setting("32 workers, no trim, arenas not capped", 32, DEFAULT_ARENAS, ("--no-trim",)),
        *(Setting(name, options=("--allocator", name)) for name in ALLOCATORS),
    ],
    PEER: [
        Setting("default (32 workers)"),
        Setting("4 workers", 4),
        Setting("32 workers, 2 arenas", 32, TWO_ARENAS),
        *(Setting(name, preload=name) for name in ALLOCATORS),
    ],
}
WORKER_OPTIONS = {OURS: "--threads", PEER: "--readahead-workers"}


def preload(name: str) -> dict[str, str]:
    """Return the variable that preloads an allocator.

    Parameters
    ----------
    name : str
        As ``biofuse mount --allocator`` takes it.

    Returns
    -------
    dict
        The variable and its value.
    """
    from biofuse.allocators import find_allocator

    return {"LD_PRELOAD": find_allocator(name) or ""}


def inside(
    pythons: dict[str, str], store: Path, view: str, side: str, setting: Setting, trace: bool
) -> dict:
    """Run `probe_inside` once.

    Parameters
    ----------
    pythons : dict
        The Python of each side.
    store : Path
    view : str
    side : str
    setting : Setting
    trace : bool
        Whether to trace allocations.

    Returns
    -------
    dict
        What it prints.
    """
    workers = setting.workers or (32 if side == PEER else min(4, os.cpu_count() or 1))
    environment = {**os.environ, **setting.environment}
    if side == OURS:
        # As serve does for the worker.
        environment = {**TWO_ARENAS, **environment}
    name = setting.preload or (setting.options[1] if "--allocator" in setting.options else None)
    if name:
        environment |= preload(name)
    command = [pythons[side], HERE / "probe_inside.py", side, store, "--view", view]
    command += ["--workers", str(workers), *(["--trace"] if trace else [])]
    done = subprocess.run(
        [str(word) for word in command],
        env=environment,
        capture_output=True,
        text=True,
        cwd=HERE.parent,
    )
    if done.returncode:
        raise click.ClickException(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout)


@dataclass
class Timeline:
    """What a mount holds over time, sampled by a thread.

    Attributes
    ----------
    mount : Mount
    rows : list of dict
        Seconds since the start, and bytes.
    high_water : int
        The largest sum of the processes' own peaks.
    """

    mount: Mount
    rows: list[dict] = field(default_factory=list)
    high_water: int = 0

    def __enter__(self) -> "Timeline":
        self._stopped = threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            processes = self.mount.processes()
            seconds = round(time.monotonic() - self._began, 2)
            self.rows.append({"seconds": seconds, **asdict(memory(processes))})
            self.high_water = max(self.high_water, sum(map(high_water, processes)))
            if self._stopped.wait(STEP_SECONDS):
                return


def end_to_end(
    mounter: Mounter, store: Path, view: str, side: str, setting: Setting, settle: float
) -> dict:
    """Mount, open and read 16 MiB and close five times, and wait until the mount is idle.

    Parameters
    ----------
    mounter : Mounter
    store : Path
    view : str
    side : str
    setting : Setting
    settle : float
        Seconds to wait.

    Returns
    -------
    dict
        Bytes at several moments, and over time.
    """
    options = [*(["--no-cache"] if side == OURS else []), *setting.options]
    if setting.workers:
        options += [WORKER_OPTIONS[side], str(setting.workers)]
    environment = dict(setting.environment)
    if setting.preload:
        environment |= preload(setting.preload)
    drop_caches(store)
    with mounter.mount(side, store, VIEWS[view], options=options, environment=environment) as mount:
        time.sleep(0.5)
        mounted = asdict(memory(mount.processes()))
        size = mount.file.stat().st_size >> 20
        with Timeline(mount) as timeline:
            for cycle in range(CYCLES):
                read_file(mount.file, CYCLE_MIB, skip=cycle * size // CYCLES)
            read = len(timeline.rows)
            time.sleep(2)
            paused = asdict(memory(mount.processes()))
            time.sleep(max(0, settle - 2))
        idle = asdict(memory(mount.processes()))
    peak = {name: max(row[name] for row in timeline.rows) for name in ("rss", "pss", "anonymous")}
    return {
        "mounted": mounted,
        "peak": peak,
        "high_water": timeline.high_water,
        "2 s later": paused,
        "idle": idle,
        "reading_seconds": timeline.rows[read - 1]["seconds"],
        "timeline": timeline.rows,
    }


@click.command(context_settings={"show_default": True})
@click.argument("which", type=click.Choice(["inside", "mounts"]), nargs=-1)
@click.option("--stores", type=click.Path(path_type=Path), default=HERE.parent / ".bench/stores")
@click.option("--on", default="wide_bench", help="Names of stores, separated by commas.")
@click.option("--view", default="plink,bgen", help="Views, separated by commas.")
@click.option("--only", default="ours,peer", help="Sides, separated by commas.")
@click.option("--setting", default="", help="Only settings with this in their name.")
@click.option(
    "--peer-env", type=click.Path(path_type=Path), default=HERE.parent / ".bench/peer-env"
)
@click.option("--settle", type=float, default=14.0, help="Seconds until a mount counts as idle.")
@click.option("--trace", is_flag=True, help="Trace allocations in process, by site.")
@click.option("--json", "output", type=click.Path(path_type=Path), help="Write figures here.")
def main(which, stores, on, view, only, setting, peer_env, settle, trace, output):
    """Probe memory INSIDE the encoder, or of whole MOUNTS; by default both.

    The stores are those of `python -m benchmarks stores`, and --peer-env the peer's
    environment, which that makes too.
    """
    bin_directory = Path(sys.executable).parent
    pythons = {OURS: sys.executable, PEER: str(peer_env / "bin/python")}
    mounter = Mounter(
        str(bin_directory / "biofuse"),
        str(peer_env / "bin/biofuse"),
        sys.executable,
        (output.parent if output else HERE.parent / ".bench") / "mounts",
    )
    console = Console(width=None if sys.stdout.isatty() else 150)
    results = []
    for kind in which or ("inside", "mounts"):
        for name in on.split(","):
            for shown in view.split(","):
                rows = []
                for side in only.split(","):
                    for one in SETTINGS[side]:
                        if setting not in one.name:
                            continue
                        store = (stores / f"{name}.vcz").absolute()
                        if kind == "inside":
                            found = inside(pythons, store, shown, side, one, trace)
                        else:
                            found = end_to_end(mounter, store, shown, side, one, settle)
                        key = {"probe": kind, "store": name, "view": shown, "side": side}
                        results.append({**key, "setting": one.name, **found})
                        rows.append(results[-1])
                        console.print(kind, name, shown, side, one.name, style="dim")
                        if output:
                            output.write_text(json.dumps(results, indent=1) + "\n")
                console.print(table(kind, f"{kind}: {name}, {shown}", rows))


def table(kind: str, title: str, rows: Sequence[dict]) -> Table:
    """Lay results out as a table, in MiB.

    Parameters
    ----------
    kind : str
        ``inside`` or ``mounts``.
    title : str
    rows : sequence of dict
        Results.

    Returns
    -------
    rich.table.Table
        The table.
    """
    columns = MOMENTS if kind == "inside" else ("mounted", "peak", "2 s later", "idle")
    field_name = "rss" if kind == "inside" else "pss"
    made = Table(title=f"{title}: {field_name.upper()}, MiB", title_justify="left")
    for column in ("side", "setting", *columns):
        made.add_column(column, justify="left" if column in ("side", "setting") else "right")
    for row in rows:
        moments = row["moments"] if kind == "inside" else row
        cells = [f"{moments[column][field_name] / 2**20:,.1f}" for column in columns]
        made.add_row(row["side"], row["setting"], *cells)
    return made


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.probes")
