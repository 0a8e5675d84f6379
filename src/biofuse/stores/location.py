"""Where a store is, and how to open it."""

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from biofuse.errors import BiofuseError, one_line
from biofuse.stores.base import Store

if TYPE_CHECKING:
    from biofuse.stores.files import StoreFiles
    from biofuse.stores.local import LocalStore
    from biofuse.stores.members import Members
    from biofuse.stores.zip import ZipStore

_SUFFIXES = (".vcz.zip", ".zarr.zip", ".zip", ".vcz", ".zarr", ".icechunk")
# What zarr-python says of metadata is told where it is written for people.
_MAX_TEXT = 200


@dataclass(frozen=True)
class Location:
    """A store's place.

    Attributes
    ----------
    path : str
        A directory, a zip file or a URL.
    backend : str or None
        None for what is local; "fsspec", "obstore" or "icechunk" for the rest.
    options : dict
        What the backend is given.
    """

    path: str
    backend: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def is_url(self) -> bool:
        return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", self.path) is not None

    @property
    def is_local(self) -> bool:
        return self.backend is None

    def absolute(self) -> "Location":
        """The same place for a process with another working directory."""
        if self.is_url or not self.path:
            return self
        return Location(os.path.abspath(self.path), self.backend, self.options)

    def check(self) -> None:
        """Raise `BiofuseError` if there can be no store here."""
        if not self.path:
            raise BiofuseError("the store's name is empty")
        if self.backend is not None:
            return
        if self.is_url:
            raise BiofuseError(
                f"{self.path} is a URL: add --backend-storage fsspec (or obstore, icechunk)"
            )
        if self.options:
            raise BiofuseError("--storage-option needs --backend-storage")
        try:
            os.stat(self.path)
        except FileNotFoundError:
            raise BiofuseError(f"no such store: {self.path}{self._link_hint()}") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BiofuseError(f"{self.path} cannot be opened: {reason}") from error
        if not os.path.isdir(self.path) and not self.path.endswith(".zip"):
            raise BiofuseError(
                f"{self.path} is a file, not a VCF Zarr store (a directory or a .zip); "
                "a VCF is made into one with 'vcf2zarr convert'"
            )

    def _link_hint(self) -> str:
        return " (a symbolic link to nothing)" if os.path.islink(self.path) else ""


def store_stem(path: str) -> str:
    """The store's name without its suffixes: the default stem of its files."""
    if Location(path).is_url:
        path = re.split(r"[?#]", path)[0]
    name = path.rstrip("/").rsplit("/", 1)[-1]
    for suffix in _SUFFIXES:
        if name.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name or "store"


def open_store(location: Location, opened_ns: int | None = None) -> Store:
    """The store at a location.

    Parameters
    ----------
    location : Location
    opened_ns : int, optional
        Where a backend can tell, it refuses to read what was changed after this time.

    Raises
    ------
    BiofuseError
        If the location cannot be opened.
    """
    if location.backend is None:
        return _open_local(location, opened_ns)
    location.check()
    from biofuse.stores.remote import ZarrStore

    return ZarrStore(open_group(location).store)


def _open_local(location: Location, opened_ns: int | None = None) -> "LocalStore | ZipStore":
    location.check()
    if os.path.isdir(location.path):
        from biofuse.stores.local import LocalStore

        return LocalStore(location.path, opened_ns)
    from biofuse.stores.zip import ZipStore

    try:
        return ZipStore(location.path)
    except BiofuseError:
        raise
    except Exception as error:
        raise BiofuseError(f"cannot open {location.path} as a zip file: {error}") from error


def open_group(location: Location, plain: bool = True) -> "Members":
    """The arrays of a store, read in the way of `open_store`.

    Parameters
    ----------
    location : Location
    plain : bool
        Whether arrays may be read without zarr-python; else all are zarr-python's.

    Raises
    ------
    BiofuseError
        If there is no Zarr group at the location.
    """
    from biofuse.stores.members import Members

    location.check()
    if location.backend is not None:
        group = _zarr_group(location, None)
        return Members(lambda: group)
    from biofuse.stores.files import StoreFiles

    files = StoreFiles(_open_local(location))
    members = Members(lambda: _zarr_group(location, files), files, plain)
    if not plain or files.group_format() is None:
        # Which says what is there instead.
        _ = members.group
    # Damaged ones are told even if nobody asks for any.
    files.group_attributes()
    return members


def _zarr_group(location: Location, files: "StoreFiles | None") -> Any:
    """The zarr-python group of a store."""
    import zarr

    from biofuse.stores import codecs

    codecs.install()
    try:
        if files is not None:
            from biofuse.stores.adapter import ReadOnlyStore

            return zarr.open_group(ReadOnlyStore(files, location.path), mode="r")
        from biofuse.stores.backends import backend_store

        assert location.backend is not None
        remote = backend_store(location.path, location.backend, location.options)
        return zarr.open_group(remote, mode="r")
    except BiofuseError:
        raise
    except (zarr.errors.GroupNotFoundError, FileNotFoundError) as error:
        raise BiofuseError(
            f"{location.path} is not a VCF Zarr store: there is no Zarr group in it"
            + _folder_hint(files.store if files is not None else None)
        ) from error
    except Exception as error:
        raise BiofuseError(f"cannot open {location.path}: {_text(error)}") from error


def _text(error: Exception) -> str:
    """What a library says of a store that it cannot open."""
    if isinstance(error, (AttributeError, IndexError, KeyError, RecursionError, TypeError)):
        return "its metadata is not of the form that Zarr asks for"
    return one_line(error)[:_MAX_TEXT]


def _folder_hint(store: Store | None) -> str:
    """What to do where a zip file has a store in a folder of its own."""
    for name in getattr(store, "names", ()):
        folder, _, file = name.rpartition("/")
        if folder and file in (".zgroup", "zarr.json"):
            return (
                f", but there is one in its folder {folder}: make the archive from within "
                "that folder"
            )
    return ""
