"""Read part of an array through zarr-python without a second copy of it."""

import numpy as np
from zarr.core.buffer import NDBuffer


class _Capture(NDBuffer):
    """Output of a read that keeps the one decoded chunk itself, in place of a copy.

    Where a read is put together from several chunks, they are copied.
    """

    def __init__(self, shape: tuple[int, ...], dtype):
        # It has the shape, and takes no memory.
        self._data: np.ndarray  # type: ignore[assignment]  # zarr-python's type is a protocol
        super().__init__(np.broadcast_to(np.zeros((), dtype), shape))  # type: ignore[arg-type]

    def __setitem__(self, key, value) -> None:
        if isinstance(value, NDBuffer):
            value = value.as_numpy_array()
        value = np.asarray(value)
        if value.shape in ((), self.shape):
            self._data = np.broadcast_to(value.astype(self.dtype, copy=False), self.shape)
            return
        if not self._data.flags.writeable:
            self._data = np.array(self._data)
        self._data[key] = value

    def as_numpy_array(self) -> np.ndarray:
        return self._data


def capture(array, selection: tuple[slice, ...]) -> np.ndarray:
    """Values of a selection, perhaps not writeable.

    Parameters
    ----------
    array : zarr.Array
    selection : tuple of slice
        Of the first dimensions, each with a start and a stop that lie in the array.
    """
    shape = [s.stop - s.start for s in selection] + list(array.shape[len(selection) :])
    # Its abstract methods are not called on an output.
    out = _Capture(tuple(shape), array.dtype)  # type: ignore[abstract]
    array.get_basic_selection(selection, out=out)
    return out.as_numpy_array()
