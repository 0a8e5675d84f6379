"""Whether a view has heterozygous calls that are phased, found out at a bounded cost."""

from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from biofuse import native
from biofuse.errors import BiofuseError, StoreChangedError
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.cache import ByteCache
from biofuse.genotypes.reader import GenotypeReader
from biofuse.genotypes.whole import WholeChunks
from biofuse.plan.phase import CACHE, CHUNKS, SLOW_CHUNK
from biofuse.plan.phase_chunks import ROWS, ROWS_REMOTE, PhaseChunks
from biofuse.stores import Location

# Chunks of calls that are decoded at most, where a slow one counts for many.
CALL_CHUNKS = 16
# Variants of a chunk whose calls are looked at.
_LOOKS = 128
# What `native.Rows.counts` tells of a row where alleles 0 and 1 are counted: the four are 0, 1,
# what is missing, and what is more.
_COUNTS = 4


class PhasedCallSearch:
    """Looks for a call of two different alleles that is phased.

    Stores flag haploid and missing calls as phased too, which means nothing: where there are
    flags, the calls themselves are read, of few chunks. So what is found is there; what is not
    may be where nobody looked, as in a store that has a few phased calls far from each other.

    Parameters
    ----------
    location : Location
    phased, genotypes : GenotypeArray
        call_genotype_phased and call_genotype.
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
        genotypes: GenotypeArray,
        variants: Sequence[int] | None,
        samples: Sequence[int] | None,
        opened_ns: int,
        look_at: Callable[[Iterable[str]], None],
    ):
        self.error: BiofuseError | None = None
        self._location = location
        self._phased = phased
        self._genotypes = genotypes
        self._look_at = look_at
        self._chunks = PhaseChunks(location, phased, variants, samples, opened_ns, look_at)
        self._cache = ByteCache(CACHE)
        self._whole = WholeChunks(self._chunks.store, location, self._cache)
        self._left, self._calls_left = CHUNKS, CALL_CHUNKS

    def find(self) -> bool:
        """Look at one chunk after another until there is such a call in one."""
        if self._genotypes.ploidy < 2:
            return False
        without: set[bytes] = set()
        for row, column, head in self._chunks.heads(self._places()):
            if (head is None and not self._phased.fill) or head in without:
                continue
            if self._left <= 0 or self._calls_left <= 0:
                return False
            try:
                flagged = self._flagged(row, column)
                if flagged and self._has_het(row, column, flagged):
                    return True
            except StoreChangedError:
                raise
            except BiofuseError as error:
                self.error = self.error or error
                continue
            if head and not flagged and self._is_whole(row, column):
                without.add(head)
        return False

    def _places(self) -> list[tuple[int, int]]:
        """Chunks in the order of looks: of all chunk rows, and of other samples in each."""
        order, columns = self._chunks.order(), self._chunks.columns
        most = ROWS
        if not self._location.is_local:
            # Those that were asked for before.
            most, columns = ROWS_REMOTE, columns[:1]
        count = len(order)
        return [
            (order[i % count], columns[(i % count + i // count) % len(columns)])
            for i in range(min(most, count * len(columns)))
        ]

    def _is_whole(self, row: int, column: int) -> bool:
        """Whether all of a chunk is in the view."""
        height, width = self._phased.chunks[:2]
        whole = len(self._chunks.rows(row)) == height
        return whole and len(self._chunks.samples(column)) == width

    def _flagged(self, row: int, column: int) -> "array[int]":
        """The view's rows of a chunk of flags that have any, some if there are many."""
        self._left -= 1 if self._phased.fast else SLOW_CHUNK
        wanted = self._chunks.rows(row)
        with _Loaded(self._reader(self._phased, column), row, wanted) as rows:
            counts = np.asarray(rows.counts(wanted, 2)).reshape(-1, _COUNTS)
        found = np.asarray(wanted)[counts[:, 1] > 0]
        chosen = np.linspace(0, len(found) - 1, min(len(found), _LOOKS)).astype(np.int64)
        return array("I", found[chosen].tolist())

    def _has_het(self, row: int, column: int, flagged: "array[int]") -> bool:
        """Whether a call of these rows of a chunk of flags is phased and heterozygous."""
        base = row * self._phased.chunks[0]
        height = self._genotypes.chunks[0]
        flags = self._reader(self._phased, column)
        calls = self._reader(self._genotypes, column)
        num_chunks = len(calls.keys(0))
        by_chunk: dict[int, array[int]] = {}
        for each in flagged:
            by_chunk.setdefault((base + each) // height, array("I")).append(each)
        with _Loaded(flags, row, flagged) as phased:
            for chunk_row, some in by_chunk.items():
                if self._calls_left <= 0:
                    return False
                self._calls_left -= num_chunks * (1 if self._genotypes.fast else SLOW_CHUNK)
                self._look_at(calls.keys(chunk_row))
                within = array("I", (base + each - chunk_row * height for each in some))
                with _Loaded(calls, chunk_row, within) as genotypes:
                    for flag, call in zip(some, within, strict=True):
                        if _is_het(genotypes.alleles(call), phased.alleles(flag)):
                            return True
        return False

    def _reader(self, field: GenotypeArray, column: int) -> GenotypeReader:
        """A reader of a field for the view's samples in a chunk of flags."""
        samples = self._chunks.samples(column)
        return GenotypeReader(self._chunks.store, self._whole, field, samples, self._cache)


def _is_het(alleles: bytes, flags: bytes) -> bool:
    """Whether any call of two different alleles is flagged."""
    flagged = np.frombuffer(flags, np.int8) != 0
    calls = np.frombuffer(alleles, np.int8).reshape(len(flagged), -1)
    first, second = calls[:, 0], calls[:, 1]
    return bool((flagged & (first >= 0) & (second >= 0) & (first != second)).any())


class _Loaded:
    """Rows of a chunk row, in a `with` block.

    Raises
    ------
    BiofuseError
        If they cannot be read.
    """

    def __init__(self, reader: GenotypeReader, chunk_row: int, wanted: "array[int]"):
        self._reader = reader
        self._chunk_row = chunk_row
        self._wanted = wanted
        self._rows = reader.rows()

    def __enter__(self) -> native.Rows:
        try:
            self._reader.load(self._rows, self._chunk_row, self._wanted)
        except BaseException:
            self._rows.release()
            raise
        return self._rows

    def __exit__(self, kind: object, error: Any, trace: object) -> None:
        self._rows.release()
        if isinstance(error, native.NativeError):
            raise self._reader.error(error, self._chunk_row) from error
