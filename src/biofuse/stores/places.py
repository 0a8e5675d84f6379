"""obstore's stores of the places that people type: s3://, gs://, az://, https:// and others.

Credentials are those of the usual places: variables, profiles, roles of machines; where there
are none, requests are not signed.
"""

import importlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from biofuse.errors import BiofuseError
from biofuse.stores.access import Access, Given, is_yes, variable
from biofuse.stores.aws import s3_access, s3_endpoint
from biofuse.stores.azure import azure_access, azure_endpoint, azure_place, is_azure_host
from biofuse.stores.explain import URL_CREDENTIALS, explain, is_wrong_region, note_access
from biofuse.stores.google import gcs_access, gcs_url
from biofuse.stores.secrets import (
    describe,
    join_secrets,
    plain_name,
    redact,
    remember,
    split_secrets,
)

if TYPE_CHECKING:
    from obstore.store import ObjectStore

__all__ = [
    "SCHEMES",
    "bucket_region",
    "describe",
    "explain",
    "is_web_server",
    "is_wrong_region",
    "join_secrets",
    "open_place",
    "redact",
    "split_secrets",
]

# By scheme, the extra of this package that has what reads it.
_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "azure": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "adl": "azure",
    "http": "http",
    "https": "http",
    "file": "http",
}
SCHEMES = frozenset(_EXTRAS)
# Hosts of HTTP that are buckets, as they are to obstore.
_S3_HOSTS = (".amazonaws.com", ".r2.cloudflarestorage.com")
# Arguments of obstore's stores that are no settings of the place.
_ARGUMENTS = ("config", "client_options", "retry_config")
# Settings of the client, which variables name as well, such as AWS_PROXY_URL. obstore takes
# those of the variables or those of the arguments.
_CLIENT = (
    "allow_http",
    "allow_invalid_certificates",
    "http1_only",
    "http2_only",
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "proxy_ca_certificate",
    "proxy_excludes",
    "proxy_url",
    "user_agent",
)
_VARIABLES = {"s3": "AWS_", "gcs": "GOOGLE_", "azure": "AZURE_", "http": "HTTP_STORE_"}
_S3_ENDPOINTS = ("endpoint", "endpoint_url", "endpoint_url_s3")
# Seconds in which a server tells a bucket's region.
_REGION_TIME = 5.0


class _Target(NamedTuple):
    """What opens a store, how it is reached, and the URL that requests go to, if it is known."""

    open: Callable[..., Any]
    access: Access
    base: str | None


def open_place(
    url: str,
    options: Mapping[str, Any],
    *,
    connect_timeout: float = 5.0,
    timeout: float = 60.0,
    connections: int | None = None,
) -> "ObjectStore":
    """obstore's store of what is below a URL, or of a URL's one object under the key "".

    It does not try again what fails.

    Parameters
    ----------
    url : str
        Of one of `SCHEMES`.
    options : mapping
        Arguments of obstore.store.from_url, which come before what is found.
    connect_timeout, timeout : float
        Seconds until a connection is there, and until the last byte of an answer is.
    connections : int, optional
        How many that are not in use stay open.

    Raises
    ------
    BiofuseError
        If obstore is not installed, or the URL or the options are not such as it takes.
    """
    stores = _load(url)
    given = Given(options)
    kind = _kind(url)
    if kind == "file":
        return _open(url, stores.LocalStore, {"prefix": unquote(urlsplit(url).path)})
    target = _TARGETS[kind](stores, url, given)
    note_access(url, target.access)

    client: dict[str, Any] = {
        "connect_timeout": _duration(connect_timeout),
        "timeout": _duration(timeout),
    }
    if connections is not None:
        client["pool_max_idle_per_host"] = str(connections)
    if (target.base or "").lower().startswith("http://"):
        client["allow_http"] = True
    client.update(_client_settings(kind, url))
    client.update(options.get("client_options") or {})
    settings = _settings(options, target.access, kind)
    client.update({key: settings.pop(key) for key in _CLIENT if key in settings})
    if target.access.provider is not None:
        settings["credential_provider"] = target.access.provider
    retry = {"max_retries": 0, **(options.get("retry_config") or {})}
    return _open(url, target.open, {**settings, "client_options": client, "retry_config": retry})


def bucket_region(url: str, options: Mapping[str, Any]) -> str | None:
    """The region of the bucket of an s3:// URL, as its server tells anyone; None if it doesn't.

    Parameters
    ----------
    url : str
    options : mapping
        As for `open_place`.
    """
    if _scheme(url) not in ("s3", "s3a"):
        return None
    bucket, _ = _bucket(url)
    base = s3_endpoint(Given(options)) or "https://s3.amazonaws.com"
    if urlsplit(base).scheme not in ("http", "https"):
        return None
    # These imports take a twentieth of a second, and few come to this.
    import urllib.error
    import urllib.request

    request = urllib.request.Request(f"{base.rstrip('/')}/{quote(bucket)}", method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_REGION_TIME) as answer:
            return answer.headers.get("x-amz-bucket-region") or None
    except urllib.error.HTTPError as error:
        # To be refused or sent elsewhere is an answer too.
        return error.headers.get("x-amz-bucket-region") or None
    except (OSError, ValueError):
        return None


def is_web_server(url: str) -> bool:
    """Whether a URL is that of a file on a web server, not of an object in a bucket."""
    return _scheme(url) in ("http", "https") and _kind(url) == "http"


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower()


def _load(url: str) -> Any:
    extra = _EXTRAS.get(_scheme(url))
    if extra is None:
        raise BiofuseError(
            f"{describe(url)} is of no kind that is read: {', '.join(sorted(SCHEMES))}"
        )
    try:
        return importlib.import_module("obstore.store")
    except ImportError as error:
        raise BiofuseError(
            f"{describe(url)} needs the package obstore: pip install 'biofuse[{extra}]'"
        ) from error


def _kind(url: str) -> str:
    scheme = _scheme(url)
    if scheme not in ("http", "https"):
        return "file" if scheme == "file" else _EXTRAS[scheme]
    parts = urlsplit(url)
    # What is signed is signed for that URL.
    if (parts.hostname or "").endswith(_S3_HOSTS) and not parts.query and not parts.username:
        return "s3"
    return "azure" if is_azure_host(url) else "http"


def _bucket(url: str) -> tuple[str, str]:
    """Bucket and prefix, in which nothing is escaped."""
    bucket, _, prefix = url.partition("://")[2].partition("/")
    if not bucket:
        raise BiofuseError(f"{describe(url)} names no bucket")
    return bucket, prefix.strip("/")


def _s3(stores: Any, url: str, given: Given) -> _Target:
    access = s3_access(given)
    if _scheme(url) in ("http", "https"):
        # Where it is stands in the URL.
        for name in ("endpoint", "aws_endpoint_url_s3", "region"):
            access.settings.pop(name, None)

        def from_url(**settings: Any) -> Any:
            return stores.S3Store.from_url(url, **settings)

        return _Target(from_url, access, url)
    bucket, prefix = _bucket(url)

    def of_bucket(**settings: Any) -> Any:
        return stores.S3Store(bucket, prefix=prefix or None, **settings)

    return _Target(of_bucket, access, access.settings.get("endpoint"))


def _gcs(stores: Any, url: str, given: Given) -> _Target:
    access = gcs_access(given)
    bucket, prefix = _bucket(url)

    def of_bucket(**settings: Any) -> Any:
        return stores.GCSStore(bucket, prefix=prefix or None, **settings)

    return _Target(of_bucket, access, gcs_url(given))


def _azure(stores: Any, url: str, given: Given) -> _Target:
    account, container, prefix, signature = azure_place(url, given)
    access = azure_access(given, account, signature)

    def of_container(**settings: Any) -> Any:
        return stores.AzureStore(container, prefix=prefix.strip("/") or None, **settings)

    return _Target(of_container, access, azure_endpoint(given))


def _http(stores: Any, url: str, given: Given) -> _Target:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    plain = parts._replace(netloc=host, path=parts.path.rstrip("/"), fragment="").geturl()
    signed = bool(parts.query or parts.username)
    headers = (given.get("client_options") or {}).get("default_headers")
    source = URL_CREDENTIALS if signed else "those of --storage-option" if headers else None
    access = Access(source, looked_at="none in the URL")

    def of_url(**settings: Any) -> Any:
        return stores.HTTPStore(plain, **settings)

    return _Target(of_url, access, url)


_TARGETS: dict[str, Callable[[Any, str, Given], _Target]] = {
    "s3": _s3,
    "gcs": _gcs,
    "azure": _azure,
    "http": _http,
}


def _settings(options: Mapping[str, Any], access: Access, kind: str) -> dict[str, Any]:
    """Arguments that say where a place is and who reads it; each once."""
    typed = {**(options.get("config") or {}), **options}
    settings = {
        key: value if isinstance(value, (str, bool)) else str(value)
        for key, value in typed.items()
        if key not in _ARGUMENTS and value is not None
    }
    names = {plain_name(key) for key in settings}
    if kind == "s3":
        # There are several names, and what was found is the first of those that are given.
        settings = {k: v for k, v in settings.items() if plain_name(k) not in _S3_ENDPOINTS}
        names.difference_update(_S3_ENDPOINTS)
    for key, value in access.settings.items():
        if plain_name(key) not in names:
            settings[key] = value
    return settings


def _client_settings(kind: str, url: str) -> dict[str, Any]:
    """What variables say of the client, and who else is trusted."""
    prefix = _VARIABLES[kind]
    found: dict[str, Any] = {}
    for name in _CLIENT:
        value = variable(prefix + name.upper())
        if value is not None:
            found[name] = is_yes(value) if name.startswith("allow_") else value
    authority = variable("AWS_CA_BUNDLE") if kind == "s3" else None
    if authority is not None:
        try:
            with open(authority, "rb") as file:
                found["root_certificate"] = file.read()
        except OSError as error:
            raise BiofuseError(
                f"{authority}, which AWS_CA_BUNDLE names, cannot be read: {error.strerror}"
            ) from error
    parts = urlsplit(url) if kind == "http" else None
    if parts is not None and parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        token = b64encode(user.encode()).decode()
        remember([token, unquote(parts.password or "")])
        found["default_headers"] = {"authorization": f"Basic {token}"}
    return found


def _open(url: str, opener: Callable[..., Any], arguments: dict[str, Any]) -> "ObjectStore":
    try:
        store: ObjectStore = opener(**arguments)
        return store
    except BaseException as error:
        # A panic of Rust's is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise BiofuseError(explain(error, url)) from error


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
