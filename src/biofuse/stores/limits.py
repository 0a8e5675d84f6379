"""How many bytes a chunk may have, encoded and decoded: what its array's metadata says.

zarr-python hands chunks to codecs without a word of their size. So what is allowed is one
number a process, the largest of all arrays that were opened.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING, Any

from biofuse.errors import BiofuseError

if TYPE_CHECKING:
    import zarr

    from biofuse.stores.arrays import PlainArray

# A chunk may not be larger: no Blosc frame can, and many codecs count in 31 bits.
MAX_CHUNK = (1 << 31) - 1
# Texts have no size in the metadata.
MAX_TEXT = 256 << 20
# Bytes of a text that is not there.
_POINTER = 8
# Filters come between, which may widen a byte to a double.
_WIDENED = 8
_SMALLEST = 1 << 20

_largest = _SMALLEST


def chunk_bytes(name: str, chunks: tuple[int, ...], item_size: int) -> int:
    """Bytes of a decoded chunk.

    Raises
    ------
    BiofuseError
        If there cannot be such a chunk.
    """
    size = prod(chunks) * item_size
    if size > MAX_CHUNK:
        shape = " x ".join(f"{n:,}" for n in chunks)
        raise BiofuseError(
            f"{name} has chunks of {shape}, which are {size:,} bytes when decoded; such of "
            "2 GiB and more cannot be read"
        )
    return size


def _most(name: str, array: "zarr.Array[Any] | PlainArray") -> int:
    """Bytes that a chunk of an array may have between two codecs."""
    text = array.dtype.kind in "OT"
    size = chunk_bytes(name, array.chunks, _POINTER if text else array.dtype.itemsize)
    filtered = getattr(array.metadata, "filters", None)
    size = min(MAX_CHUNK, size * (_WIDENED if filtered else 1))
    # A shard is read in parts, or whole.
    whole = prod(array.shards) * array.dtype.itemsize if array.shards else 0
    return max(_SMALLEST, size, min(whole, MAX_CHUNK), MAX_TEXT if text else 0)


def allow(name: str, array: "zarr.Array[Any] | PlainArray") -> None:
    """Allow for chunks of an array.

    Raises
    ------
    BiofuseError
        If there cannot be such chunks.
    """
    global _largest
    _largest = max(_largest, _most(name, array))


@contextmanager
def only(array: "zarr.Array[Any] | PlainArray") -> Iterator[None]:
    """Allow for chunks of this array alone while it is read; no other may be meanwhile."""
    global _largest
    before, _largest = _largest, _most(array.path, array)
    try:
        yield
    finally:
        _largest = before


def most_decoded() -> int:
    """Bytes that a chunk may decode to."""
    return _largest


def encoded(decoded: int) -> int:
    """Bytes that a chunk of this size may have when encoded: some that do not compress grow."""
    return decoded + decoded // 8 + (64 << 10)


def most_stored(name: str, array: "zarr.Array[Any]") -> int:
    """Bytes that a stored object of an array, a chunk or a shard, may have."""
    most = encoded(_most(name, array))
    if array.shards:
        # Offset and size of each chunk, and a checksum.
        most += prod(array.shards) // max(1, prod(array.chunks)) * 16 + 4
    return most


def most_encoded() -> int:
    """Bytes that a chunk may have when encoded."""
    return encoded(_largest)
