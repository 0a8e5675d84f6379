"""A view's files as a filesystem of fsspec: ``biofuse://``.

Specification: https://filesystem-spec.readthedocs.io/en/latest/developer.html
"""

import re
from typing import Any

from fsspec.spec import AbstractFileSystem

from biofuse.api.file import ViewFile
from biofuse.api.fileset import Fileset, open_fileset

# How a store's name ends, which so is no file's.
_STORE = re.compile(r"\.(vcz|zarr|icechunk)(\.zip)?$|\.zip$")


class BiofuseFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """The files of a store, read-only.

    ``biofuse:///data/cohort.vcz/cohort.bim`` is a file of a store on this machine, and
    ``biofuse://s3://bucket/cohort.vcz/cohort.bim`` one of a store elsewhere. A chain of fsspec's
    means the same, ``biofuse://cohort.bim::s3://bucket/cohort.vcz``; it takes what fsspec itself
    reads such a store with.

    Each is of the store as it is when this is made; fsspec keeps none of them.

    Parameters
    ----------
    fo : str
        The store, as `biofuse.open` takes it.
    target_protocol : str, optional
        How the store is reached, where its name does not tell.
    target_options : dict, optional
        Options of that, as `storage_options` of `biofuse.open`.
    **keywords
        Options of `biofuse.open`, such as ``regions="20"``.
    """

    protocol = "biofuse"
    cachable = False
    root_marker = ""

    def __init__(
        self,
        fo: str = "",
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        **keywords: Any,
    ):
        ours = {name: keywords.pop(name) for name in list(keywords) if name not in _FSSPEC}
        super().__init__(**keywords)
        if not fo:
            raise ValueError(
                "no store: biofuse:///data/cohort.vcz/cohort.bim, or "
                "biofuse://s3://bucket/cohort.vcz/cohort.bim"
            )
        if target_protocol not in (None, "file", "local") and "://" not in fo:
            fo = f"{target_protocol}://{fo}"
        given = {
            name: value
            for name, value in (target_options or {}).items()
            if name not in ("fo", "target_protocol", "target_options", "protocol")
        }
        if given:
            ours["storage_options"] = {**given, **ours.get("storage_options", {})}
        self._fileset = open_fileset(fo, **ours)

    @property
    def fileset(self) -> Fileset:
        """What the files are of."""
        return self._fileset

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        return _split(path)[1]

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, str]:
        store, _ = _split(path)
        return {"fo": store} if store else {}

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """The files, or the one that is named."""
        name = self._strip_protocol(path)
        files = self._fileset.files
        if name and name not in files:
            raise FileNotFoundError(path)
        found = [
            {"name": each, "size": files[each], "type": "file"}
            for each in ([name] if name else files)
        ]
        return found if detail else [each["name"] for each in found]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Name, size and type of a file, or of the folder of all."""
        name = self._strip_protocol(path)
        if not name:
            return {"name": "", "size": 0, "type": "directory"}
        [found] = self.ls(name)
        return dict(found)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> ViewFile:
        return self._fileset.open(self._strip_protocol(path), mode)

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: Any
    ) -> bytes:
        """Bytes of a file, from `start` up to `end`; below 0, counted from the file's end."""
        with self._open(path) as file:
            first, last, _step = slice(start, end).indices(file.size)
            return file.pread(max(0, last - first), first)

    def ukey(self, path: str) -> str:
        """What tells a file of one fileset from another's."""
        return f"{id(self._fileset)}:{self._strip_protocol(path)}"


# What fsspec itself takes.
_FSSPEC = (
    "asynchronous",
    "batch_size",
    "listings_expiry_time",
    "loop",
    "max_paths",
    "skip_instance_cache",
    "use_listings_cache",
)


def _split(path: str) -> tuple[str, str]:
    """The store that a URL names, if it does, and the file."""
    rest = str(path).removeprefix("biofuse://").rstrip("/")
    if _STORE.search(rest):
        return rest, ""
    store, _, name = rest.rpartition("/")
    return store, name
