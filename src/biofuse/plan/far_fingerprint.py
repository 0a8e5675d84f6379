"""Tell whether a store at some distance is what it was, in few requests."""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any

from biofuse.plan.grid import Grid
from biofuse.stores import Location, open_store
from biofuse.stores.members import Members
from biofuse.stores.pins import Pins

# Of a store that is not listed as a whole, so many objects of all arrays are looked at.
_SAMPLED = 10
_LOOKED_THROUGH = 100_000


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
        self._group = group
        self._names: list[str] = []
        self._grids: list[Grid] = []
        self.add_arrays(names)

    def add_arrays(self, names: Iterable[str]) -> None:
        """Have more arrays count."""
        known = {*self._names, *(name for name in names if name in self._group)}
        self._names = sorted(known)
        self._grids = [Grid(self._group[name]) for name in self._names]

    def add_files(self, keys: Iterable[str]) -> None:
        """Chunks of calls count anyway."""

    def to_json(self) -> dict[str, Any]:
        """The value for `still_holds`."""
        store: Any = open_store(self._location)
        each = [_sample(grid, store.pins) for grid in self._grids]
        keys = [key for some in zip_longest(*each) for key in some if key is not None][:_SAMPLED]
        value = {"far": True, "roots": self._roots, "names": self._names, "keys": keys}
        return {**value, "digest": _digest(self._location, value)}

    @staticmethod
    def still_holds(value: dict[str, Any], location: Location) -> bool:
        """Whether the store is what it was when this value of `to_json` was made."""
        return bool(_digest(location, value) == value["digest"])


def _digest(location: Location, value: dict[str, Any]) -> str:
    store: Any = open_store(location)
    found = store.versions(value["roots"], value["names"], value["keys"])
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


def _sample(grid: Grid, pins: Pins) -> list[str]:
    """Some of an array's objects, of those whose versions are known."""
    keys = [grid.key(number) for number in range(min(len(grid), _LOOKED_THROUGH))]
    known = [key for key in keys if pins.known(key) is not None]
    if not known:
        return []
    # The last first: it is of another time where a store has grown.
    return list(dict.fromkeys((known[-1], known[0], known[len(known) // 2])))
