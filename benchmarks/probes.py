"""Memory, inside the encoder and end to end: ``python -m benchmarks.probes``."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from .environments import HERE
from .measure import drop_caches, read_file, warm_memory
from .mounts import OURS, PEER, Mounter
from .settings import MATRIX, SETTINGS, Setting
from .timeline import Timeline, snapshot
from .views import VIEWS
from .workspace import DEFAULT_WORK, Workspace

CYCLES = 5
CYCLE_MIB = 16
MOMENTS = ("post-import", "post-open", "post-pass-1", "post-pass-5", "idle", "after malloc_trim(0)")
# Reads of a mount that was idle: bytes, and how far into the file, where nothing was read.
FIRST_READS = {"25 KB": (25_000, 0.37), "1 MiB": (1 << 20, 0.73)}


class ProbeError(RuntimeError):
    """A side could not be probed; others can be."""


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

    Raises
    ------
    ProbeError
        If it fails.
    """
    workers = setting.workers or (32 if side == PEER else min(4, len(os.sched_getaffinity(0))))
    command = [pythons[side], "-m", "benchmarks.probe_inside", side, str(store), "--view", view]
    command += ["--workers", str(workers), *(["--trace"] if trace else [])]
    command += [] if setting.trim else ["--no-trim"]
    done = subprocess.run(
        command,
        env={**os.environ, **setting.environment(side, mounted=False)},
        capture_output=True,
        text=True,
        cwd=HERE.parent,
    )
    if done.returncode < 0:
        raise ProbeError(f"ended by signal {-done.returncode}; out of memory?")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ProbeError(lines[-1])
    return json.loads(done.stdout)


def end_to_end(
    mounter: Mounter,
    store: Path,
    view: str,
    side: str,
    setting: Setting,
    settle: float,
    first_reads: bool,
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
    first_reads : bool
        Whether to time reads of the idle mount, which takes as long again for each.

    Returns
    -------
    dict
        Bytes at several moments, and over time.
    """
    options, environment = setting.options(side), setting.environment(side, mounted=True)
    drop_caches(store)
    with mounter.mount(side, store, VIEWS[view], options=options, environment=environment) as mount:
        time.sleep(0.5)
        mounted = snapshot(mount)
        size = mount.file.stat().st_size
        with Timeline(mount) as timeline:
            for cycle in range(CYCLES):
                read_file(mount.file, CYCLE_MIB, skip=cycle * (size >> 20) // CYCLES)
            reading = snapshot(mount)
            read = len(timeline.rows)
            time.sleep(min(2, settle))
            paused = snapshot(mount)
            time.sleep(max(0, settle - 2))
        idle = snapshot(mount)
        latencies = {}
        for name, (length, place) in FIRST_READS.items() if first_reads else ():
            if latencies:
                time.sleep(settle)
            warm_memory(0)
            latencies[name] = _timed_read(mount.file, length, int(place * size))
    return {
        "mounted": mounted,
        "peak": timeline.peak(),
        "high_water": timeline.high_water,
        "after reading": reading,
        "2 s later": paused,
        "idle": idle,
        "first reads": latencies,
        "reading_seconds": timeline.rows[read - 1]["seconds"],
        "timeline": timeline.rows,
    }


def _timed_read(file: Path, length: int, offset: int) -> float:
    """Open a file and read once; returns the seconds."""
    started = time.perf_counter()
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.pread(descriptor, length, offset)
    finally:
        os.close(descriptor)
    return time.perf_counter() - started


DIRECTORY = click.Path(path_type=Path, file_okay=False)


@click.command(context_settings={"show_default": True})
@click.argument("which", type=click.Choice(["inside", "mounts"]), nargs=-1)
@click.option("--work", type=DIRECTORY, default=DEFAULT_WORK, show_default=".bench")
@click.option("--stores", type=DIRECTORY, help="Directory of the stores.  [default: WORK/stores]")
@click.option("--peer-env", type=DIRECTORY, help="The peer's.  [default: made in WORK]")
@click.option("--sim-env", type=DIRECTORY, help="The simulation's.  [default: made in WORK]")
@click.option("--scale", type=click.FloatRange(0.005, 1), default=1.0, help="Size of stores.")
@click.option("--on", default="wide_bench", help="Names of stores, separated by commas.")
@click.option("--matrix", is_flag=True, help="All stores that tell something, with what does.")
@click.option("--view", default="plink,bgen", help="Views, separated by commas.")
@click.option("--only", default="ours,peer", help="Sides, separated by commas.")
@click.option("--setting", default="", help="Only settings with this in their name.")
@click.option("--settle", type=float, default=14.0, help="Seconds until a mount counts as idle.")
@click.option("--trace", is_flag=True, help="Trace allocations in process, by site.")
@click.option("--json", "output", type=click.Path(path_type=Path), help="Write figures here.")
def main(which, work, stores, peer_env, sim_env, scale, on, matrix, view, only, setting, settle,
         trace, output):  # fmt: skip
    """Probe memory INSIDE the encoder, or of whole MOUNTS; by default both.

    Stores and environments that are not there are made first.
    """
    console = Console(width=None if sys.stdout.isatty() else 150)

    def say(line: str) -> None:
        console.print(line, style="dim", highlight=False)

    sides = only.split(",")
    place = Workspace(work.absolute(), stores, sim_env, peer_env, scale)
    peer = place.peer if PEER in sides else None
    pythons = {OURS: sys.executable, PEER: peer and peer.tool("python")}
    program = str(Path(sys.executable).with_name("biofuse"))
    mounter = Mounter(program, peer and peer.tool("biofuse"), sys.executable, place.work / "mounts")
    chosen = MATRIX if matrix else dict.fromkeys(on.split(","), SETTINGS)
    maker = place.maker(say)
    paths = {name: maker.store(name).absolute() for name in chosen}
    results = []
    for kind in which or ("inside", "mounts"):
        for name, settings in chosen.items():
            for shown in view.split(","):
                rows = []
                for side in sides:
                    for number, one in enumerate(settings[side]):
                        if setting not in one.name:
                            continue
                        say(f"{kind} {name} {shown} {side}: {one.name}")
                        try:
                            if kind == "inside":
                                found = inside(pythons, paths[name], shown, side, one, trace)
                            else:
                                words = (paths[name], shown, side, one, settle, number == 0)
                                found = end_to_end(mounter, *words)
                        except Exception as error:
                            # A library that is not installed, or a side that was killed.
                            found = {"failed": " ".join(str(error).split()) or repr(error)}
                            say(f"n/a: {found['failed']}")
                        key = {"probe": kind, "store": name, "view": shown, "side": side}
                        rows.append({**key, "setting": one.name, **found})
                        results.append(rows[-1])
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
    unit = "RSS, MiB" if kind == "inside" else "PSS, MiB; VmHWM is the sum of each role's"
    more = () if kind == "inside" else FIRST_READS
    made = Table(title=f"{title}: {unit}", title_justify="left")
    for column in ("side", "setting", *columns, "VmHWM", *more):
        made.add_column(column, justify="left" if column in ("side", "setting") else "right")
    for row in rows:
        if "failed" in row:
            made.add_row(row["side"], row["setting"], "n/a")
            continue
        if kind == "inside":
            sizes = [row["moments"][column]["rss"] for column in columns] + [row["high_water"]]
            cells = map(_mib, sizes)
        else:
            sizes = [row[column]["pss"] for column in columns]
            sizes += [sum(row["high_water"].values())]
            reads = row["first reads"]
            seconds = [f"{reads[name]:.3f} s" if name in reads else "" for name in FIRST_READS]
            cells = [*map(_mib, sizes), *seconds]
        made.add_row(row["side"], row["setting"], *cells)
    return made


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f}"


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.probes")
