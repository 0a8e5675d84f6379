"""Write a plan's directory."""

import os
import time
from array import array
from collections.abc import Callable
from contextlib import ExitStack

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.formats import get_format
from biofuse.genotypes.describe import describe
from biofuse.manifest import Plan, StaticFile, StreamedFile
from biofuse.memory import DEFAULT_BUDGET, format_size
from biofuse.options import ViewOptions
from biofuse.plan.cache import write_dependencies
from biofuse.plan.selection import read_field, resolve
from biofuse.plan.variants import VariantPass
from biofuse.stores import Location, open_store
from biofuse.stores.location import zarr_group

_REQUIRED = ("variant_position", "variant_contig", "variant_allele", "contig_id", "sample_id")


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
    genotypes = describe(group["call_genotype"])
    watched = _watched(location, genotypes)
    store = open_store(location)
    signature = store.signature(watched)
    if location.is_local:
        _write_dependencies(location, group, options, directory)
    resolved = resolve(location, group, options.selection, progress)
    sample_id = read_field(group, "sample_id")
    names = (sample_id if resolved.samples is None else sample_id[resolved.samples]).tolist()
    if not names:
        raise BiofuseError(f"{location.path} has no samples to show")
    formats = [get_format(name) for name in options.formats]
    layouts = [f.layout(len(names), genotypes.ploidy) for f in formats]

    variant_pass = VariantPass(
        group, store, resolved, options.multiallelic, options.variant_id_template, progress
    )
    chunk_rows = genotypes.chunks[0]
    chunk_starts = array("Q")
    last_chunk = -1
    count = 0
    static = []
    with ExitStack() as stack:
        create = lambda name: stack.enter_context(open(os.path.join(directory, name), "wb"))  # noqa: E731
        index_file = create("variants.u32")
        writers = []
        for i, f in enumerate(formats):
            for writer in f.sidecars(options.format_options):
                path = f"{i}{writer.suffix}"
                out = create(path)
                writer.write_samples(out, names)
                writers.append((writer, out, path))
        for batch in variant_pass.batches():
            index_file.write(batch.index.tobytes())
            chunk_of = batch.index // chunk_rows
            begins = np.flatnonzero(np.diff(chunk_of, prepend=np.int64(last_chunk)) != 0)
            chunk_starts.extend((begins + count).tolist())
            if len(chunk_of):
                last_chunk = int(chunk_of[-1])
            count += len(batch.index)
            for writer, out, _ in writers:
                writer.write_variants(out, batch.variants)
    for writer, _, path in writers:
        size = os.path.getsize(os.path.join(directory, path))
        static.append(StaticFile(options.stem + writer.suffix, path, size))
    everything = count == genotypes.shape[0]
    if everything:
        os.unlink(os.path.join(directory, "variants.u32"))
    _write(directory, "chunks.u64", chunk_starts.tobytes())
    if resolved.samples is not None:
        _write(directory, "samples.u32", resolved.samples.astype(np.uint32).tobytes())
    streamed = []
    for i, (f, layout) in enumerate(zip(formats, layouts, strict=True)):
        _write(directory, f"{i}.header", layout.header)
        streamed.append(
            StreamedFile(
                name=options.stem + f.SUFFIX,
                format=f.NAME,
                header=f"{i}.header",
                header_size=len(layout.header),
                size=len(layout.header) + count * layout.record_size,
                records=count,
                max_record=layout.record_size,
                record_size=layout.record_size,
                params=layout.params,
            )
        )
    warnings = [
        *resolved.warnings,
        *store_warnings(location, group["call_genotype"], genotypes),
    ]
    if count == 0:
        warnings.append("the view has no variants: the selection leaves none")
    if variant_pass.dropped:
        warnings.append(f"{variant_pass.dropped} sites of more than two alleles are left out")
    plan = Plan(
        stem=options.stem,
        store=options.store,
        genotypes=genotypes.to_json(),
        num_samples=len(names),
        num_variants=count,
        modified_ns=_modified_ns(location, genotypes),
        static=static,
        streamed=streamed,
        chunk_starts="chunks.u64",
        variants=None if everything else "variants.u32",
        samples=None if resolved.samples is None else "samples.u32",
        slow=not genotypes.fast,
        watched=watched,
        signature=signature,
        warnings=warnings,
    )
    plan.write(directory)
    return plan


def _write(directory: str, name: str, data: bytes) -> None:
    with open(os.path.join(directory, name), "wb") as f:
        f.write(data)


def check_fields(location: Location, group) -> None:
    """Raise `BiofuseError` if a store lacks a field that every view needs."""
    if "call_genotype" not in group:
        what = (
            "it has sites only, no genotypes (call_genotype)"
            if "variant_position" in group
            else "it has neither call_genotype nor variant_position"
        )
        raise BiofuseError(f"{location.path} cannot be shown: {what}")
    for name in _REQUIRED:
        if name not in group:
            raise BiofuseError(f"{location.path} is not a VCF Zarr store: it has no {name}")
    if group["call_genotype"].ndim != 3:
        raise BiofuseError(
            f"{location.path} is damaged: call_genotype has {group['call_genotype'].ndim} "
            "dimensions, not variants, samples and ploidy"
        )
    variants, samples = group["call_genotype"].shape[:2]
    for name, size in (
        ("variant_position", variants),
        ("variant_contig", variants),
        ("variant_allele", variants),
        ("variant_id", variants),
        ("sample_id", samples),
    ):
        if name in group and group[name].shape[0] != size:
            raise BiofuseError(
                f"{location.path} is damaged: {name} has {group[name].shape[0]} entries where "
                f"call_genotype has {size}"
            )


def store_warnings(location: Location, array, genotypes) -> list[str]:
    """What a user should know of a store's genotypes before relying on a view of them."""
    warnings = []
    expected = array.nchunks
    # One object holds many chunks where there are shards.
    if location.is_local and os.path.isdir(location.path) and not genotypes.sharded:
        stored = _count_chunks(os.path.join(location.path, genotypes.path))
        if stored < expected:
            shown = {0: "REF", -1: "missing"}.get(genotypes.fill, f"allele {genotypes.fill}")
            warnings.append(
                f"{expected - stored} of {expected} chunks of call_genotype are not stored and "
                f"are shown as {shown}: right if zarr left them out, wrong if a copy lost them"
            )
    size = genotypes.chunks[0] * genotypes.chunks[1] * genotypes.chunks[2]
    size *= array.dtype.itemsize
    if not genotypes.fast and size > DEFAULT_BUDGET:
        warnings.append(
            f"{genotypes.slow_reason}, so whole chunks are decoded, {format_size(size)} each: "
            "reading takes at least as much memory, beyond --memory"
        )
    return warnings


def _count_chunks(path: str) -> int:
    """Chunk files below an array's folder."""
    count = 0
    for entry in os.scandir(path):
        if entry.is_dir():
            count += _count_chunks(entry.path)
        elif entry.name[0] not in ".z" and not entry.name.startswith("__"):
            count += 1
    return count


def _watched(location: Location, genotypes) -> list[str]:
    if not location.is_local or not os.path.isdir(location.path):
        return [genotypes.path]
    names = (".zarray", "zarr.json", "c")
    found = [f"{genotypes.path}/{name}" for name in names]
    return [genotypes.path] + [
        key for key in found if os.path.exists(os.path.join(location.path, key))
    ]


def _write_dependencies(location: Location, group, options: ViewOptions, directory: str) -> None:
    """Record the arrays that the plan is made from: all of them if an expression decides."""
    deep = [*_REQUIRED, "variant_id", "variant_length", "region_index"]
    if options.selection.has_expression:
        deep = list(group.array_keys())
    deep = [name for name in deep if name in group]
    write_dependencies(directory, location.path, ["call_genotype"], sorted(deep))


def _modified_ns(location: Location, genotypes) -> int:
    if not location.is_local:
        return time.time_ns()
    path = location.path
    if os.path.isdir(path):
        path = os.path.join(path, genotypes.path)
    return os.stat(path).st_mtime_ns
