"""`biofuse status`."""

import json

import click

from biofuse.cli.live import read_status
from biofuse.errors import BiofuseError
from biofuse.memory import format_size
from biofuse.mounts import biofuse_mounts


@click.command("status", epilog="Example: biofuse status ~/mnt --json")
@click.argument("directory", metavar="[DIR]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; sizes are in bytes.")
def command(directory, as_json):
    """Show what the mount at DIR holds and has done; without DIR, every mount."""
    if directory is not None:
        found = [read_status(directory)]
    else:
        found = []
        for mount in biofuse_mounts():
            try:
                found.append(read_status(mount.path))
            except BiofuseError as error:
                found.append({"mountpoint": mount.path, "error": str(error)})
    if as_json:
        click.echo(json.dumps(found[0] if directory is not None else found, indent=2))
        return
    if not found:
        click.echo("no biofuse mounts")
    for status in found:
        _show(status)


def _show(status: dict) -> None:
    click.echo(status["mountpoint"])
    if "error" in status:
        click.echo(f"  {status['error']}")
        return
    counters, window = status["counters"], status["window"]
    click.echo(
        f"  store      {status['store']}: {status['num_samples']:,} samples, "
        f"{status['num_variants']:,} variants"
    )
    for name, size in status["files"].items():
        click.echo(f"  file       {name}  {format_size(size)}")
    for process in status["processes"]:
        click.echo(
            f"  {process['role']:<9}  pid {process['pid']}, resident {format_size(process['rss'])} "
            f"(share {format_size(process['pss'])}, anonymous {format_size(process['anonymous'])})"
        )
    click.echo(
        f"  window     {format_size(window['resident'])} of {format_size(window['size'])}, "
        f"{window['blocks']} blocks; budget {format_size(status['budget'])}"
    )
    total = counters["hits"] + counters["waits"]
    rate = f", {100 * counters['hits'] / total:.0f}% from the window" if total else ""
    click.echo(
        f"  served     {format_size(counters['bytes_served'])} in {counters['reads']:,} reads{rate}"
    )
    click.echo(
        f"  errors     {counters['errors']}"
        + (f", see {status['log']}" if counters["errors"] and status["log"] else "")
    )
