"""Views of the model's stores: what is shown of which, and how."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FORMATS = ("plink", "bgen", "plink2", "bcf")


@dataclass(frozen=True)
class View:
    """What is shown of a store.

    Attributes
    ----------
    name : str
    store : str
        See `inputs.KINDS`.
    keywords : dict
        Of `biofuse.open`; the words of a command follow from them.
    reads : dict of str to tuple of str
        By a file's suffix, fields of calls that its records are made of; of others
        call_genotype alone.
    words : tuple of str
        More words of `biofuse mount`, of what only a mount has.
    is_planned : bool
        Whether `biofuse plan` has made a file before, which is used, where that can be.
    keeps_chunks : bool
        Whether chunks are kept on disk, where that can be.
    is_slow : bool
        Whether zarr-python makes it, whose import alone takes a worker seconds on a machine that
        has much to do.
    """

    name: str
    store: str
    keywords: Mapping[str, Any] = field(default_factory=dict)
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    is_planned: bool = False
    keeps_chunks: bool = False
    is_slow: bool = False

    @property
    def given(self) -> dict[str, Any]:
        """Keywords of `biofuse.open`."""
        return {"formats": FORMATS, **self.keywords}

    @property
    def options(self) -> tuple[str, ...]:
        """Words of a command: `biofuse mount`, `export` or `plan`."""
        found: list[str] = []
        for name, value in self.given.items():
            option = "--" + name.replace("_", "-")
            if name == "formats":
                found += [word for each in value for word in ("--format", each)]
            elif value is True:
                found.append(option)
            else:
                found += [option, ",".join(value) if isinstance(value, tuple) else str(value)]
        return tuple(found)


CALLS = View("calls", "plain")
_PHASED = ("call_genotype", "call_genotype_phased")
# Samples in another order, of two of three columns of chunks.
_SOME = tuple(f"S{i:04d}" for i in range(217, 0, -3))

VIEWS = (
    CALLS,
    View(
        "values",
        "mixed",
        {
            "formats": ("bgen", "plink2", "bcf"),
            "multiallelic": "drop",
            "bgen_field": "GP",
            "bits": 16,
            "dosage": "DS",
            "bcf_fields": ("GT", "DP", "DS"),
        },
        {
            ".bgen": ("call_genotype", "call_GP"),
            ".pgen": ("call_genotype", "call_DS"),
            ".bcf": (*_PHASED, "call_DP", "call_DS"),
        },
        keeps_chunks=True,
    ),
    View(
        "split",
        "mixed",
        {"multiallelic": "split"},
        {".bcf": _PHASED},
        words=("--direct-io", "all"),
    ),
    View(
        "selected",
        "mixed",
        {
            "multiallelic": "split-missing",
            "regions": "1:700-4000,2",
            "samples": _SOME,
            "phased": True,
        },
        {".bcf": _PHASED, ".bgen": _PHASED},
        is_planned=True,
    ),
    View(
        "sharded",
        "sharded",
        {"multiallelic": "drop", "per_contig": True, "dosage": "GP", "bgen_field": "DS"},
        {
            ".bgen": ("call_genotype", "call_DS"),
            ".pgen": ("call_genotype", "call_GP"),
            ".bcf": _PHASED,
        },
        keeps_chunks=True,
        is_slow=True,
    ),
)
# So many of them, the first, take seconds to make.
QUICK = 4
