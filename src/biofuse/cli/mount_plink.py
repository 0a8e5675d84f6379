"""`biofuse mount-plink`."""

import click

from biofuse.cli import options as o
from biofuse.cli.launch import check_mountpoint, make_plan, run_foreground
from biofuse.cli.settings import serve_config_from, view_options_from

_EPILOG = """\b
Examples:
  biofuse mount-plink cohort.vcz mnt
  biofuse mount-plink cohort.vcz mnt --regions 20 --samples-file keep.txt
"""


@click.command("mount-plink", cls=o.GroupedCommand, epilog=_EPILOG)
@click.argument("store", metavar="VCZ_URL")
@click.argument("directory", metavar="MOUNT_DIR")
@o.name_options
@o.plink_options
@o.variant_options
@o.selection_options
@o.missing_chunks_option
@o.store_options
@o.serving_options
@o.log_options
def command(store, directory, **kwargs):
    """Show VCZ_URL as PLINK 1 files in MOUNT_DIR, until interrupted or unmounted.

    Takes the options of biofuse 0.1.0; `biofuse mount` does the same in the background.
    """
    options = view_options_from(store, ["plink"], kwargs)
    mountpoint = check_mountpoint(directory)
    config = serve_config_from(store, mountpoint, kwargs)
    run_foreground(make_plan(options, kwargs), config)
