"""Whether a view has heterozygous calls that are phased, found out at a bounded cost."""

from array import array

import numpy as np

from biofuse.errors import BiofuseError, StoreChangedError
from biofuse.genotypes.array import GenotypeArray
from biofuse.plan.phase_chunks import CHUNKS, ROWS, ROWS_REMOTE, SLOW_CHUNK, PhaseChunks, loaded

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
    chunks : PhaseChunks
    genotypes : GenotypeArray
        call_genotype.

    Attributes
    ----------
    error : BiofuseError or None
        The first of chunks that could not be read.
    """

    def __init__(self, chunks: PhaseChunks, genotypes: GenotypeArray):
        self.error: BiofuseError | None = None
        self._chunks = chunks
        self._phased = chunks.array
        self._genotypes = genotypes
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
        if not self._chunks.is_local:
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
        with loaded(self._chunks.reader(self._phased, column), row, wanted) as rows:
            counts = np.asarray(rows.counts(wanted, 2)).reshape(-1, _COUNTS)
        found = np.asarray(wanted)[counts[:, 1] > 0]
        chosen = np.linspace(0, len(found) - 1, min(len(found), _LOOKS)).astype(np.int64)
        return array("I", found[chosen].tolist())

    def _has_het(self, row: int, column: int, flagged: "array[int]") -> bool:
        """Whether a call of these rows of a chunk of flags is phased and heterozygous."""
        base = row * self._phased.chunks[0]
        height = self._genotypes.chunks[0]
        flags = self._chunks.reader(self._phased, column)
        calls = self._chunks.reader(self._genotypes, column)
        num_chunks = len(calls.keys(0))
        by_chunk: dict[int, array[int]] = {}
        for each in flagged:
            by_chunk.setdefault((base + each) // height, array("I")).append(each)
        with loaded(flags, row, flagged) as phased:
            for chunk_row, some in by_chunk.items():
                if self._calls_left <= 0:
                    return False
                self._calls_left -= num_chunks * (1 if self._genotypes.fast else SLOW_CHUNK)
                self._chunks.look_at(calls.keys(chunk_row))
                within = array("I", (base + each - chunk_row * height for each in some))
                with loaded(calls, chunk_row, within) as genotypes:
                    for flag, call in zip(some, within, strict=True):
                        if _is_het(genotypes.alleles(call), phased.alleles(flag)):
                            return True
        return False


def _is_het(alleles: bytes, flags: bytes) -> bool:
    """Whether any call of two different alleles is flagged."""
    flagged = np.frombuffer(flags, np.int8) != 0
    calls = np.frombuffer(alleles, np.int8).reshape(len(flagged), -1)
    first, second = calls[:, 0], calls[:, 1]
    return bool((flagged & (first >= 0) & (second >= 0) & (first != second)).any())
