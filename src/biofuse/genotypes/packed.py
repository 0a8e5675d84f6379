"""Calls off the fast path, packed to bit planes."""

from biofuse import native
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.whole import WholeChunks

# Decoded bytes that are packed at a time.
_SLAB = 1 << 20
_NUM_PLANES = 8
_LEAST, _MOST = -128, 127


class PackedReader:
    """Reads calls of one sample chunk at a time as packed rows. Thread-safe.

    Parameters
    ----------
    whole : WholeChunks
    array : GenotypeArray
    row_alleles : int
        Alleles of a row of all the sample chunks that are read.
    """

    def __init__(self, whole: WholeChunks, array: GenotypeArray, row_alleles: int):
        self._whole = whole
        self._array = array
        self._row_alleles = row_alleles
        # Where an allele index is above 1, all planes are kept.
        self._planes = 2

    @property
    def row_bytes(self) -> int:
        """Bytes of a packed row of all sample chunks, as far as was seen until now."""
        return self._planes * (self._row_alleles // 8 + 1)

    def rows_left(self, row: int) -> int:
        """Rows from this one to the end of the range that is kept with it.

        Reads that cross no such end do not have ranges of all chunks evict each other.
        """
        size = self._whole.range_rows(self._array, self.row_bytes)
        return size - row % size

    def read(self, chunk_row: int, sample_chunk: int, first: int, last: int) -> native.PackedRows:
        """Rows `first` to `last`, inclusive, of a chunk.

        They are a copy, so that what is kept can be dropped at any time.
        """
        import numpy as np

        out = None
        with self._whole.alone():
            while out is None or out.last_row <= last:
                row = first if out is None else out.last_row
                kept = self._whole.kept(
                    self._array, chunk_row, sample_chunk, row, lambda: self.row_bytes, self._pack
                )
                if out is None:
                    empty = np.empty((0, kept.row_bits), np.int8)
                    out = native.PackedRows(empty, first, last + 1 - first)
                out.append_rows(kept, row, min(last + 1, kept.last_row))
        return out

    def _pack(self, values, begin) -> native.PackedRows:
        import numpy as np

        if values.size and values.dtype != bool and (values.max() > 1 or values.min() < -2):
            self._planes = _NUM_PLANES
        first, last = begin()
        width = values[:1].size
        packed = native.PackedRows(np.empty((0, width), np.int8), first, last - first)
        step = max(1, _SLAB // max(1, width * values.itemsize))
        for start in range(first, last, step):
            slab = values[start : min(start + step, last)]
            if slab.dtype != np.int8:
                # An allele beyond int8 becomes a value that no format takes for an allele.
                beyond = (slab < _LEAST) | (slab > _MOST)
                slab = np.where(beyond, _LEAST, slab).astype(np.int8)
            packed.append(np.ascontiguousarray(slab).reshape(len(slab), width))
        return packed
