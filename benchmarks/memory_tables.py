"""Print the tables of docs/memory.md: ``python -m benchmarks.memory_tables probes.json``."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click

from .probes import FIRST_READS, MOMENTS

NAMES = {"ours": "biofuse", "peer": "0.1.0"}
SIZE_MOMENTS = ("mounted", "peak", "2 s later", "idle")
ROLES = ("serve", "encode")


def rows_of(results: Sequence[dict], kind: str, store: str, view: str) -> list[dict]:
    """Return a probe's results on one store in one view."""
    wanted = (kind, store, view)
    return [one for one in results if (one["probe"], one["store"], one["view"]) == wanted]


def markdown(columns: Sequence[str], rows: Sequence[dict], cells: Callable) -> Iterator[str]:
    """Lay rows out as a table.

    Parameters
    ----------
    columns : sequence of str
        Their titles, after side and setting.
    rows : sequence of dict
        Results.
    cells : callable
        Returns the texts of a result.

    Yields
    ------
    str
        Lines.
    """
    titles = ["", "setting", *columns]
    yield "| " + " | ".join(titles) + " |"
    yield "|---" * len(titles) + "|"
    for row in rows:
        texts = ["n/a"] * len(columns) if "failed" in row else cells(row)
        yield "| " + " | ".join([NAMES[row["side"]], row["setting"], *texts]) + " |"


def mib(size: float) -> str:
    """Write a size in MiB."""
    return f"{size / 2**20:,.0f}"


def inside_cells(row: dict) -> list[str]:
    """RSS at each moment, and the most that there was."""
    sizes = [row["moments"][moment]["rss"] for moment in MOMENTS]
    return [mib(size) for size in [*sizes, row["high_water"]]]


def mount_cells(row: dict) -> list[str]:
    """PSS at each moment, each role's peak, first reads."""
    high = row["high_water"]
    # The peer has one process, of another name.
    roles = [high.get(role, 0) for role in ROLES] if set(high) & set(ROLES) else [*high.values()]
    seconds = [row["first reads"].get(name) for name in FIRST_READS]
    return [
        *(mib(row[moment]["pss"]) for moment in SIZE_MOMENTS),
        " + ".join(mib(size) for size in roles),
        *("" if one is None else f"{one:.3f}" for one in seconds),
    ]


@click.command()
@click.argument("results", type=click.Path(path_type=Path, exists=True))
def main(results):
    """Print what `python -m benchmarks.probes --json RESULTS` found, as Markdown."""
    found = json.loads(results.read_text())
    kinds = {
        "inside": ([*MOMENTS, "VmHWM"], inside_cells, "In process, RSS, MiB"),
        "mounts": (
            [*SIZE_MOMENTS, "VmHWM: serve + encode"]
            + [f"first {name} after idle, s" for name in FIRST_READS],
            mount_cells,
            "End to end, PSS of all processes, MiB",
        ),
    }
    for kind, store, view in dict.fromkeys((r["probe"], r["store"], r["view"]) for r in found):
        columns, cells, title = kinds[kind]
        click.echo(f"\n### {title}: {store}, {view}\n")
        for line in markdown(columns, rows_of(found, kind, store, view), cells):
            click.echo(line)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.memory_tables")
