"""Files that are written to object stores."""

from biofuse.errors import BiofuseError
from biofuse.stores.location import Location


def write_object(location: Location, path: str) -> None:
    """Write a file to an object store.

    Parameters
    ----------
    location : Location
        The object's URL.
    path : str
        The file.

    Raises
    ------
    BiofuseError
        If that fails.
    """
    import obstore

    from biofuse.stores.explain import explain
    from biofuse.stores.places import open_place

    folder, _, name = location.path.rpartition("/")
    try:
        with open(path, "rb") as file:
            obstore.put(open_place(folder, location.joined()[1]), name, file)
    except BiofuseError:
        raise
    except Exception as error:
        text = explain(error, location.path)
        raise BiofuseError(f"{location.path} cannot be written: {text}") from error
