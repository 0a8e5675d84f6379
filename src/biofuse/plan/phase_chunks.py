"""The chunks of call_genotype_phased that a view has calls in, in the order of looks at them."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from biofuse.errors import BiofuseError, StoreChangedError
from biofuse.genotypes.array import GenotypeArray
from biofuse.stores import Location, Range, Store, open_store

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


class PhaseChunks:
    """The chunks of a view.

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
    store : Store
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
        self.store: Store = open_store(location, opened_ns)
        self._array = phased
        self._variants = variants
        self._look_at = look_at
        width, count = phased.chunks[1], phased.shape[1]
        self._by_column: Mapping[int, Sequence[int]]
        if samples is None:
            starts = range(0, count, width)
            self._by_column = {s // width: range(s, min(s + width, count)) for s in starts}
        else:
            self._by_column = _by_column(samples, width)
        self.columns = sorted(self._by_column)

    def samples(self, column: int) -> Sequence[int]:
        """The view's samples in a chunk of samples."""
        return self._by_column[column]

    def order(self) -> list[int]:
        """The chunk rows that the view has variants in, the first ones spread over all."""
        height = self._array.chunks[0]
        if self._variants is None:
            rows = list(range(-(-self._array.shape[0] // height)))
        else:
            rows, position = [], 0
            while position < len(self._variants):
                rows.append(self._variants[position] // height)
                position = bisect_left(self._variants, (rows[-1] + 1) * height, position)
        return spread(rows)

    def rows(self, chunk_row: int) -> "array[int]":
        """The view's rows within a chunk row."""
        height = self._array.chunks[0]
        base = chunk_row * height
        if self._variants is None:
            return array("I", range(min(height, self._array.shape[0] - base)))
        first = bisect_left(self._variants, base)
        last = bisect_left(self._variants, base + height)
        return array("I", (v - base for v in self._variants[first:last]))

    def heads(self, places: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, bytes | None]]:
        """Each chunk's row and column, and the chunk: empty unless small, None if not stored."""
        for start in range(0, len(places), _STEP):
            part = places[start : start + _STEP]
            keys = [self._array.key(row, column) for row, column in part]
            self._look_at(keys)
            try:
                pieces = self.store.get_many([Range(key, 0, _SMALL) for key in keys])
            except StoreChangedError:
                raise
            except BiofuseError:
                # Each alone will tell which of them it is.
                yield from ((row, column, b"") for row, column in part)
                continue
            for (row, column), piece in zip(part, pieces, strict=True):
                # What a shard holds of one chunk row is not told by the whole of it.
                small = piece is not None and piece.size <= _SMALL and not self._array.sharded
                data = b"" if piece is None or not small else bytes(piece.data)
                yield row, column, None if piece is None else data
