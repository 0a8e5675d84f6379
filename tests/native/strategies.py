"""Hypothesis strategies for chunk rows of genotypes and their frames."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from biofuse import native

from . import frames

# Few sizes that matter: around bytes, words, and Blosc's least block of 128 bytes.
SIZES = st.one_of(st.integers(1, 20), st.sampled_from([31, 32, 33, 63, 64, 65, 100, 127, 129]))

PALETTES = {
    "plain": [0, 1],
    "missing": [0, 0, 0, 1, -1],
    "fill": [0, 1, -1, -2],
    "absent": [-1, -2],
    "three alleles": [0, 1, 2, -1, -2],
    "wide": [*range(-2, 101)],
    "any byte": [*range(-128, 128)],
}


@st.composite
def alleles(draw, shape, palettes=tuple(PALETTES)):
    """An int8 array; sometimes of narrow values with a few wide ones in it."""
    palette = PALETTES[draw(st.sampled_from(palettes))]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    array = rng.choice(np.array(palette, dtype=np.int8), size=shape)
    if "wide" in palettes and draw(st.booleans()):
        flat = array.reshape(-1)
        for _ in range(draw(st.integers(1, 3))):
            flat[rng.integers(flat.size)] = rng.choice([2, 3, 7, 64, 127, -3, -128])
    return array


@st.composite
def encoded(draw, array):
    """A frame of an array, with any setting that leaves it to the fast path."""
    frame = frames.encode(
        array,
        clevel=draw(st.integers(0, 9)),
        shuffle=draw(st.sampled_from([2, 2, 2, 0, 1])),
        blocksize=draw(st.sampled_from([0, 128, 129, 136, 200, 256, 1000, 1001, 1024])),
    )
    if draw(st.booleans()):
        blocks = frames.parts(frame).num_blocks
        order = draw(st.randoms(use_true_random=False)).sample(range(blocks), blocks)
        frame = frames.reordered(frame, order, gap=draw(st.sampled_from([0, 0, 1, 40])))
    return frame


@dataclass
class Chunk:
    """One sample chunk: what it holds and how it is given to `native.Rows`.

    Attributes
    ----------
    array : ndarray of int8, shape (chunk_rows, chunk_samples, ploidy)
    num_samples : int
        Samples taken from it.
    kind : {"frame", "packed", "constant"}
    """

    array: np.ndarray
    num_samples: int
    kind: str
    frame: bytes = b""

    @property
    def taken(self) -> np.ndarray:
        return self.array[:, : self.num_samples]

    def give(self, rows: native.Rows, index: int) -> None:
        if self.kind == "frame":
            rows.set_frame(index, self.frame, self.frame, 0, len(self.frame))
        elif self.kind == "packed":
            flat = np.ascontiguousarray(self.taken).reshape(len(self.array), -1)
            rows.set_packed(index, native.PackedRows(flat, 0))
        else:
            rows.set_constant(index, int(self.array.flat[0]))


@dataclass
class ChunkRow:
    """A row of chunks, and which samples are kept of it (None: all)."""

    chunks: list[Chunk]
    kept: np.ndarray | None

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.chunks[0].array.shape

    @property
    def expected(self) -> np.ndarray:
        """(rows, kept samples, ploidy)"""
        whole = np.concatenate([chunk.taken for chunk in self.chunks], axis=1)
        return whole if self.kept is None else whole[:, self.kept]

    def rows(self) -> native.Rows:
        sizes = np.array([chunk.num_samples for chunk in self.chunks], dtype=np.uint32)
        result = native.Rows(*self.shape, sizes, self.kept)
        for i, chunk in enumerate(self.chunks):
            chunk.give(result, i)
        return result


@st.composite
def selections(draw, total):
    """Sample indices: none at all, ascending (gathered by mask) or in any order, repeated."""
    kind = draw(st.sampled_from(["all", "ascending", "permuted", "repeated", "runs"]))
    if kind == "all":
        return None
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(0, total))
    if kind == "repeated":
        kept = rng.integers(0, max(total, 1), size=count if total else 0)
    elif kind == "runs":
        # Whole words of the mask set or clear.
        edges = np.sort(rng.integers(0, total + 1, size=2))
        kept = np.arange(*edges)
    else:
        kept = rng.permutation(total)[:count]
        if kind == "ascending":
            kept.sort()
    return kept.astype(np.uint32)


@st.composite
def chunk_rows(draw, palettes=tuple(PALETTES)):
    ploidy = draw(st.sampled_from([1, 2]))
    num_rows, chunk_samples = draw(SIZES), draw(SIZES)
    count = draw(st.integers(1, 4))
    chunks = []
    for i in range(count):
        taken = chunk_samples if i < count - 1 else draw(st.integers(0, chunk_samples))
        kind = draw(st.sampled_from(["frame", "frame", "frame", "packed", "constant"]))
        shape = (num_rows, chunk_samples, ploidy)
        if kind == "constant":
            narrow = "wide" not in palettes
            value = draw(st.sampled_from([0, -1] if narrow else [-1, 0, 1, -2, 3, -100]))
            array = np.full(shape, value, dtype=np.int8)
        else:
            array = draw(alleles(shape, palettes))
        frame = draw(encoded(array)) if kind == "frame" else b""
        chunks.append(Chunk(array, taken, kind, frame))
    total = sum(chunk.num_samples for chunk in chunks)
    return ChunkRow(chunks, draw(selections(total)))
