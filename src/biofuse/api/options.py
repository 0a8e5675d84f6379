"""The options of `biofuse mount`, as keywords of Python functions."""

import dataclasses
import difflib
import json
import numbers
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any, TypeVar

from biofuse import formats
from biofuse.address import parse_address
from biofuse.api.checks import check_options, check_path
from biofuse.api.errors import public
from biofuse.api.settings import (
    CacheOptions,
    FormatOptions,
    LogOptions,
    ServingOptions,
    StoreOptions,
    ViewChoices,
    format_options,
    option_key,
    view_choices,
)
from biofuse.api.views import view_options
from biofuse.errors import BiofuseError
from biofuse.memory import parse_size
from biofuse.options import Selection, ViewOptions
from biofuse.selection_files import read_selection
from biofuse.stores import Location

Path = str | PathLike[str]
# Where samples, regions and the like may be given as a list.
Names = str | Sequence[str]
T = TypeVar("T", bound="Options")


def _plain(value: Any) -> Any:
    """A number of another package's, such as NumPy's, as Python's own; all else as it is."""
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value


@dataclass(frozen=True, kw_only=True)
class Options:
    """What of a store is shown, and how it is read.

    Each is the option of ``biofuse mount`` of that name, and means the same.

    Attributes
    ----------
    formats : str or sequence of str, optional
        Formats to show, such as ``"plink"`` or ``["plink", "bgen"]``; of these two, those that
        can show the store where None.
    preset : str, optional
        The program that the files are for: ``"regenie"``, ``"saige"``, ``"bolt"``, ``"plink2"``
        or ``"bcftools"``. ``biofuse mount --for`` is this.
    basename : str, optional
        Name of the files, without suffix; the store's where None.
    per_contig : bool
        Files for each contig.
    name_template : str, optional
        Their names without suffix, such as ``"{stem}_chr{contig}"``.
    regions, targets, samples : str or sequence of str, optional
        As text with commas, or as a list. A leading ``^`` of `targets` and `samples` excludes.
    regions_file, targets_file, samples_file : path-like, optional
        Files of these.
    force_samples : bool
        Leave unknown samples out.
    include, exclude : str, optional
        Expressions of bcftools: sites to keep, or to leave out.
    types, exclude_types, apply_filters : str or sequence of str, optional
        Types of variants, and filters.
    min_alleles, max_alleles : int, optional
    min_ac, max_ac, min_af, max_af : int, float or str, optional
        A number, or text such as ``"3:minor"``.
    known, novel, uncalled, exclude_uncalled, private, exclude_private : bool
    genotype : str, optional
        ``"hom"``, ``"het"`` or ``"miss"``, or one of these after ``^``.
    multiallelic : str
        ``"error"`` or ``"drop"``: what to do with sites of more than two alleles.
    variant_id_template : str, optional
        How missing IDs are filled in, in plink2's syntax; ``"."`` leaves them, whatever
        `preset` says.
    samples_table : path-like, optional
        Sexes, parents, families and phenotypes for ``.fam``, ``.psam`` and ``.sample``.
    pheno_name : str or sequence of str, optional
        Phenotypes of that table to show.
    genetic_map : path-like, optional
        Genetic map for centimorgans in ``.bim`` and ``.pvar``.
    contig_names : str, optional
        ``"plink2"``, which is the default, or ``"store"``.
    missing_chunks : str
        ``"error"`` or ``"fill"``.
    no_bim, no_fam, no_bgi, no_sample_file, no_header_samples, no_pvar, no_psam, no_csi : bool
        Sidecars, and parts of headers, to leave out.
    bcf_fields : str or sequence of str
        Fields of FORMAT that the ``.bcf`` has, or ``"all"``.
    no_pvar_info : bool, optional
        Leave QUAL, FILTER and INFO out of the ``.pvar``.
    phased : bool, optional
        Whether the BGEN file shows variants as phased where the store does.
    haploid_as_diploid : bool, optional
        Whether the BGEN file shows haploid calls as homozygous diploid ones.
    bgen_field : str
        ``"GT"``, ``"GP"`` or ``"DS"``: what probabilities are made from.
    bits : int
        8 or 16 bits a probability.
    dosage : str
        ``"GT"``, ``"DS"`` or ``"GP"``: what the ``.pgen`` is made from.
    backend_storage : str, optional
        ``"fsspec"``, ``"obstore"`` or ``"icechunk"``.
    storage_options : mapping of str, optional
        Options of that backend.
    plan : path-like, optional
        What ``biofuse plan`` has made of the store.
    memory : int or str, optional
        Bytes for caches and scratch together, or text such as ``"256MiB"``.
    threads : int, optional
        Threads that make bytes.
    timeout : float, optional
        Seconds after which a read that the store does not answer fails.
    cache_dir : path-like, optional
        Where plans are kept; a folder of the user's where None.
    no_cache : bool
        Neither use nor keep a plan.
    chunk_cache : path-like, optional
        Where chunks of a store that is not local are kept.
    chunk_cache_size : int or str, optional
        As much of them.
    """

    formats: Names | None = None
    preset: str | None = None
    basename: str | None = None
    per_contig: bool = False
    name_template: str | None = None
    regions: Names | None = None
    regions_file: Path | None = None
    targets: Names | None = None
    targets_file: Path | None = None
    samples: Names | None = None
    samples_file: Path | None = None
    force_samples: bool = False
    include: str | None = None
    exclude: str | None = None
    types: Names | None = None
    exclude_types: Names | None = None
    min_alleles: int | None = None
    max_alleles: int | None = None
    apply_filters: Names | None = None
    min_ac: int | str | None = None
    max_ac: int | str | None = None
    min_af: float | str | None = None
    max_af: float | str | None = None
    known: bool = False
    novel: bool = False
    uncalled: bool = False
    exclude_uncalled: bool = False
    private: bool = False
    exclude_private: bool = False
    genotype: str | None = None
    multiallelic: str = "error"
    variant_id_template: str | None = None
    samples_table: Path | None = None
    pheno_name: Names | None = None
    genetic_map: Path | None = None
    contig_names: str | None = None
    missing_chunks: str = "error"
    no_bim: bool = False
    no_fam: bool = False
    no_bgi: bool = False
    bcf_fields: Names = "GT"
    no_csi: bool = False
    no_sample_file: bool = False
    no_header_samples: bool = False
    phased: bool | None = None
    haploid_as_diploid: bool | None = None
    bgen_field: str = "GT"
    bits: int = 8
    dosage: str = "GT"
    no_pvar_info: bool | None = None
    no_pvar: bool = False
    no_psam: bool = False
    backend_storage: str | None = None
    storage_options: Mapping[str, Any] | None = None
    plan: Path | None = None
    memory: int | str | None = None
    threads: int | None = None
    timeout: float | None = None
    cache_dir: Path | None = None
    no_cache: bool = False
    chunk_cache: Path | None = None
    chunk_cache_size: int | str | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _plain(getattr(self, field.name)))
        with public():
            check_options(self)

    @classmethod
    def of(cls: type[T], options: "Options | None", keywords: Mapping[str, Any]) -> T:
        """Options with some changed.

        Raises
        ------
        BiofuseError
            If these are no options, or one of them is not what it may be.
        TypeError
            If there is no such option.
        """
        given: dict[str, Any] = {}
        if isinstance(options, Options):
            given = {each.name: getattr(options, each.name) for each in dataclasses.fields(options)}
        elif options is not None:
            raise BiofuseError(
                f"options={reprlib.repr(options)}: a biofuse.{cls.__name__} is wanted; what it has "
                "goes by name, as in formats='plink'"
            ) from None
        known = [field.name for field in dataclasses.fields(cls)]
        for name in keywords:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise TypeError(f"there is no option {name}{hint}")
        return cls(**{**{name: given[name] for name in given if name in known}, **keywords})

    def location(self, store: Path) -> Location:
        """Where the store is.

        Raises
        ------
        BiofuseError
            If there can be none.
        """
        check_path("store", store)
        pairs = tuple(
            f"{key}={json.dumps(value)}" for key, value in (self.storage_options or {}).items()
        )
        plan = None if self.plan is None else fspath(self.plan)
        return StoreOptions(self.backend_storage, pairs, plan).location(fspath(store))

    def view(self, location: Location) -> ViewOptions:
        """What is shown.

        Raises
        ------
        BiofuseError
            If options do not go together, or a file that is named cannot be read.
        """
        return view_options(location, self._choices(), self._selection(), self._format_options())

    def _choices(self) -> ViewChoices:
        names = [self.formats] if isinstance(self.formats, str) else list(self.formats or ())
        phenotypes = self.pheno_name
        if phenotypes is not None and not isinstance(phenotypes, str):
            phenotypes = ",".join(phenotypes)
        return view_choices(
            format_names=tuple(names),
            basename=self.basename,
            multiallelic=self.multiallelic,
            variant_id_template=self.variant_id_template,
            contig_names=self.contig_names,
            missing_chunks=self.missing_chunks,
            per_contig=self.per_contig,
            name_template=self.name_template,
            preset=self.preset,
            samples_table=None if self.samples_table is None else fspath(self.samples_table),
            pheno_name=phenotypes,
            genetic_map=None if self.genetic_map is None else fspath(self.genetic_map),
        )

    def _selection(self) -> Selection:
        given = {}
        for name in Selection.__dataclass_fields__:
            value = getattr(self, name)
            if name in _NUMBERS and value is not None:
                value = str(value)
            elif name.endswith("_file") and value is not None:
                value = fspath(value)
            elif isinstance(value, (list, tuple)):
                value = ",".join(value)
            given[name] = value
        return read_selection(**given)

    def _format_options(self) -> FormatOptions:
        given = {}
        for name in formats.NAMES:
            for field in dataclasses.fields(formats.get_format(name).Options):
                if hasattr(self, field.name):
                    value = getattr(self, field.name)
                    if isinstance(value, (list, tuple)):
                        value = ",".join(value)
                    given[option_key(name, field.name)] = value
        return format_options(**given)

    def serving(self, **more: Any) -> ServingOptions:
        """How bytes are made."""
        return ServingOptions(
            memory=_size(self.memory), threads=self.threads, timeout=self.timeout, **more
        )

    def caches(self) -> CacheOptions:
        """Where plans and chunks are kept."""
        if self.chunk_cache is None and self.chunk_cache_size is not None:
            raise BiofuseError("chunk_cache_size goes with chunk_cache")
        return CacheOptions(
            None if self.cache_dir is None else fspath(self.cache_dir),
            self.no_cache,
            None if self.chunk_cache is None else fspath(self.chunk_cache),
            _size(self.chunk_cache_size),
        )


@dataclass(frozen=True, kw_only=True)
class MountOptions(Options):
    """The same, and how a mount is served.

    Attributes
    ----------
    allocator : str
        ``"system"``, ``"jemalloc"``, ``"tcmalloc"`` or ``"mimalloc"``.
    trim : bool
        Give freed memory of the encoder process back when it has nothing to do.
    readahead_workers : int, optional
    readahead_buffer_size : int or str, optional
        At most as many bytes are read ahead.
    idle_timeout : float
        Seconds without a read after which memory is given back.
    read_ahead_kb : int
        The kernel's read-ahead.
    direct_io : sequence of str
        Programs whose reads go past the page cache.
    metrics : int or str, optional
        Where Prometheus is answered.
    allow_other : bool
        Let other users read the mount.
    auto_unmount : bool
        Unmount even where the serving process is killed with SIGKILL.
    log_level : str
        ``"warning"``, ``"info"`` or ``"debug"``.
    log_file, access_log : path-like, optional
    """

    allocator: str = "system"
    trim: bool = True
    readahead_workers: int | None = None
    readahead_buffer_size: int | str | None = None
    idle_timeout: float = 10.0
    read_ahead_kb: int = 1024
    direct_io: Sequence[str] = ()
    metrics: int | str | None = None
    allow_other: bool = False
    auto_unmount: bool = False
    log_level: str = "warning"
    log_file: Path | None = None
    access_log: Path | None = None

    def serving(self, **more: Any) -> ServingOptions:
        return super().serving(
            allocator=self.allocator,
            trim=self.trim,
            readahead_workers=self.readahead_workers,
            readahead_buffer_size=_size(self.readahead_buffer_size),
            idle_timeout=self.idle_timeout,
            read_ahead_kb=self.read_ahead_kb,
            direct_io=tuple(self.direct_io),
            metrics=None if self.metrics is None else str(parse_address(str(self.metrics))),
            allow_other=self.allow_other,
            auto_unmount=self.auto_unmount,
            **more,
        )

    def logs(self) -> LogOptions:
        """What is logged, and where."""
        paths = (self.log_file, self.access_log)
        return LogOptions(
            self.log_level, *(None if path is None else fspath(path) for path in paths)
        )


_NUMBERS = ("min_ac", "max_ac", "min_af", "max_af")


def _size(value: int | str | None) -> int | None:
    return parse_size(value) if isinstance(value, str) else value
