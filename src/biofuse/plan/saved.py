"""Plans of a store of which a part was saved in a file."""

import contextlib
import os
from typing import Any

from biofuse.errors import BiofuseError
from biofuse.formats.base import Phase
from biofuse.stores import Location
from biofuse.stores.location import object_version


def local_version(location: Location, key: str) -> str:
    """What tells the version of a file of a local store, on whatever machine; empty if it is
    not there."""
    with contextlib.suppress(OSError):
        status = os.stat(os.path.join(location.path, key))
        return f"{status.st_size}:{status.st_mtime_ns}"
    return ""


def saved_version(location: Location) -> str:
    """What tells the version of the file that a store was saved in; empty if there is none.

    Raises
    ------
    BiofuseError
        If it cannot be opened.
    """
    if location.plan is None:
        return ""
    place = location.beside(location.plan)
    if place.is_url:
        return object_version(place)
    try:
        status = os.stat(place.path)
    except OSError as error:
        raise BiofuseError(f"{place.path} cannot be opened: {error.strerror}") from error
    return f"{status.st_size}:{status.st_mtime_ns}"


def check_saved(location: Location, store: Any) -> None:
    """Raise `BiofuseError` if a store is not what it was when its plan was saved."""
    roots = store.saved.about["roots"]
    if location.engine is None and not location.is_zip:
        now = {key: local_version(location, key) for key in roots}
    elif location.is_zip:
        now = {"": store.signature([]) or ""} if location.engine else roots
    else:
        found = (store.signature(list(roots)) or "").split(" ") if roots else []
        now = dict(zip(roots, found, strict=True))
    if now != roots:
        raise BiofuseError(
            f"{location.path} is not the store, or not the version of it, that the plan "
            f"{store.saved.name} was made for: make it again with 'biofuse plan'"
        )


class SavedFindings:
    """What was found out of a store's calls when its plan was saved.

    Parameters
    ----------
    about : dict
        The manifest.
    """

    def __init__(self, about: dict[str, Any]):
        self.errors: list[BiofuseError] = []
        self._about = about

    def phase(self) -> Phase:
        """Whether there are variants of which all calls are phased."""
        return Phase[self._about["phase"]]

    def phased_calls(self) -> bool:
        """Whether phased heterozygous calls were found."""
        return bool(self._about["phased_calls"])

    def haploid(self) -> bool:
        """Whether haploid calls were found."""
        return bool(self._about["haploid"])
