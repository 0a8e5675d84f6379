"""Where the calls of a store are: which objects, and which rows of those each one is of."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """Objects of the arrays of calls: chunks or, of sharded arrays, shards, all of one shape.

    All rows of objects are numbered, those of the first array first.

    Attributes
    ----------
    variants, samples : int
    height, width : int
        Of an object.
    arrays : tuple of str and int
        Names, and how many dimensions each has beside variants.
    """

    variants: int
    samples: int
    height: int
    width: int
    arrays: tuple[tuple[str, int], ...] = (("call_genotype", 2),)

    @property
    def rows(self) -> int:
        """Rows of objects of an array."""
        return -(-self.variants // self.height)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows of objects of all arrays, and objects in each."""
        return len(self.arrays) * self.rows, -(-self.samples // self.width)

    def key(self, row: int, column: int) -> str:
        """Of an object."""
        number, row = divmod(row, self.rows)
        name, dimensions = self.arrays[number]
        return "/".join([name, "c", str(row), str(column), *["0"] * (dimensions - 1)])

    def pattern(self, row: int) -> str:
        """What the paths of requests for a row are like."""
        number, row = divmod(row, self.rows)
        return f"*/{self.arrays[number][0]}/c/{row}/*"

    def numbers(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """Of arrays, by their names."""
        known = [name for name, _ in self.arrays]
        return tuple(known.index(name) for name in names)

    def others(self, store: Path) -> list[str]:
        """Keys of what a mount has no use for once it is planned: all but calls and the root's
        own document."""
        calls = {name for name, _ in self.arrays}
        files = (path.relative_to(store) for path in sorted(store.rglob("*")) if path.is_file())
        return [str(path) for path in files if len(path.parts) > 1 and path.parts[0] not in calls]
