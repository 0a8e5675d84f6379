"""`biofuse mount`."""

import click

from biofuse.cli import options as o
from biofuse.cli.launch import (
    check_mountpoint,
    make_plan,
    mount_in_background,
    run_foreground,
)
from biofuse.cli.settings import serve_config_from, view_options_from

_EPILOG = """\b
Examples:
  biofuse mount cohort.vcz mnt
  biofuse mount cohort.vcz mnt -r 20 -S keep.txt --multiallelic drop
  biofuse mount cohort.vcz mnt --format bgen --unphased
  biofuse mount s3://bucket/cohort.vcz mnt --backend-storage obstore
  biofuse mount cohort.vcz mnt --foreground
"""


@click.command("mount", cls=o.GroupedCommand, epilog=_EPILOG)
@click.argument("store")
@click.argument("directory", metavar="DIR")
@o.format_choice
@o.name_options
@o.plink_options
@o.bgen_options
@o.variant_options
@click.option("--foreground", is_flag=True, help="Stay until interrupted or unmounted.")
@o.selection_options
@o.missing_chunks_option
@o.store_options
@o.serving_options
@o.log_options
def command(store, directory, format_names, foreground, **kwargs):
    """Show STORE as files in the directory DIR.

    Returns when the files are there; `biofuse umount DIR` ends the mount.
    """
    options = view_options_from(store, format_names, kwargs)
    mountpoint = check_mountpoint(directory)
    config = serve_config_from(store, mountpoint, kwargs)
    if foreground:
        run_foreground(make_plan(options, kwargs), config)
    mount_in_background(options, config, kwargs)
