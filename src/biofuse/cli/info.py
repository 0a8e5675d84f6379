"""`biofuse info`."""

import dataclasses
import functools
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from biofuse import formats, signals, temporary
from biofuse.cli import options as o
from biofuse.cli.params import Command, Name
from biofuse.cli.progress import progress_bar
from biofuse.cli.status_text import requests_text
from biofuse.memory import budget_warning, default_budget, format_size
from biofuse.options import MULTIALLELIC_POLICIES

_MANY = "sites of more than two alleles"
# Contigs that the text lists one by one.
_CONTIGS = 60
# Fields that a line of text names.
_FIELDS = 40


@click.command("info", cls=Command, epilog="Example: biofuse info cohort.vcz")
@click.argument("store", type=Name())
@click.option("--json", "as_json", is_flag=True, help="Print JSON; sizes are in bytes.")
@click.option(
    "--full",
    is_flag=True,
    help="Read all sites, as for a mount, where some of them tell about as much: counts and sizes "
    "are exact.",
)
@o.missing_chunks_option
@o.store_options
def command(store, as_json, full, view, source):
    """Describe STORE: its shape, its encoding, its sites, and what each view of it has.

    Of a large store, or one that is not local, some sites are read: what says "about" is taken
    from these. Sizes are those of views with default options.
    """
    signals.end_on_interrupt(temporary.remove_folders)
    with progress_bar("reading sites", not sys.stderr.isatty()) as progress:
        value = describe_store(source.location(store), view.missing_chunks, full, progress)
    if as_json:
        click.echo(json.dumps(value, indent=2))
        return
    for key, text in _lines(value):
        click.echo(f"{key:<12}{text}")


def describe_store(
    location: Any,
    missing_chunks: str = "error",
    full: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """What `info` tells; sizes are in bytes.

    Parameters
    ----------
    location : Location
    missing_chunks : str
        As for a mount.
    full : bool
        Whether all sites are read.
    progress : callable
        Called with the sites read so far and their number.
    """
    from biofuse.formats.base import CALL_FIELDS, Subject
    from biofuse.options import Selection
    from biofuse.plan.absent import AbsentChunks
    from biofuse.plan.checks import check_fields
    from biofuse.plan.contents import ContentsReader, view_notices
    from biofuse.plan.counts import count_sites
    from biofuse.plan.fields import call_shapes, describe_field, main_field
    from biofuse.plan.hints import hint_names
    from biofuse.plan.selection import read_field
    from biofuse.plan.sites import read_sites
    from biofuse.stores import open_store
    from biofuse.stores.located import located
    from biofuse.stores.location import open_group, store_stem

    location = located(location)
    group = open_group(location)
    check_fields(location, group)
    store = open_store(location)
    hint_names(group, store, True)
    absent = AbsentChunks(group, store, missing_chunks == "fill")
    absent.check_sites(Selection())
    absent.check_calls(CALL_FIELDS)
    main = main_field(group)
    assert main is not None
    genotypes = describe_field(group, "call_genotype")
    array = describe_field(group, main)
    sample_id = read_field(group, "sample_id")
    contigs = read_field(group, "contig_id").tolist()
    names = [name for name in sample_id.tolist() if name]
    rows, samples, values = array.chunks
    counts = count_sites(group, store, full, progress)
    # Each view asks for it, some more than once.
    read = functools.cache(lambda: read_sites(group, "plink2"))
    subject = Subject(names, genotypes.ploidy, call_shapes(group), read)
    reader = ContentsReader(
        group, store, subject, store_stem(location.path), missing_chunks, full, progress
    )
    contents = reader.read(counts.many)
    budget = budget_warning(array.decoding_need, default_budget())
    shown = [name for name, view in contents.views.items() if view.files]
    return {
        "store": location.path,
        "vcf_zarr_version": group.attrs.get("vcf_zarr_version"),
        "zarr_format": group.zarr_format,
        "num_samples": len(names),
        "num_null_samples": len(sample_id) - len(names),
        "num_variants": genotypes.shape[0],
        "contigs": contigs,
        "sites": {
            "by_contig": counts.by_contig,
            "more_than_two_alleles": contents.many,
            "more_than_two_alleles_exact": contents.many_exact,
            "looked_at": contents.looked_at,
        },
        "ploidy": genotypes.ploidy,
        "max_alleles": int(group["variant_allele"].shape[1]),
        "chunks": {"variants": rows, "samples": samples},
        "chunk_bytes": rows * samples * values * array.item_size,
        "codec": array.codec,
        "fast_path": array.fast,
        "slow_reason": array.slow_reason,
        "warnings": [
            *absent.warnings,
            *([budget] if budget else []),
            *view_notices(location, group, shown),
        ],
        "views": {
            name: _view(name, view, contents.many, contents.many_exact)
            for name, view in contents.views.items()
        },
        "requests": _requests(store),
    }


def _view(name: str, view: Any, many: int, exact: bool) -> dict[str, Any]:
    main = view.files[0] if view.files else None
    left_out = dict(view.left_out)
    if many and main is not None and not formats.get_format(name).MULTIALLELIC:
        others = "|".join(policy for policy in MULTIALLELIC_POLICIES if policy != "error")
        left_out[_MANY] = (
            f"{'' if exact else 'about '}{many:,}; a mount has this view only with "
            f"--multiallelic {others}"
        )
    return {
        "file": None if main is None else main.name,
        "size": None if main is None else main.size,
        "exact": main is None or main.exact,
        "reason": view.reason,
        "files": [dataclasses.asdict(file) for file in view.files],
        "columns": view.columns,
        "info": view.info,
        "format": view.format,
        "left_out": left_out,
    }


def _requests(store: Any) -> dict[str, Any] | None:
    """What a store at some distance was asked for; None where nobody has counted."""
    use = getattr(store, "use", None)
    return None if use is None else dataclasses.asdict(use)


def _lines(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    nulls = value["num_null_samples"]
    yield "store", f"{value['store']} (Zarr v{value['zarr_format']})"
    yield "samples", f"{value['num_samples']:,}" + (f" and {nulls:,} null ones" if nulls else "")
    yield "variants", f"{value['num_variants']:,}, up to {value['max_alleles']} alleles a site"
    yield from _site_lines(value)
    yield "ploidy", str(value["ploidy"])
    chunks = value["chunks"]
    yield (
        "chunks",
        f"{chunks['variants']:,} variants x {chunks['samples']:,} samples, "
        f"{format_size(value['chunk_bytes'])} decoded",
    )
    yield "codec", value["codec"]
    yield "fast path", "yes" if value["fast_path"] else f"no: {value['slow_reason']}"
    for name, view in value["views"].items():
        if view["file"] is None:
            yield "view", f"{name}: none, as {view['reason']}"
        else:
            yield "view", f"{name}: {', '.join(map(_file_text, view['files']))}"
            yield "", f"  of {_fields_text(view)}"
    yield from _left_out_lines(value["views"])
    if value["requests"] is not None:
        yield "requests", requests_text(value["requests"])
    for warning in value["warnings"]:
        yield "warning", warning


def _site_lines(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    sites = value["sites"]
    if value["max_alleles"] > 2:
        many = sites["more_than_two_alleles"]
        if sites["more_than_two_alleles_exact"]:
            text = f"{many:,} {_MANY}" if many != 1 else f"1 {_MANY.replace('sites', 'site')}"
        else:
            text = (
                f"about {many:,} {_MANY}, as the {sites['looked_at']:,} that were looked at tell; "
                "--full looks at all"
            )
        yield "", text
    contigs = value["contigs"]
    if sites["by_contig"] is None:
        more = f" and {len(contigs) - 8:,} more" if len(contigs) > 8 else ""
        yield "contigs", f"{', '.join(contigs[:8])}{more}; --full tells their numbers of sites"
        return
    found = [pair for pair in zip(contigs, sites["by_contig"], strict=True) if pair[1]]
    none = len(contigs) - len(found)
    yield "contigs", f"{len(found):,}" + (f", and {none:,} without sites" if none else "")
    for name, count in found[:_CONTIGS]:
        yield "", f"  {name}: {count:,}"
    if len(found) > _CONTIGS:
        rest = sum(count for _, count in found[_CONTIGS:])
        yield "", f"  {len(found) - _CONTIGS:,} more: {rest:,}"


def _file_text(file: dict[str, Any]) -> str:
    return f"{file['name']} {'' if file['exact'] else 'about '}{format_size(file['size'])}"


def _fields_text(view: dict[str, Any]) -> str:
    parts = list(view["columns"])
    if view["info"]:
        parts.append(f"INFO {_listed(view['info'])}")
    if view["format"]:
        parts.append(f"FORMAT {_listed(view['format'])}")
    return "; ".join(parts)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _FIELDS:,} more" if len(names) > _FIELDS else ""
    return ", ".join(names[:_FIELDS]) + more


def _left_out_lines(views: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is left out: a line for each reason, with all views that it is true of."""
    # By what, why: of which views.
    found: dict[tuple[str, str], list[str]] = {}
    for name, view in views.items():
        for what, why in view["left_out"].items():
            found.setdefault((what, why), []).append(name)
    together: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (what, why), names in found.items():
        together.setdefault((why, tuple(names)), []).append(what)
    for (why, views_of), fields in together.items():
        yield "left out", f"{', '.join(views_of)}: {_listed(fields)}: {why}"
