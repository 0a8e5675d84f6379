"""Where a store is, and how to open it."""

import itertools
import json
import logging
import os
import re
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

from biofuse.errors import BiofuseError, StoreChangedError, one_line
from biofuse.stores.base import Store
from biofuse.stores.icechunk import is_local_icechunk, open_session
from biofuse.stores.regular import was_changed
from biofuse.stores.secrets import (
    Secrets,
    given_secrets,
    join_secrets,
    split_secrets,
    whole_paths,
)

if TYPE_CHECKING:
    from biofuse.stores.far_files import FarFiles
    from biofuse.stores.files import StoreFiles
    from biofuse.stores.local import LocalStore
    from biofuse.stores.members import Members
    from biofuse.stores.objects import ObjectStore
    from biofuse.stores.saved import SavedPlan, SavedStore
    from biofuse.stores.zip import ZipStore
    from biofuse.stores.zip_objects import ZipObjects

_SUFFIXES = (".vcz.zip", ".zarr.zip", ".zip", ".vcz", ".zarr", ".icechunk")
# What zarr-python says of metadata is told where it is written for people.
_MAX_TEXT = 200
# Bytes of a plan that is fetched whole.
_WHOLE_PLAN = 32 << 20
# Seconds in which a read must be answered where nothing else is said.
READ_TIMEOUT = 60.0


@dataclass(frozen=True)
class Location:
    """A store's place.

    Attributes
    ----------
    path : str
        A directory, a zip file or a URL, of which what is secret is left out.
    backend : str or None
        None for what is local; "fsspec", "obstore" or "icechunk" for the rest.
    options : dict
        What the backend is given, but for secrets.
    plan : str or None
        A file that `biofuse plan` has made, to be asked instead for what it has of the store.
    secrets : dict
        What `joined` adds to path and options.
    scope : int
        Places of one scope share what is known of a store at some distance; those of another
        find it out anew. See `scoped`.
    """

    path: str
    backend: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    plan: str | None = None
    secrets: Secrets = field(default_factory=dict, repr=False, compare=False)
    scope: int = field(default=0, repr=False, compare=False)

    @classmethod
    def typed(
        cls, path: str, backend: str | None, options: dict[str, Any], plan: str | None = None
    ) -> "Location":
        """The place that a user has named, whatever is secret in that.

        A folder that is an Icechunk repository is seen to be one.
        """
        path, options, secrets = split_secrets(path, whole_paths(options))
        if backend is None and is_local_icechunk(path):
            backend = "icechunk"
        return cls(path, backend, options, plan, secrets)

    @classmethod
    def planned(cls, store: dict[str, Any], secrets: Secrets | None = None) -> "Location":
        """The place of a plan, with its secrets or those that this process was started with."""
        return cls(**store, secrets=secrets or given_secrets())

    def scoped(self) -> "Location":
        """The same place, of which nothing is known yet; `forget` ends that."""
        return replace(self, scope=next(_scopes))

    def beside(self, path: str) -> "Location":
        """Another place that is reached in the same way."""
        return replace(Location.typed(path, self.backend, self.joined()[1]), scope=self.scope)

    def public(self) -> dict[str, Any]:
        """What may be written to a plan, as `planned` takes it."""
        return {
            "path": self.path,
            "backend": self.backend,
            "options": self.options,
            "plan": self.plan,
        }

    def joined(self) -> tuple[str, dict[str, Any]]:
        """Path and options with what is secret."""
        return join_secrets(self.path, self.options, self.secrets)

    @property
    def is_url(self) -> bool:
        return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", self.path) is not None

    @property
    def engine(self) -> str | None:
        """What reads it: None for files here, else a backend."""
        return "obstore" if self.backend is None and self.is_url else self.backend

    @property
    def is_local(self) -> bool:
        return self.engine is None

    @property
    def is_zip(self) -> bool:
        """Whether the store is in a zip file."""
        return re.split(r"[?#]", self.path)[0].rstrip("/").endswith(".zip")

    def absolute(self) -> "Location":
        """The same place for a process with another working directory."""
        if self.backend is None and self.path.lower().startswith("file://"):
            path = unquote(urlsplit(self.path).path)
            return replace(self, path=path)
        if self.is_url or not self.path:
            return self
        return replace(self, path=os.path.abspath(self.path))

    def check(self) -> None:
        """Raise `BiofuseError` if there can be no store here."""
        if not self.path:
            raise BiofuseError("the store's name is empty")
        if self.backend is not None:
            return
        if self.is_url:
            from biofuse.stores.places import SCHEMES

            scheme = self.path.partition(":")[0].lower()
            if scheme not in SCHEMES:
                known = ", ".join(f"{each}://" for each in sorted(SCHEMES))
                raise BiofuseError(
                    f"{self.path} is a URL of a kind that is not known ({known}): "
                    "--backend-storage fsspec may read it"
                )
            return
        if self.options or self.secrets:
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


def open_store(
    location: Location,
    opened_ns: int | None = None,
    pins: bytes | memoryview | None = None,
    timeout: float = READ_TIMEOUT,
) -> Store:
    """The store at a location.

    Parameters
    ----------
    location : Location
    opened_ns : int, optional
        Where a backend can tell, it refuses to read what was changed after this time.
    pins : bytes-like, optional
        Versions of objects that were listed when the view was planned.
    timeout : float
        Seconds in which a read must be answered.

    Raises
    ------
    BiofuseError
        If the location cannot be opened.
    """
    if location.plan is not None:
        return open_saved(location)
    if location.engine is None:
        return _open_local(location, opened_ns)
    location.check()
    if location.engine == "obstore":
        return _open_far(location, opened_ns, pins, timeout)
    from biofuse.stores.backends import backend_store
    from biofuse.stores.remote import IcechunkStore, ZarrStore

    if location.backend == "icechunk":
        return IcechunkStore(open_session(*location.joined()).store)
    # Which tells what is there, and what cannot be reached.
    open_group(location)
    return ZarrStore(backend_store(location))


def keep_chunks(store: Store, location: Location, parent: str, size: int) -> None:
    """Have the chunks of a store kept on disk, if it is one of objects at some distance.

    Parameters
    ----------
    store : Store
        As `open_store` has it.
    location : Location
        The store's.
    parent : str
        The directory, as `ChunkCache` takes it.
    size : int
        Bytes that may be kept there.
    """
    keep = getattr(store, "keep", None)
    if keep is None:
        return
    from biofuse.stores.chunk_cache import ChunkCache
    from biofuse.stores.kept import place_name

    url = location.path if location.is_url else Path(location.path).as_uri()
    keep(ChunkCache(parent, size), place_name(url, location.options))


def open_saved(location: Location) -> "SavedStore":
    """A store of which a part was saved, and what has that part."""
    from biofuse.stores.saved import SavedPlan, SavedStore

    assert location.plan is not None
    with _far_lock:
        found = _saved.get(location.plan)
        if found is None:
            found = SavedPlan(_open_plan(location, location.plan), location.plan)
            _saved[location.plan] = found
    whole = replace(location, plan=None)
    return SavedStore(open_store(whole, pins=found.pins() or None), found)


def _open_plan(location: Location, path: str) -> "ZipStore | ZipObjects":
    """The file that a part of a store was saved in, which is reached as the store is."""
    place = location.beside(path)
    from biofuse.stores.zip import ZipStore

    try:
        if place.is_url:
            return _fetch_plan(place)
        return ZipStore(path)
    except FileNotFoundError:
        raise BiofuseError(f"no such plan: {path}") from None
    except BiofuseError:
        raise
    except Exception as error:
        raise BiofuseError(f"{path} is no plan that can be read: {one_line(error)}") from error


def _fetch_plan(place: Location) -> "ZipStore | ZipObjects":
    """A plan in an object store: all of it, if it is small; else parts as they are wanted."""
    from biofuse.stores.zip import ZipStore

    folder, _, name = place.path.rpartition("/")
    parent = cast("ObjectStore", _open_far(place.beside(folder), is_zip=False))
    piece = parent.get(name, _WHOLE_PLAN).result()
    if piece is None:
        raise FileNotFoundError(place.path)
    if piece.size > len(piece.data):
        return cast("ZipObjects", _open_far(place, is_zip=True))
    fd = os.memfd_create("biofuse-plan", os.MFD_CLOEXEC)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(piece.data)
        return ZipStore(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def object_version(place: Location) -> str:
    """What tells the version of an object; empty if it does not exist."""
    folder, _, name = place.path.rpartition("/")
    return _open_far(place.beside(folder), is_zip=False).signature([name]) or ""


# Of this process: metadata by store, and files that were saved by name.
_far_metadata: dict[int, "FarFiles"] = {}
_saved: dict[str, "SavedPlan"] = {}
# Of this process, by location: connections, and what was listed, are of use to all who read.
_far: dict[tuple[int, str], "ObjectStore | ZipObjects"] = {}
_far_lock = threading.RLock()
_scopes = itertools.count(1)


def forget(location: Location) -> None:
    """Let go of the stores at some distance that a place's scope has."""
    with _far_lock:
        for name in [name for name in _far if name[0] == location.scope]:
            _far_metadata.pop(id(_far.pop(name)), None)


def _open_far(
    location: Location,
    opened_ns: int | None = None,
    pins: bytes | memoryview | None = None,
    timeout: float = READ_TIMEOUT,
    is_zip: bool | None = None,
) -> "ObjectStore | ZipObjects":
    from biofuse.stores.explain import explain
    from biofuse.stores.link import Link
    from biofuse.stores.objects import ObjectStore
    from biofuse.stores.pins import Pins
    from biofuse.stores.places import bucket_region, open_place
    from biofuse.stores.requests import Requests
    from biofuse.stores.zip_objects import ZipObjects

    path, options = location.joined()
    name = (location.scope, json.dumps([path, options], sort_keys=True, default=str))
    with _far_lock:
        if name in _far:
            return _far[name]
        url = path if location.is_url else Path(path).as_uri()
        base = re.split(r"[?#]", url)[0]
        query = url[len(base) :]
        folder, _, file = base.rstrip("/").rpartition("/")
        is_zip = location.is_zip if is_zip is None else is_zip
        place = f"{folder if is_zip else base}{query}"
        try:
            client = open_place(place, options)
        except BiofuseError:
            raise
        except Exception as error:
            text = explain(error, url)
            raise BiofuseError(f"cannot open {location.path}: {text}") from error

        def reopen() -> Any:
            region = bucket_region(place, options)
            if region is None:
                return None
            return open_place(place, {**options, "region": region})

        link, pinned = Link(), Pins(pins, opened_ns)
        requests = Requests(
            client, link, pinned, timeout, lambda error: explain(error, url), reopen
        )
        lists = urlsplit(url).scheme not in ("http", "https")
        store: ObjectStore | ZipObjects = ObjectStore(requests, link, pinned, lists)
        if is_zip:
            store = ZipObjects(ObjectStore(requests, link, pinned, False), unquote(file))
        _far[name] = store
        return store


def _open_local(location: Location, opened_ns: int | None = None) -> "LocalStore | ZipStore":
    try:
        location.check()
        if os.path.isdir(location.path):
            from biofuse.stores.local import LocalStore

            return LocalStore(location.path, opened_ns)
        from biofuse.stores.zip import ZipStore

        return ZipStore(location.path)
    except Exception as error:
        known = isinstance(error, BiofuseError)
        text = (
            str(error) if known else f"cannot open {location.path} as a zip file: {one_line(error)}"
        )
        if opened_ns is not None and was_changed(location.path, opened_ns):
            raise StoreChangedError(f"the store changed while it was mounted: {text}") from error
        if known:
            raise
        raise BiofuseError(text) from error


def far_files(location: Location) -> "FarFiles":
    """The metadata of a store at some distance, read once a process.

    Raises
    ------
    BiofuseError
        If it cannot be read.
    """
    from biofuse.stores.far_files import FarFiles

    store = _open_far(location)
    with _far_lock:
        found = _far_metadata.get(id(store))
        if found is None:
            found = _far_metadata[id(store)] = FarFiles(store)
        return found


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
    if location.engine not in (None, "obstore"):
        group = _zarr_group(location, None)
        return Members(lambda: group)
    from biofuse.stores.files import StoreFiles

    files: StoreFiles
    if location.plan is not None:
        from biofuse.stores.saved import SavedFiles

        files = SavedFiles(open_saved(location))
    elif location.engine is None:
        files = StoreFiles(_open_local(location))
    else:
        files = far_files(location)
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
    # zarr-python asks for several objects at once; of what fails one error is told, and asyncio
    # would dump the others.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        if files is not None:
            from biofuse.stores.adapter import ReadOnlyStore

            return zarr.open_group(ReadOnlyStore(files, location.path), mode="r")
        from biofuse.stores.backends import backend_store

        return zarr.open_group(backend_store(location), mode="r")
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
