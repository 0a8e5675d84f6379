"""`biofuse status`."""

import json
import os

import click

from biofuse.api.live import read_status
from biofuse.cli.launch import clear_leftovers
from biofuse.cli.params import Name
from biofuse.cli.status_text import status_lines
from biofuse.errors import BiofuseError
from biofuse.mounts import biofuse_mounts

_EPILOG = """\b
Examples:
  biofuse status mnt
  biofuse status mnt --watch          a live view; Ctrl-C ends it
  biofuse status mnt --json | jq .counters.errors
  biofuse status mnt --json --watch --interval 10 >> memory.jsonl
"""


@click.command("status", epilog=_EPILOG)
@click.argument("directory", metavar="[DIR]", type=Name("dir"), required=False)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON; sizes are in bytes. With --watch, an object a line.",
)
@click.option(
    "--watch",
    "watching",
    is_flag=True,
    help="Show it again and again, with throughput and memory over time.",
)
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Between two of them, with --watch.  [default: 1]",
)
def command(directory, as_json, watching, interval):
    """Show what the mount at DIR holds and has done; without DIR, every mount of yours."""
    if directory is None:
        clear_leftovers()
    if watching:
        from biofuse.cli.watch import watch

        return watch(lambda: _gather(directory), directory, interval or 1.0, as_json)
    if interval is not None:
        raise click.UsageError("--interval goes with --watch")
    found = _gather(directory)
    if as_json:
        click.echo(json.dumps(found[0] if directory is not None else found, indent=2))
        return 0
    if not found:
        click.echo("no biofuse mounts")
    for status in found:
        click.echo("\n".join(status_lines(status)))
    return 0


def _gather(directory: str | None) -> list[dict]:
    """The status of one mount, or of all of this user's; where one of them has none, why."""
    if directory is not None:
        return [read_status(directory)]
    found = []
    for mount in biofuse_mounts():
        if mount.user != os.geteuid():
            continue
        try:
            found.append(read_status(mount.path))
        except BiofuseError as error:
            found.append({"mountpoint": mount.path, "error": str(error)})
    return found
