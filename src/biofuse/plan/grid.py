"""The chunks that an array should have, and those that are stored."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

from biofuse.errors import BiofuseError
from biofuse.stores import Range, Store
from biofuse.stores.listing import FOLDER

if TYPE_CHECKING:
    import zarr

# A name that chunks of some array could have.
_CHUNK_NAME = re.compile(r"(c[./])?\d+([./]\d+)*")
# Chunks that are asked for one by one where a store cannot list them.
_MAX_PROBES = 2048
_MAX_PROBES_FAR = 256
# More than any array has; metadata that declares them is not believed.
_MAX_CHUNKS = 20_000_000
# A far store's list of names comes in pages of a thousand.
_MAX_LISTED_FAR = 20_000


def _naming(metadata: Any) -> tuple[str, str]:
    """What chunks' names begin with, and what is between their indices."""
    if metadata.zarr_format == 2:
        return "", metadata.dimension_separator
    encoding = metadata.chunk_key_encoding
    return f"c{encoding.separator}" if encoding.name == "default" else "", encoding.separator


class Grid:
    """The stored objects that an array is divided into: chunks, or shards of several chunks.

    They are numbered in the order of their indices, the last dimension's fastest.

    Parameters
    ----------
    array : zarr.Array

    Attributes
    ----------
    name : str
        The array's path.
    unit : str
        "chunk" or "shard".
    size : tuple of int
        Elements of one, by dimension.
    counts : tuple of int
        How many there are, by dimension.
    """

    def __init__(self, array: "zarr.Array[Any]"):
        self.name: str = array.path
        self.unit = "chunk" if array.shards is None else "shard"
        self.shape = tuple(int(n) for n in array.shape)
        self.size = tuple(int(n) for n in (array.shards or array.chunks))
        self.counts = tuple(-(-n // size) for n, size in zip(self.shape, self.size, strict=True))
        self._prefix, self._separator = _naming(array.metadata)

    def __len__(self) -> int:
        return prod(self.counts)

    def index(self, number: int) -> tuple[int, ...]:
        """The index of one, by dimension."""
        found = []
        for count in reversed(self.counts):
            number, i = divmod(number, count)
            found.append(i)
        return tuple(reversed(found))

    def chunk_name(self, number: int) -> str:
        """Its key, relative to the array's folder."""
        return self._prefix + self._separator.join(map(str, self.index(number)))

    def chunk_names(self) -> Iterator[str]:
        """Those of all, in order."""
        parts = product(*(map(str, range(count)) for count in self.counts))
        return (self._prefix + self._separator.join(index) for index in parts)

    def key(self, number: int) -> str:
        """Its key in the store."""
        return f"{self.name}/{self.chunk_name(number)}"

    def part(self, number: int) -> tuple[slice, ...]:
        """The elements of the array that it has."""
        return tuple(
            slice(i * size, min((i + 1) * size, n))
            for i, size, n in zip(self.index(number), self.size, self.shape, strict=True)
        )

    def rows(self, number: int) -> tuple[int, int]:
        """The entries of the first dimension that it has: the first, and the last one's next."""
        start = self.index(number)[0] * self.size[0]
        return start, min(start + self.size[0], self.shape[0])


@dataclass
class Presence:
    """Which of an array's chunks are stored.

    Attributes
    ----------
    grid : Grid
    absent : list of int
        Numbers of those that are not there, ascending.
    broken : dict of int to str
        Numbers of those that are there and no file that can be opened, and what they are; of
        those too that may be behind what should be a folder.
    strange : list of str
        Names in the array's folder that chunks could have, but not those of this array.
    """

    grid: Grid
    absent: list[int] = field(default_factory=list)
    broken: dict[int, str] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether all chunks are there and can be opened, as far as names tell."""
        return not self.absent and not self.broken

    def absent_runs(self) -> tuple[tuple[int, int], ...]:
        """The absent ones as runs: the number of the first one and of the one after the last."""
        found: list[tuple[int, int]] = []
        for number in self.absent:
            if found and found[-1][1] == number:
                found[-1] = (found[-1][0], number + 1)
            else:
                found.append((number, number + 1))
        return tuple(found)

    def counted(self) -> str:
        """How many of how many chunks are absent, and that they are not stored."""
        grid, count = self.grid, len(self.absent)
        unit = grid.unit if len(grid) == 1 else f"{grid.unit}s"
        verb = "is" if count == 1 else "are"
        return f"{count} of {len(grid)} {unit} of {grid.name} {verb} not stored"

    def first(self) -> str:
        """Key of the first absent chunk."""
        return self.grid.key(self.absent[0])


def presence(store: Store, array: "zarr.Array[Any]", ask: bool = True) -> Presence | None:
    """Find out which chunks of an array are stored, from names alone where a store lists them.

    Parameters
    ----------
    store : Store
    array : zarr.Array
    ask : bool
        Whether chunks may be asked for one by one where they are not listed.

    Returns
    -------
    Presence or None
        None where the store cannot tell at a bounded cost.

    Raises
    ------
    BiofuseError
        If the chunks are named otherwise than the array's metadata says, or that declares more
        of them than can be.
    """
    grid = Grid(array)
    if len(grid) > _MAX_CHUNKS:
        raise BiofuseError(f"{grid.name} is damaged: its metadata declares {len(grid):,} chunks")
    listing = None
    if not store.far or len(grid) <= _MAX_LISTED_FAR or getattr(store, "knows_all", False):
        listing = store.listing(grid.name)
    if listing is None:
        return _probe(store, grid) if ask else None
    found = Presence(grid)
    stored = set(listing.names)
    left = len(stored)
    for number, name in enumerate(grid.chunk_names()):
        if name in stored:
            left -= 1
        elif name in listing.broken:
            found.broken[number] = listing.broken[name]
        elif blocked := _no_folder(name, stored, listing.broken):
            found.broken[number] = f"below {grid.name}/{blocked}"
        else:
            found.absent.append(number)
    if left:
        strange = stored.difference(grid.chunk_names())
        found.strange = sorted(name for name in strange if _CHUNK_NAME.fullmatch(name))
    _check_names(found)
    return found


def _no_folder(name: str, stored: set[str], broken: dict[str, str]) -> str | None:
    """What is there in the place of one of the folders that lead to a name, and what it is."""
    end = name.find("/")
    while end >= 0:
        folder = name[:end]
        what = "a file" if folder in stored else broken.get(folder, FOLDER)
        if what != FOLDER:
            return f"{folder}, {what}"
        end = name.find("/", end + 1)
    return None


def _check_names(found: Presence) -> None:
    """Raise `BiofuseError` if chunks have the names of another separator than the metadata's."""
    grid = found.grid
    if not found.absent:
        return
    for name in found.strange:
        index = [int(part) for part in re.split(r"[./]", name.removeprefix("c")) if part]
        if len(index) != len(grid.counts) or (len(index) == 1 and name == str(index[0])):
            continue
        if all(i < count for i, count in zip(index, grid.counts, strict=True)):
            raise BiofuseError(
                f"{grid.name} is damaged: by its metadata chunks have names like "
                f"{grid.chunk_name(found.absent[0])}, but there are files named {name}: its "
                "separator (dimension_separator, or chunk_key_encoding) is wrong"
            )


def _probe(store: Store, grid: Grid) -> Presence | None:
    if len(grid) > (_MAX_PROBES_FAR if store.far else _MAX_PROBES):
        return None
    pieces = store.get_many([Range(grid.key(number), 0, 1) for number in range(len(grid))])
    return Presence(grid, [number for number, piece in enumerate(pieces) if piece is None])
