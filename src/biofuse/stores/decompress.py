"""What codecs of numcodecs make of a chunk, which is no more than the array allows for."""

from typing import Any

from biofuse.stores import inflate

# Those that are known here; all others are zarr-python's business.
CODECS = frozenset({"blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd"})


def decompress(config: dict[str, Any], data: bytes | memoryview, most: int) -> Any:
    """Decompress a chunk.

    Parameters
    ----------
    config : dict
        The codec's configuration, with its `id`, one of `CODECS`.
    data : bytes-like
    most : int
        Bytes that the chunk may have.

    Returns
    -------
    bytes-like

    Raises
    ------
    Exception
        Whatever codecs raise for what they cannot decode.
    """
    name = config["id"]
    if name == "gzip":
        return inflate.inflate_gzip(data, most)
    if name == "zlib":
        return inflate.inflate_zlib(data, most)
    if name == "bz2":
        return inflate.inflate_bz2(data, most)
    if name == "lzma":
        return inflate.inflate_lzma(data, most, config["format"], config["filters"])
    if name in ("blosc", "lz4", "zstd"):
        inflate.check_header(name, data, most)
    if name == "blosc":
        from numcodecs import blosc

        # Threads are the process's own, as many as were asked for.
        blosc.use_threads = False
        size = frame_size(data)
        if size > len(data):
            raise ValueError(f"a Blosc frame of {size} bytes is cut off at {len(data)}")
    from numcodecs.registry import get_codec

    return get_codec(config).decode(data)


def frame_size(data: bytes | memoryview) -> int:
    """Bytes of a Blosc frame by its header, which numcodecs trusts: it would read on in memory."""
    return int.from_bytes(data[12:16], "little") if len(data) >= 16 else 16
