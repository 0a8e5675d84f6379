"""`biofuse plan`."""

import sys
from typing import Any

import click

from biofuse import signals, temporary
from biofuse.api.settings import FormatOptions, StoreOptions, ViewChoices
from biofuse.api.views import view_options
from biofuse.cli import options as o
from biofuse.cli.epilogs import preset_epilog
from biofuse.cli.launch import clear_leftovers
from biofuse.cli.params import Command, Name
from biofuse.cli.progress import progress_bar
from biofuse.memory import format_size
from biofuse.options import Selection

_EPILOG = """\b
Examples:
  biofuse plan cohort.vcz -o cohort.plan
  biofuse plan s3://bucket/cohort.vcz -o s3://bucket/cohort.plan
  biofuse run s3://bucket/cohort.vcz --plan cohort.plan -r 20 -- plink2 --bfile {stem} --freq
""" + preset_epilog("after 'biofuse run --for PROGRAM --plan FILE STORE --'")


@click.command("plan", cls=Command, epilog=_EPILOG)
@click.argument("store", type=Name())
@click.option(
    "-o", "--output", "out", type=Name(), required=True, metavar="FILE", help="What to write."
)
@o.format_choice
@o.contig_options()
@o.all_format_options
@o.fileset_options
@o.variant_options
@o.table_options
@o.map_option
@o.selection_options
@o.missing_chunks_option
@o.store_options
def command(
    store: str,
    out: str,
    view: ViewChoices,
    selection: Selection,
    format_options: FormatOptions,
    source: StoreOptions,
    **more: Any,
) -> None:
    """Save what mounts of STORE need in FILE, a path or the URL of an object.

    With `--plan FILE`, `mount` and `run` read nothing of the store but calls: any number of
    jobs on any machines, each with a region or samples of its own. The other options are what
    they show where they are given none.
    """
    from biofuse.plan.save import save_plan

    signals.end_on_interrupt(temporary.remove_folders)
    clear_leftovers(output=out)
    options = view_options(source.location(store), view, selection, format_options)
    for note in options.notes:
        click.echo(f"biofuse: {note}", err=True)
    with progress_bar("saving", not sys.stderr.isatty()) as progress:
        size = save_plan(options, out, progress)
    click.echo(f"made {out}: {format_size(size)}")
