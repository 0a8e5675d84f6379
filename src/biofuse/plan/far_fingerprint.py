"""Tell whether a store at some distance is what it was, in few requests."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from biofuse.plan.grid import Grid
from biofuse.stores import Location, open_store
from biofuse.stores.members import Members

# Of each array of a store that is not listed as a whole, so many objects are looked at.
_SAMPLED = 8


class FarFingerprint:
    """What of a store a plan depends on, by the versions that its server tells.

    Of a store that can be listed in a few requests every object counts that the plan was made
    from, or the view is; of others its metadata, and some objects of each array.

    Parameters
    ----------
    location : Location
    group : Members
        The same store.
    names : sequence of str
        The arrays that the plan depends on.
    """

    def __init__(self, location: Location, group: Members, names: Sequence[str]):
        self._location = location
        files: Any = group.files
        self._roots: list[str] = files.root_keys
        self._names = sorted(name for name in names if name in group)
        self._sampled = [key for name in self._names for key in _sample(Grid(group[name]))]

    def add_files(self, keys: Iterable[str]) -> None:
        """Chunks of calls count anyway."""

    def to_json(self) -> dict[str, Any]:
        """The value for `still_holds`."""
        value = {"far": True, "roots": self._roots, "names": self._names, "keys": self._sampled}
        return {**value, "digest": _digest(self._location, value)}

    @staticmethod
    def still_holds(value: dict[str, Any], location: Location) -> bool:
        """Whether the store is what it was when this value of `to_json` was made."""
        return bool(_digest(location, value) == value["digest"])


def _digest(location: Location, value: dict[str, Any]) -> str:
    store: Any = open_store(location)
    found = store.versions(value["roots"], value["names"], value["keys"])
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


def _sample(grid: Grid) -> list[str]:
    count = len(grid)
    numbers = {i * (count - 1) // max(1, _SAMPLED - 1) for i in range(_SAMPLED)} if count else ()
    return [grid.key(number) for number in sorted(numbers)]
