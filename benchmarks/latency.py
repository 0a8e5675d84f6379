"""Threads against latency: ``python -m benchmarks.latency``.

Makes bytes in this process as the worker does, over a store whose every batch of reads takes
some time, as one batch of concurrent requests to an object store would.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from .environments import HERE
from .measure import warm_memory

ROOT = HERE.parent
# Of `wide`, some rows of chunks: 12 of 25 MB, and 3 of 300 MB.
READ_BYTES = {"plink": 300 << 20, "bgen": 900 << 20}


class RemoteStore:
    """A store at some distance.

    Parameters
    ----------
    store : Store
        The local one behind it.
    seconds : float
        What every batch of reads takes longer.
    """

    far = True

    def __init__(self, store, seconds: float):
        self._store = store
        self._seconds = seconds

    def get_many(self, ranges: Sequence) -> list:
        """Read, after a while."""
        if ranges:
            time.sleep(self._seconds)
        return self._store.get_many(ranges)

    def hint(self, keys: Sequence[str]) -> None:
        """Do nothing, as such stores do."""

    def signature(self, keys: Sequence[str]) -> str | None:
        """The local store's, since the plan is of that one."""
        return self._store.signature(keys)

    def close(self) -> None:
        """Close the local store."""
        self._store.close()


def measure(store: Path, view: str, milliseconds: float | None, threads: int, memory: int) -> dict:
    """Read a part of a file, in this process.

    Parameters
    ----------
    store : Path
    view : str
    milliseconds : float or None
        Latency; None for the local store itself.
    threads : int
    memory : int
        The mount's budget.

    Returns
    -------
    dict
        Figures.
    """
    from .driver import Driver

    def wrap(local):
        return local if milliseconds is None else RemoteStore(local, milliseconds / 1000)

    driver = Driver(str(store), view, threads, memory, wrap=wrap)
    # As in a long read that has been under way for a while.
    driver.read(driver.size // 10 * 9, 16 << 20)
    started = time.perf_counter()
    read = driver.read(0, READ_BYTES[view])
    seconds = time.perf_counter() - started
    status = Path("/proc/self/status").read_text()
    return {
        "bytes": read,
        "seconds": seconds,
        "megabytes_a_second": read / 1e6 / seconds,
        "peak_rss": int(re.search(r"VmHWM:\s+(\d+)", status)[1]) << 10,
    }


def one(words: dict, environment: dict[str, str]) -> dict:
    """Run `measure` in a process of its own, whose peak is its own."""
    code = "import json, sys; from pathlib import Path; from benchmarks.latency import measure; "
    code += "w = json.loads(sys.argv[1]); w['store'] = Path(w['store']); "
    code += "print(json.dumps(measure(**w)))"
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps({**words, "store": str(words["store"])})],
        env={**os.environ, **environment},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


@click.command(context_settings={"show_default": True})
@click.option(
    "--stores", type=click.Path(path_type=Path), default=ROOT / ".bench/stores", show_default=False
)
@click.option("--on", default="wide", help="Name of a store.")
@click.option("--view", default="plink,bgen", help="Views, with commas.")
@click.option("--latency", default="local,0,10,50,200", help="Milliseconds, with commas; or local.")
@click.option("--threads", default="1,2,4,8,16,32", help="Numbers, with commas.")
@click.option("--memory", default=128, help="The budget, MiB.")
@click.option("--repeats", default=1, help="The best of so many.")
@click.option("--json", "output", type=click.Path(path_type=Path), help="Write figures here.")
def main(stores, on, view, latency, threads, memory, repeats, output):
    """Measure how many threads pay, on a local store and on ones at a distance."""
    store = (stores / f"{on}.vcz").absolute()
    console = Console(width=None if sys.stdout.isatty() else 120)
    counts = [int(number) for number in threads.split(",")]
    results = []
    for shown in view.split(","):
        title = f"{on}, {shown}: MB/s (peak RSS, MiB), --memory {memory}MiB"
        table = Table(title=title, title_justify="left")
        for column in ("latency", *(f"{count} threads" for count in counts)):
            table.add_column(column, justify="right")
        for delay in latency.split(","):
            cells = []
            for count in counts:
                words = {
                    "store": store,
                    "view": shown,
                    "milliseconds": None if delay == "local" else float(delay),
                    "threads": count,
                    "memory": memory << 20,
                }
                # As serve has it for the worker.
                tries = []
                for _ in range(repeats):
                    warm_memory(READ_BYTES[shown])
                    tries.append(one(words, {"MALLOC_ARENA_MAX": "2"}))
                best = max(tries, key=lambda found: found["megabytes_a_second"])
                results.append({**words, "store": on, "tries": tries, **best})
                speed, peak = best["megabytes_a_second"], best["peak_rss"] / 2**20
                cells.append(f"{speed:,.0f} ({peak:,.0f})")
                if output:
                    output.write_text(json.dumps(results, indent=1) + "\n")
            table.add_row(delay if delay == "local" else f"{delay} ms", *cells)
        console.print(table)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.latency")
