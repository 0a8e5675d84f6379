"""`biofuse info`."""

import dataclasses
import json

import click

from biofuse import signals
from biofuse.cli import options as o
from biofuse.cli.params import Command, Name
from biofuse.cli.status_text import requests_text
from biofuse.memory import budget_warning, default_budget, format_size

MULTIALLELIC_WARNING = (
    "the store has room for more than two alleles a site: sites that have them are left out "
    "with --multiallelic drop, without which a mount is refused"
)


@click.command("info", cls=Command, epilog="Example: biofuse info cohort.vcz")
@click.argument("store", type=Name())
@click.option("--json", "as_json", is_flag=True, help="Print JSON; sizes are in bytes.")
@o.missing_chunks_option
@o.store_options
def command(store, as_json, view, source):
    """Describe STORE: its shape, its encoding, and how large each view of it is."""
    signals.end_on_interrupt()
    value = describe_store(source.location(store), view.missing_chunks)
    if as_json:
        click.echo(json.dumps(value, indent=2))
        return
    for key, text in _lines(value):
        click.echo(f"{key:<12}{text}")


def describe_store(location, missing_chunks: str = "error") -> dict:
    """What `info` tells; sizes are in bytes. `missing_chunks` is as for a mount."""
    from biofuse.formats.base import CALL_FIELDS
    from biofuse.options import Selection
    from biofuse.plan.absent import AbsentChunks
    from biofuse.plan.checks import check_fields
    from biofuse.plan.fields import describe_field, main_field
    from biofuse.plan.selection import read_field
    from biofuse.plan.sizes import view_notices, view_sizes
    from biofuse.stores import open_store
    from biofuse.stores.located import located
    from biofuse.stores.location import open_group

    location = located(location)
    group = open_group(location)
    check_fields(location, group)
    absent = AbsentChunks(group, open_store(location), missing_chunks == "fill")
    absent.check_sites(Selection())
    absent.check_calls(CALL_FIELDS)
    main = main_field(group)
    assert main is not None
    genotypes = describe_field(group, "call_genotype")
    array = describe_field(group, main)
    sample_id = read_field(group, "sample_id")
    num_samples = int((sample_id != "").sum())
    variants = genotypes.shape[0]
    rows, samples, values = array.chunks
    warnings = [*absent.warnings]
    if group["variant_allele"].shape[1] > 2:
        warnings.append(MULTIALLELIC_WARNING)
    budget = budget_warning(array.decoding_need, default_budget())
    views = view_sizes(location, group, genotypes, missing_chunks)
    shown = [name for name, view in views.items() if view["file"] is not None]
    return {
        "store": location.path,
        "vcf_zarr_version": group.attrs.get("vcf_zarr_version"),
        "zarr_format": group.zarr_format,
        "num_samples": num_samples,
        "num_null_samples": len(sample_id) - num_samples,
        "num_variants": variants,
        "contigs": read_field(group, "contig_id").tolist(),
        "ploidy": genotypes.ploidy,
        "max_alleles": int(group["variant_allele"].shape[1]),
        "chunks": {"variants": rows, "samples": samples},
        "chunk_bytes": rows * samples * values * array.item_size,
        "codec": array.codec,
        "fast_path": array.fast,
        "slow_reason": array.slow_reason,
        "warnings": [
            *warnings,
            *([budget] if budget else []),
            *view_notices(location, group, shown),
        ],
        "views": views,
        "requests": _requests(open_store(location)),
    }


def _requests(store) -> dict | None:
    """What a store at some distance was asked for; None where nobody has counted."""
    use = getattr(store, "use", None)
    return None if use is None else dataclasses.asdict(use)


def _lines(value: dict):
    nulls = value["num_null_samples"]
    yield "store", f"{value['store']} (Zarr v{value['zarr_format']})"
    yield "samples", f"{value['num_samples']:,}" + (f" and {nulls:,} null ones" if nulls else "")
    yield "variants", f"{value['num_variants']:,}, up to {value['max_alleles']} alleles a site"
    contigs = value["contigs"]
    more = f" and {len(contigs) - 8} more" if len(contigs) > 8 else ""
    yield "contigs", ", ".join(contigs[:8]) + more
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
            about = "" if view["exact"] else "about "
            yield "view", f"{name}: {view['file']}, {about}{format_size(view['size'])}"
    if value["requests"] is not None:
        yield "requests", requests_text(value["requests"])
    for warning in value["warnings"]:
        yield "warning", warning
