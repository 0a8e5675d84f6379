"""Whole chunks that numcodecs decodes, for which zarr-python need not be imported.

That import takes a quarter of a second, which the first read after idle would wait for, in
place of an eighth, and 14 MiB more. It reads what is described here in the same way: a chunk
is one object, compressed by one codec or none.
"""

from typing import Any

from biofuse.genotypes.array import GenotypeArray
from biofuse.stores.decompress import decompress

# Codecs of Zarr v3 that are numcodecs' of the same name; a compressed chunk says how it is read.
_ZARR3 = {"blosc", "gzip", "zstd"}


def zarr2_encoding(dtype, metadata) -> dict[str, Any] | None:
    """How chunks are decoded, as `GenotypeArray.plain`, by an array's Zarr v2 metadata."""
    if metadata.filters:
        return None
    compressor = metadata.compressor
    return {
        "dtype": dtype.str,
        "order": metadata.order,
        "codec": None if compressor is None else compressor.get_config(),
    }


def zarr3_encoding(dtype, codecs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The same by Zarr v3 metadata.

    Parameters
    ----------
    dtype : numpy dtype
    codecs : list of dict
        The chain, as the metadata has it.
    """
    first, *others = codecs
    names = [codec["name"] for codec in others]
    if first["name"] != "bytes" or len(names) > 1 or not set(names) <= _ZARR3:
        return None
    endian = first.get("configuration", {}).get("endian", "little")
    byte_order = {"little": "<", "big": ">"}[getattr(endian, "value", endian)]
    return {
        "dtype": dtype.newbyteorder(byte_order).str,
        "order": "C",
        "codec": {"id": names[0]} if names else None,
    }


def decode(array: GenotypeArray, data: bytes | memoryview):
    """All of a chunk.

    Parameters
    ----------
    array : GenotypeArray
        One with `plain`.
    data : bytes-like
        The encoded chunk.

    Returns
    -------
    ndarray, shape `array.chunks`

    Raises
    ------
    Exception
        Whatever codecs raise for what they cannot decode.
    """
    import numpy as np

    assert array.plain is not None
    if array.plain["codec"] is not None:
        data = decompress(array.plain["codec"], data, array.decoded_size)
    values = np.frombuffer(data, np.dtype(array.plain["dtype"]))
    return values.reshape(array.chunks, order=array.plain["order"])
