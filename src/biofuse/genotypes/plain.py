"""Whole chunks that numcodecs decodes, for which zarr-python need not be imported.

That import takes a quarter of a second, which the first read after idle would wait for, in
place of an eighth, and 14 MiB more. It reads what is described here in the same way: a chunk
is one object, compressed by one codec or none.
"""

from typing import Any

from biofuse.genotypes.array import GenotypeArray
from biofuse.stores.decompress import decompress
from biofuse.stores.limits import MAX_TEXT

# Codecs of Zarr v3 that are numcodecs' of the same name; a compressed chunk says how it is read.
_ZARR3 = {"blosc", "gzip", "zstd"}
# Texts of any length, each after its own; and the type that stands for them here.
_TEXTS, TEXTS = "vlen-utf8", "|O"


def zarr2_encoding(dtype, metadata) -> dict[str, Any] | None:
    """How chunks are decoded, as `GenotypeArray.plain`, by an array's Zarr v2 metadata."""
    filters = [each.get_config().get("id") for each in metadata.filters or ()]
    texts = filters == [_TEXTS] and metadata.order == "C"
    if filters and not texts:
        return None
    compressor = metadata.compressor
    return {
        "dtype": TEXTS if texts else dtype.str,
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
    if first["name"] not in ("bytes", _TEXTS) or len(names) > 1 or not set(names) <= _ZARR3:
        return None
    codec = {"id": names[0]} if names else None
    if first["name"] == _TEXTS:
        return {"dtype": TEXTS, "order": "C", "codec": codec}
    endian = first.get("configuration", {}).get("endian", "little")
    byte_order = {"little": "<", "big": ">"}[getattr(endian, "value", endian)]
    return {
        "dtype": dtype.newbyteorder(byte_order).str,
        "order": "C",
        "codec": codec,
    }


def most_decoded(array: GenotypeArray) -> int:
    """Bytes that a chunk may have when decoded."""
    if array.code == "s" and not array.text_width:
        return MAX_TEXT
    return array.decoded_size


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
    ndarray, shape `array.chunks`, or bytes-like
        Bytes of vlen-utf8's texts.

    Raises
    ------
    Exception
        Whatever codecs raise for what they cannot decode.
    """
    import numpy as np

    assert array.plain is not None
    if array.plain["codec"] is not None:
        data = decompress(array.plain["codec"], data, most_decoded(array))
    if array.plain["dtype"] == TEXTS:
        return data
    values = np.frombuffer(data, np.dtype(array.plain["dtype"]))
    return values.reshape(array.chunks, order=array.plain["order"])
