"""Write a plan's directory."""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache, partial
from itertools import count
from typing import Any

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.formats.base import CALL_FIELDS, GENOTYPES, Subject
from biofuse.manifest import Plan
from biofuse.open_files import check_open_files
from biofuse.options import ViewOptions
from biofuse.plan.absent import AbsentChunks
from biofuse.plan.cache import write_dependencies
from biofuse.plan.call_fields import CallFields
from biofuse.plan.checks import REQUIRED, check_fields
from biofuse.plan.declared import check_decoding
from biofuse.plan.far_fingerprint import FarFingerprint
from biofuse.plan.fields import call_shapes, describe_field, main_field
from biofuse.plan.files import PINS, SAMPLES, ViewFiles
from biofuse.plan.filesets import Filesets
from biofuse.plan.findings import CallFindings
from biofuse.plan.fingerprint import Fingerprint
from biofuse.plan.hints import SITES, hint_calls, hint_names, hint_sites
from biofuse.plan.pack import Pack
from biofuse.plan.preview import Preview
from biofuse.plan.record_table import RecordTables, write_file
from biofuse.plan.room import Room
from biofuse.plan.sample_table import read_sample_table
from biofuse.plan.saved import SavedFindings, check_saved
from biofuse.plan.selection import NO_SAMPLES, resolve
from biofuse.plan.sites import SiteReader, need_sites, no_info, read_sites, site_fields
from biofuse.plan.variants import Batch, VariantPass
from biofuse.plan.views import LeftOut, open_view
from biofuse.stores import Location, Store, open_store
from biofuse.stores.icechunk import pinned
from biofuse.stores.located import located
from biofuse.stores.location import open_group
from biofuse.stores.members import Members


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
    began_ns = time.time_ns()
    location = pinned(located(Location.planned(options.store, options.secrets)))
    group = open_group(location)
    check_fields(location, group)
    genotypes = describe_field(group, GENOTYPES)
    store = open_store(location)
    saved = getattr(store, "saved", None)
    as_of_ns = None if location.is_local else began_ns
    if saved is not None:
        check_saved(location, store)
        as_of_ns = int(saved.about["made"] * 1e9)
    by_region = bool(options.selection.regions or options.selection.regions_file)
    by_target = bool(options.selection.targets or options.selection.targets_file)
    more = site_fields(group) if need_sites(options) else []
    hint_names(group, store, by_region or by_target)
    if not by_region and not by_target:
        hint_sites(group, store, [(0, genotypes.shape[0])], (*SITES, *more))
    fingerprint = _fingerprint(location, group, options, more)
    absent = AbsentChunks(group, store, options.missing_chunks == "fill")
    absent.check_sites(options.selection)
    resolved = resolve(location, group, store, options.selection, progress, absent.fails)
    names = resolved.names
    if not names:
        raise BiofuseError(
            f"{location.path} has no samples to show"
            if options.selection.is_everything
            else NO_SAMPLES
        )
    if by_region or by_target:
        hint_sites(group, store, resolved.runs(), (*SITES, *more))
    if saved is None and (resolved.variants is None or len(resolved.variants)):
        count = genotypes.shape[0] if resolved.variants is None else len(resolved.variants)
        hint_calls(group, store, resolved.variants, resolved.samples, count)
    call_fields = CallFields(
        location,
        group,
        store,
        resolved,
        (lambda paths: None) if fingerprint is None else fingerprint.add_arrays,
        (lambda keys: None) if fingerprint is None else fingerprint.add_files,
    )
    table, said = None, list[str]()
    if options.samples_table is not None:
        has_fam = "plink" in options.formats
        table, said = read_sample_table(options.samples_table, options.pheno_names, names, has_fam)
        if table.phenotypes and options.format_options.get("bgen", {}).get("no_phenotypes"):
            said.append("the .sample has no phenotypes, since SAIGE takes its four columns only")
    subject = Subject(
        names,
        genotypes.ploidy,
        call_shapes(group),
        cache(partial(read_sites, group, options.contig_names)),
        call_fields.read,
        table,
    )
    left_out = LeftOut(options)
    tables = RecordTables(directory, options)
    views = _begin_views(options, group, subject, directory, tables, left_out, call_fields)
    fields = {name for each in views for name in each.view.fields}
    watched = _watched(location, group, fields)
    signature = _signature(location, group, store, watched)

    odd = {}
    wanting = [each.view for each in views if each.view.needs_sites]
    if wanting:
        absent.check_shown(more)
        odd = no_info(group)
    whole = SiteReader(group, store) if any(map(tables.shows_whole, wanting)) else None
    split = SiteReader(group, store) if not all(map(tables.shows_whole, wanting)) else None
    variant_pass = VariantPass(group, store, resolved, options, progress, whole, split)
    room = Room(directory)
    for batch in variant_pass.batches():
        views = [each for each in views if _add(each, batch, left_out)]
        tables.add(batch)
        index = batch.whole.index
        room.check(int(index[-1]) + 1 if len(index) else 0, genotypes.shape[0])
    files = [files for each in views for files in each.files]
    if not files:
        raise BiofuseError("there are no files: the view has no variants, and so no contigs")
    arrays = {GENOTYPES: genotypes}
    for each in views:
        arrays.update(each.view.fields)
    runs = absent.check_calls(arrays)
    arrays = {
        name: replace(array, absent=runs.get(name), shows_fill=not absent.fails(name))
        for name, array in arrays.items()
    }
    check_decoding(list(arrays.values()))
    tables.finish(genotypes.shape[0])
    pack = Pack(directory)
    streamed = [each.streamed() for each in files]
    if resolved.samples is not None:
        write_file(directory, SAMPLES, resolved.samples.astype(np.uint32).tobytes())
    plan = Plan(
        stem=options.stem,
        store={**location.public(), "plan": None},
        fields={name: array.to_json() for name, array in arrays.items()},
        num_samples=len(names),
        num_variants=tables.whole.count,
        modified_ns=_modified_ns(location, group, options, as_of_ns or began_ns),
        as_of_ns=as_of_ns,
        static=[],
        streamed=streamed,
        samples=None if resolved.samples is None else SAMPLES,
        pins=_write_pins(directory, store),
        decoded_chunk=max(array.decoding_need for array in arrays.values()),
        wide=group["variant_allele"].shape[1] > 2,
        watched=watched,
        signature=signature,
        warnings=[
            *resolved.warnings,
            *said,
            *variant_pass.warnings(),
            *absent.warnings,
            *(f"{name} is not in INFO: {why}" for name, why in odd.items()),
            *left_out.warnings(),
        ],
        left_out=left_out.reasons,
        packed=pack.parts,
        contigs={contig: stem for each in views for contig, stem in each.contigs.items()},
    )
    if plan.num_variants == 0:
        why = "the store has none" if not genotypes.shape[0] else "the selection leaves none"
        plan.warnings.append(f"the view has no variants: {why}")
    plan.warnings.extend(variant_pass.notes())
    look_at = (lambda keys: None) if fingerprint is None else fingerprint.add_files
    findings: CallFindings | SavedFindings
    if saved is not None:
        findings = SavedFindings(saved.about)
    else:
        findings = CallFindings(
            location,
            group,
            None if tables.whole.written.variants is None else tables.whole.mapped(),
            None if resolved.samples is None else resolved.samples.tolist(),
            variant_pass.contig_starts,
            look_at,
        )
    if options.name_template is not None:
        own = [[each.header, each.offsets, each.heads] for each in streamed]
        pack.add(dict.fromkeys(name for names in own for name in names if name is not None))
    plan = _look_into(plan, directory, files, findings, look_at, pack)
    if fingerprint is not None:
        write_dependencies(directory, fingerprint)
    else:
        # Nobody could tell whether it still holds.
        plan = replace(plan, lasting=False)
    plan.write(directory)
    return plan


def _begin_views(
    options: ViewOptions,
    group,
    subject: Subject,
    directory: str,
    tables: RecordTables,
    left_out: LeftOut,
    call_fields: CallFields,
) -> list[Filesets]:
    """The files of every view that is possible, begun."""
    numbers = count()

    def begin(name: str) -> Filesets:
        chosen = options.format_options.get(name, {})
        view = open_view(name, group, subject, chosen, call_fields)
        return Filesets(directory, options, numbers, view, subject, tables.of(view))

    found = [left_out.attempt(name, partial(begin, name)) for name in options.formats]
    return [view for view in found if view is not None]


def _add(filesets: Filesets, batch: Batch, left_out: LeftOut) -> bool:
    """Add variants to the files of a view, or give the view up. Returns whether it still is."""

    def add() -> bool:
        try:
            filesets.add(batch)
        except BiofuseError:
            filesets.abandon()
            raise
        return True

    return bool(left_out.attempt(filesets.view.format.NAME, add))


def _look_into(
    plan: Plan,
    directory: str,
    files: list[ViewFiles],
    findings: CallFindings | SavedFindings,
    look_at: Callable[[Iterable[str]], None],
    pack: Pack,
) -> Plan:
    """Complete a plan with what takes a look at calls."""
    check_open_files(len(plan.on_disk(plan.table_names())))
    preview = Preview(plan, directory, look_at)
    said: dict[str, list[str]] = {}
    for i, each in enumerate(files):
        found = each.finish(plan, i, preview)
        plan.static.extend(found)
        if plan.contigs:
            shared = each.of_samples.values()
            pack.add(file.path for file in found if file.path not in shared)
        name = each.view.format.NAME
        if name not in said:
            said[name] = each.view.format.notices(each.view.options, findings)
    pack.close()
    check_open_files(len(plan.on_disk(plan.file_names())))
    plan.notices.update({name: lines for name, lines in said.items() if lines})
    for text in dict.fromkeys(str(error) for error in preview.errors):
        plan.warnings.append(
            f"there are calls that cannot be shown, and reads of them fail: {text}"
        )
    if not preview.errors and findings.errors:
        plan.warnings.append(f"not all calls can be looked at: {findings.errors[0]}")
    return replace(plan, lasting=not preview.errors and not findings.errors)


def _write_pins(directory: str, store: Store) -> str | None:
    """Write the versions of objects that a store's listings told, if it has any."""
    pins = getattr(store, "pins", None)
    if not pins:
        return None
    write_file(directory, PINS, pins.to_bytes())
    return PINS


def _signature(location: Location, group: Members, store: Store, watched: list[str]) -> str | None:
    """`Store.signature` of these keys when they were read."""
    if location.engine == "obstore":
        files: Any = group.files
        root: str | None = files.root_signature
        return store.signature(watched) if location.is_zip else root
    return store.signature(watched)


def _watched(location: Location, group: Members, fields: Iterable[str]) -> list[str]:
    """Keys of the folders of fields, and of their metadata; or of what tells of all."""
    if location.engine == "obstore":
        files: Any = group.files
        return list(files.root_keys)
    watched = []
    for field in fields:
        watched.append(field)
        if location.is_local and os.path.isdir(location.path):
            found = [f"{field}/{name}" for name in (".zarray", "zarr.json", "c")]
            watched += [k for k in found if os.path.exists(os.path.join(location.path, k))]
    return watched


def _fingerprint(
    location: Location, group, options: ViewOptions, more: list[str]
) -> Fingerprint | FarFingerprint | None:
    """The arrays that the plan is made from, these too; all if an expression decides."""
    if location.engine not in (None, "obstore"):
        return None
    deep = [*REQUIRED, "variant_id", "variant_length", "variant_END", "region_index", *more]
    if options.selection.has_expression:
        deep = list(group.array_keys())
    # A chunk of these is no file of its own.
    deep += [name for name in CALL_FIELDS if name in group and group[name].shards is not None]
    if location.plan is not None:
        deep = []
    if location.engine == "obstore":
        return FarFingerprint(location, group, [*CALL_FIELDS, *deep])
    return Fingerprint(
        location.path, CALL_FIELDS, sorted({name for name in deep if name in more or name in group})
    )


def _modified_ns(location: Location, group, options: ViewOptions, now: int) -> int:
    """Time stamp of the files: the store's, or if they show a part of it the present.

    So make and its like see that another view than the last one is mounted, and the same
    view, whose plan is kept, has the same time again.
    """
    if not location.is_local or not options.is_plain:
        return now
    path = location.path
    if os.path.isdir(path):
        path = os.path.join(path, main_field(group) or "")
    return os.stat(path).st_mtime_ns
