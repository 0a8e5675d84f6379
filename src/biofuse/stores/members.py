"""The arrays of a Zarr group, each opened once and checked."""

import functools
import json
from collections.abc import Callable, Iterator
from typing import Any

import numcodecs.errors

from biofuse.errors import BiofuseError, one_line
from biofuse.stores import limits
from biofuse.stores.arrays import open_plain
from biofuse.stores.files import StoreFiles


class Members:
    """A Zarr group that reads the metadata of each of its members once.

    zarr-python reads them whenever a member is looked up, at a millisecond or a round trip each;
    and is not needed for arrays of the kinds that most stores have.

    Parameters
    ----------
    open_group : callable
        Gives the zarr-python group, whose everything but looking up members is its own.
    files : StoreFiles, optional
        Of the store that the group is in, unless it is far away.
    plain : bool
        Whether arrays may be read without zarr-python.
    """

    def __init__(
        self,
        open_group: Callable[[], Any],
        files: StoreFiles | None = None,
        plain: bool = True,
    ):
        self._open_group = open_group
        self._files = files
        self._plain = plain
        self._found: dict[str, Any] = {}

    @property
    def files(self) -> StoreFiles:
        """The store's metadata, of a store that is read here."""
        assert self._files is not None
        return self._files

    @functools.cached_property
    def group(self) -> Any:
        """The zarr-python group."""
        return self._open_group()

    @functools.cached_property
    def zarr_format(self) -> int:
        """2 or 3."""
        found = None if self._files is None else self._files.group_format()
        return int(self.group.metadata.zarr_format) if found is None else found

    def _get(self, name: str) -> Any:
        if name not in self._found:
            self._found[name] = self._open(name) if self._may_have(name) else None
        return self._found[name]

    def _may_have(self, name: str) -> bool:
        """Whether there is metadata of an array of this name, as far as that is cheap to tell."""
        if self._files is None:
            return True
        names = ("zarr.json",) if self.zarr_format == 3 else (".zarray", ".zgroup")
        if self._files.store.far:
            # Nobody has a group in an array's place, and each name is a request.
            names = names[:1]
        return any(self._files.read_metadata(f"{name}/{each}") is not None for each in names)

    @property
    def attrs(self) -> Any:
        """The group's attributes."""
        return self.group.attrs if self._files is None else self._files.group_attributes()

    def array_keys(self) -> list[str]:
        """Names of the arrays."""
        if self._files is None or not self._plain:
            return list(self.group.array_keys())
        return [name for name in self._files.list_folders() if self._is_array(name)]

    def folder_names(self) -> list[str]:
        """Names of what may be arrays, whether or not they can be read."""
        if self._files is None or not self._plain:
            return list(self.group.array_keys())
        return list(self._files.list_folders())

    def _is_array(self, name: str) -> bool:
        assert self._files is not None
        if self.zarr_format == 2:
            return self._files.read_metadata(f"{name}/.zarray") is not None
        text = self._files.read_metadata(f"{name}/zarr.json")
        return text is not None and json.loads(text)["node_type"] == "array"

    def _open(self, name: str) -> Any:
        array = None
        if self._plain and self._files is not None:
            array = open_plain(self._files.store, name, self._files.read_metadata, self.zarr_format)
        if array is None:
            array = self._open_any(name)
        if array is not None:
            limits.allow(name, array)
        return array

    def _open_any(self, name: str) -> Any:
        """The array as zarr-python reads it."""
        try:
            array = self.group[name]
        except KeyError as error:
            if self._files is None:
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
        return array

    def _unreadable(self, name: str, why: str) -> BiofuseError:
        three = self.zarr_format == 3
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
