"""The arrays of a Zarr group, each opened once and checked."""

from collections.abc import Iterator
from typing import Any

import numcodecs.errors

from biofuse.errors import BiofuseError, one_line
from biofuse.stores import limits
from biofuse.stores.adapter import ReadOnlyStore


class Members:
    """A Zarr group that reads the metadata of each of its members once.

    zarr-python reads them whenever a member is looked up, at a millisecond or a round trip each.

    Parameters
    ----------
    group : zarr.Group
        Everything but looking up members is its own.
    store : ReadOnlyStore, optional
        That the group is in, unless it is far away.

    Attributes
    ----------
    group : zarr.Group
    """

    def __init__(self, group: Any, store: ReadOnlyStore | None = None):
        self.group = group
        self._store = store
        self._found: dict[str, Any] = {}

    def _get(self, name: str) -> Any:
        if name not in self._found:
            self._found[name] = self._open(name) if self._may_have(name) else None
        return self._found[name]

    def _may_have(self, name: str) -> bool:
        """Whether there is metadata of an array of this name, as far as that is cheap to tell."""
        if self._store is None:
            return True
        names = ("zarr.json",) if self.group.metadata.zarr_format == 3 else (".zarray", ".zgroup")
        return any(self._store.read_metadata(f"{name}/{each}") is not None for each in names)

    def _open(self, name: str) -> Any:
        try:
            array = self.group[name]
        except KeyError as error:
            if self._store is None:
                return None
            # It is there; so this is a codec, say, that has no such name.
            raise self._unreadable(name, f": {one_line(error)} is not known") from error
        except BiofuseError:
            raise
        except numcodecs.errors.UnknownCodecError as error:
            raise self._unreadable(name, f": {one_line(error)} is not known") from error
        except Exception as error:
            raise self._unreadable(name, "") from error
        if not hasattr(array, "dtype"):
            raise BiofuseError(f"{name} is a group of arrays, not an array")
        limits.allow(name, array)
        return array

    def _unreadable(self, name: str, why: str) -> BiofuseError:
        three = self.group.metadata.zarr_format == 3
        key = f"{name}/{'zarr.json' if three else '.zarray'}"
        what = "data_type, fill_value or codecs" if three else "dtype, fill_value or codecs"
        return BiofuseError(f"{key} is damaged, or of a kind that is not read ({what}){why}")

    def __contains__(self, name: str) -> bool:
        return self._get(name) is not None

    def __getitem__(self, name: str) -> Any:
        found = self._get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.group)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.group, name)
