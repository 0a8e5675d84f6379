"""Texts of calls, one a sample: those of a sample with commas between them."""

from collections.abc import Iterator
from typing import Any

from biofuse import native
from biofuse.genotypes.array import GenotypeArray

# Bytes of texts that are made of values at a time.
_SLAB = 1 << 20


class TextChunk:
    """A chunk of texts.

    Parameters
    ----------
    array : GenotypeArray
        Of which `text_width` is needed to read rows.
    values : bytes-like or ndarray
        All of the chunk as vlen-utf8 has it, decompressed; or its values, of texts or bytes.
    shape : tuple of int
        Its rows and samples within the array.
    """

    def __init__(self, array: GenotypeArray, values: Any, shape: tuple[int, int]):
        self._array = array
        self._values = values
        self._shape = shape
        self._is_array = hasattr(values, "dtype") and hasattr(values, "reshape")

    @property
    def nbytes(self) -> int:
        """Bytes of the texts, those included that say how long each is."""
        if not self._is_array:
            return memoryview(self._values).nbytes
        return sum(len(part) for part, _, _ in self._parts(0, self._shape[0]))

    def width(self) -> int:
        """Bytes of the longest text of a sample, at least one.

        Raises
        ------
        native.NativeError
            If the chunk is damaged.
        """
        if not self._is_array:
            return native.text_width(self._values, *self._geometry())
        parts = self._parts(0, self._shape[0])
        return max((native.text_width(part, *shape) for part, _, shape in parts), default=1)

    def rows(self, first: int, last: int) -> Any:
        """Texts of rows first to last, exclusive.

        Returns
        -------
        ndarray of uint8, shape (rows, samples * text_width)
            With zeros behind each.

        Raises
        ------
        native.NativeError
            If the chunk is damaged, or a text is longer than `text_width`.
        """
        import numpy as np

        width = self._array.text_width
        out = np.empty((last - first, self._shape[1] * width), np.uint8)
        if not self._is_array:
            native.text_cells(self._values, *self._geometry(), first, last, width, out)
            return out
        for part, start, shape in self._parts(first, last):
            stop = start + shape[0]
            native.text_cells(part, *shape, 0, shape[0], width, out[start - first : stop - first])
        return out

    def _geometry(self) -> tuple[int, int, int, int]:
        """Rows of the whole chunk, texts of each, of a sample, and samples that are wanted."""
        rows, samples, each = self._array.chunks
        return rows, samples * each, each, self._shape[1]

    def _parts(
        self, first: int, last: int
    ) -> Iterator[tuple[bytes, int, tuple[int, int, int, int]]]:
        """Rows as vlen-utf8 has them, a part at a time: bytes, the first row, and how many."""
        from numcodecs.vlen import VLenBytes, VLenUTF8

        each = self._array.shape[2]
        samples = self._shape[1]
        codec = VLenBytes() if self._values.dtype.kind == "S" else VLenUTF8()
        step = max(1, _SLAB // max(1, samples * each * self._values.dtype.itemsize))
        for start in range(first, last, step):
            slab = self._values[start : min(start + step, last)]
            data = codec.encode(slab.reshape(-1).astype(object))
            yield data, start, (len(slab), samples * each, each, samples)
