"""Whether a view has phased variants, found out at a bounded cost."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

from biofuse import native
from biofuse.errors import BiofuseError, StoreChangedError
from biofuse.formats.base import Phase
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.cache import ByteCache
from biofuse.genotypes.reader import GenotypeReader
from biofuse.genotypes.whole import WholeChunks
from biofuse.stores import Location, Range, Store, open_store

# Chunks that are decoded at most, where a slow one counts for many.
_CHUNKS = 64
_SLOW_CHUNK = 8
# Chunk rows that are looked at at most; fewer where each is a request over a network.
_ROWS = 1024
ROWS_REMOTE = 16
_STEP = 64
# Chunks up to this size that are alike are decoded once: those of one value throughout.
_SMALL = 4096
# Bytes that are kept of what is looked at.
_CACHE = 16 << 20


def spread(rows: Sequence[int]) -> list[int]:
    """Chunk rows in the order in which they are looked at: the first ones spread over all."""
    # By the number with its bits reversed: 0, 1/2, 1/4, 3/4, 1/8 ... of the way.
    return [rows[i] for i in sorted(range(len(rows)), key=lambda i: f"{i:032b}"[::-1])]


class PhaseSearch:
    """Looks for a variant of which every call is phased.

    The first sample chunk alone shows that most variants are not; where it does not, the
    others are read too.

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
    error : BiofuseError or None
        The first of chunks that could not be read.
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
        self.error: BiofuseError | None = None
        self._array = phased
        self._variants = variants
        self._look_at = look_at
        self._is_local = location.is_local
        self._store: Store = open_store(location, opened_ns)
        width, count = self._array.chunks[1], self._array.shape[1]
        if samples is None:
            self._chunks = list(range(-(-count // width)))
            first: Sequence[int] = range(min(width, count))
        else:
            self._chunks = sorted({sample // width for sample in samples})
            first = [sample for sample in samples if sample // width == self._chunks[0]]
        cache = ByteCache(_CACHE)
        whole = WholeChunks(self._store, location, cache)
        self._screen = GenotypeReader(self._store, whole, self._array, first, cache)
        self._all = GenotypeReader(self._store, whole, self._array, samples, cache)
        self._left = _CHUNKS

    def find(self) -> Phase:
        """Look at one chunk row after another until there is a phased variant in one."""
        order = self._chunk_rows()
        most = _ROWS if self._is_local else ROWS_REMOTE
        unphased: set[bytes] = set()
        for chunk_row, head in self._heads(order[:most]):
            if (head is None and not self._array.fill) or head in unphased:
                continue
            if self._left <= 0:
                return Phase.UNKNOWN
            try:
                candidates = self._candidates(chunk_row, unphased, head)
                if self._is_any_full(chunk_row, candidates):
                    return Phase.YES
            except StoreChangedError:
                raise
            except BiofuseError as error:
                self.error = self.error or error
        return Phase.NO if len(order) <= most and self.error is None else Phase.UNKNOWN

    def _candidates(self, chunk_row: int, unphased: set[bytes], head: bytes | None) -> array:
        """The view's rows of a chunk row that may be phased; adds to what is not anywhere."""
        wanted = self._rows(chunk_row)
        if not head:
            return self._full_rows(self._screen, 1, chunk_row, wanted)
        height = self._array.chunks[0]
        most = min(height, self._array.shape[0] - chunk_row * height)
        found = self._full_rows(self._screen, 1, chunk_row, array("I", range(most)))
        if not found and most == height:
            unphased.add(head)
        return array("I", sorted(set(found) & set(wanted)))

    def _chunk_rows(self) -> list[int]:
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

    def _rows(self, chunk_row: int) -> array:
        """The view's rows within a chunk row."""
        height = self._array.chunks[0]
        base = chunk_row * height
        if self._variants is None:
            return array("I", range(min(height, self._array.shape[0] - base)))
        first = bisect_left(self._variants, base)
        last = bisect_left(self._variants, base + height)
        return array("I", (v - base for v in self._variants[first:last]))

    def _heads(self, chunk_rows: list[int]) -> Iterator[tuple[int, bytes | None]]:
        """Each chunk row, and its first chunk: empty unless small, None if it is not stored."""
        step = _STEP
        for start in range(0, len(chunk_rows), step):
            part = chunk_rows[start : start + step]
            keys = [self._array.key(row, self._chunks[0]) for row in part]
            self._look_at(keys)
            try:
                pieces = self._store.get_many([Range(key, 0, _SMALL) for key in keys])
            except StoreChangedError:
                raise
            except BiofuseError:
                # Each alone will tell which of them it is.
                yield from ((row, b"") for row in part)
                continue
            for row, piece in zip(part, pieces, strict=True):
                # What a shard holds of one chunk row is not told by the whole of it.
                small = piece is not None and piece.size <= _SMALL and not self._array.sharded
                yield row, None if piece is None else bytes(piece.data) if small else b""

    def _full_rows(
        self, reader: GenotypeReader, num_chunks: int, chunk_row: int, wanted: array
    ) -> array:
        """Those of these rows in which all samples that a reader has are phased."""
        self._left -= num_chunks * (1 if self._array.fast else _SLOW_CHUNK)
        rows = reader.rows()
        try:
            reader.load(rows, chunk_row, wanted)
            return rows.full_rows(wanted)
        except native.NativeError as error:
            raise reader.error(error, chunk_row) from error
        finally:
            rows.release()

    def _is_any_full(self, chunk_row: int, candidates: array) -> bool:
        """Whether any of these rows is phased in all samples."""
        count = len(self._chunks)
        if not candidates or count == 1:
            return len(candidates) > 0
        self._look_at([self._array.key(chunk_row, chunk) for chunk in self._chunks])
        # Mostly the first one is, and one takes much less time than all.
        for some in (candidates[:1], candidates[1:]):
            if some and self._full_rows(self._all, count, chunk_row, some):
                return True
        return False
