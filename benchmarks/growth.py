"""How a plan grows with the number of variants: ``python -m benchmarks.growth``.

Makes stores of few samples and many variants, in a process of its own, mounts each as .bed
and .bgen, and tells the time, what the processes that make the plan hold, the plan's size, and
what the mount holds while it is read, and idle.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import click
import numpy as np
import zarr
from rich.console import Console
from rich.table import Table

from .environments import HERE
from .measure import random_reads, read_file
from .processes import high_water, memory, role, tree

SAMPLES = 4
CHUNK = 100_000
PROGRAM = str(Path(sys.executable).with_name("biofuse"))
POLL_SECONDS = 0.02


def make_store(path: Path, variants: int) -> None:
    """Make a store whose genotypes are all 0, for which no chunk is stored.

    Parameters
    ----------
    path : Path
    variants : int
    """
    group = zarr.open_group(path, mode="w", zarr_format=2, attributes={"vcf_zarr_version": "0.4"})

    def create(name: str, shape: tuple, dtype, dims: list[str]):
        return group.create_array(
            name,
            shape=shape,
            chunks=(min(CHUNK, shape[0]), *shape[1:]),
            dtype=dtype,
            fill_value=0 if dtype is not str else "",
            attributes={"_ARRAY_DIMENSIONS": dims},
        )

    create("contig_id", (1,), str, ["contigs"])[:] = np.array(["1"])
    names = np.array([f"s{i}" for i in range(SAMPLES)])
    create("sample_id", (SAMPLES,), str, ["samples"])[:] = names
    create("variant_contig", (variants,), np.int8, ["variants"])
    create("call_genotype", (variants, SAMPLES, 2), np.int8, ["variants", "samples", "ploidy"])
    positions = create("variant_position", (variants,), np.int32, ["variants"])
    alleles = create("variant_allele", (variants, 2), str, ["variants", "alleles"])
    ids = create("variant_id", (variants,), str, ["variants"])
    for start in range(0, variants, CHUNK):
        stop = min(start + CHUNK, variants)
        numbers = np.arange(start + 1, stop + 1)
        positions[start:stop] = numbers
        alleles[start:stop] = np.tile(np.array(["A", "C"]), (stop - start, 1))
        ids[start:stop] = np.char.add("rs", numbers.astype(str))


class Watch:
    """The most memory of a program and all that it starts, together and by role.

    A peak is the kernel's own (VmHWM), which counts a program from its exec on; a child's
    resource usage also counts what its parent had when it was started.

    Parameters
    ----------
    pid : int
        The program.
    """

    def __init__(self, pid: int):
        self._pid = pid
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.peaks: dict[str, int] = {}
        self.together = 0

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            members = tree({self._pid})
            for process in members:
                name = role(process)
                if name:
                    self.peaks[name] = max(self.peaks.get(name, 0), high_water(process))
            self.together = max(self.together, memory(members).pss)


def mount(store: Path, mountpoint: Path, *options: str) -> tuple[float, Watch]:
    """Mount a store without a cached plan; returns the seconds, and the memory that it took.

    Parameters
    ----------
    store, mountpoint : Path
    *options : str
        More options.
    """
    mountpoint.mkdir(exist_ok=True)
    command = [PROGRAM, "mount", str(store), str(mountpoint), "--no-cache", *options]
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        with Watch(process.pid) as watch:
            code = process.wait()
        output.seek(0)
        if code:
            raise RuntimeError(output.read().decode(errors="replace"))
    return time.perf_counter() - started, watch


def held_by(mountpoint: Path) -> tuple[int, dict[str, int], int]:
    """What the processes of a mount hold (PSS), each one's peak, and the plan's size."""
    done = subprocess.run(
        [PROGRAM, "status", str(mountpoint), "--json"], check=True, capture_output=True
    )
    status = json.loads(done.stdout)
    processes = status["processes"]
    peaks = {one["role"]: one["peak"] for one in processes}
    plan = status["plan"]
    size = sum(plan.values()) if isinstance(plan, dict) else plan
    return memory(tree({one["pid"] for one in processes})).pss, peaks, size


def read_some(mountpoint: Path) -> None:
    """Read at 200 random places of each file, and each streamed one from end to end."""
    for file in sorted(mountpoint.iterdir()):
        random_reads(file, 1, 200, 60)
        read_file(file)


def measure(variants: int, scratch: Path, settle: float) -> dict:
    """Mount a store of so many variants, and measure: whole, and a part that is selected.

    Parameters
    ----------
    variants : int
    scratch : Path
        Where the store is.
    settle : float
        Seconds until the mount is idle.

    Returns
    -------
    dict
        Figures.
    """
    store, mountpoint = scratch / f"v{variants}.vcz", scratch / "mnt"
    seconds, watch = mount(store, mountpoint)
    try:
        mounted, _, plan = held_by(mountpoint)
        read_some(mountpoint)
        reading, peaks, _ = held_by(mountpoint)
        time.sleep(settle)
        idle, _, _ = held_by(mountpoint)
    finally:
        subprocess.run([PROGRAM, "umount", str(mountpoint)], check=True)
    # All of them, but as a selection: each one's index is found, and kept.
    selected_seconds, selected = mount(store, mountpoint, "--include", "POS > 0")
    subprocess.run([PROGRAM, "umount", str(mountpoint)], check=True)
    return {
        "variants": variants,
        "seconds": seconds,
        "plan": plan,
        "peaks_of_making": watch.peaks,
        "making": watch.together,
        "mounted": mounted,
        "reading": reading,
        "peaks_of_reading": peaks,
        "idle": idle,
        "selected_seconds": selected_seconds,
        "peaks_of_selecting": selected.peaks,
        "selecting": selected.together,
    }


COLUMNS = {
    "mount, s": lambda row: f"{row['seconds']:.1f}",
    "plan on disk": lambda row: _mib(row["plan"]),
    "plan's process": lambda row: _mib(row["peaks_of_making"].get("plan", 0)),
    "all, PSS": lambda row: _mib(row["making"]),
    "selected: plan's": lambda row: _mib(row["peaks_of_selecting"].get("plan", 0)),
    "s": lambda row: f"{row['selected_seconds']:.1f}",
    "after reading, PSS": lambda row: _mib(row["reading"]),
    "serve's peak": lambda row: _mib(row["peaks_of_reading"].get("serve", 0)),
    "worker's": lambda row: _mib(row["peaks_of_reading"].get("encode", 0)),
    "idle, PSS": lambda row: _mib(row["idle"]),
}


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f}"


@click.command(context_settings={"show_default": True})
@click.option("--variants", default="1000000,3000000,10000000", help="Numbers, with commas.")
@click.option("--scratch", type=click.Path(path_type=Path), help="Directory.  [default: a new one]")
@click.option("--settle", default=12.0, help="Seconds until a mount counts as idle.")
@click.option("--json", "output", type=click.Path(path_type=Path), help="Write figures here.")
@click.option("--make", type=int, hidden=True)
def main(variants, scratch, settle, output, make):
    """Measure how plans grow."""
    if make is not None:
        make_store(scratch / f"v{make}.vcz", make)
        return
    table = Table(title="Plans of .bed and .bgen: MiB", title_justify="left")
    for column in ("variants", *COLUMNS):
        table.add_column(column, justify="right")
    rows = []
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        for number in map(int, variants.split(",")):
            command = [sys.executable, "-m", "benchmarks.growth", "--make", str(number)]
            subprocess.run([*command, "--scratch", directory], check=True, cwd=HERE.parent)
            row = measure(number, Path(directory), settle)
            rows.append(row)
            table.add_row(f"{number:,}", *(show(row) for show in COLUMNS.values()))
            if output:
                output.write_text(json.dumps(rows, indent=1) + "\n")
    Console(width=None if sys.stdout.isatty() else 160).print(table)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.growth")
