"""BGZF: gzip in blocks, of which those of stored data lie where arithmetic tells.

Specification: https://samtools.github.io/hts-specs/SAMv1.pdf, section 4.1. The same blocks as
`bcftools view --output-type u` with compression level 0 writes, and as native/bgzf.c makes.
"""

import struct
import zlib

# Bytes of the stream in every block but the last one, and what is around them.
PAYLOAD = 65280
AROUND = 31
BLOCK = PAYLOAD + AROUND
# The empty block that ends a file.
END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")

_HEAD = bytes.fromhex("1f8b08040000000000ff060042430200")


def framed_size(stream: int) -> int:
    """Bytes of the file that a stream of so many bytes makes, of stored data."""
    return stream + -(-stream // PAYLOAD) * AROUND + len(END)


def stored_block(payload: bytes | bytearray | memoryview) -> bytes:
    """A block of stored data, of up to `PAYLOAD` bytes."""
    size = len(payload)
    head = _HEAD + struct.pack("<HBHH", size + AROUND - 1, 1, size, size ^ 0xFFFF)
    return b"".join((head, payload, struct.pack("<II", zlib.crc32(payload), size)))


def compressed(data: bytes) -> bytes:
    """A whole file, of compressed data."""
    blocks = []
    for start in range(0, len(data), PAYLOAD):
        payload = data[start : start + PAYLOAD]
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        body = packer.compress(payload) + packer.flush()
        if len(body) > PAYLOAD:
            blocks.append(stored_block(payload))
            continue
        size = len(_HEAD) + 2 + len(body) + 8
        tail = struct.pack("<II", zlib.crc32(payload), len(payload))
        blocks += [_HEAD, struct.pack("<H", size - 1), body, tail]
    return b"".join((*blocks, END))


def virtual_offset(at: int) -> int:
    """Where readers of a file of stored data look for a byte of the stream."""
    block, within = divmod(at, PAYLOAD)
    return block * BLOCK << 16 | within


def stream_offset(offset: int, stream: int) -> int:
    """The byte of a stream, of a size, that a byte of the file has, or is nearest to."""
    block, within = divmod(offset, BLOCK)
    return min(block * PAYLOAD + min(max(0, within - 23), PAYLOAD), stream)
