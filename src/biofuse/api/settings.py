"""What options come to, of a command or a function: the store, the view, how to serve it."""

import json
import os
from dataclasses import dataclass
from typing import Any

from biofuse import formats
from biofuse.allocators import find_allocator
from biofuse.errors import BiofuseError
from biofuse.memory import MIN_BUDGET, default_budget
from biofuse.options import NamedFile, ViewOptions
from biofuse.plan.cache import PlanCache, default_cache_dir
from biofuse.serve.config import ServeConfig
from biofuse.stores.location import Location
from biofuse.stores.secrets import describe
from biofuse.table_files import read_genetic_map, read_table

MAX_THREADS = 64
# The least and the most of options that are numbers; the least of seconds, and of sizes.
RANGES: dict[str, tuple[int, int | None]] = {
    "threads": (1, MAX_THREADS),
    "readahead_workers": (0, None),
    "read_ahead_kb": (0, 65536),
}
SECONDS = {"timeout": 0.1, "idle_timeout": 0.1}
SIZES = {"memory": MIN_BUDGET, "readahead_buffer_size": 0, "chunk_cache_size": 0}
LOG_LEVELS = ("warning", "info", "debug")
_LOCAL_THREADS = 4
_REMOTE_THREADS = 8
_LOCAL_TIMEOUT = 30.0
_REMOTE_TIMEOUT = 120.0
CHUNK_CACHE_SIZE = 10 << 30
# As a template for missing IDs: they stay as plink2 writes them.
NO_TEMPLATE = "."

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
    contig_names : str or None
        None is plink2's.
    missing_chunks : str
    per_contig : bool
        Whether there is a fileset for each contig.
    name_template : str or None
        The names of these files, with {stem} and {contig}; if given they are.
    preset : str or None
        The program that files are for.
    saved : ViewOptions or None
        What the plan was made with that is used, from which the rest is as it is there.
    samples_table : NamedFile or None
    pheno_names : tuple of str
        Phenotypes of that to show.
    genetic_map : tuple of NamedFile
    """

    format_names: tuple[str, ...] = ()
    basename: str | None = None
    multiallelic: str = "error"
    variant_id_template: str | None = None
    contig_names: str | None = None
    missing_chunks: str = "error"
    per_contig: bool = False
    name_template: str | None = None
    preset: str | None = None
    saved: ViewOptions | None = None
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
