"""What a user asks to see of a store: a value that fits in JSON and keys the plan cache."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

# What is done with sites of more than two alleles, by formats that hold two: a site for each ALT,
# with other ALTs as REF or as missing, are the last two.
MULTIALLELIC_POLICIES = ("error", "drop", "split", "split-missing")
SPLITTING = ("split", "split-missing")
MISSING_CHUNKS_POLICIES = ("error", "fill")
# How contigs are named: as plink2 does, or as the store has them.
CONTIG_NAMES = ("plink2", "store")


@dataclass(frozen=True)
class SamplesFile:
    """What a file of samples says.

    Attributes
    ----------
    name : str
        The file's, for messages.
    exclude : bool
        Whether the samples are those to leave out.
    lines : list of str
        Its lines but empty ones.
    """

    name: str
    exclude: bool
    lines: list[str]


@dataclass(frozen=True)
class RegionsFile:
    """What a file of regions or targets says.

    Attributes
    ----------
    name : str
        The file's, for messages.
    exclude : bool
        Whether the regions are those to leave out.
    contigs : list of str
    counts : list of int
        How many regions each contig has.
    bounds : str
        First and last position of each, from 1, contig by contig: native int64, packed by
        `biofuse.selection_files`. A last one before the first stands for no position.
    """

    name: str
    exclude: bool
    contigs: list[str]
    counts: list[int]
    bounds: str


@dataclass(frozen=True)
class NamedFile:
    """A file that an option names, with what it has.

    Attributes
    ----------
    name : str
        The file's, for messages.
    data : str
        Its bytes in base64, compressed as they are in it.
    chromosome : str or None
        The one that stands in the name in place of a pattern's `@`.
    """

    name: str
    data: str
    chromosome: str | None = None

    def without_data(self) -> "NamedFile":
        """The same with a hash of its bytes in their place."""
        return replace(self, data=hashlib.sha256(self.data.encode()).hexdigest())


@dataclass(frozen=True)
class Selection:
    """Which samples and variants, with the meaning that bcftools view gives the options.

    What files say is part of it, so that it is read once, and of its digest.

    Attributes
    ----------
    regions, targets, samples : str or None
        With a leading ^ (not `regions`): all but these.
    regions_file, targets_file : RegionsFile or None
    samples_file : SamplesFile or None
    force_samples : bool
        Whether unknown samples are left out in place of an error.
    include, exclude : str or None
        bcftools expressions.
    types, exclude_types : str or None
    min_alleles, max_alleles : int or None
    apply_filters : str or None
        Names of filters, joined by commas.
    min_ac, max_ac, min_af, max_af : str or None
        A number, perhaps with :nref, :alt1, :minor, :major or :nonmajor behind.
    known, novel : bool
        Whether only sites with an ID, or without, are kept.
    uncalled, exclude_uncalled : bool
        Whether only sites without a call, or with one, are kept.
    private, exclude_private : bool
        Whether only sites are kept of which the samples have all alternative alleles, or
        the others.
    genotype : str or None
        hom, het or miss: sites with such a call are kept; with a leading ^, the others.
    """

    regions: str | None = None
    regions_file: RegionsFile | None = None
    targets: str | None = None
    targets_file: RegionsFile | None = None
    samples: str | None = None
    samples_file: SamplesFile | None = None
    force_samples: bool = False
    include: str | None = None
    exclude: str | None = None
    types: str | None = None
    exclude_types: str | None = None
    min_alleles: int | None = None
    max_alleles: int | None = None
    apply_filters: str | None = None
    min_ac: str | None = None
    max_ac: str | None = None
    min_af: str | None = None
    max_af: str | None = None
    known: bool = False
    novel: bool = False
    uncalled: bool = False
    exclude_uncalled: bool = False
    private: bool = False
    exclude_private: bool = False
    genotype: str | None = None

    @property
    def is_everything(self) -> bool:
        given = asdict(replace(self, force_samples=False))
        return all(value is None or value is False for value in given.values())

    @property
    def has_expression(self) -> bool:
        """Whether fields other than the sites' own may decide."""
        decided_by = ("types", "exclude_types", "min_alleles", "max_alleles", "known", "novel")
        rest: dict[str, Any] = dict.fromkeys(decided_by)
        return replace(self, **rest).has_filters

    @property
    def has_filters(self) -> bool:
        """Whether variants are chosen by more than where they are."""
        where = ("regions", "regions_file", "targets", "targets_file", "samples", "samples_file")
        rest: dict[str, Any] = dict.fromkeys(where)
        return not replace(self, **rest).is_everything

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Selection":
        """The selection of which `dataclasses.asdict` made this."""
        value = dict(value)
        for name, kind in (
            ("regions_file", RegionsFile),
            ("targets_file", RegionsFile),
            ("samples_file", SamplesFile),
        ):
            if value.get(name) is not None:
                value[name] = kind(**value[name])
        return cls(**value)


@dataclass(frozen=True)
class ViewOptions:
    """A view of a store.

    Attributes
    ----------
    store : dict
        The public part of a `stores.Location` with an absolute path.
    stem : str
        Name of the files, without suffix.
    formats : list of str
        Those that cannot show the store are left out.
    required : list of str
        Those of them that must not be: an error takes their place.
    selection : Selection
    multiallelic : str
        One of `MULTIALLELIC_POLICIES`.
    variant_id_template : str or None
        How missing IDs are filled in, in plink2's syntax.
    contig_names : str
        One of `CONTIG_NAMES`.
    missing_chunks : str
        One of `MISSING_CHUNKS_POLICIES`: whether chunks that are not stored are an error or
        shown as Zarr's fill value where that makes no sense, or could not be told before.
    name_template : str or None
        If there is a fileset for each contig, the names of its files without suffix, with
        {stem} and {contig}.
    samples_table : NamedFile or None
        What is known of samples.
    pheno_names : list of str
        Its phenotypes that are shown.
    genetic_map : list of NamedFile
    format_options : dict of str to dict
        By format, those of its options that differ from the default, such as
        {"plink": {"no_fam": True}}.
    secrets : dict
        Of the store's location: no part of the JSON, nor of the digest.
    notes : tuple of str
        What is to be said of the options, a line each: no part of them either.
    """

    store: dict[str, Any]
    stem: str
    formats: list[str]
    required: list[str] = field(default_factory=list)
    selection: Selection = field(default_factory=Selection)
    multiallelic: str = "error"
    variant_id_template: str | None = None
    contig_names: str = "plink2"
    missing_chunks: str = "error"
    name_template: str | None = None
    samples_table: NamedFile | None = None
    pheno_names: list[str] = field(default_factory=list)
    genetic_map: list[NamedFile] = field(default_factory=list)
    format_options: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def is_plain(self) -> bool:
        """Whether nothing is asked for but the whole store, under whatever name."""
        return self == ViewOptions(self.store, self.stem, self.formats, self.required)

    def to_json(self) -> str:
        value = asdict(self)
        del value["secrets"], value["notes"]
        return json.dumps(value, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "ViewOptions":
        value = json.loads(text)
        value["selection"] = Selection.from_json(value["selection"])
        # Plans that an older version has saved have none.
        table = value.get("samples_table")
        value["samples_table"] = None if table is None else NamedFile(**table)
        value["genetic_map"] = [NamedFile(**each) for each in value.get("genetic_map", ())]
        return cls(**value)

    def digest(self, version: str) -> str:
        """A key for everything that a plan depends on but the store's content.

        What is required is no part of it: a plan tells what it has not.
        """
        table = self.samples_table
        text = replace(
            self,
            required=[],
            samples_table=None if table is None else table.without_data(),
            genetic_map=[file.without_data() for file in self.genetic_map],
        ).to_json()
        return hashlib.sha256(f"{version}\n{text}".encode()).hexdigest()[:32]
