"""What a user asks to see of a store: a value that fits in JSON and keys the plan cache."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

MULTIALLELIC_POLICIES = ("error", "drop")
MISSING_CHUNKS_POLICIES = ("error", "fill")


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

    @property
    def is_everything(self) -> bool:
        return self == Selection(force_samples=self.force_samples)

    @property
    def has_expression(self) -> bool:
        """Whether fields other than the sites' own may decide."""
        return self.include is not None or self.exclude is not None

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
    missing_chunks : str
        One of `MISSING_CHUNKS_POLICIES`: whether chunks that are not stored are an error or
        shown as Zarr's fill value where that makes no sense.
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
    missing_chunks: str = "error"
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
