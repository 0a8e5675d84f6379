"""What every format provides, and what it is given."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Protocol


@dataclass(frozen=True)
class Variants:
    """Some consecutive variants of a view.

    Attributes
    ----------
    chrom : list of str
        As the store has them.
    position : list of int
        1-based.
    id : list of str
        Empty where missing.
    ref, alt : list of str
        alt is the first ALT allele, empty where there is none.
    """

    chrom: list[str]
    position: list[int]
    id: list[str]
    ref: list[str]
    alt: list[str]

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True)
class Layout:
    """Where everything in a streamed file is.

    Attributes
    ----------
    header : bytes
    record_size : int
        Bytes a record.
    params : dict
        For `record_encoder`; must fit in JSON.
    """

    header: bytes
    record_size: int
    params: dict[str, Any] = field(default_factory=dict)


class SidecarWriter(Protocol):
    """Writes one sidecar, in bounded memory."""

    suffix: str

    def write_samples(self, out: IO[bytes], samples: Sequence[str]) -> None:
        """Called once, first."""

    def write_variants(self, out: IO[bytes], variants: Variants) -> None:
        """Called for every batch of variants, in order."""


class Format(Protocol):
    """A format module.

    Attributes
    ----------
    NAME : str
    SUFFIX : str
        Of the streamed file.
    """

    NAME: str
    SUFFIX: str

    def layout(self, num_samples: int, ploidy: int) -> Layout: ...

    def sidecars(self, options: dict[str, Any]) -> list[SidecarWriter]: ...

    def record_encoder(self, params: dict[str, Any]): ...
