"""Icechunk repositories, read from one snapshot.

A plan names the snapshot that it was made from, and whoever has the plan reads that one,
whatever is committed meanwhile.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from biofuse.errors import BiofuseError, one_line
from biofuse.stores.secrets import describe, redact

if TYPE_CHECKING:
    from biofuse.stores.location import Location

# Options that say which snapshot; the branch main is read where none is given.
_WHICH = ("branch", "tag", "snapshot")
_MAIN = "main"
# Names at the root of a repository: of any, and besides of format 1 or of format 2.
_ALWAYS = frozenset({"snapshots"})
_EITHER = frozenset({"refs", "repo"})
# Names of a Zarr group's metadata, of which a repository has none.
_ZARR = frozenset({"zarr.json", ".zgroup", ".zarray"})
# How lines of its messages begin; the second is that of a cause.
_MARK = re.compile(r"\s*(?:[x×]\s+)?(?P<cause>(?:[|`]->|[├╰]─▶)\s+)?")

# Sessions of this process's snapshots by place: to open a repository takes four round trips.
_sessions: dict[str, Any] = {}


def is_icechunk(list_names: Callable[[str], list[str]]) -> bool:
    """Whether what lies at a place is an Icechunk repository.

    Parameters
    ----------
    list_names : callable
        Gives the names of the folders and objects that are directly in a folder, "" being the
        place itself. It is called once.
    """
    names = {name.rstrip("/") for name in list_names("")}
    return names >= _ALWAYS and not names.isdisjoint(_EITHER) and names.isdisjoint(_ZARR)


def is_local_icechunk(path: str) -> bool:
    """Whether a path is the folder of an Icechunk repository."""
    try:
        return os.path.isdir(path) and is_icechunk(lambda folder: os.listdir(path))
    except OSError:
        return False


def icechunk_snapshot(location: "Location") -> str:
    """The ID of the snapshot that a location's options choose now.

    Raises
    ------
    BiofuseError
        If there is no such repository, branch, tag or snapshot.
    """
    return str(open_session(*location.joined()).snapshot_id)


def pinned(location: "Location") -> "Location":
    """The location of the snapshot that this one chooses now; another kind's as it is."""
    if location.backend != "icechunk":
        return location
    session = open_session(*location.joined())
    options = {key: value for key, value in location.options.items() if key not in _WHICH}
    found = replace(location, options={**options, "snapshot": str(session.snapshot_id)})
    # It is asked for next.
    _sessions[_key(*found.joined())] = session
    return found


def open_session(url: str, options: Mapping[str, Any]) -> Any:
    """A session of Icechunk's that reads the snapshot that options choose.

    Parameters
    ----------
    url : str
        Or a path.
    options : mapping
        `branch`, `tag` or `snapshot`, and arguments of Icechunk's storage; obstore's names of
        those do as well.

    Raises
    ------
    BiofuseError
        If there is no such repository, branch, tag or snapshot, or no Icechunk.
    """
    open_already = _sessions.get(_key(url, options))
    if open_already is not None:
        return open_already
    icechunk = _load()
    which = {key: str(options[key]) for key in _WHICH if options.get(key) is not None}
    rest = {key: value for key, value in options.items() if key not in _WHICH}
    if len(which) > 1:
        raise BiofuseError(f"one of {' and '.join(which)} chooses a snapshot, not all of them")
    # Else warnings are written to standard output. Errors are raised.
    icechunk.set_logs_filter("off")
    kind, name = next(iter(which.items()), ("branch", _MAIN))
    try:
        repository = icechunk.Repository.open(_storage(icechunk, url, rest))
        return repository.readonly_session(**{"snapshot_id" if kind == "snapshot" else kind: name})
    except BiofuseError:
        raise
    except Exception as error:
        raise BiofuseError(_explain(error, describe(url), kind, name)) from error


def _key(url: str, options: Mapping[str, Any]) -> str:
    return json.dumps([url, options], sort_keys=True)


def icechunk_error(error: BaseException) -> str:
    """What Icechunk says, in one line: the cause, which stands last, and what is said of it."""
    lines = [line for line in redact(str(error)).splitlines() if line.strip()]
    if not lines:
        return one_line(error)
    marks = [_MARK.match(line) for line in lines]
    texts = [line[mark.end() :] for line, mark in zip(lines, marks, strict=True) if mark]
    causes = [text for text, mark in zip(texts, marks, strict=True) if mark and mark["cause"]]
    last = causes[-1] if causes else texts[0]
    return texts[0] if last in texts[0] else f"{texts[0]}: {last}"


def _load() -> Any:
    import importlib

    try:
        return importlib.import_module("icechunk")
    except ImportError as error:
        raise BiofuseError(
            "an Icechunk repository needs the Python package icechunk: "
            "pip install 'biofuse[icechunk]'"
        ) from error


def _explain(error: Exception, name: str, kind: str, chosen: str) -> str:
    text = icechunk_error(error)
    if "repository doesn't exist" in text:
        return f"{name} is no Icechunk repository"
    if "not found" in text or "invalid snapshot id" in text:
        return f"{name} has no {kind} {chosen}"
    if "upgrade the icechunk library" in text:
        return (
            f"{name} is of a format that the installed Icechunk does not read: "
            "pip install --upgrade icechunk"
        )
    if isinstance(error, TypeError):
        found = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if found is not None:
            return f"--storage-option {found[1]} is not known to Icechunk for {name}"
    return f"{name} cannot be read: {text}"


def _storage(icechunk: Any, url: str, options: dict[str, Any]) -> Any:
    """Where a repository is, in Icechunk's words."""
    scheme = url.partition("://")[0].lower() if "://" in url else "file"
    if scheme == "file":
        folder = unquote(urlsplit(url).path) if "://" in url else url
        # Which would be made.
        if not os.path.isdir(folder):
            raise BiofuseError(f"no such store: {describe(url)}")
        return icechunk.local_filesystem_storage(folder, **options)
    if scheme in ("s3", "s3a"):
        return icechunk.s3_storage(**_s3(url, options))
    if scheme in ("gs", "gcs"):
        return icechunk.gcs_storage(**_gcs(url, options))
    if scheme in ("az", "azure", "abfs", "abfss"):
        return icechunk.azure_storage(**_azure(url, options))
    if scheme in ("http", "https") and hasattr(icechunk, "http_storage"):
        return icechunk.http_storage(url, **options)
    raise BiofuseError(
        f"{describe(url)} is not a place that Icechunk reads: s3://, gs://, az:// or a path"
    )


def _bucket(url: str) -> dict[str, Any]:
    bucket, _, prefix = url.partition("://")[2].partition("/")
    return {"bucket": bucket, "prefix": prefix.strip("/")}


def _renamed(options: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Options by Icechunk's names, where obstore's are others."""
    return {names.get(key, key): value for key, value in options.items() if key != "client_options"}


def _s3(url: str, options: dict[str, Any]) -> dict[str, Any]:
    from biofuse.stores.access import Given
    from biofuse.stores.aws import s3_access, s3_endpoint, s3_region
    from biofuse.stores.places import bucket_region

    given = Given(options)
    settings: dict[str, Any] = {}
    endpoint = s3_endpoint(given)
    if endpoint is not None:
        settings["endpoint_url"] = endpoint
        settings["allow_http"] = endpoint.startswith("http://")
        settings["force_path_style"] = True
    region = s3_region(given)
    if region is None and endpoint is None:
        # It asks for one; where none is told, the bucket's is.
        region = bucket_region(url, options)
    settings["region"] = region or "us-east-1"
    if not {"access_key_id", "anonymous", "from_env", "get_credentials"} & set(options):
        try:
            anonymous = s3_access(given).is_anonymous
        except BiofuseError:
            # Roles of profiles, which it knows without boto3.
            anonymous = False
        settings["anonymous" if anonymous else "from_env"] = True
    names = {"endpoint": "endpoint_url", "token": "session_token", "skip_signature": "anonymous"}
    return {**_bucket(url), **settings, **_renamed(options, names)}


def _gcs(url: str, options: dict[str, Any]) -> dict[str, Any]:
    from biofuse.stores.access import Given
    from biofuse.stores.google import gcs_access

    settings: dict[str, Any] = {}
    if not {"anonymous", "from_env", "bearer_token", "service_account_key"} & set(options):
        anonymous = gcs_access(Given(options)).is_anonymous
        settings["anonymous" if anonymous else "from_env"] = True
    return {**_bucket(url), **settings, **_renamed(options, {"skip_signature": "anonymous"})}


def _azure(url: str, options: dict[str, Any]) -> dict[str, Any]:
    from biofuse.stores.access import Given
    from biofuse.stores.azure import azure_account, azure_place

    given = Given(options)
    account, container, prefix, signature = azure_place(url, given)
    settings: dict[str, Any] = {
        "account": account or azure_account(given),
        "container": container,
        "prefix": prefix.strip("/"),
    }
    if signature is not None:
        settings["sas_token"] = signature
    elif not {"access_key", "account_key", "sas_token", "sas_key", "bearer_token"} & set(options):
        settings["from_env"] = True
    names = {"account_key": "access_key", "sas_key": "sas_token", "account_name": "account"}
    return {**settings, **_renamed(options, names)}
