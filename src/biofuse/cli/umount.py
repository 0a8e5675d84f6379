"""`biofuse umount`."""

import click

from biofuse.api.live import end_mount
from biofuse.cli.launch import clear_leftovers
from biofuse.cli.params import Name
from biofuse.errors import BiofuseError


@click.command("umount", epilog="Example: biofuse umount ~/mnt")
@click.argument("directories", metavar="DIR...", type=Name("dir"), nargs=-1, required=True)
@click.option("--lazy", is_flag=True, help="Unmount now, even if a program has a file open.")
def command(directories, lazy):
    """End the mount at each DIR, also where its process has died."""
    failed = False
    for directory in directories:
        try:
            remaining = end_mount(directory, lazy)
            if remaining is not None:
                click.echo(f"biofuse: {remaining}", err=True)
        except BiofuseError as error:
            click.echo(f"biofuse: {error}", err=True)
            failed = True
    clear_leftovers()
    return int(failed)
