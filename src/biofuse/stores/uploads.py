"""Files that are written to object stores."""

from collections.abc import Iterator
from typing import IO, Any

from biofuse.errors import BiofuseError
from biofuse.stores.location import Location


class Uploads:
    """Writes objects below a URL.

    Parameters
    ----------
    place : Location
        The URL of a folder.

    Raises
    ------
    BiofuseError
        If it cannot be reached.
    """

    def __init__(self, place: Location):
        from biofuse.stores.places import open_place

        self._place = place
        path, options = place.joined()
        self._url = path
        try:
            self._client = open_place(path, options)
        except BiofuseError:
            raise
        except Exception as error:
            raise self._failure("", error, "reached") from error

    def _failure(self, name: str, error: Exception, what: str) -> BiofuseError:
        from biofuse.stores.explain import explain

        url = f"{self._place.path.rstrip('/')}/{name}"
        return BiofuseError(f"{url} cannot be {what}: {explain(error, self._url)}")

    def put(
        self,
        name: str,
        data: IO[bytes] | Iterator[bytes],
        part_size: int = 5 << 20,
        at_once: int = 12,
    ) -> None:
        """Write an object: it is there, or replaced, once it is whole.

        Parameters
        ----------
        name : str
        data : file or iterator of bytes
        part_size : int
            Bytes of a part of an upload.
        at_once : int
            Parts that are on their way.

        Raises
        ------
        BiofuseError
            If that fails.
        """
        import obstore

        source: Any = data
        try:
            obstore.put(self._client, name, source, chunk_size=part_size, max_concurrency=at_once)
        except BiofuseError:
            raise
        except Exception as error:
            cause = error.__cause__ or error.__context__
            if isinstance(cause, BiofuseError):
                raise cause from None
            raise self._failure(name, error, "written") from error

    def read(self, name: str) -> Iterator[memoryview]:
        """An object's bytes, some at a time.

        Raises
        ------
        BiofuseError
            If they cannot be read.
        """
        import obstore

        try:
            for data in obstore.get(self._client, name).stream():
                yield memoryview(data).cast("B")
        except Exception as error:
            raise self._failure(name, error, "read") from error


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
    folder, _, name = location.path.rpartition("/")
    with open(path, "rb") as file:
        Uploads(location.beside(folder)).put(name, file)
