"""What every format provides, and what it is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from biofuse.errors import BiofuseError
from biofuse.formats.site_fields import CallField, SiteColumns, Sites

if TYPE_CHECKING:
    from array import array

    from biofuse.native import Texts

GENOTYPES = "call_genotype"
PHASED = "call_genotype_phased"
# Fields of calls that records of several formats may be made from.
VALUES = ("call_GP", "call_DS")
CALL_FIELDS = (GENOTYPES, PHASED, *VALUES)


def _no_fields(keys: Sequence[str] | None) -> list[CallField]:
    return []


@dataclass(frozen=True)
class Phenotype:
    """A phenotype of samples.

    Attributes
    ----------
    name : str
    kind : str
        "binary", "quantitative" or "categorical", as plink2 tells them apart.
    values : Texts
        As they were given, empty where missing; of a binary one 2 for cases and 1 for controls,
        or, if `zero_one`, 1 and 0.
    codes : Texts
        The same as Oxford's `.sample` has them: cases are 1, controls 0, and categories numbers
        from 1 in their natural order.
    zero_one : bool
    """

    name: str
    kind: str
    values: "Texts"
    codes: "Texts"
    zero_one: bool = False


@dataclass(frozen=True)
class SampleTable:
    """What is known of samples beside their IDs, in the order of `Subject.samples`.

    Attributes
    ----------
    fid, pat, mat : Texts
        IDs of family, father and mother, empty where there is none.
    sex : Texts
        1 for male, 2 for female, empty where it is not known.
    phenotypes : list of Phenotype
    """

    fid: "Texts"
    pat: "Texts"
    mat: "Texts"
    sex: "Texts"
    phenotypes: list[Phenotype] = field(default_factory=list)


@dataclass(frozen=True)
class Subject:
    """What is to be shown in a format.

    Attributes
    ----------
    samples : sequence of str
        IDs, in output order.
    ploidy : int
        Of call_genotype, or what takes its place.
    shapes : dict of str to tuple of int
        The store's fields of calls and their shapes.
    read_sites : callable
        Tells what the store says of its sites. Raises `BiofuseError` if it cannot be read.
    read_fields : callable
        From keys to the fields of FORMAT of these names, from None to all of them but GT, sorted.
        Raises `BiofuseError` if there is none of a name, or one cannot be read.
    table : SampleTable or None
        What a table of samples says of them, if there is one.
    """

    samples: Sequence[str]
    ploidy: int
    shapes: dict[str, tuple[int, ...]]
    read_sites: Callable[[], Sites] = Sites
    read_fields: Callable[[Sequence[str] | None], list[CallField]] = _no_fields
    table: SampleTable | None = None

    def need_genotypes(self) -> None:
        """Raise `BiofuseError` if the store has no calls."""
        if GENOTYPES in self.shapes:
            return
        values = [name for name in VALUES if name in self.shapes]
        field = values[0].removeprefix("call_")
        raise BiofuseError(
            f"the store has no {GENOTYPES}, but {' and '.join(values)}, which a .bgen or .pgen can "
            f"be made from: --format bgen --bgen-field {field}, or --format plink2 --dosage {field}"
        )

    def need_values(self, name: str, option: str) -> None:
        """Raise `BiofuseError` if the store lacks a field of values, GP or DS.

        Parameters
        ----------
        name : str
            "GP" or "DS".
        option : str
            That asks for it.
        """
        path = f"call_{name}"
        shape = self.shapes.get(path)
        if shape is None:
            has = [path for path in VALUES if path in self.shapes]
            raise BiofuseError(
                f"the store has no {path}, which {option} {name} needs"
                + (f"; it has {', '.join(has)}" if has else "")
            )
        values = shape[2] if len(shape) == 3 else 1
        # Two probabilities are enough for haploid calls, which those of a diploid store may be.
        least = 2 if name == "GP" else 1
        if len(shape) not in (2, 3) or values < least:
            raise BiofuseError(
                f"{path} is of shape {shape}, not (variants, samples, {least} or more)"
            )


@dataclass(frozen=True)
class Variants:
    """Some consecutive variants of a view.

    Attributes
    ----------
    chrom : Texts
        As the view names them.
    position : memoryview of int64
        1-based.
    id : Texts
        Empty where missing.
    ref, alt : Texts
        alt is the first ALT allele, empty where there is none.
    sites : callable
        Gives all that the store has of them, where a format `needs_sites`. Raises `BiofuseError`
        if it cannot be read.
    cm : Texts or None
        Genetic positions in centimorgans, as PLINK writes them, if there is a genetic map.
    """

    chrom: "Texts"
    position: memoryview
    id: "Texts"
    ref: "Texts"
    alt: "Texts"
    sites: "Callable[[], SiteColumns] | None" = None
    cm: "Texts | None" = None

    def __len__(self) -> int:
        return len(self.position)


class Heads(NamedTuple):
    """What records begin with.

    Attributes
    ----------
    data : bytes or memoryview of uint8
        Of all, one after another.
    sizes : array of uint32
        Bytes of each.
    behind : array of uint32 or None
        Bytes that follow each in its record; None if they are as many in all.
    """

    data: bytes | memoryview
    sizes: "array[int]"
    behind: "array[int] | None" = None


@dataclass(frozen=True)
class Layout:
    """Where everything in a streamed file is.

    Attributes
    ----------
    header : callable
        From the number of variants to the header's bytes: of one length for any number, if
        records have heads.
    record_size : int or None
        Bytes a record, without its head; None if the heads tell: then `record_encoder` is given
        heads that end in where each of them begins and the last one ends, uint64.
    heads : callable or None
        From `Variants` to the `Heads` of their records; None if records have none.
    fields : tuple of str
        What records are made from, the first being `GENOTYPES`.
    params : dict
        For `record_encoder`; must fit in JSON.
    framed : bool
        Whether header and records are a stream, which the file has in blocks of `biofuse.bgzf`.
    """

    header: Callable[[int], bytes]
    record_size: int | None
    heads: Callable[[Variants], Heads] | None = None
    fields: tuple[str, ...] = (GENOTYPES,)
    params: dict[str, Any] = field(default_factory=dict)
    framed: bool = False


@dataclass(frozen=True)
class MainFile:
    """The streamed file that a sidecar belongs to.

    Attributes
    ----------
    name : str
    size : int
        In bytes.
    modified_ns : int
        Time stamp, in nanoseconds since 1970.
    read_first : callable
        From a number of bytes to that many of the file's first ones, or all it has.
    """

    name: str
    size: int
    modified_ns: int
    read_first: Callable[[int], bytes]


class Sidecar(Protocol):
    """Writes one sidecar, in bounded memory: begin, write for every batch, finish.

    It may rest in between: many are made at a time, and few files may be open.

    Attributes
    ----------
    suffix : str
    of_samples : bool
        Whether it tells of samples alone: it is the same for any variants.
    """

    suffix: str
    of_samples: bool

    def begin(self, path: str, subject: Subject) -> None:
        """Make the file."""

    def write(self, variants: Variants, offsets: memoryview | None) -> None:
        """Add variants.

        Parameters
        ----------
        variants : Variants
            Those that follow.
        offsets : memoryview of uint64, optional
            Where their records begin in the main file, or its stream, and where the last one
            ends; None if records have no heads.
        """

    def rest(self) -> None:
        """Have nothing open until there is more to be done."""

    def finish(self, main: MainFile) -> None:
        """Complete and close the file."""

    def abandon(self) -> None:
        """Close the file, which is of no use, if it was begun."""


@dataclass(frozen=True)
class File:
    """A kind of file that a format's fileset has.

    Attributes
    ----------
    name : str
        What stands for it in the commands of `biofuse run`: "bim" for {bim}.
    suffix : str
        What follows the stem in its name.
    unless : str or None
        The option that leaves it out.
    """

    name: str
    suffix: str
    unless: str | None = None


def option(
    default: Any,
    text: str = "",
    *,
    choices: Sequence[Any] = (),
    off: str | None = None,
    fields: bool = False,
) -> Any:
    """A field of a format's options.

    Parameters
    ----------
    default : bool, str, int or None
        A flag is False, or None where an `off` says the opposite.
    text : str
        What `--help` says; an option without one is offered by no command as it is.
    choices : sequence, optional
        The values it may have.
    off : str, optional
        Name of the option that sets a flag to False.
    fields : bool
        Whether it takes names of fields of FORMAT, with commas between them.
    """
    metadata = {"text": text, "choices": choices, "off": off, "fields": fields}
    return field(default=default, metadata=metadata)


class Phase(Enum):
    """Whether there are variants of which every call is phased."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Findings(Protocol):
    """What a look at a view's calls finds, at a bounded cost; each is looked for when asked."""

    def phase(self) -> Phase:
        """Whether the store says that variants of the view are phased."""
        ...

    def phased_calls(self) -> bool:
        """Whether phased heterozygous calls were found; they may be where nobody looked."""
        ...

    def haploid(self) -> bool:
        """Whether haploid calls were found; they may be where nobody looked."""
        ...


class Format(Protocol):
    """A format module.

    Attributes
    ----------
    NAME : str
        As `--format` has it.
    TITLE : str
        Heading of its options.
    FILES : tuple of File
        What its fileset has, the streamed file first.
    Options : type
        A frozen dataclass whose fields are made by `option`.
    MULTIALLELIC : bool
        Whether it shows sites of more than two alleles.
    """

    NAME: str
    TITLE: str
    FILES: tuple[File, ...]
    Options: type
    MULTIALLELIC: bool

    def needs_sites(self, options: Any) -> bool:
        """Whether files are made from all that a store has of sites: `Variants.sites`."""
        ...

    def layout(self, subject: Subject, options: Any) -> Layout:
        """How the streamed file is laid out.

        Raises
        ------
        BiofuseError
            If the format cannot show it.
        """
        ...

    def sidecars(self, options: Any) -> list[Sidecar]:
        """Writers of the sidecars that the options ask for."""
        ...

    def notices(self, options: Any, findings: Findings) -> list[str]:
        """What those who use the files should know, a line each."""
        ...

    def record_encoder(self, params: dict[str, Any], offsets, heads):
        """The kernel that makes records.

        Parameters
        ----------
        params : dict
            The layout's.
        offsets : memoryview of uint64 or None
            Where each record begins in the file, and the file's size.
        heads : memoryview of uint8 or None
            The heads of all records, and where they are if the layout says so.
        """
        ...
