"""Blosc 1 frames: made by numcodecs, taken apart and put together again in plain Python."""

from dataclasses import dataclass

import numcodecs
import numpy as np

HEADER_SIZE = 16
FLAGS, TYPE_SIZE, NUM_BYTES, BLOCK_SIZE, COMPRESSED_BYTES = 2, 3, 4, 8, 12
MEMCPYED = 0x02
BIT_SHUFFLED = 0x04


def u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def get_u32(data: bytes, position: int) -> int:
    return int.from_bytes(data[position : position + 4], "little")


def patched(data: bytes, position: int, replacement: bytes) -> bytes:
    return data[:position] + replacement + data[position + len(replacement) :]


def encode(alleles: np.ndarray, clevel=5, shuffle=2, blocksize=0, cname="zstd") -> bytes:
    """The frame that a Zarr chunk of these alleles is stored as."""
    codec = numcodecs.Blosc(cname=cname, clevel=clevel, shuffle=shuffle, blocksize=blocksize)
    return bytes(codec.encode(np.ascontiguousarray(alleles)))


@dataclass(frozen=True)
class Parts:
    """A frame's header fields and where its parts lie.

    Attributes
    ----------
    offsets : list of int
        Where each block's size field begins; empty if the frame is memcpyed.
    sizes : list of int
        Stored bytes of each block, without the size field.
    """

    num_bytes: int
    block_size: int
    frame_size: int
    memcpyed: bool
    offsets: list[int]
    sizes: list[int]

    @property
    def num_blocks(self) -> int:
        return -(-self.num_bytes // self.block_size)

    @property
    def index_size(self) -> int:
        return HEADER_SIZE + 4 * len(self.offsets)

    def raw_size(self, block: int) -> int:
        return min(self.block_size, self.num_bytes - block * self.block_size)

    def stop(self, block: int) -> int:
        return self.offsets[block] + 4 + self.sizes[block]

    def stored_raw(self) -> list[int]:
        """Blocks that zstd could not make smaller."""
        return [b for b, size in enumerate(self.sizes) if size == self.raw_size(b)]

    def is_payload(self, position: int) -> bool:
        """Whether a byte is genotype data, compressed or not: no checksum guards it."""
        if self.memcpyed:
            return position >= HEADER_SIZE
        return any(
            offset + 4 <= position < offset + 4 + size
            for offset, size in zip(self.offsets, self.sizes, strict=True)
        )


def parts(frame: bytes) -> Parts:
    """Take apart a frame that is known to be sound."""
    memcpyed = bool(frame[FLAGS] & MEMCPYED)
    num_bytes = get_u32(frame, NUM_BYTES)
    block_size = get_u32(frame, BLOCK_SIZE)
    num_blocks = 0 if memcpyed else -(-num_bytes // block_size)
    offsets = [get_u32(frame, HEADER_SIZE + 4 * b) for b in range(num_blocks)]
    sizes = [get_u32(frame, offset) for offset in offsets]
    return Parts(num_bytes, block_size, len(frame), memcpyed, offsets, sizes)


def reordered(frame: bytes, order: list[int], gap: int = 0) -> bytes:
    """The same frame with its blocks stored in another order, as threads may leave them,
    and with `gap` unused bytes after each."""
    p = parts(frame)
    if p.memcpyed:
        return frame
    assert sorted(order) == list(range(p.num_blocks))
    offsets = [0] * p.num_blocks
    body = b""
    for block in order:
        offsets[block] = p.index_size + len(body)
        body += frame[p.offsets[block] : p.stop(block)] + b"\xee" * gap
    table = b"".join(map(u32, offsets))
    head = patched(frame[:HEADER_SIZE], COMPRESSED_BYTES, u32(p.index_size + len(body)))
    return head + table + body


def decode(frame: bytes) -> bytes:
    """What c-blosc itself makes of a frame."""
    return bytes(numcodecs.Blosc().decode(frame))
