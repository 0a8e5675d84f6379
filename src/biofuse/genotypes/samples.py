"""Which sample chunks a selection of samples needs, and where its samples lie in them."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class SampleChunks:
    """The sample chunks that are read.

    Attributes
    ----------
    chunks : list of int
        Their numbers, ascending.
    sizes : array of uint32
        Samples in each.
    index : array of uint32 or None
        Kept samples, in output order, counted through the chunks read one after
        another; None if all of them are kept in order.
    """

    chunks: list[int]
    sizes: array
    index: array | None


def plan_sample_chunks(
    num_samples: int, chunk_samples: int, kept: Sequence[int] | None
) -> SampleChunks:
    """Find the sample chunks to read.

    Parameters
    ----------
    num_samples : int
        Samples in the array.
    chunk_samples : int
        Samples a chunk.
    kept : sequence of int, optional
        Kept samples in output order, repeats allowed; None for all.
    """
    num_chunks = -(-num_samples // chunk_samples)
    wanted = range(num_chunks) if kept is None else {i // chunk_samples for i in kept}
    chunks = sorted(wanted)
    sizes = array("I", (min(chunk_samples, num_samples - c * chunk_samples) for c in chunks))
    if kept is None:
        return SampleChunks(chunks, sizes, None)
    before = {}
    total = 0
    for chunk, size in zip(chunks, sizes, strict=True):
        before[chunk] = total - chunk * chunk_samples
        total += size
    index = array("I", (i + before[i // chunk_samples] for i in kept))
    if len(index) == total and all(i == position for position, i in enumerate(index)):
        return SampleChunks(chunks, sizes, None)
    return SampleChunks(chunks, sizes, index)
