"""How often alleles occur in calls, from bit planes."""

from array import array
from dataclasses import dataclass, replace

import numpy as np

from biofuse import native
from biofuse.errors import BiofuseError
from biofuse.formats.base import GENOTYPES
from biofuse.genotypes.cache import ByteCache
from biofuse.genotypes.describe import describe
from biofuse.genotypes.reader import GenotypeReader
from biofuse.genotypes.whole import WholeChunks
from biofuse.stores import Location, Store
from biofuse.stores.members import Members

# Bytes of packed rows that are kept where chunks are decoded whole.
_CACHE = 32 << 20
# Encoded bytes that are loaded at a time.
_LOADED = 16 << 20


@dataclass(frozen=True)
class Counts:
    """Counts of variants.

    Attributes
    ----------
    alleles : ndarray of int64, shape (variants, alleles)
        How often each allele occurs, the reference first.
    incomplete : ndarray of int64, shape (variants,)
        Samples of which an allele is missing.
    """

    alleles: np.ndarray
    incomplete: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """Alleles that are not missing, of each variant."""
        return np.asarray(self.alleles.sum(axis=1))


class AlleleCounter:
    """Counts alleles in some samples of a store.

    Parameters
    ----------
    location : Location
    group : Members
    store : Store
        The same store.
    samples : ndarray of int64 or None
        None for all.
    fails : bool
        Whether chunks that are not stored are an error.
    """

    def __init__(
        self,
        location: Location,
        group: Members,
        store: Store,
        samples: np.ndarray | None,
        fails: bool = False,
    ):
        cache = ByteCache(_CACHE)
        self._reader = GenotypeReader(
            store,
            WholeChunks(store, location, cache),
            replace(describe(group[GENOTYPES]), shows_fill=not fails),
            None if samples is None else samples.tolist(),
            cache,
            wide=True,
        )
        self._rows = self._reader.rows()
        self._height = self._reader.genotypes.chunks[0]

    def count(self, variants: np.ndarray, width: int, num_alleles: np.ndarray) -> Counts:
        """Count the alleles of variants.

        Parameters
        ----------
        variants : ndarray of int64
            Ascending.
        width : int
            Alleles to count.
        num_alleles : ndarray of int64
            How many alleles each has: a call with another one is an error.

        Raises
        ------
        BiofuseError
            If calls cannot be read, or have an allele that the site has not.
        """
        parts = []
        chunk_rows = variants // self._height
        for chunk_row in np.unique(chunk_rows).tolist():
            inside = variants[chunk_rows == chunk_row] - chunk_row * self._height
            while len(inside):
                step = self._reader.rows_within(chunk_row, int(inside[0]), _LOADED)
                now = int(np.searchsorted(inside, inside[0] + step))
                parts.append(self._count(chunk_row, inside[:now], width))
                inside = inside[now:]
        found = np.concatenate(parts) if parts else np.zeros((0, width + 2), dtype=np.int64)
        beyond = np.arange(width) >= num_alleles[:, np.newaxis]
        wrong = np.flatnonzero(found[:, -1] + (found[:, :width] * beyond).sum(axis=1))
        if len(wrong):
            raise BiofuseError(
                f"call_genotype has an allele that the site has not, at variant "
                f"{variants[wrong[0]]} of the store, counted from 0"
            )
        return Counts(found[:, :width], found[:, width])

    def _count(self, chunk_row: int, inside: np.ndarray, width: int) -> np.ndarray:
        wanted = array("I", inside.tolist())
        try:
            self._reader.load(self._rows, chunk_row, wanted)
            found = self._rows.counts(wanted, width)
        except native.NativeError as error:
            raise self._reader.error(error, chunk_row) from error
        finally:
            self._rows.release()
        return np.frombuffer(found, dtype=np.uint64).astype(np.int64).reshape(len(wanted), -1)
