"""Write a plan's directory."""

import os
import time
from collections.abc import Callable, Iterable

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.formats.base import GENOTYPES, PHASED, Subject
from biofuse.genotypes.describe import describe
from biofuse.manifest import Plan
from biofuse.options import ViewOptions
from biofuse.plan.cache import write_dependencies
from biofuse.plan.checks import REQUIRED, check_fields, store_warnings
from biofuse.plan.files import (
    CHUNK_STARTS,
    SAMPLES,
    VARIANTS,
    VariantIndex,
    ViewFiles,
    open_views,
    write_file,
)
from biofuse.plan.preview import Preview
from biofuse.plan.selection import read_field, resolve
from biofuse.plan.variants import VariantPass
from biofuse.stores import Location, open_store
from biofuse.stores.location import zarr_group

# Fields that records may be made from.
CALL_FIELDS = (GENOTYPES, PHASED, "call_GP", "call_DS")

PHASED_WARNING = (
    "the .bgen has phased variants, which REGENIE and SAIGE do not take: give --unphased for those"
)


def build_plan(options: ViewOptions, directory: str, progress: Callable[[int, int], None]) -> Plan:
    """Make the plan of a view and write it to a directory.

    Parameters
    ----------
    options : ViewOptions
    directory : str
        Existing and empty.
    progress : callable
        Called with the variants read so far and their number.

    Raises
    ------
    BiofuseError
        If the store cannot be shown as asked.
    """
    location = Location(**options.store)
    group = zarr_group(location)
    check_fields(location, group)
    genotypes = describe(group[GENOTYPES])
    store = open_store(location)
    if location.is_local:
        _write_dependencies(location, group, options, directory)
    resolved = resolve(location, group, options.selection, progress)
    sample_id = read_field(group, "sample_id")
    names = (sample_id if resolved.samples is None else sample_id[resolved.samples]).tolist()
    if not names:
        raise BiofuseError(f"{location.path} has no samples to show")
    shapes = {name: group[name].shape for name in CALL_FIELDS if name in group}
    subject = Subject(names, genotypes.ploidy, shapes, options.format_options)
    views, left_out = open_views(options, subject)
    fields = {GENOTYPES: genotypes}
    for name in {name for view in views for name in view.layout.fields} - fields.keys():
        fields[name] = describe(group[name], values=name not in (GENOTYPES, PHASED))
    watched = _watched(location, fields)
    signature = store.signature(watched)

    variant_pass = VariantPass(
        group, store, resolved, options.multiallelic, options.variant_id_template, progress
    )
    index = VariantIndex(directory, genotypes.chunks[0])
    files = [ViewFiles(directory, options.stem, i, view, subject) for i, view in enumerate(views)]
    for batch in variant_pass.batches():
        index.add(batch.index)
        for each in files:
            each.add(batch.variants)
    everything = index.finish(genotypes.shape[0])
    if resolved.samples is not None:
        write_file(directory, SAMPLES, resolved.samples.astype(np.uint32).tobytes())
    plan = Plan(
        stem=options.stem,
        store=options.store,
        fields={name: array.to_json() for name, array in fields.items()},
        num_samples=len(names),
        num_variants=index.count,
        modified_ns=_modified_ns(location, genotypes),
        static=[],
        streamed=[each.streamed() for each in files],
        chunk_starts=CHUNK_STARTS,
        variants=None if everything else VARIANTS,
        samples=None if resolved.samples is None else SAMPLES,
        decoded_chunk=max(array.decoding_need for array in fields.values()),
        wide=group["variant_allele"].shape[1] > 2,
        watched=watched,
        signature=signature,
        warnings=[
            *resolved.warnings,
            *store_warnings(location, group[GENOTYPES], genotypes),
            *left_out,
        ],
    )
    preview = Preview(plan, directory)
    for i, each in enumerate(files):
        plan.static.extend(each.finish(plan, i, preview))
    if index.count == 0:
        why = "the store has none" if not genotypes.shape[0] else "the selection leaves none"
        plan.warnings.append(f"the view has no variants: {why}")
    if variant_pass.dropped:
        plan.warnings.append(f"{variant_pass.dropped} sites of more than two alleles are left out")
    if preview.has_phased():
        plan.warnings.append(PHASED_WARNING)
    plan.write(directory)
    return plan


def _watched(location: Location, fields: Iterable[str]) -> list[str]:
    """Keys of the folders of fields, and of their metadata."""
    watched = []
    for field in fields:
        watched.append(field)
        if location.is_local and os.path.isdir(location.path):
            found = [f"{field}/{name}" for name in (".zarray", "zarr.json", "c")]
            watched += [k for k in found if os.path.exists(os.path.join(location.path, k))]
    return watched


def _write_dependencies(location: Location, group, options: ViewOptions, directory: str) -> None:
    """Record the arrays that the plan is made from: all of them if an expression decides."""
    deep = [*REQUIRED, "variant_id", "variant_length", "region_index"]
    if options.selection.has_expression:
        deep = list(group.array_keys())
    deep = [name for name in deep if name in group]
    shallow = [name for name in CALL_FIELDS if name in group]
    write_dependencies(directory, location.path, shallow, sorted(deep))


def _modified_ns(location: Location, genotypes) -> int:
    if not location.is_local:
        return time.time_ns()
    path = location.path
    if os.path.isdir(path):
        path = os.path.join(path, genotypes.path)
    return os.stat(path).st_mtime_ns
