"""What options come to, of a command or a function: the store, the view, how to serve it."""

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from biofuse import formats
from biofuse.allocators import find_allocator
from biofuse.api.presets import (
    check_preset,
    find_preset,
    option_words,
    preset_line,
    with_preset,
)
from biofuse.errors import BiofuseError
from biofuse.memory import default_budget
from biofuse.options import NamedFile, Selection, ViewOptions
from biofuse.plan.cache import PlanCache, default_cache_dir
from biofuse.serve.config import ServeConfig
from biofuse.stores.location import Location, open_saved, store_stem
from biofuse.stores.secrets import describe
from biofuse.table_files import read_genetic_map, read_table

MAX_THREADS = 64
_LOCAL_THREADS = 4
_REMOTE_THREADS = 8
_LOCAL_TIMEOUT = 30.0
_REMOTE_TIMEOUT = 120.0
CHUNK_CACHE_SIZE = 10 << 30
# Bytes of a file's name, of which the longest suffix takes some.
_MAX_NAME = 255
# Names of files for each contig.
_BY_CONTIG = "{stem}_{contig}"
# As a template for missing IDs: they stay as plink2 writes them.
NO_TEMPLATE = "."

# Files that show what is known of samples, and genetic positions.
_SHOW_SAMPLES = (".fam", ".psam", ".sample")
_SHOW_CM = (".bim", ".pvar")

# By format, those of its options that differ from the default.
FormatOptions = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class StoreOptions:
    """How to reach a store.

    Attributes
    ----------
    backend_storage : str or None
    storage_options : tuple of str
        KEY=VALUE.
    plan : str or None
        What `biofuse plan` has made of the store.
    """

    backend_storage: str | None = None
    storage_options: tuple[str, ...] = ()
    plan: str | None = None

    def location(self, store: str) -> Location:
        """The store's location, checked as far as it can be without opening it."""
        options = parse_storage_options(self.storage_options)
        plan = self.plan
        if plan is not None and not Location(plan).is_url:
            plan = os.path.abspath(plan)
        location = Location.typed(store, self.backend_storage, options, plan).absolute()
        location.check()
        return location


@dataclass(frozen=True)
class ViewChoices:
    """What of a store is shown, apart from the selection.

    Attributes
    ----------
    format_names : tuple of str
        Formats that are named; empty for all that can show the store.
    basename : str or None
    multiallelic : str
    variant_id_template : str or None
        `NO_TEMPLATE` for none, whatever a preset says.
    contig_names, missing_chunks : str
    per_contig : bool
        Whether there is a fileset for each contig.
    name_template : str or None
        The names of these files, with {stem} and {contig}; if given they are.
    preset : str or None
        The program that files are for.
    samples_table : NamedFile or None
    pheno_names : tuple of str
        Phenotypes of that to show.
    genetic_map : tuple of NamedFile
    """

    format_names: tuple[str, ...] = ()
    basename: str | None = None
    multiallelic: str = "error"
    variant_id_template: str | None = None
    contig_names: str = "plink2"
    missing_chunks: str = "error"
    per_contig: bool = False
    name_template: str | None = None
    preset: str | None = None
    samples_table: NamedFile | None = None
    pheno_names: tuple[str, ...] = ()
    genetic_map: tuple[NamedFile, ...] = ()

    @property
    def is_per_contig(self) -> bool:
        """Whether there is a fileset for each contig."""
        return self.per_contig or self.name_template is not None


def view_choices(
    *,
    samples_table: str | None = None,
    pheno_name: str | None = None,
    genetic_map: str | None = None,
    **choices: Any,
) -> ViewChoices:
    """What is shown, with what the files say that are named.

    Parameters
    ----------
    samples_table, genetic_map : str, optional
        Files.
    pheno_name : str, optional
        Names of phenotypes, joined by commas.
    **choices
        The other fields of `ViewChoices`.

    Raises
    ------
    BiofuseError
        If a file cannot be read.
    """
    if samples_table is not None:
        _check_shown("--samples-table", _SHOW_SAMPLES, choices)
    if genetic_map is not None:
        _check_shown("--genetic-map", _SHOW_CM, choices)
    names = [] if pheno_name is None else pheno_name.split(",")
    if "" in names:
        raise BiofuseError(f"--pheno-name {pheno_name!r} has an empty name in it")
    return ViewChoices(
        **choices,
        samples_table=None
        if samples_table is None
        else read_table(samples_table, "--samples-table"),
        pheno_names=tuple(dict.fromkeys(names)),
        genetic_map=() if genetic_map is None else tuple(read_genetic_map(genetic_map)),
    )


def _check_shown(flag: str, suffixes: Sequence[str], choices: dict[str, Any]) -> None:
    """Raise `BiofuseError` if formats are named, and none has a file that an option is for."""
    names = choices.get("format_names") or formats.NAMES
    shown = [file.suffix for name in names for file in formats.get_format(name).FILES]
    if not any(suffix in suffixes for suffix in shown):
        raise BiofuseError(
            f"{flag} is for {', '.join(suffixes[:-1])} and {suffixes[-1]}, which no format to show "
            "has: leave it out, or add a format that does"
        )


@dataclass(frozen=True)
class ServingOptions:
    """How a mount is served; as `--help` says."""

    memory: int | None = None
    allocator: str = "system"
    trim: bool = True
    threads: int | None = None
    readahead_workers: int | None = None
    readahead_buffer_size: int | None = None
    idle_timeout: float = 10.0
    timeout: float | None = None
    read_ahead_kb: int = 1024
    direct_io: tuple[str, ...] = ()
    metrics: str | None = None
    allow_other: bool = False
    auto_unmount: bool = False

    @property
    def budget(self) -> int:
        """Bytes that a mount may take."""
        return default_budget() if self.memory is None else self.memory

    def num_threads(self, is_local: bool) -> int:
        """Threads of the worker.

        For a local store they compute, and more than there are cores bring nothing. Where each
        read takes its time they mostly wait.
        """
        if self.threads is not None:
            return self.threads
        cores = len(os.sched_getaffinity(0))
        wanted = self.readahead_workers
        if wanted is not None:
            return max(1, min(wanted, cores if is_local else MAX_THREADS))
        return min(_LOCAL_THREADS, cores) if is_local else _REMOTE_THREADS

    def seconds_to_answer(self, is_local: bool) -> float:
        """Seconds in which a store must answer."""
        if self.timeout is not None:
            return self.timeout
        return _LOCAL_TIMEOUT if is_local else _REMOTE_TIMEOUT


@dataclass(frozen=True)
class CacheOptions:
    """Where plans, and chunks of stores that are not local, are kept between mounts."""

    cache_dir: str | None
    no_cache: bool
    chunk_cache: str | None = None
    chunk_cache_size: int | None = None

    def open(self) -> PlanCache | None:
        """The cache of plans; None if none is to be used, or there is no place for one."""
        directory = self.cache_dir or default_cache_dir()
        if directory is None or self.no_cache:
            return None
        return PlanCache(os.path.abspath(directory))


@dataclass(frozen=True)
class LogOptions:
    """What is logged, and where."""

    log_level: str
    log_file: str | None
    access_log: str | None


def parse_storage_options(pairs: tuple[str, ...]) -> dict[str, Any]:
    """The options of a backend from KEY=VALUE pairs."""
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BiofuseError(f"--storage-option {pair!r} is not of the form KEY=VALUE")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options


def option_key(format_name: str, name: str) -> str:
    """Name of the parameter for an option of a format."""
    return f"{format_name}__{name}"


def format_options(**values: Any) -> FormatOptions:
    """The options of formats that differ from the default, from parameters by `option_key`."""
    found: FormatOptions = {}
    for key, value in values.items():
        format_name, _, name = key.partition("__")
        fields = formats.get_format(format_name).Options.__dataclass_fields__
        default = fields[name].default
        if isinstance(default, int) and isinstance(value, str):
            value = int(value)
        if value != default:
            found.setdefault(format_name, {})[name] = value
    return found


def _formats(
    names: Sequence[str],
    used: Sequence[str],
    options: FormatOptions,
    default: Sequence[str] = formats.BY_DEFAULT,
) -> tuple[list[str], list[str]]:
    """Formats to show, and those of them that must be there.

    Those are the ones that are named, or that are used, or that an option is for. Where none
    is named, those by default are shown too.

    Raises
    ------
    BiofuseError
        If an option is for a format that is not to be shown.
    """
    if names:
        chosen = list(dict.fromkeys(names))
        for format_name, given in options.items():
            if format_name not in chosen:
                flag = option_words(format_name, *next(iter(given.items())))[0]
                raise BiofuseError(
                    f"{flag} is for --format {format_name}, which is not among the formats to "
                    "show: add the one or leave out the other"
                )
        return chosen, chosen
    asked = {*used, *options}
    shown = [name for name in formats.NAMES if name in asked or name in default]
    return shown, [name for name in shown if name in asked]


def view_options(
    location: Location,
    view: ViewChoices,
    selection: Selection,
    options: FormatOptions,
    used: Sequence[str] = (),
) -> ViewOptions:
    """The view that a command is asked for.

    Parameters
    ----------
    location : Location
    view : ViewChoices
    selection : Selection
    options : dict of str to dict
        By format.
    used : sequence of str
        Formats that the command is known to use files of.

    Raises
    ------
    BiofuseError
        If options contradict each other, or what the program needs that they are for.
    """
    if view.preset is not None:
        check_preset(view.preset, view.format_names, used, options)
    if location.plan is not None:
        view, selection, saved = _as_saved(location, view, selection, options)
        options = options if view.preset is not None else saved
    stem = view.basename or store_stem(location.path)
    by_default = find_preset(view.preset).formats if view.preset else formats.BY_DEFAULT
    chosen, required = _formats(view.format_names, used, options, by_default)
    _check_stem(stem, chosen)
    template = None
    if view.is_per_contig:
        template = view.name_template or _BY_CONTIG
        _check_template(template)
    view, options, notes = _with_preset(view, chosen, options)
    if view.pheno_names and view.samples_table is None:
        raise BiofuseError("--pheno-name is for --samples-table, the table that has it")
    return ViewOptions(
        store=location.public(),
        stem=stem,
        formats=chosen,
        required=required,
        selection=selection,
        multiallelic=view.multiallelic,
        variant_id_template=view.variant_id_template,
        contig_names=view.contig_names,
        missing_chunks=view.missing_chunks,
        name_template=template,
        samples_table=view.samples_table,
        pheno_names=list(view.pheno_names),
        genetic_map=list(view.genetic_map),
        format_options=options,
        secrets=location.secrets,
        notes=notes,
    )


def _with_preset(
    view: ViewChoices, chosen: Sequence[str], options: FormatOptions
) -> tuple[ViewChoices, FormatOptions, tuple[str, ...]]:
    """What is asked for, where it leaves something open as a preset has it; and what that set."""
    template = view.variant_id_template
    notes: tuple[str, ...] = ()
    if view.preset is not None:
        options, words = with_preset(view.preset, chosen, options)
        wanted = find_preset(view.preset).variant_id_template
        if template is None and wanted is not None:
            template = wanted
            words += ["--variant-id-template", wanted]
        shown = () if view.format_names else chosen
        notes = (preset_line(view.preset, shown, words),)
    if template == NO_TEMPLATE:
        template = None
    return dataclasses.replace(view, variant_id_template=template), options, notes


def _as_saved(
    location: Location, view: ViewChoices, selection: Selection, options: FormatOptions
) -> tuple[ViewChoices, Selection, FormatOptions]:
    """What is asked for, or where that is nothing what the plan in a file was made with.

    Raises
    ------
    BiofuseError
        If something is selected, of a plan of a selection.
    """
    saved = ViewOptions.from_json(json.dumps(open_saved(location).saved.about["options"]))
    if selection.is_everything:
        selection = saved.selection
    elif not saved.selection.is_everything:
        raise BiofuseError(
            f"the plan {location.plan} is of a selection, and no other can be made of it: make one "
            "of the whole store with 'biofuse plan'"
        )
    names = [
        *("multiallelic", "variant_id_template", "contig_names", "missing_chunks"),
        *("samples_table", "genetic_map"),
        # Which are of one table, not of another.
        *(("pheno_names",) if view.samples_table is None else ()),
    ]
    default = ViewChoices()
    unset = [name for name in names if getattr(view, name) == getattr(default, name)]
    found = {name: getattr(saved, name) for name in unset}
    found = {name: tuple(v) if isinstance(v, list) else v for name, v in found.items()}
    view = dataclasses.replace(view, **found)
    return view, selection, options or saved.format_options


def _check_template(template: str) -> None:
    """Raise `BiofuseError` if files of contigs cannot be named so."""
    rest = template.replace("{stem}", "").replace("{contig}", "")
    if "{contig}" not in template or any(c in rest for c in "/{}\0"):
        raise BiofuseError(
            f"--name-template {template!r} is no name of files for each contig: it needs "
            f"{{contig}}, and may have {{stem}}, as in {_BY_CONTIG!r}"
        )


def _check_stem(stem: str, chosen: Sequence[str]) -> None:
    """Raise `BiofuseError` if files cannot be named so."""
    if "/" in stem or "\0" in stem or stem in (".", ".."):
        raise BiofuseError(f"--basename {stem!r} is not a file name")
    suffixes = [file.suffix for name in chosen for file in formats.get_format(name).FILES]
    size = len(os.fsencode(stem))
    longest = max(map(len, suffixes))
    if size + longest > _MAX_NAME:
        raise BiofuseError(
            f"the files' name {stem[:20]}... is of {size} bytes, and {_MAX_NAME - longest} is the "
            "most: choose a shorter one with --basename"
        )


def serve_config(
    store: str,
    mountpoint: str,
    is_local: bool,
    serving: ServingOptions,
    cache: CacheOptions,
    log: LogOptions,
) -> ServeConfig:
    """How to serve; the plan is filled in later.

    Parameters
    ----------
    store : str
        As the user named it.
    mountpoint : str
        Absolute.
    is_local : bool
        Whether the store is.
    serving : ServingOptions
    cache : CacheOptions
    log : LogOptions

    Raises
    ------
    BiofuseError
        If options do not go together.
    """
    size = cache.chunk_cache_size
    if cache.chunk_cache is None and size is not None:
        raise BiofuseError("--chunk-cache-size goes with --chunk-cache")

    def absolute(path: str | None) -> str | None:
        return os.path.abspath(path) if path else None

    return ServeConfig(
        plan_dir="",
        mountpoint=mountpoint,
        store=describe(store),
        memory=serving.budget,
        allocator=find_allocator(serving.allocator),
        trim=serving.trim,
        threads=serving.num_threads(is_local),
        ahead_bytes=serving.readahead_buffer_size,
        idle_timeout=serving.idle_timeout,
        timeout=serving.seconds_to_answer(is_local),
        read_ahead_kb=serving.read_ahead_kb,
        direct_io=serving.direct_io,
        allow_other=serving.allow_other,
        auto_unmount=serving.auto_unmount,
        lifeline_fd=None,
        ready_fd=None,
        remove_plan=False,
        access_log=absolute(log.access_log),
        log_file=absolute(log.log_file),
        log_level=log.log_level,
        metrics=serving.metrics,
        chunk_cache=absolute(cache.chunk_cache),
        chunk_cache_size=CHUNK_CACHE_SIZE if size is None else size,
    )
