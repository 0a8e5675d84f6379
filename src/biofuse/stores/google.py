"""How Google Cloud Storage is reached: variables, gcloud's file, a machine's account."""

import importlib
import json
import os
from collections.abc import Callable
from typing import Any

from biofuse.errors import BiofuseError, one_line
from biofuse.stores.access import Access, Given, is_yes, variable

_LOOKED_AT = "GOOGLE_APPLICATION_CREDENTIALS, gcloud's default file, this machine's account"
# Options that bring credentials of their own.
_OWN = (
    "service_account",
    "service_account_path",
    "service_account_key",
    "application_credentials",
    "bearer_token",
)
_VARIABLES = (
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_BEARER_TOKEN",
)
# Kinds of credentials files that obstore reads.
_KINDS = ("service_account", "authorized_user")
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"


def gcs_access(given: Given) -> Access:
    """With whose credentials GCS is read, and where it is.

    Parameters
    ----------
    given : Given
        Options, which come before all else.

    Raises
    ------
    BiofuseError
        If there are credentials that cannot be used.
    """
    emulator = _emulator(given)
    access = _credentials(given, emulator is not None)
    access.looked_at = _LOOKED_AT
    if emulator is not None:
        access.settings["base_url"] = emulator
    return access


def gcs_url(given: Given) -> str | None:
    """The URL of the server that was told; None for Google's."""
    url: str | None = given.get("base_url") or variable("GOOGLE_BASE_URL") or _emulator(given)
    return url


def _emulator(given: Given) -> str | None:
    """The URL that Google's own packages take for an emulator's."""
    host = variable("STORAGE_EMULATOR_HOST")
    if host is None or given.get("base_url") or variable("GOOGLE_BASE_URL"):
        return None
    return (host if "://" in host else f"http://{host}").rstrip("/")


def _credentials(given: Given, emulated: bool) -> Access:
    if given.is_true("skip_signature"):
        return Access(None)
    if given.has(_OWN):
        return Access("those of --storage-option")
    if given.get("skip_signature") is None and is_yes(variable("GOOGLE_SKIP_SIGNATURE")):
        return Access(None)
    for name in _VARIABLES:
        if variable(name):
            return Access(f"the variable {name}")
    told = variable("GOOGLE_APPLICATION_CREDENTIALS")
    path = told or _default_file()
    if os.path.exists(path):
        return _of_file(path)
    if told:
        raise BiofuseError(f"there is no file {told}, which GOOGLE_APPLICATION_CREDENTIALS names")
    if not emulated:
        from biofuse.stores import instance

        if instance.has_google_account():
            return Access("this machine's account")
    return Access(None, {"skip_signature": True})


def _default_file() -> str:
    folder = variable("CLOUDSDK_CONFIG") or "~/.config/gcloud"
    return os.path.join(os.path.expanduser(folder), "application_default_credentials.json")


def _of_file(path: str) -> Access:
    try:
        with open(path, encoding="utf-8") as file:
            kind = json.load(file)["type"]
    except OSError as error:
        raise BiofuseError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError):
        raise BiofuseError(f"{path} is no credentials file of Google's") from None
    if kind in _KINDS:
        return Access(path, {"application_credentials": path})
    return Access(path, {}, _provider(path, kind))


def _provider(path: str, kind: str) -> Callable[[], dict[str, Any]]:
    """Tokens of a kind of credentials that Google's own package knows.

    Raises
    ------
    BiofuseError
        If it is not installed, or does not know the kind either.
    """
    try:
        auth = importlib.import_module("google.auth")
        requests = importlib.import_module("google.auth.transport.requests")
    except ImportError:
        raise BiofuseError(
            f"{path} has credentials of kind {kind}, for which google-auth is needed: "
            "pip install google-auth requests"
        ) from None
    try:
        found, _ = auth.load_credentials_from_file(path, scopes=[_SCOPE])
    except Exception as error:
        raise BiofuseError(f"{path}: {one_line(error)}") from None
    request = requests.Request()

    def provide() -> dict[str, Any]:
        import datetime

        try:
            found.refresh(request)
        except Exception as error:
            raise BiofuseError(f"{path}: {one_line(error)}") from None
        expiry = found.expiry
        if expiry is not None and expiry.tzinfo is None:
            expiry = expiry.replace(tzinfo=datetime.UTC)
        return {"token": found.token, "expires_at": expiry}

    return provide
