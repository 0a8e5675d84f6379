"""`biofuse mount-bgen`."""

import click

from biofuse.cli import options as o
from biofuse.cli.launch import check_mountpoint, make_plan, run_foreground
from biofuse.cli.settings import serve_config_from, view_options_from

_EPILOG = """\b
Examples:
  biofuse mount-bgen cohort.vcz mnt
  biofuse mount-bgen cohort.vcz mnt --unphased --regions 20
"""


@click.command("mount-bgen", cls=o.GroupedCommand, epilog=_EPILOG)
@click.argument("store", metavar="VCZ_URL")
@click.argument("directory", metavar="MOUNT_DIR")
@o.name_options
@o.bgen_options
@click.option(
    "--variant-id-field",
    type=click.Choice(["rsid", "varid"]),
    default="rsid",
    show_default=True,
    cls=o.GroupedOption,
    heading="BGEN",
    help="Which of the two the variant ID goes to.",
)
@click.option("--pad-byte", hidden=True, help="Of 0.1.0; nothing is padded here.")
@click.option("--total-string-length", type=int, hidden=True, help="Of 0.1.0; strings may be long.")
@o.variant_options
@o.selection_options
@o.missing_chunks_option
@o.store_options
@o.serving_options
@o.log_options
def command(store, directory, **kwargs):
    """Show VCZ_URL as BGEN files in MOUNT_DIR, until interrupted or unmounted.

    Takes the options of biofuse 0.1.0, and writes its .sample of three columns. In the
    background: `biofuse mount --format bgen`, of which the .sample has a fourth for the sex.
    """
    options = view_options_from(store, ["bgen"], {**kwargs, "sample_of_0_1_0": True})
    mountpoint = check_mountpoint(directory)
    config = serve_config_from(store, mountpoint, kwargs)
    run_foreground(make_plan(options, kwargs), config)
