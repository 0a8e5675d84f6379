"""Which backend a place on a server wants, seen from what is there."""

from dataclasses import replace

from biofuse.stores.icechunk import is_icechunk
from biofuse.stores.location import Location, far_files


def located(location: Location) -> Location:
    """The same place, with the backend that what is there wants.

    Raises
    ------
    BiofuseError
        If the place cannot be read.
    """
    if location.engine != "obstore" or location.backend is not None or location.plan is not None:
        return location
    if location.is_zip:
        return location
    files = far_files(location)
    if files.group_format() is None and is_icechunk(files.store.list_names):
        return replace(location, backend="icechunk")
    return location
