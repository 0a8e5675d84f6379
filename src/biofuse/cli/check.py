"""`biofuse check`."""

import json
import os
import sys
import time

import click

from biofuse.api.settings import MAX_THREADS, StoreOptions, ViewChoices
from biofuse.cli import options as o
from biofuse.cli.params import Command, Name
from biofuse.cli.progress import progress_bar
from biofuse.memory import format_size

_EPILOG = """\b
Examples:
  biofuse check cohort.vcz
  biofuse check cohort.vcz.zip --json
  biofuse check s3://bucket/cohort.vcz --backend-storage obstore --threads 16
"""


@click.command("check", cls=Command, epilog=_EPILOG)
@click.argument("store", type=Name())
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--threads",
    type=click.IntRange(1, MAX_THREADS),
    help="Chunks that are read at a time.  [default: the cores; 8 for a store that is not local]",
)
@o.missing_chunks_option
@o.store_options
@click.pass_context
def command(
    ctx: click.Context,
    store: str,
    as_json: bool,
    threads: int | None,
    view: ViewChoices,
    source: StoreOptions,
) -> None:
    """Read every chunk of STORE once, and tell what is missing or wrong.

    For a store that was copied. Exit code 1 if something is wrong; notes are of what may be
    right: chunks that hold nothing but Zarr's fill value are not stored by most writers. With
    --missing-chunks fill no missing chunk is more than a note.
    """
    from biofuse.check.store import StoreCheck

    location = source.location(store)
    if threads is None:
        threads = len(os.sched_getaffinity(0)) if location.is_local else 8
    began = time.monotonic()
    with progress_bar("reading chunks", not sys.stderr.isatty()) as progress:
        report = StoreCheck(location, threads, view.missing_chunks == "fill", progress).run()
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        for finding in sorted(report.findings, key=lambda finding: finding.note):
            click.echo(f"{'note' if finding.note else finding.kind:<13}{finding.line()}")
        for array, kind, note, count in report.left_out():
            click.echo(f"{'note' if note else kind:<13}{count:,} more of {array or 'the store'}")
        size, seconds = format_size(report.bytes_read), time.monotonic() - began
        click.echo(
            f"{'checked':<13}{report.arrays} arrays, {report.chunks:,} chunks, {size} "
            f"in {seconds:.1f} s: "
            + ("nothing is wrong" if not report.errors else f"{report.errors:,} wrong")
        )
    ctx.exit(1 if report.errors else 0)
