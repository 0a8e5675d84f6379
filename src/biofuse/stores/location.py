"""Where a store is, and how to open it."""

import contextlib
import os
import re
from dataclasses import dataclass, field
from typing import Any

from biofuse.errors import BiofuseError
from biofuse.stores.base import Store

_SUFFIXES = (".vcz.zip", ".zarr.zip", ".vcz", ".zarr", ".icechunk")


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
        if not os.path.exists(self.path):
            raise BiofuseError(f"no such store: {self.path}")
        if not os.path.isdir(self.path) and not self.path.endswith(".zip"):
            raise BiofuseError(
                f"{self.path} is a file, not a VCF Zarr store (a directory or a .zip); "
                "a VCF is made into one with 'vcf2zarr convert'"
            )


def store_stem(path: str) -> str:
    """The store's name without its suffixes: the default stem of its files."""
    name = re.split(r"[?#]", path)[0].rstrip("/").rsplit("/", 1)[-1]
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
    location.check()
    if location.backend is None:
        if os.path.isdir(location.path):
            from biofuse.stores.local import LocalStore

            return LocalStore(location.path, opened_ns)
        from biofuse.stores.zip import ZipStore

        try:
            return ZipStore(location.path)
        except Exception as error:
            raise BiofuseError(f"cannot open {location.path} as a zip file: {error}") from error
    from biofuse.stores.remote import ZarrStore

    return ZarrStore(zarr_group(location).store)


class Members:
    """A Zarr group that reads the metadata of each of its members once.

    zarr-python reads them whenever a member is looked up, at a millisecond or a round trip each.

    Parameters
    ----------
    group : zarr.Group
        Everything but looking up members is its own.
    """

    def __init__(self, group):
        self._group = group
        self._found: dict[str, Any] = {}

    def _get(self, name: str):
        if name not in self._found:
            try:
                self._found[name] = self._group[name]
            except KeyError:
                self._found[name] = None
        return self._found[name]

    def __contains__(self, name: str) -> bool:
        return self._get(name) is not None

    def __getitem__(self, name: str):
        found = self._get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __getattr__(self, name: str):
        return getattr(self._group, name)


def zarr_group(location: Location) -> Members:
    """The store as a zarr-python group.

    Raises
    ------
    BiofuseError
        If there is no Zarr group at the location.
    """
    location.check()
    import zarr

    try:
        if location.backend is None:
            store = (
                zarr.storage.LocalStore(location.path, read_only=True)
                if os.path.isdir(location.path)
                else zarr.storage.ZipStore(location.path, mode="r")
            )
            return Members(zarr.open_group(store, mode="r"))
        import vcztools

        return Members(
            vcztools.open_zarr(
                location.path,
                mode="r",
                backend_storage=location.backend,
                storage_options=location.options or None,
            )
        )
    except BiofuseError:
        raise
    except (zarr.errors.GroupNotFoundError, FileNotFoundError) as error:
        raise BiofuseError(
            f"{location.path} is not a VCF Zarr store: there is no Zarr group in it"
            + _folder_hint(location)
        ) from error
    except Exception as error:
        text = str(error) or type(error).__name__
        raise BiofuseError(f"cannot open {location.path}: {text}") from error


def _folder_hint(location: Location) -> str:
    """What to do where a zip file has a store in a folder of its own."""
    if location.backend is not None or os.path.isdir(location.path):
        return ""
    import zipfile

    with (
        contextlib.suppress(OSError, zipfile.BadZipFile),
        zipfile.ZipFile(location.path) as archive,
    ):
        for name in archive.namelist():
            folder, _, file = name.rpartition("/")
            if folder and file in (".zgroup", "zarr.json"):
                return (
                    f", but there is one in its folder {folder}: make the archive from within "
                    "that folder"
                )
    return ""
