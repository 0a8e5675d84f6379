"""What a store says of its sites and their fields, as formats that show all of it are given it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from biofuse.native import Texts


@dataclass(frozen=True)
class Contig:
    """A contig that a store names.

    Attributes
    ----------
    name : str
        As the store has it.
    shown : str
        As the view does.
    length : int
        0 where that is not known.
    """

    name: str
    shown: str
    length: int


@dataclass(frozen=True)
class InfoField:
    """A field of INFO that a store has.

    Attributes
    ----------
    key : str
    type : str
        As a VCF's header has it: Flag, Integer, Float, Character or String.
    number : str
        As the header has it.
    width : int
        Values that there is room for at a variant.
    description : str
    """

    key: str
    type: str
    number: str
    width: int
    description: str


@dataclass(frozen=True)
class CallField:
    """A field of FORMAT that a store has beside GT.

    Attributes
    ----------
    key, type, number, description : str
        As those of `InfoField`.
    path : str
        Of its array.
    code : str
        What its values are handed on as: a code of struct, or "s" for texts.
    width : int
        Values that there is room for in a sample, or bytes of its text.
    """

    key: str
    type: str
    number: str
    description: str
    path: str
    code: str
    width: int


@dataclass(frozen=True)
class Sites:
    """What a store says of all its sites.

    Attributes
    ----------
    meta : list of (str, str)
        Lines of the header of the VCF that it was made from.
    contigs : list of Contig
    filters : list of (str, str)
        IDs and descriptions.
    info : list of InfoField
    max_alleles : int
        That there is room for.
    """

    meta: list[tuple[str, str]] = field(default_factory=list)
    contigs: list[Contig] = field(default_factory=list)
    filters: list[tuple[str, str]] = field(default_factory=list)
    info: list[InfoField] = field(default_factory=list)
    max_alleles: int = 2


@dataclass(frozen=True)
class SiteColumns:
    """All that a store has of some consecutive variants.

    Attributes
    ----------
    contig : memoryview of int32
        In the store's order of contigs.
    length : memoryview of int32
        Positions that each takes: up to END, or those of REF.
    alleles : Texts
        `Sites.max_alleles` a variant, empty where there are fewer.
    quality : memoryview of float32 or None
        NaN where missing; None if the store has none.
    filters : memoryview of uint8
        For each variant, which of the filters are set.
    filter_texts : callable
        Gives the same as VCF has it: texts, empty where none are.
    info : list of Texts or memoryview
        By `Sites.info`: texts, "." where missing and empty for none; flags of uint8; int32 or
        int64, -1 where missing and -2 for none; float32, the NaN 0x7f800002 for none and any
        other where missing.
    """

    contig: memoryview
    length: memoryview
    alleles: "Texts"
    quality: memoryview | None
    filters: memoryview
    filter_texts: "Callable[[], Texts]"
    info: "list[Texts | memoryview]"

    @property
    def nbytes(self) -> int:
        """Bytes of all of it."""
        return self.alleles.nbytes + self.filters.nbytes + sum(each.nbytes for each in self.info)
