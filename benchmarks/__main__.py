"""The command line: ``python -m benchmarks``. That of distant stores is `remote`."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from . import compare, programs, together
from .choices import DIRECTORY, several
from .compare import Comparison, copy_from_mount
from .environments import HERE
from .measure import run
from .mounts import OURS, PEER, SIDES, Mounter
from .report import Results, machine_facts
from .stores import SPECS
from .views import PLINK, VIEWS, View
from .workspace import DEFAULT_WORK, Workspace

MEASUREMENTS: dict[str, Callable[[Comparison], None]] = {
    "identity": compare.identity,
    "throughput": compare.throughput,
    "freq": programs.frequencies,
    "regions": programs.regions,
    "readers": together.many_readers,
    "random": compare.random_access,
    "bgenix": programs.one_variant,
    "mount": compare.mount_times,
    "memory": compare.memory,
}


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.argument("action", type=click.Choice(["stores", "compare", "all"]), default="all")
@click.option(
    "--work",
    type=DIRECTORY,
    default=DEFAULT_WORK,
    show_default=".bench",
    help="Directory of environments, stores and results.",
)
@click.option("--stores", type=DIRECTORY, help="Directory of the stores.  [default: WORK/stores]")
@click.option("--out", type=DIRECTORY, help="Directory of the results.  [default: WORK]")
@click.option(
    "--scale",
    type=click.FloatRange(0.005, 1),
    default=1.0,
    help="Size of each side of the stores; below 1 is a smoke run.",
)
@several("--only", SIDES, "Sides to measure")
@several("--view", tuple(VIEWS), "Views to measure")
@several("--measure", tuple(MEASUREMENTS), "Measurements to make")
@several(
    "--on", tuple(SPECS), "Stores to make and measure", ("wide", "wide_bench", "wide_big", "tall")
)
@click.option("--repeats", type=click.IntRange(1), default=5, help="Repetitions.")
@click.option(
    "--memory-repeats", type=click.IntRange(1), default=1, help="Repetitions of the memory session."
)
@click.option(
    "--settle",
    type=float,
    default=15.0,
    help="Seconds before memory counts as idle; longer than the idle timeout.",
)
@click.option("--reads", type=click.IntRange(1), default=200, help="Random reads a repetition.")
@click.option(
    "--read-seconds", type=float, default=20.0, help="Start no random read after that many seconds."
)
@click.option(
    "--biofuse",
    default=str(Path(sys.executable).with_name("biofuse")),
    show_default="beside this Python",
    help="The biofuse to measure.",
)
@click.option(
    "--python",
    default=sys.executable,
    show_default="this Python",
    help="The Python that serves the null file.",
)
@click.option(
    "--peer-env", type=DIRECTORY, help="Environment of the peer.  [default: made in WORK]"
)
@click.option(
    "--sim-env",
    type=DIRECTORY,
    help="Environment of the simulation and the plot.  [default: made in WORK]",
)
@click.option("--plot/--no-plot", default=True, help="Draw plot.svg.")
def main(action, work, stores, out, scale, only, view, measure, on, repeats, memory_repeats, settle,
         reads, read_seconds, biofuse, python, peer_env, sim_env, plot):  # fmt: skip
    """Make the benchmark's stores, and compare biofuse with its peer and with a null file."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(width=None if sys.stdout.isatty() else 140)
    work, out = work.absolute(), (out or work).absolute()

    def say(line: str) -> None:
        console.print(line, style="dim", highlight=False)

    place = Workspace(work, stores, sim_env, peer_env, scale)
    peer_program = place.peer.tool("biofuse") if PEER in only and action != "stores" else None
    mounter = Mounter(biofuse, peer_program, python, work / "mounts")

    def convert(store: Path, shown: View, stem: Path) -> None:
        if PEER in only and shown == PLINK:
            run([place.peer.tool("vcztools"), "view-plink", store, "-o", stem])
        else:
            copy_from_mount(mounter, store, shown, stem)

    maker = place.maker(say, convert)
    if action in ("stores", "all"):
        for name in on:
            maker.store(name)
    if action == "stores":
        return
    results = Results(say, machine_facts())
    results.facts.update(_versions(biofuse if OURS in only else None, peer_program))
    results.facts.update({"scale": scale, "repetitions": repeats})
    results.facts["before each timed cold read"] = (
        "as much memory as it fills was touched and freed, alike for each side"
    )
    work.mkdir(parents=True, exist_ok=True)
    comparison = Comparison(
        maker=maker,
        mounter=mounter,
        results=results,
        sides=only,
        views=tuple(VIEWS[name] for name in view),
        stores=on,
        repeats=repeats,
        memory_repeats=memory_repeats,
        settle=settle,
        reads=reads,
        read_seconds=read_seconds,
        scratch=work,
    )
    try:
        for name in measure:
            MEASUREMENTS[name](comparison)
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
    finally:
        results.print(console)
        results.write(out / "results.json")
        console.print("A shared machine is noisy: quote ratios of one run, never figures alone.")
    if plot:
        script = [place.sim.tool("python"), HERE / "plot.py"]
        run([*script, out / "results.json", out / "plot.svg"])


def _versions(ours: str | None, peer: str | None) -> dict[str, str]:
    """Return the versions of the sides that are measured."""
    facts = {}
    for name, program in ((OURS, ours), (PEER, peer)):
        if program:
            done = subprocess.run([program, "--version"], capture_output=True, text=True)
            facts[name] = done.stdout.strip()
    return facts


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
