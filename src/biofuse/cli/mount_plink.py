"""`biofuse mount-plink`."""

import dataclasses

import click

from biofuse.api.settings import serve_config
from biofuse.api.views import view_options
from biofuse.cli import options as o
from biofuse.cli.launch import check_mountpoint, make_plan, run_foreground
from biofuse.cli.params import Command, Name

_EPILOG = """\b
Examples:
  biofuse mount-plink cohort.vcz mnt
  biofuse mount-plink cohort.vcz mnt --regions 20 --samples-file keep.txt
"""


@click.command("mount-plink", cls=Command, epilog=_EPILOG)
@click.argument("store", metavar="VCZ_URL", type=Name())
@click.argument("directory", metavar="MOUNT_DIR", type=Name("dir"))
@o.name_options
@o.contig_options()
@o.format_options("plink")
@o.variant_options
@o.table_options
@o.map_option
@o.selection_options
@o.missing_chunks_option
@o.store_options
@o.plan_option
@o.serving_options
@o.cache_options
@o.log_options
def command(store, directory, view, selection, format_options, source, serving, cache, log):
    """Show VCZ_URL as PLINK 1 files in MOUNT_DIR, until interrupted or unmounted.

    Takes the options of biofuse 0.1.0; `biofuse mount` does the same in the background.
    """
    location = source.location(store)
    view = dataclasses.replace(view, format_names=("plink",))
    options = view_options(location, view, selection, format_options)
    mountpoint = check_mountpoint(directory)
    config = serve_config(store, mountpoint, location.is_local, serving, cache, log)
    run_foreground(make_plan(options, cache, config), config, options.secrets)
