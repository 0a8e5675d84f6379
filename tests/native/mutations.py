"""Damaged frames: what was changed, and whether that must be noticed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from . import frames
from .frames import BLOCK_SIZE, COMPRESSED_BYTES, FLAGS, NUM_BYTES, patched, u32

HUGE = (1 << 31, (1 << 32) - 1)


@dataclass(frozen=True)
class Mutation:
    """A damaged frame.

    Attributes
    ----------
    what : str
    frame : bytes
    silent : bool
        Whether other genotypes may come out without an error: Blosc has no checksum, so
        a changed payload or shuffle flag may go unseen. Where not, it is an error or
        the very bytes of the sound frame.
    """

    what: str
    frame: bytes
    silent: bool = False


def truncations(frame: bytes) -> Iterator[Mutation]:
    """Cut short, over-long; with and without a header that tells of it."""
    p = frames.parts(frame)
    edges = {0, 1, 15, 16, 17, p.index_size - 1, p.index_size, len(frame) - 1, len(frame) - 4}
    for offset, size in zip(p.offsets, p.sizes, strict=True):
        edges |= {offset - 1, offset, offset + 3, offset + 4, offset + 5, offset + 4 + size // 2}
    for size in sorted(edges):
        if 0 <= size < len(frame):
            yield Mutation(f"cut to {size}", frame[:size])
            if size >= 16:
                cut = patched(frame[:size], COMPRESSED_BYTES, u32(size))
                yield Mutation(f"cut to {size} with its header", cut)
    for extra in (b"\0", b"\xff" * 4, frame):
        longer = frame + extra
        yield Mutation(f"{len(extra)} more", longer)
        told = patched(longer, COMPRESSED_BYTES, u32(len(longer)))
        yield Mutation(f"{len(extra)} more with its header", told)


def header_bytes(frame: bytes) -> Iterator[Mutation]:
    """Each byte of the header, all its values."""
    for position in range(16):
        for value in range(256):
            if value != frame[position]:
                shuffle = position == FLAGS and (value ^ frame[FLAGS]) & frames.BIT_SHUFFLED
                yield Mutation(
                    f"header byte {position} is {value}",
                    patched(frame, position, bytes([value])),
                    silent=bool(shuffle),
                )


def header_sizes(frame: bytes) -> Iterator[Mutation]:
    p = frames.parts(frame)
    for name, position in (("raw", NUM_BYTES), ("block", BLOCK_SIZE), ("frame", COMPRESSED_BYTES)):
        old = frames.get_u32(frame, position)
        near = {max(old + d, 0) for d in (-128, -8, -1, 1, 8, 128)}
        for new in sorted(near | {0, 1, 2, 8, old // 2, old * 2, p.num_bytes, len(frame), *HUGE}):
            if new != old:
                yield Mutation(f"{name} size is {new}", patched(frame, position, u32(new)))


def table_entries(frame: bytes) -> Iterator[Mutation]:
    p = frames.parts(frame)
    for block, old in enumerate(p.offsets):
        near = {old + d for d in (-5, -4, -1, 1, 4, 5)}
        ends = {0, 15, 16, p.index_size - 1, p.index_size}
        ends |= {len(frame) + d for d in (-5, -4, -3, -1, 0, 1)}
        inside = {old + 4 + p.sizes[block] // 2}
        others = {offset + d for offset in p.offsets for d in (0, 1, 3, 4)}
        for new in sorted(near | ends | inside | others | {*HUGE}):
            if new != old:
                moved = patched(frame, 16 + 4 * block, u32(new))
                yield Mutation(f"block {block} is at {new}", moved)


def block_sizes(frame: bytes) -> Iterator[Mutation]:
    p = frames.parts(frame)
    for block, (offset, old) in enumerate(zip(p.offsets, p.sizes, strict=True)):
        raw = p.raw_size(block)
        left = len(frame) - offset - 4
        near = {old - 1, old + 1, raw - 1, raw, raw + 1, left - 1, left, left + 1}
        for new in sorted(near | {0, 1, 4, old // 2, *HUGE}):
            if new not in (old, -1):
                yield Mutation(f"block {block} has {new} bytes", patched(frame, offset, u32(new)))


def random_flips(frame: bytes, count: int, rng: np.random.Generator) -> Iterator[Mutation]:
    """One to four bytes anywhere, half of them before the first block's payload."""
    p = frames.parts(frame)
    head = min(len(frame), p.index_size + 16)
    for number in range(count):
        changed = bytearray(frame)
        silent = False
        places = rng.integers(0, head if number % 2 else len(frame), size=rng.integers(1, 5))
        for place in places.tolist():
            changed[place] ^= int(rng.integers(1, 256))
            silent |= p.is_payload(place)
        silent |= bool((changed[FLAGS] ^ frame[FLAGS]) & frames.BIT_SHUFFLED)
        yield Mutation(f"flipped {sorted(places.tolist())}", bytes(changed), silent)


def payloads(frame: bytes, count: int, rng: np.random.Generator) -> Iterator[Mutation]:
    """One bit of a block's content, or the content of other blocks in its place."""
    p = frames.parts(frame)
    places = [i for i in range(16, len(frame)) if p.is_payload(i)]
    for place in rng.choice(places, size=count).tolist():
        flipped = bytes([frame[place] ^ 1 << int(rng.integers(8))])
        yield Mutation(f"bit at {place}", patched(frame, place, flipped), silent=True)
    if p.num_blocks > 1 and not p.memcpyed:
        first, second = 16, 16 + 4 * (p.num_blocks - 1)
        swapped = patched(frame, first, frame[second : second + 4])
        swapped = patched(swapped, second, frame[first : first + 4])
        yield Mutation("two entries swapped", swapped, silent=True)


def mutations(frame: bytes, rng: np.random.Generator, count: int) -> Iterator[Mutation]:
    """Every systematic mutation of a frame and `count` random ones of each kind."""
    yield from truncations(frame)
    yield from header_bytes(frame)
    yield from header_sizes(frame)
    yield from table_entries(frame)
    yield from block_sizes(frame)
    yield from random_flips(frame, count, rng)
    yield from payloads(frame, count, rng)
