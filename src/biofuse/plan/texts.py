"""Arrays of texts, as bytes: no object a text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from biofuse import native

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True)
class TextArray:
    """Texts of any shape, whose UTF-8 lies somewhere in bytes that others may share.

    Attributes
    ----------
    data : memoryview of uint8
    starts : ndarray of uint64
        Where in the bytes each text begins.
    sizes : ndarray of uint32
        Its bytes.
    """

    data: memoryview
    starts: Array
    sizes: Array

    @staticmethod
    def of(texts: Sequence[str]) -> "TextArray":
        """These texts."""
        return TextArray.from_column(native.Texts.of(texts))

    @staticmethod
    def from_column(column: native.Texts) -> "TextArray":
        """The texts of a column, but for what stands for empty ones."""
        data, starts, sizes = column.parts
        return TextArray(data, np.asarray(starts), np.asarray(sizes))

    @staticmethod
    def from_values(values: Array) -> "TextArray":
        """An array of texts, of which byte strings are UTF-8.

        Raises
        ------
        UnicodeEncodeError
            If one is not.
        """
        if values.dtype.kind == "S" and values.dtype.itemsize:
            found = _fixed_width(np.ascontiguousarray(values))
            if found is not None:
                return found
        found = TextArray.of(as_text(values).ravel().tolist())
        shape = values.shape
        return TextArray(found.data, found.starts.reshape(shape), found.sizes.reshape(shape))

    def __getitem__(self, key: Any) -> "TextArray":
        return TextArray(self.data, self.starts[key], self.sizes[key])

    def __len__(self) -> int:
        return len(self.sizes)

    def blank(self) -> "TextArray":
        """As many empty texts."""
        return TextArray(memoryview(b""), np.zeros_like(self.starts), np.zeros_like(self.sizes))

    def are(self, character: str) -> Array:
        """Indices of the texts, of one dimension, that are this one, of ASCII."""
        single = np.flatnonzero(self.sizes == 1)
        data = np.frombuffer(self.data, np.uint8)
        found: Array = single[data[self.starts[single]] == ord(character)]
        return found

    def replaced(self, indices: Array, more: "TextArray") -> "TextArray":
        """The same, of one dimension, but for these."""
        starts, sizes = self.starts.copy(), self.sizes.copy()
        starts[indices] = more.starts + np.uint64(self.data.nbytes)
        sizes[indices] = more.sizes
        return TextArray(memoryview(b"".join((self.data, more.data))), starts, sizes)

    def column(self) -> native.Texts:
        """For the kernels, of one dimension."""
        starts, sizes = np.ascontiguousarray(self.starts), np.ascontiguousarray(self.sizes)
        return native.Texts(self.data, starts, sizes)


def as_text(values: Array) -> Array:
    """An array with byte strings decoded; any other as it is."""
    if values.dtype.kind != "S":
        return values
    return np.char.decode(values, "utf-8", "surrogateescape").astype(object)


def _fixed_width(values: Array) -> TextArray | None:
    """Byte strings where they are; None if one is not UTF-8."""
    width = values.dtype.itemsize
    starts = np.arange(0, values.size * width, width, dtype=np.uint64).reshape(values.shape)
    sizes = np.char.str_len(values).astype(np.uint32)
    data = values.reshape(-1).view(np.uint8).data
    try:
        native.Texts(data, starts.reshape(-1), sizes.reshape(-1))
    except native.NativeError:
        return None
    return TextArray(data, starts, sizes)
