"""How a plan grows with the number of variants: ``python -m benchmarks.growth``.

Makes stores of few samples and many variants, mounts each as .bed and .bgen, and
tells the time, the largest process that made the plan, the plan's size, and what the mount holds.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import zarr
from rich.console import Console
from rich.table import Table

SAMPLES = 4
CHUNK = 100_000


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


def measure(variants: int, scratch: Path) -> dict:
    """Make a store, mount it, and measure; run in a process of its own.

    Parameters
    ----------
    variants : int
    scratch : Path

    Returns
    -------
    dict
        Figures.
    """
    program = str(Path(sys.executable).with_name("biofuse"))
    store, mountpoint = scratch / f"v{variants}.vcz", scratch / "mnt"
    make_store(store, variants)
    mountpoint.mkdir(exist_ok=True)
    started = time.perf_counter()
    command = [program, "mount", str(store), str(mountpoint), "--no-cache"]
    with tempfile.TemporaryFile() as output:
        subprocess.run(command, check=True, stdout=output, stderr=output)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
    try:
        time.sleep(12)
        status = subprocess.run(
            [program, "status", str(mountpoint), "--json"], check=True, capture_output=True
        )
        held = json.loads(status.stdout)
    finally:
        subprocess.run([program, "umount", str(mountpoint)], check=True)
    return {
        "variants": variants,
        "seconds": seconds,
        "plan_process_peak": peak,
        "plan": sum(held["plan"].values()) if isinstance(held["plan"], dict) else held["plan"],
        "idle_pss": sum(process["pss"] for process in held["processes"]),
    }


@click.command(context_settings={"show_default": True})
@click.option("--variants", default="1000000,3000000,10000000", help="Numbers, with commas.")
@click.option("--scratch", type=click.Path(path_type=Path), help="Directory.  [default: a new one]")
@click.option("--json", "output", type=click.Path(path_type=Path), help="Write figures here.")
@click.option("--one", type=int, hidden=True)
def main(variants, scratch, output, one):
    """Measure how plans grow."""
    if one is not None:
        click.echo(json.dumps(measure(one, scratch)))
        return
    table = Table(title="Plans of .bed and .bgen", title_justify="left")
    for column in ("variants", "mount, s", "plan's process, MiB", "plan, MiB", "idle PSS, MiB"):
        table.add_column(column, justify="right")
    rows = []
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        for number in map(int, variants.split(",")):
            command = [sys.executable, "-m", "benchmarks.growth", "--one", str(number)]
            done = subprocess.run(
                [*command, "--scratch", directory],
                check=True,
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parent.parent,
            )
            row = json.loads(done.stdout)
            rows.append(row)
            sizes = [row[name] / 2**20 for name in ("plan_process_peak", "plan", "idle_pss")]
            cells = [f"{size:,.1f}" for size in sizes]
            table.add_row(f"{number:,}", f"{row['seconds']:.1f}", *cells)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    if output:
        output.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.growth")
