"""Stores at a distance: ``python -m benchmarks.remote``.

Starts its own servers (`far`), and measures ours, the peer, a plain download of the same
objects, and ours on the local store, in one run.
"""

import signal
import sys
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from . import environments
from .choices import DIRECTORY, several
from .far import TRANSPORTS, serve
from .mounts import OURS, PEER, Mounter
from .remote_measures import AT_ONCE, FAILURES, LOCAL, MEASUREMENTS, PLAIN, SIDES, Remote
from .report import Results, machine_facts
from .views import VIEWS
from .workspace import DEFAULT_WORK, Workspace

STORES = ("wide", "tall")


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option(
    "--work",
    type=DIRECTORY,
    default=DEFAULT_WORK,
    show_default=".bench",
    help="Directory of environments, stores and results.",
)
@click.option("--stores", type=DIRECTORY, help="Directory of the stores.  [default: WORK/stores]")
@click.option("--out", type=DIRECTORY, help="Directory of remote.json.  [default: WORK]")
@several("--only", SIDES, "Sides to measure")
@several("--transport", TRANSPORTS, "How stores are reached")
@click.option("--delay", default="0,20,50,200", help="Milliseconds of each request, with commas.")
@several("--on", STORES, "Stores to measure; the first one is read at random")
@several("--view", tuple(VIEWS), "Views that are read as a whole")
@several("--measure", tuple(MEASUREMENTS), "Measurements to make")
@click.option("--repeats", type=click.IntRange(1), default=3, help="Repetitions.")
@click.option(
    "--peer-repeats", type=click.IntRange(1), default=1, help="The peer's, which takes long."
)
@click.option("--reads", type=click.IntRange(1), default=30, help="Random reads a repetition.")
@click.option(
    "--read-seconds", type=float, default=15.0, help="Start no random read after that many seconds."
)
@click.option(
    "--biofuse",
    default=str(Path(sys.executable).with_name("biofuse")),
    show_default="beside this Python",
    help="The biofuse to measure.",
)
@click.option(
    "--our-option",
    "our_options",
    multiple=True,
    help="A word more for our mounts, such as --backend-storage; repeatable.",
)
@click.option(
    "--peer-env", type=DIRECTORY, help="Environment of the peer, with obstore.  [default: made]"
)
def main(work, stores, out, only, transport, delay, on, view, measure, repeats, peer_repeats,
         reads, read_seconds, biofuse, our_options, peer_env):  # fmt: skip
    """Measure stores at a distance."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(width=None if sys.stdout.isatty() else 160)
    work, out = work.absolute(), (out or work).absolute()
    delays = [int(word) for word in delay.split(",")]

    def say(line: str) -> None:
        console.print(line, style="dim", highlight=False)

    peer = None
    if PEER in only:
        found = environments.Environment(peer_env) if peer_env else None
        name = "requirements-peer-remote.txt"
        peer = (found or environments.ensure(work / "peer-remote-env", name)).tool("biofuse")
    maker = Workspace(work, stores).maker(say)
    for name in on:
        # The server's files are in memory.
        for file in maker.store(name).rglob("*"):
            if file.is_file():
                file.read_bytes()
    scratch, made = work / "remote", work / "made"
    for folder in (scratch, made):
        folder.mkdir(parents=True, exist_ok=True)
    results = Results(say, machine_facts())
    results.facts["the server"] = "nginx on this machine; each request waits, connections do not"
    results.facts[PLAIN] = f"{AT_ONCE} GETs at a time of all chunks of calls, connections open"
    results.facts[LOCAL] = "ours on the local store"
    try:
        with serve({"stores": maker.root, "made": made}, work / "far", delays) as far:
            case = Remote(
                far=far,
                maker=maker,
                mounter=Mounter(biofuse, peer, sys.executable, work / "mounts"),
                results=results,
                sides=only,
                views=tuple(VIEWS[name] for name in view),
                stores=on,
                repeats=repeats,
                peer_repeats=peer_repeats,
                reads=reads,
                read_seconds=read_seconds,
                our_options=our_options,
                scratch=scratch,
                made=made,
            )
            for name in measure:
                for kind in transport:
                    # It lists folders, which plain HTTP has no way of.
                    sides = tuple(side for side in only if kind != "http" or side != PEER)
                    for milliseconds in delays:
                        this = replace(case, transport=kind, delay=milliseconds, sides=sides)
                        this.attempt(name, lambda name=name, this=this: MEASUREMENTS[name](this))
    except FAILURES as error:
        raise click.ClickException(str(error)) from error
    finally:
        results.print(console)
        results.write(out / "remote.json")
        console.print(
            f"A whole file should take {OURS} at most 1.67 times the larger of {PLAIN} and {LOCAL}."
        )


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.remote")
