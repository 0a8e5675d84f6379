"""What a user asks to see of a store: a value that fits in JSON and keys the plan cache."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

MULTIALLELIC_POLICIES = ("error", "drop")


@dataclass(frozen=True)
class Selection:
    """Which samples and variants, with the meaning that bcftools view gives the options.

    Attributes
    ----------
    regions, regions_file, targets, targets_file : str or None
    samples, samples_file : str or None
        With a leading ^: all but these.
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
    regions_file: str | None = None
    targets: str | None = None
    targets_file: str | None = None
    samples: str | None = None
    samples_file: str | None = None
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

    def files(self) -> list[str]:
        """Paths of the files that the selection is read from."""
        paths = (self.regions_file, self.targets_file, self.samples_file)
        return [path.removeprefix("^") for path in paths if path is not None]


@dataclass(frozen=True)
class ViewOptions:
    """A view of a store.

    Attributes
    ----------
    store : dict
        A `stores.Location` with an absolute path.
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
    format_options : dict
        Passed to the formats, such as {"no_fam": True}.
    """

    store: dict[str, Any]
    stem: str
    formats: list[str]
    required: list[str] = field(default_factory=list)
    selection: Selection = field(default_factory=Selection)
    multiallelic: str = "error"
    variant_id_template: str | None = None
    format_options: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "ViewOptions":
        value = json.loads(text)
        value["selection"] = Selection(**value["selection"])
        return cls(**value)

    def digest(self, version: str) -> str:
        """A key for everything that a plan depends on but the store's content.

        What is required is no part of it: a plan tells what it has not.

        Raises
        ------
        OSError
            If a file of the selection cannot be read.
        """
        text = replace(self, required=[]).to_json()
        state = hashlib.sha256(f"{version}\n{text}".encode())
        for path in self.selection.files():
            with open(path, "rb") as f:
                state.update(hashlib.sha256(f.read()).digest())
        return state.hexdigest()[:32]
