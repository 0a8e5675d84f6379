"""Decompression that makes no more bytes than it is allowed to.

A few thousand bytes of a compressed chunk can stand for gigabytes. Those codecs that write
a size first are asked for it; the others are stopped.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

# What an LZMA stream may take for its dictionary: xz -9 takes 65 MiB.
_LZMA_MEMORY = 256 << 20
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_BLOCK = 128 << 10
# Blocks of a zstd stream that was flushed often are not full.
_ZSTD_SLACK = 64 << 20
_GZIP = 16 + zlib.MAX_WBITS


class TooLargeError(ValueError):
    """A chunk stands for more bytes than its array has in one."""

    def __init__(self, most: int):
        super().__init__(
            f"it is damaged: it decompresses to more than {most:,} bytes, which a chunk of this "
            "array cannot have"
        )


def inflate_zlib(data: Any, most: int, bits: int = zlib.MAX_WBITS) -> bytes:
    """Decompress a zlib stream."""
    return _run(lambda: zlib.decompressobj(bits), bytes(data), most)


def inflate_gzip(data: Any, most: int) -> bytes:
    """Decompress gzip members."""
    return inflate_zlib(data, most, _GZIP)


def inflate_bz2(data: Any, most: int) -> bytes:
    """Decompress bzip2 streams."""
    return _run(bz2.BZ2Decompressor, bytes(data), most)


def inflate_lzma(data: Any, most: int, format: int, filters: Any) -> bytes:
    """Decompress LZMA streams of a format, with filters, as the `lzma` module knows them."""
    memory = None if format == lzma.FORMAT_RAW else _LZMA_MEMORY
    return _run(lambda: lzma.LZMADecompressor(format, memory, filters), bytes(data), most)


def _run(begin: Callable[[], Any], data: bytes, most: int) -> bytes:
    """What streams, one after another, decompress to."""
    parts: list[bytes] = []
    size = 0
    while data or not parts:
        stream = begin()
        part = stream.decompress(data, most + 1 - size)
        size += len(part)
        if size > most:
            raise TooLargeError(most)
        if not stream.eof:
            raise EOFError("it is cut off")
        parts.append(part)
        # Padding is allowed after a stream.
        data = stream.unused_data.lstrip(b"\0")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def check_header(codec_id: str, data: Any, most: int) -> None:
    """Raise `TooLargeError` if a chunk says, or may, be larger when decompressed.

    Parameters
    ----------
    codec_id : str
        One of numcodecs': "blosc", "lz4" or "zstd".
    data : bytes-like
    most : int
    """
    data = memoryview(data).cast("B")
    if codec_id == "blosc":
        size = int.from_bytes(data[4:8], "little")
    elif codec_id == "lz4":
        size = int.from_bytes(data[:4], "little")
    else:
        size = _zstd_size(data, most)
    if size > most:
        raise TooLargeError(most)


def _zstd_size(data: memoryview, most: int) -> int:
    """Bytes that zstd frames decompress to; where they do not say, `most` if it may be so many."""
    size = at = 0
    while at + 5 <= len(data) and size <= most:
        magic = int.from_bytes(data[at : at + 4], "little")
        if magic >> 4 == 0x184D2A5:
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
            continue
        if data[at : at + 4] != _ZSTD_MAGIC:
            break
        descriptor = data[at + 4]
        single = descriptor >> 5 & 1
        width = (single, 2, 4, 8)[descriptor >> 6]
        at += 5 + (0 if single else 1) + (0, 1, 2, 4)[descriptor & 3]
        declared = int.from_bytes(data[at : at + width], "little") + (256 if width == 2 else 0)
        blocks, at = _zstd_blocks(data, at + width, most + _ZSTD_SLACK)
        at += 4 * (descriptor >> 2 & 1)
        if width == 0:
            declared = most + 1 if blocks > most + _ZSTD_SLACK else min(blocks, most)
        size += declared
    return size


def _zstd_blocks(data: memoryview, at: int, most: int) -> tuple[int, int]:
    """The most that a frame's blocks can decompress to, and where they end."""
    size = 0
    last = False
    while not last and at + 3 <= len(data) and size <= most:
        header = int.from_bytes(data[at : at + 3], "little")
        last, kind, length = bool(header & 1), header >> 1 & 3, header >> 3
        size += length if kind < 2 else _ZSTD_BLOCK
        at += 3 + (1 if kind == 1 else length)
    return size, at


def check_texts(data: Any) -> None:
    """Raise ValueError if a chunk of texts, each after its length, cannot have as many as it says.

    Memory is taken for all of them before the first is read.
    """
    data = memoryview(data).cast("B")
    if 4 + 4 * int.from_bytes(data[:4], "little") > len(data):
        raise ValueError("it is damaged: it has fewer texts than it says")
