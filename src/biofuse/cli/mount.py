"""`biofuse mount`."""

import dataclasses

import click

from biofuse.api.settings import ServingOptions, serve_config
from biofuse.api.views import view_options
from biofuse.cli import options as o
from biofuse.cli.epilogs import preset_epilog
from biofuse.cli.launch import (
    check_mountpoint,
    clear_leftovers,
    make_plan,
    mount_in_background,
    run_foreground,
)
from biofuse.cli.params import Command, Name
from biofuse.errors import BiofuseError
from biofuse.fuse.mounting import MountError, given_session

_EPILOG = """\b
Examples:
  biofuse mount cohort.vcz mnt
  biofuse mount cohort.vcz mnt -r 20 -S keep.txt --multiallelic drop
  biofuse mount cohort.vcz mnt --format bgen --haploid-as-diploid
  biofuse mount cohort.vcz mnt --samples-table sexes.tsv --genetic-map 'map_chr@.txt.gz'
  biofuse mount s3://bucket/cohort.vcz mnt --backend-storage obstore
  biofuse mount cohort.vcz mnt --foreground
""" + preset_epilog("on a mount of cohort.vcz at mnt", "mnt/cohort")


class MountCommand(Command):
    """`mount`, as whoever mounts by itself calls it too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Apptainer ends every command so, for one that stays in the foreground.
        if len(args) > 1 and args[-1] == "-f" and args[-2].startswith("/dev/fd/"):
            args = [*args[:-1], "--foreground"]
        return super().parse_args(ctx, args)


@click.command("mount", cls=MountCommand, epilog=_EPILOG)
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

    Returns when the files are there; `biofuse umount DIR` ends the mount. DIR may be /dev/fd/N,
    a session of FUSE that another program has mounted: it is served, in the foreground.
    """
    location = source.location(store)
    options = view_options(location, view, selection, format_options)
    session = _session(directory, foreground, serving)
    mountpoint = directory if session is not None else check_mountpoint(directory)
    config = serve_config(store, mountpoint, location.is_local, serving, cache, log)
    config = dataclasses.replace(config, session_fd=session)
    if foreground:
        run_foreground(make_plan(options, cache, config), config, options.secrets)
    mount_in_background(options, config, cache)


def _session(directory: str, foreground: bool, serving: ServingOptions) -> int | None:
    """The descriptor of a session that is mounted already, if DIR is one.

    Raises
    ------
    BiofuseError
        If it is none of FUSE's, or options are for who mounts.
    """
    try:
        session = given_session(directory)
    except MountError as error:
        raise BiofuseError(str(error)) from error
    if session is None:
        return None
    if not foreground:
        raise BiofuseError(f"{directory} is served in the foreground only: give --foreground")
    given = {"--allow-other": serving.allow_other, "--auto-unmount": serving.auto_unmount}
    for flag, is_given in given.items():
        if is_given:
            raise BiofuseError(
                f"{flag} is for mounting, and {directory} is mounted already: leave it out"
            )
    clear_leftovers()
    return session
