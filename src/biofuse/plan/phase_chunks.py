"""The chunks of call_genotype_phased that a view has calls in, in the order of looks at them."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from biofuse import native
from biofuse.errors import BiofuseError, StoreChangedError
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.cache import ByteCache
from biofuse.genotypes.reader import GenotypeReader
from biofuse.genotypes.whole import WholeChunks
from biofuse.stores import Location, Range, open_store

# Chunks that are decoded at most in a search, where a slow one counts for many.
CHUNKS = 64
SLOW_CHUNK = 8
# Bytes that are kept of what is looked at.
_CACHE = 16 << 20

# Chunk rows that are looked at at most; fewer where each is a request over a network.
ROWS, ROWS_REMOTE = 1024, 16
# Chunks up to this size that are alike are decoded once: those of one value throughout.
_SMALL = 4096
_STEP = 64


def spread(rows: Sequence[int]) -> list[int]:
    """Chunk rows in the order in which they are looked at: the first ones spread over all."""
    # By the number with its bits reversed: 0, 1/2, 1/4, 3/4, 1/8 ... of the way.
    return [rows[i] for i in sorted(range(len(rows)), key=lambda i: f"{i:032b}"[::-1])]


def _by_column(samples: Sequence[int], width: int) -> "dict[int, array[int]]":
    found: dict[int, array[int]] = {}
    for sample in samples:
        found.setdefault(sample // width, array("I")).append(sample)
    return found


@contextmanager
def loaded(reader: GenotypeReader, chunk_row: int, wanted: "array[int]") -> Iterator[native.Rows]:
    """Rows of a chunk row, for the time of a block.

    Raises
    ------
    BiofuseError
        If they cannot be read.
    """
    rows = reader.rows()
    try:
        reader.load(rows, chunk_row, wanted)
        yield rows
    except native.NativeError as error:
        raise reader.error(error, chunk_row) from error
    finally:
        rows.release()


class PhaseChunks:
    """The chunks of a view, and what searches read them with.

    Parameters
    ----------
    location : Location
    phased : GenotypeArray
        call_genotype_phased.
    variants, samples : sequence of int or None
        The store's indices of the view's variants, ascending, and of its samples; None for
        all.
    opened_ns : int
        Time in nanoseconds since 1970: files that were changed later are an error.
    look_at : callable
        Called with the keys of chunks before they are read.

    Attributes
    ----------
    array : GenotypeArray
        call_genotype_phased.
    is_local : bool
        Whether the store is on this machine.
    look_at : callable
    columns : list of int
        Chunks of samples, ascending.
    """

    def __init__(
        self,
        location: Location,
        phased: GenotypeArray,
        variants: Sequence[int] | None,
        samples: Sequence[int] | None,
        opened_ns: int,
        look_at: Callable[[Iterable[str]], None],
    ):
        self.array = phased
        self.is_local = location.is_local
        self.look_at = look_at
        self._variants, self._samples = variants, samples
        self._store = open_store(location, opened_ns)
        self._cache = ByteCache(_CACHE)
        self._whole = WholeChunks(self._store, location, self._cache)
        width, count = phased.chunks[1], phased.shape[1]
        self._by_column: Mapping[int, Sequence[int]]
        if samples is None:
            starts = range(0, count, width)
            self._by_column = {s // width: range(s, min(s + width, count)) for s in starts}
        else:
            self._by_column = _by_column(samples, width)
        self.columns = sorted(self._by_column)

    def reader(self, field: GenotypeArray, column: int | None = None) -> GenotypeReader:
        """A reader of a field for the view's samples, or for those in a chunk of samples."""
        samples = self._samples if column is None else self.samples(column)
        return GenotypeReader(self._store, self._whole, field, samples, self._cache)

    def samples(self, column: int) -> Sequence[int]:
        """The view's samples in a chunk of samples."""
        return self._by_column[column]

    def order(self) -> list[int]:
        """The chunk rows that the view has variants in, the first ones spread over all."""
        height = self.array.chunks[0]
        if self._variants is None:
            rows = list(range(-(-self.array.shape[0] // height)))
        else:
            rows, position = [], 0
            while position < len(self._variants):
                rows.append(self._variants[position] // height)
                position = bisect_left(self._variants, (rows[-1] + 1) * height, position)
        return spread(rows)

    def rows(self, chunk_row: int) -> "array[int]":
        """The view's rows within a chunk row."""
        height = self.array.chunks[0]
        base = chunk_row * height
        if self._variants is None:
            return array("I", range(min(height, self.array.shape[0] - base)))
        first = bisect_left(self._variants, base)
        last = bisect_left(self._variants, base + height)
        return array("I", (v - base for v in self._variants[first:last]))

    def heads(self, places: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, bytes | None]]:
        """Each chunk's row and column, and the chunk: empty unless small, None if not stored."""
        for start in range(0, len(places), _STEP):
            part = places[start : start + _STEP]
            keys = [self.array.key(row, column) for row, column in part]
            self.look_at(keys)
            try:
                pieces = self._store.get_many([Range(key, 0, _SMALL) for key in keys])
            except StoreChangedError:
                raise
            except BiofuseError:
                # Each alone will tell which of them it is.
                yield from ((row, column, b"") for row, column in part)
                continue
            for (row, column), piece in zip(part, pieces, strict=True):
                # What a shard holds of one chunk row is not told by the whole of it.
                small = piece is not None and piece.size <= _SMALL and not self.array.sharded
                data = b"" if piece is None or not small else bytes(piece.data)
                yield row, column, None if piece is None else data
