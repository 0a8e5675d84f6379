"""What must be known of an array of calls to read it: a value that fits in JSON."""

from dataclasses import asdict, dataclass
from math import prod
from typing import Any


@dataclass(frozen=True)
class GenotypeArray:
    """The shape and encoding of call_genotype, its phasing, or a field of values.

    Attributes
    ----------
    path : str
        Its key prefix in the store.
    shape, chunks : tuple of int
        (variants, samples, ploidy), or values a sample in place of the ploidy; 1 where
        the array has two dimensions.
    prefix, separator, tail : str
        The key of a chunk is prefix + row + separator + sample chunk + tail.
    fill : int
        Value of the alleles in a chunk that is not stored, within int8.
    slow_reason : str or None
        Why chunks go through zarr-python; None if they are zstd Blosc frames of int8, or
        for values of float32.
    sharded : bool
        Whether a stored object holds several chunks.
    codec : str
        The codec chain, for people.
    item_size : int
        Bytes of an element.
    """

    path: str
    shape: tuple[int, int, int]
    chunks: tuple[int, int, int]
    prefix: str
    separator: str
    tail: str
    fill: int
    slow_reason: str | None
    sharded: bool
    codec: str
    item_size: int

    @property
    def fast(self) -> bool:
        return self.slow_reason is None

    @property
    def decoded_chunk(self) -> int:
        """Bytes of a decoded chunk where chunks are decoded whole; 0 on the fast path."""
        return 0 if self.fast else prod(self.chunks) * self.item_size

    @property
    def ploidy(self) -> int:
        return self.shape[2]

    def key(self, chunk_row: int, sample_chunk: int) -> str:
        """Key of a chunk."""
        return f"{self.prefix}{chunk_row}{self.separator}{sample_chunk}{self.tail}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "GenotypeArray":
        return cls(**{**value, "shape": tuple(value["shape"]), "chunks": tuple(value["chunks"])})
