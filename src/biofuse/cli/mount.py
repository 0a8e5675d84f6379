"""`biofuse mount`."""

import click

from biofuse.api.settings import serve_config
from biofuse.api.views import view_options
from biofuse.cli import options as o
from biofuse.cli.epilogs import preset_epilog
from biofuse.cli.launch import (
    check_mountpoint,
    make_plan,
    mount_in_background,
    run_foreground,
)
from biofuse.cli.params import Command, Name

_EPILOG = """\b
Examples:
  biofuse mount cohort.vcz mnt
  biofuse mount cohort.vcz mnt -r 20 -S keep.txt --multiallelic drop
  biofuse mount cohort.vcz mnt --format bgen --haploid-as-diploid
  biofuse mount cohort.vcz mnt --samples-table sexes.tsv --genetic-map 'map_chr@.txt.gz'
  biofuse mount s3://bucket/cohort.vcz mnt --backend-storage obstore
  biofuse mount cohort.vcz mnt --foreground
""" + preset_epilog("on a mount of cohort.vcz at mnt", "mnt/cohort")


@click.command("mount", cls=Command, epilog=_EPILOG)
@click.argument("store", type=Name())
@click.argument("directory", metavar="DIR", type=Name("dir"))
@o.format_choice
@o.name_options
@o.contig_options()
@o.all_format_options
@o.fileset_options
@o.variant_options
@o.table_options
@o.map_option
@click.option("--foreground", is_flag=True, help="Stay until interrupted or unmounted.")
@o.selection_options
@o.missing_chunks_option
@o.store_options
@o.plan_option
@o.serving_options
@o.cache_options
@o.log_options
def command(
    store, directory, foreground, view, selection, format_options, source, serving, cache, log
):
    """Show STORE as files in the directory DIR.

    Returns when the files are there; `biofuse umount DIR` ends the mount.
    """
    location = source.location(store)
    options = view_options(location, view, selection, format_options)
    mountpoint = check_mountpoint(directory)
    config = serve_config(store, mountpoint, location.is_local, serving, cache, log)
    if foreground:
        run_foreground(make_plan(options, cache, config), config, options.secrets)
    mount_in_background(options, config, cache)
