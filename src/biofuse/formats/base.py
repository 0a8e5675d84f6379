"""What every format provides, and what it is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from biofuse.errors import BiofuseError

if TYPE_CHECKING:
    from array import array

    from biofuse.native import Texts

GENOTYPES = "call_genotype"
PHASED = "call_genotype_phased"
# Fields of calls that records may be made from.
_VALUES = ("call_GP", "call_DS")
CALL_FIELDS = (GENOTYPES, PHASED, *_VALUES)


@dataclass(frozen=True)
class SiteHeader:
    """Lines of a VCF's header that tell of sites, without line ends.

    Attributes
    ----------
    filters, info : tuple of str
        `##FILTER` and `##INFO`.
    contigs : tuple of (str, str)
        Names of contigs as the view has them, and their `##contig`.
    others : tuple of str
        What else the store keeps, but for what tells of the VCF as a file.
    """

    filters: tuple[str, ...] = ()
    info: tuple[str, ...] = ()
    contigs: tuple[tuple[str, str], ...] = ()
    others: tuple[str, ...] = ()


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
    header : callable
        Gives the header. Raises `BiofuseError` if it cannot be read.
    """

    samples: Sequence[str]
    ploidy: int
    shapes: dict[str, tuple[int, ...]]
    header: Callable[[], SiteHeader] = SiteHeader

    def need_genotypes(self) -> None:
        """Raise `BiofuseError` if the store has no calls."""
        if GENOTYPES in self.shapes:
            return
        values = [name for name in _VALUES if name in self.shapes]
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
            has = [path for path in _VALUES if path in self.shapes]
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
class Annotations:
    """QUAL, FILTER and INFO of some variants, each None if the store has no such field.

    Attributes
    ----------
    quality : memoryview of float32 or None
        NaN where missing.
    filter, info : Texts or None
        As VCF has them, empty where missing.
    """

    quality: memoryview | None = None
    filter: "Texts | None" = None
    info: "Texts | None" = None


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
    annotations : callable
        Gives their annotations, where a sidecar is `annotated`. Raises `BiofuseError` if they
        cannot be read.
    """

    chrom: "Texts"
    position: memoryview
    id: "Texts"
    ref: "Texts"
    alt: "Texts"
    annotations: Callable[[], Annotations] = Annotations

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True)
class Layout:
    """Where everything in a streamed file is.

    Attributes
    ----------
    header : callable
        From the number of variants to the header's bytes: of one length for any number, if
        records have heads.
    record_size : int
        Bytes a record, without its head.
    heads : callable or None
        From `Variants` to the bytes that their records begin with, one after another, and
        the size of each, uint32; None if records have none.
    fields : tuple of str
        What records are made from, the first being `GENOTYPES`.
    params : dict
        For `record_encoder`; must fit in JSON.
    """

    header: Callable[[int], bytes]
    record_size: int
    heads: Callable[[Variants], tuple[bytes, "array[int]"]] | None = None
    fields: tuple[str, ...] = (GENOTYPES,)
    params: dict[str, Any] = field(default_factory=dict)


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

    Attributes
    ----------
    suffix : str
    annotated : bool
        Whether it is made from annotations of variants.
    """

    suffix: str
    annotated: bool

    def begin(self, path: str, subject: Subject) -> None:
        """Make the file."""

    def write(self, variants: Variants, offsets: memoryview | None) -> None:
        """Add variants.

        Parameters
        ----------
        variants : Variants
            Those that follow.
        offsets : memoryview of uint64, optional
            Where their records begin in the main file, and where the last one ends; None
            if records have no heads.
        """

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
    default: Any, text: str = "", *, choices: Sequence[Any] = (), off: str | None = None
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
    """
    return field(default=default, metadata={"text": text, "choices": choices, "off": off})


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
    """

    NAME: str
    TITLE: str
    FILES: tuple[File, ...]
    Options: type

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
            The heads of all records.
        """
        ...
