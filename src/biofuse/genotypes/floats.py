"""Floats of 32 bits, of which some stand for what is missing."""

from typing import Any

# Bits of what is missing and of what is none, by the bytes of a float, as VCF Zarr has them for
# 32 bits, with the same payload in others.
NANS = {
    2: ("u2", 0x7C01, 0x7C02),
    4: ("u4", 0x7F800001, 0x7F800002),
    8: ("u8", 0x7FF0000000000001, 0x7FF0000000000002),
}


def float32(values: Any) -> Any:
    """Values as floats of 32 bits; what is missing and none in others is so in these.

    Parameters
    ----------
    values : ndarray of numbers

    Returns
    -------
    ndarray of float32
        Of the same shape; the very one if it is of 32 bits in this machine's order of bytes.
    """
    import numpy as np

    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.kind != "f" or values.dtype.itemsize == 4:
        return values.astype(np.float32, copy=False)
    unsigned, missing, none = NANS[values.dtype.itemsize]
    bits = np.ascontiguousarray(values).view(unsigned)
    with np.errstate(invalid="ignore", over="ignore"):
        found = np.ascontiguousarray(values).astype(np.float32)
    found.view("u4")[bits == missing] = NANS[4][1]
    found.view("u4")[bits == none] = NANS[4][2]
    return found
