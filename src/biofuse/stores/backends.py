"""zarr-python's stores of places that are not local, by the backend that reaches them."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zarr.storage
from zarr.abc.store import Store

from biofuse.errors import BiofuseError
from biofuse.stores.icechunk import open_session

if TYPE_CHECKING:
    from biofuse.stores.location import Location


def backend_store(location: "Location") -> Store:
    """What zarr-python reads a place through.

    Parameters
    ----------
    location : Location
        Whose options are the backend's: fsspec's storage options, arguments of obstore's store,
        or what `stores.icechunk.open_session` takes.

    Raises
    ------
    BiofuseError
        If the backend is not installed, or has no such places.
    """
    path, options = location.joined()
    backend = location.backend
    is_url = "://" in path
    if backend == "fsspec":
        _load("fsspec", backend)
        # Its URLs of files have no escapes.
        url = path if is_url else f"file://{path}"
        # A file system's connections are of the loop that makes the first request.
        options = {**options, "skip_instance_cache": True}
        return zarr.storage.FsspecStore.from_url(url, storage_options=options, read_only=True)
    if backend == "obstore":
        url = path if is_url else Path(path).as_uri()
        stores = _load("obstore.store", backend)
        return zarr.storage.ObjectStore(stores.from_url(url, **options), read_only=True)
    store: Store = open_session(path, options).store
    return store


def _load(module: str, backend: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        extra = {"obstore": "s3"}.get(package, package)
        raise BiofuseError(
            f"--backend-storage {backend} needs the Python package {package}: "
            f"pip install 'biofuse[{extra}]'"
        ) from error
