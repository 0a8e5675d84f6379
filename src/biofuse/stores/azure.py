"""How Azure's Blob Storage is reached: variables, a connection string, a machine's identity."""

from typing import Any
from urllib.parse import unquote, urlsplit

from biofuse.errors import BiofuseError
from biofuse.stores.access import Access, Given, is_yes, variable
from biofuse.stores.secrets import remember

_LOOKED_AT = "AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN, this machine's identity"
# Options that bring credentials of their own.
_OWN = (
    "account_key",
    "access_key",
    "master_key",
    "sas_key",
    "sas_token",
    "token",
    "bearer_token",
    "client_secret",
    "federated_token_file",
    "use_azure_cli",
    "msi_endpoint",
    "credential_type",
)
# Variables from which obstore makes credentials.
_VARIABLES = (
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_MASTER_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_TOKEN",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_USE_AZURE_CLI",
    "AZURE_MSI_ENDPOINT",
    "AZURE_IDENTITY_ENDPOINT",
    "IDENTITY_ENDPOINT",
)
_ACCOUNT_VARIABLES = ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT")
_EMULATED = "devstoreaccount1"
# Of the hosts of an account.
_HOSTS = (
    ".blob.core.windows.net",
    ".dfs.core.windows.net",
    ".blob.fabric.microsoft.com",
    ".dfs.fabric.microsoft.com",
)


def is_azure_host(url: str) -> bool:
    """Whether a URL of HTTP names a container of Azure's."""
    return (urlsplit(url).hostname or "").endswith(_HOSTS)


def azure_place(url: str, given: Given) -> tuple[str | None, str, str, str | None]:
    """Account, container, prefix and signature that a URL names.

    Raises
    ------
    BiofuseError
        If there is no container in it.
    """
    scheme, _, rest = url.partition("://")
    signature = None
    if "sig=" in rest.partition("?")[2]:
        rest, _, query = rest.partition("?")
        signature = query.partition("#")[0]
    if scheme.lower() in ("http", "https"):
        host, _, path = unquote(rest.partition("?")[0]).partition("/")
        account: str | None = host.partition(".")[0]
        container, _, prefix = path.partition("/")
    else:
        place, _, prefix = rest.partition("/")
        container, at, host = place.partition("@")
        account = host.partition(".")[0] if at else None
        if account is None and azure_account(given) is None:
            # As az://ACCOUNT/CONTAINER/PREFIX, where nothing else tells the account.
            account = container
            container, _, prefix = prefix.partition("/")
    if not container or not (account or azure_account(given)):
        raise BiofuseError(
            f"{url.partition('?')[0]} names no container and account: set "
            "AZURE_STORAGE_ACCOUNT_NAME, or name both as abfss://CONTAINER@ACCOUNT"
            ".dfs.core.windows.net/PREFIX"
        )
    return account, container, prefix, signature


def azure_account(given: Given) -> str | None:
    """The account that options or variables tell."""
    told: str | None = given.get("account_name") or variable(*_ACCOUNT_VARIABLES)
    if told is None and (given.is_true("use_emulator") or _is_emulated()):
        return _EMULATED
    return told or _connection().get("account_name")


def azure_access(given: Given, account: str | None, signature: str | None) -> Access:
    """With whose credentials Azure is read, and where it is.

    Parameters
    ----------
    given : Given
        Options, which come before all else.
    account : str or None
        That of the URL.
    signature : str or None
        What follows the question mark of a URL of HTTP.
    """
    connection = _connection()
    access = _credentials(given, connection, signature)
    access.looked_at = _LOOKED_AT
    access.settings["account_name"] = account or azure_account(given)
    if _is_emulated():
        access.settings["use_emulator"] = True
    told = given.get("endpoint") or variable("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
    if told is None and "endpoint" in connection:
        access.settings["endpoint"] = connection["endpoint"]
    return access


def azure_endpoint(given: Given) -> str | None:
    """The URL of the server that was told; None for Azure's."""
    url: str | None = given.get("endpoint") or variable("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
    return url or _connection().get("endpoint")


def _credentials(given: Given, connection: dict[str, str], signature: str | None) -> Access:
    if given.is_true("skip_signature"):
        return Access(None)
    if given.has(_OWN):
        return Access("those of --storage-option")
    if signature is not None:
        remember(signature)
        return Access("the signature of the URL", {"sas_key": signature})
    if given.get("skip_signature") is None and is_yes(variable("AZURE_SKIP_SIGNATURE")):
        return Access(None)
    for name in _VARIABLES:
        if variable(name):
            return Access(f"the variable {name}")
    key = variable("AZURE_STORAGE_KEY")
    if key:
        return Access("the variable AZURE_STORAGE_KEY", {"account_key": key})
    for name in ("account_key", "sas_key"):
        if name in connection:
            remember(connection[name])
            source = "the variable AZURE_STORAGE_CONNECTION_STRING"
            return Access(source, {name: connection[name]})
    if given.is_true("use_emulator") or _is_emulated():
        # Its key is known to all.
        return Access("the emulator's key")
    from biofuse.stores import instance

    if instance.has_azure_identity():
        return Access("this machine's identity", {"msi_endpoint": instance.azure_endpoint()})
    return Access(None, {"skip_signature": True})


def _is_emulated() -> bool:
    return is_yes(variable("AZURE_STORAGE_USE_EMULATOR")) or _connection().get("emulated") == "yes"


def _connection() -> dict[str, str]:
    """What AZURE_STORAGE_CONNECTION_STRING says, in obstore's words."""
    text = variable("AZURE_STORAGE_CONNECTION_STRING")
    if text is None:
        return {}
    pairs = (part.partition("=") for part in text.split(";"))
    values: dict[str, Any] = {key.strip().lower(): value.strip() for key, _, value in pairs}
    found = {
        "account_name": values.get("accountname"),
        "account_key": values.get("accountkey"),
        "sas_key": values.get("sharedaccesssignature"),
        "endpoint": values.get("blobendpoint", "").rstrip("/"),
        "emulated": "yes" if is_yes(values.get("usedevelopmentstorage")) else None,
    }
    suffix, scheme = values.get("endpointsuffix"), values.get("defaultendpointsprotocol")
    if not found["endpoint"] and suffix and found["account_name"]:
        found["endpoint"] = f"{scheme or 'https'}://{found['account_name']}.blob.{suffix}"
    return {key: value for key, value in found.items() if value}
