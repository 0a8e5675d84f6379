"""What must be known of an array of calls to read it: a value that fits in JSON."""

from bisect import bisect_right
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from biofuse.errors import BiofuseError
from biofuse.manifest_check import check_types, fits
from biofuse.stores.limits import MAX_CHUNK

# Codecs that write a chunk once. Others join pieces, or hand it on to a next step.
_ONE_COPY = {"none", "blosc", "zstd", "lz4", "vlen-utf8"}
# Of a text that is an object of Python's, beside its bytes.
_TEXT_OBJECT = 64
# Of struct, and that of texts.
_CODES = (*"?bBhHiIqQefds",)
# Chunks of samples: each has a place in memory.
_MOST_COLUMNS = 1 << 22


def not_stored(key: str, fill: object) -> BiofuseError:
    """That a chunk is not stored, where no list of what is has told so before."""
    return BiofuseError(
        f"{key} is not stored, which could not be told before, since no list of what is was read: "
        f"a copy lost it, or the writer left it out as all of it is {fill}; "
        "--missing-chunks fill shows it as that"
    )


@dataclass(frozen=True)
class GenotypeArray:
    """The shape and encoding of call_genotype, its phasing, or another field of calls.

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
        Why chunks go through zarr-python; None if they are zstd Blosc frames of int8, or of
        values that are handed on as they are.
    sharded : bool
        Whether stored objects are shards, of one or several chunks.
    codec : str
        The codec chain, for people.
    item_size : int
        Bytes of an element.
    per_object : tuple of int
        How many chunks of variants and of samples a stored object holds.
    plain : dict or None
        Of an array whose chunks `genotypes.plain` can decode: their numpy `dtype` and
        `order`, and the configuration of a numcodecs `codec` or None. Of texts that are
        vlen-utf8's the dtype is "|O".
    absent : tuple of (int, int) or None
        Runs of stored objects that were not there when the view was planned: the number of
        the first one, counted row by row, and of the one after the last. None where that is
        not known.
    shows_fill : bool
        Whether any object that is not stored shows the fill value, where `absent` is None.
    code : str
        What values are handed on as: a code of struct, or "s" for texts.
    text_width : int
        Bytes that the texts of a sample take, with commas between them; 0 if not of texts, or
        not known.
    text_chunk : int
        Bytes of a decoded chunk of texts of any length, at most; 0 if not known.
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
    per_object: tuple[int, int] = (1, 1)
    plain: dict[str, Any] | None = None
    absent: tuple[tuple[int, int], ...] | None = None
    shows_fill: bool = True
    code: str = "f"
    text_width: int = 0
    text_chunk: int = 0

    @property
    def fast(self) -> bool:
        return self.slow_reason is None

    @property
    def decoded_size(self) -> int:
        """Bytes of a decoded chunk."""
        return self.text_chunk or prod(self.chunks) * self.item_size

    @property
    def decoding_need(self) -> int:
        """Bytes of all copies of a chunk there are while it is decoded; 0 on the fast path.

        Its encoded bytes, which are few in most stores, are not among them.
        """
        if self.fast:
            return 0
        if self.text_chunk and self.plain is None:
            return self.text_chunk + prod(self.chunks) * _TEXT_OBJECT
        steps = set(self.codec.split()[0].split("+")) - {"bytes"}
        once = len(steps) <= 1 and steps <= _ONE_COPY and not self.sharded
        return self.decoded_size * (1 if once else 2)

    @property
    def row_items(self) -> int:
        """What a sample has in a row of values: numbers, or bytes of its text."""
        return self.text_width if self.code == "s" else self.shape[2]

    @property
    def ploidy(self) -> int:
        return self.shape[2]

    def key(self, chunk_row: int, sample_chunk: int) -> str:
        """Key of the stored object that has a chunk."""
        row, column = chunk_row // self.per_object[0], sample_chunk // self.per_object[1]
        return f"{self.prefix}{row}{self.separator}{column}{self.tail}"

    def check_absent(self, chunk_row: int, sample_chunk: int) -> None:
        """Raise `BiofuseError` if a chunk that is not stored is not to be shown.

        What the user was told of absent chunks holds for no other ones.
        """
        if self.absent is None:
            if self.shows_fill:
                return
            raise not_stored(self.key(chunk_row, sample_chunk), self.fill)
        columns = -(-self.shape[1] // (self.chunks[1] * self.per_object[1]))
        row, column = chunk_row // self.per_object[0], sample_chunk // self.per_object[1]
        number = row * columns + column
        i = bisect_right(self.absent, number, key=lambda run: run[0]) - 1
        if i < 0 or number >= self.absent[i][1]:
            raise BiofuseError(
                f"{self.key(chunk_row, sample_chunk)} is not there and was when this view was "
                "planned: the store has lost it; --no-cache shows the store as it is"
            )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "GenotypeArray":
        """What `to_json` has made.

        Raises
        ------
        ValueError, LookupError, TypeError
            If it is of no array that can be read.
        """
        tuples = {name: tuple(value[name]) for name in ("shape", "chunks", "per_object")}
        absent = value.get("absent")
        if absent is not None:
            absent = tuple((first, end) for first, end in absent)
        made = cls(**{**value, **tuples, "absent": absent})
        made._check()
        return made

    def _check(self) -> None:
        check_types(self)
        columns = -(-self.shape[1] // max(1, self.chunks[1]))
        if min(*self.chunks, *self.per_object, self.item_size) < 1 or columns > _MOST_COLUMNS:
            raise ValueError(f"{self.path} has chunks that cannot be")
        if self.decoded_size > MAX_CHUNK:
            raise ValueError(f"{self.path} has chunks of 2 GiB and more")
        if self.code not in _CODES:
            raise ValueError(f"{self.path} has values of no known kind")
        if self.plain is not None:
            codec = self.plain["codec"]
            texts = [self.plain["dtype"], "" if codec is None else codec["id"]]
            if self.plain["order"] not in ("C", "F") or not fits(texts, list[str]):
                raise ValueError(f"{self.path} has chunks of no known encoding")
