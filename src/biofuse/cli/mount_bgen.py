"""`biofuse mount-bgen`."""

import dataclasses
from typing import Any

import click

from biofuse.api.settings import FormatOptions, ViewChoices, serve_config
from biofuse.api.views import view_options
from biofuse.cli import options as o
from biofuse.cli.launch import check_mountpoint, make_plan, run_foreground
from biofuse.cli.params import Command, Name
from biofuse.options import Selection, ViewOptions
from biofuse.stores.location import Location

_EPILOG = """\b
Examples:
  biofuse mount-bgen cohort.vcz mnt
  biofuse mount-bgen cohort.vcz mnt --unphased --regions 20
"""


def bgen_view(
    location: Location,
    view: ViewChoices,
    selection: Selection,
    format_options: FormatOptions,
    variant_id_field: str,
    **ignored: Any,
) -> ViewOptions:
    """The view that biofuse 0.1.0 shows, as these arguments of the command say."""
    given = {"three_columns": True, **format_options.get("bgen", {})}
    if variant_id_field == "varid":
        given["id_in_varid"] = True
    view = dataclasses.replace(view, format_names=("bgen",))
    return view_options(location, view, selection, {"bgen": given})


@click.command("mount-bgen", cls=Command, epilog=_EPILOG)
@click.argument("store", metavar="VCZ_URL", type=Name())
@click.argument("directory", metavar="MOUNT_DIR", type=Name("dir"))
@o.name_options
@o.contig_options("store")
@o.format_options("bgen", phased=True)
@click.option(
    "--variant-id-field",
    type=click.Choice(["rsid", "varid"]),
    default="rsid",
    show_default=True,
    help="Which of the two the variant ID goes to.",
)
@click.option("--pad-byte", hidden=True, help="Of 0.1.0; nothing is padded here.")
@click.option("--total-string-length", type=int, hidden=True, help="Of 0.1.0; strings may be long.")
@o.variant_options
@o.table_options
@o.selection_options
@o.missing_chunks_option
@o.store_options
@o.plan_option
@o.serving_options
@o.cache_options
@o.log_options
def command(store, directory, source, serving, cache, log, **what):
    """Show VCZ_URL as BGEN files in MOUNT_DIR, until interrupted or unmounted.

    Takes the options of biofuse 0.1.0 and shows what it does: variants as phased where the
    store does, the store's names of contigs, a .sample of three columns (but for the sexes of
    --samples-table). `biofuse mount --format bgen` shows what programs take: no phase, plink2's
    names, a column for the sex.
    """
    location = source.location(store)
    options = bgen_view(location, **what)
    mountpoint = check_mountpoint(directory)
    config = serve_config(store, mountpoint, location.is_local, serving, cache, log)
    run_foreground(make_plan(options, cache, config), config, options.secrets)
