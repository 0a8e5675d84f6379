"""Which backend a place wants, seen from what is there."""

import os
from collections.abc import Collection
from dataclasses import replace

from biofuse.stores.location import Location, far_files

# Of an Icechunk repository's folders and objects these are there in any version of its format.
_ICECHUNK = frozenset({"snapshots"})
_ICECHUNK_ROOTS = frozenset({"refs", "repo"})


def is_icechunk(names: Collection[str]) -> bool:
    """Whether a folder with these names is an Icechunk repository."""
    found = set(names)
    return found >= _ICECHUNK and bool(found & _ICECHUNK_ROOTS)


def located(location: Location, ask: bool = True) -> Location:
    """The same place, with the backend that what is there wants.

    Parameters
    ----------
    location : Location
    ask : bool
        Whether a server may be asked.

    Raises
    ------
    BiofuseError
        If the place cannot be read.
    """
    if location.backend is not None or location.plan is not None:
        return location
    names: Collection[str] = ()
    if not location.is_url:
        if os.path.isdir(location.path):
            names = os.listdir(location.path)
    elif ask and not location.is_zip:
        files = far_files(location)
        if files.group_format() is None:
            names = files.store.list_names("")
    return replace(location, backend="icechunk") if is_icechunk(names) else location
