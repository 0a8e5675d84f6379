"""zarr-python's stores of places that are not local, by the backend that reaches them."""

import importlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import zarr.storage
from zarr.abc.store import Store

from biofuse.errors import BiofuseError


def backend_store(path: str, backend: str, options: dict[str, Any]) -> Store:
    """What zarr-python reads a place through.

    Parameters
    ----------
    path : str
        A URL, or a whole path on this machine.
    backend : str
        "fsspec", "obstore" or "icechunk".
    options : dict
        For the backend: fsspec's storage options, arguments of obstore's store or of
        Icechunk's storage.

    Raises
    ------
    BiofuseError
        If the backend is not installed, or has no such places.
    """
    is_url = "://" in path
    if backend == "fsspec":
        _load("fsspec", backend)
        # Its URLs of files have no escapes.
        url = path if is_url else f"file://{path}"
        return zarr.storage.FsspecStore.from_url(url, storage_options=options, read_only=True)
    url = path if is_url else Path(path).as_uri()
    if backend == "obstore":
        stores = _load("obstore.store", backend)
        return zarr.storage.ObjectStore(stores.from_url(url, **options), read_only=True)
    icechunk = _load("icechunk", backend)
    # Else warnings are written to standard output. Errors are raised.
    icechunk.set_logs_filter("off")
    repository = icechunk.Repository.open(_icechunk_storage(icechunk, url, options))
    store: Store = repository.readonly_session("main").store
    return store


def _load(module: str, backend: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise BiofuseError(
            f"--backend-storage {backend} needs the Python package {package}, which cannot be "
            f"imported: pip install {package}, or biofuse with an extra"
        ) from error


def _icechunk_storage(icechunk: Any, url: str, options: dict[str, Any]) -> Any:
    parts = urlsplit(url)
    place = {"bucket": parts.netloc, "prefix": parts.path.lstrip("/")}
    if parts.scheme == "file":
        folder = unquote(parts.path)
        # Which would be made.
        if not os.path.isdir(folder):
            raise FileNotFoundError(folder)
        return icechunk.local_filesystem_storage(folder, **options)
    # Credentials are the environment's, unless the options have others.
    options = {"from_env": True, **options}
    if parts.scheme == "s3":
        return icechunk.s3_storage(**place, **options)
    if parts.scheme in ("gs", "gcs"):
        return icechunk.gcs_storage(**place, **options)
    if parts.scheme in ("az", "azure", "abfs", "abfss"):
        return icechunk.azure_storage(**_azure_place(parts), **options)
    raise BiofuseError(f"{url} is not a place that Icechunk reads: s3://, gs://, az:// or a path")


def _azure_place(parts: SplitResult) -> dict[str, str]:
    """Account, container and prefix of `az://account/container/prefix`, or of
    `abfs://container@account.dfs.core.windows.net/prefix`."""
    path = parts.path.lstrip("/")
    container, at, host = parts.netloc.partition("@")
    if at:
        return {"account": host.partition(".")[0], "container": container, "prefix": path}
    container, _, prefix = path.partition("/")
    if not (parts.netloc and container):
        raise BiofuseError(
            f"{parts.geturl()} names no account and container: az://ACCOUNT/CONTAINER/PREFIX"
        )
    return {"account": parts.netloc, "container": container, "prefix": prefix}
