"""`biofuse export`."""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from biofuse.api.presets import find_preset
from biofuse.api.settings import (
    CacheOptions,
    FormatOptions,
    ServingOptions,
    StoreOptions,
    ViewChoices,
)
from biofuse.api.views import default_formats, view_options, with_saved
from biofuse.cli import options as o
from biofuse.cli.epilogs import preset_epilog
from biofuse.cli.launch import clear_leftovers, open_for_command
from biofuse.cli.params import Command, Name
from biofuse.cli.progress import byte_bar
from biofuse.errors import BiofuseError
from biofuse.formats import NAMES, get_format
from biofuse.memory import format_size
from biofuse.options import Selection
from biofuse.stores import Location, store_stem

if TYPE_CHECKING:
    from biofuse.export.compress import Compression

# Formats with a file that can be compressed.
COMPRESSED = ("bgen", "bcf")

_EPILOG = """\b
Examples:
  biofuse export cohort.vcz out
  biofuse export cohort.vcz chr20 --format plink -r chr20
  biofuse export cohort.vcz small --format bgen --compress zstd
  biofuse export s3://bucket/cohort.vcz s3://other/files/cohort --format bgen
""" + preset_epilog("after 'biofuse export cohort.vcz out'", "out")


@click.command("export", cls=Command, epilog=_EPILOG)
@click.argument("store", type=Name())
@click.argument("out", metavar="OUT", type=Name())
@o.format_choice
@o.contig_options()
@o.all_format_options
@o.fileset_options
@o.variant_options
@o.table_options
@o.map_option
@click.option(
    "--compress",
    metavar="METHOD[:LEVEL]",
    help="Compress the .bgen and .bcf, which a mount cannot: zlib (1 to 12, 6 unless told) or, the "
    "former alone, zstd (1 to 22, 3).",
)
@click.option(
    "--verify", is_flag=True, help="Read what was written, and compare it with what it should be."
)
@click.option(
    "--dask",
    metavar="ADDRESS",
    help="Have the workers of this Dask scheduler make and write the files; local: some started "
    "on this machine.",
)
@o.selection_options
@o.missing_chunks_option
@o.store_options
@o.plan_option
@o.making_options
@o.cache_options
def command(
    store: str,
    out: str,
    compress: str | None,
    verify: bool,
    dask: str | None,
    view: ViewChoices,
    selection: Selection,
    format_options: FormatOptions,
    source: StoreOptions,
    serving: ServingOptions,
    cache: CacheOptions,
    **more: Any,
) -> None:
    """Write the files that a mount of STORE would show: OUT.bed, OUT.bgen and so on.

    OUT is a path without suffix, a folder if it ends with /, or the URL of an object without
    suffix. The files are there once they are whole. What was ended, by whatever, goes on with
    the same command; of a URL, it begins anew.
    """
    location = source.location(store)
    folder, stem = split_out(out, location)
    view = dataclasses.replace(view, basename=stem)
    view, selection, format_options = with_saved(location, view, selection, format_options)
    compression = None
    used: list[str] = []
    if compress is not None:
        from biofuse.export.compress import Compression

        compression = Compression.parse(compress)
        # It is no use without one of them.
        used = [name for name in COMPRESSED if name in default_formats(view)][:1]
    options = view_options(location, view, selection, format_options, used)
    if compression is not None:
        _check_compression(compression, view.preset, options.formats)
    clear_leftovers()
    with contextlib.ExitStack() as stack:
        fileset = stack.enter_context(open_for_command(options, location.is_local, serving, cache))
        cluster = None
        if dask is not None:
            from biofuse.export.cluster import Cluster

            cluster = stack.enter_context(Cluster(dask))
        show = stack.enter_context(byte_bar(not sys.stderr.isatty()))
        digest = options.digest("export")
        if Location(folder).is_url:
            from biofuse.export.objects import export_to_place

            place = location.beside(folder)
            written = export_to_place(
                fileset,
                place,
                compression=compression,
                verify=verify,
                progress=show,
                cluster=cluster,
            )
        else:
            from biofuse.export.local import export_to_folder

            written = export_to_folder(
                fileset,
                folder,
                digest,
                compression=compression,
                verify=verify,
                progress=show,
                cluster=cluster,
            )
    for path, size in sorted(written.items()):
        click.echo(f"{path}: {format_size(size)}")


def _check_compression(
    compression: "Compression", preset: str | None, shown: Sequence[str]
) -> None:
    """Raise `BiofuseError` if nothing that is shown can be compressed so, or read then."""
    if not set(COMPRESSED) & set(shown):
        raise BiofuseError(
            "--compress is for --format bgen and --format bcf, neither of which is among the "
            "formats"
        )
    given = f"--compress {compression.method}"
    if "bcf" in shown and compression.method != "zlib":
        raise BiofuseError(
            f"a .bcf is compressed by zlib alone, not with {given}: give --compress zlib, or "
            "--format without bcf"
        )
    if preset is not None and compression.method not in find_preset(preset).compressions:
        raise BiofuseError(
            f"{given} does not go with --for {preset}: {find_preset(preset).title} reads zlib only"
        )


def split_out(out: str, location: Location) -> tuple[str, str]:
    """The folder and the stem that OUT means.

    Raises
    ------
    BiofuseError
        If there is no such folder, or nothing can be written there.
    """
    if Location(out).is_url and not out.lower().startswith("file://"):
        return _split_url(out, store_stem(location.path))
    path = Location(out).absolute().path if out else ""
    if not path:
        raise BiofuseError("the name of what is to be written is empty")
    if out.endswith("/") or os.path.isdir(path):
        path = os.path.join(path, store_stem(location.path))
    else:
        _check_stem(os.path.basename(path))
    folder, stem = os.path.split(path)
    if not os.path.isdir(folder):
        raise BiofuseError(f"there is no folder {folder}; make it with 'mkdir -p {folder}'")
    return folder, stem


def _split_url(out: str, usual_stem: str) -> tuple[str, str]:
    from biofuse.stores.places import is_web_server, redact

    if is_web_server(out):
        raise BiofuseError(
            f"{redact(out)} is on a web server, to which no files can be written: name a folder "
            "here, or a bucket (s3://, gs://, az://)"
        )
    if "/" not in out.partition("://")[2]:
        # A bucket is a folder too.
        return out, usual_stem
    folder, _, stem = out.rpartition("/")
    _check_stem(stem)
    return folder, stem or usual_stem


def _check_stem(stem: str) -> None:
    """Raise `BiofuseError` if OUT has the suffix of a file that would come to have it twice."""
    for name in NAMES:
        for file in get_format(name).FILES:
            if stem.endswith(file.suffix):
                without = stem.removesuffix(file.suffix)
                raise BiofuseError(
                    f"OUT is the files' name without suffix: for {stem} write {without}"
                )
