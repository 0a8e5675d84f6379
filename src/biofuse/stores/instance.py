"""Whether this machine has a role of its own: what the clouds' metadata servers say.

They are at addresses that elsewhere are nobody's, and packets to those may be lost without an
answer. So each is asked once, and has a moment to answer in.
"""

import datetime
import functools
import http.client
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

from biofuse.errors import BiofuseError
from biofuse.stores.access import is_yes, variable
from biofuse.stores.secrets import remember

_ADDRESS = "http://169.254.169.254"
_SOON = 0.3
# For a server that is there.
_PATIENCE = 5.0
_AWS_ROLES = "/latest/meta-data/iam/security-credentials/"
_GOOGLE_ACCOUNT = "/computeMetadata/v1/instance/service-accounts/default/email"
_AZURE_INSTANCE = "/metadata/instance?api-version=2021-02-01"
_AZURE_TOKEN = "/metadata/identity/oauth2/token"
_AZURE_STORAGE = "https://storage.azure.com/"


def aws_endpoint() -> str:
    """Where the metadata server of EC2 is."""
    return (
        variable("AWS_METADATA_ENDPOINT", "AWS_EC2_METADATA_SERVICE_ENDPOINT") or _ADDRESS
    ).rstrip("/")


@functools.cache
def has_aws_role() -> bool:
    """Whether this is an instance of EC2, or the like, with a role."""
    if is_yes(variable("AWS_EC2_METADATA_DISABLED")):
        return False
    base = aws_endpoint()
    seconds = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    answer = _ask("PUT", f"{base}/latest/api/token", seconds, _SOON)
    if answer is None:
        return False
    status, token = answer
    headers = {"X-aws-ec2-metadata-token": token} if status == 200 else {}
    roles = _ask("GET", base + _AWS_ROLES, headers, _PATIENCE)
    return roles is not None and roles[0] == 200 and bool(roles[1].strip())


@functools.cache
def has_google_account() -> bool:
    """Whether this is a machine of Google's, with a service account."""
    if is_yes(variable("NO_GCE_CHECK")):
        return False
    host = variable("GCE_METADATA_HOST", "GCE_METADATA_ROOT")
    base = f"http://{host}" if host else _ADDRESS
    answer = _ask("GET", base + _GOOGLE_ACCOUNT, {"Metadata-Flavor": "Google"}, _SOON)
    return answer is not None and answer[0] == 200 and "@" in answer[1]


def azure_endpoint() -> str:
    """Where the metadata server of Azure gives tokens."""
    return _ADDRESS + _AZURE_TOKEN


@functools.cache
def has_azure_identity() -> bool:
    """Whether this is a machine of Azure's, with a managed identity."""
    headers = {"Metadata": "true"}
    answer = _ask("GET", _ADDRESS + _AZURE_INSTANCE, headers, _SOON)
    if answer is None or answer[0] != 200:
        return False
    # To make a token takes longer.
    resource = quote(_AZURE_STORAGE, safe="")
    url = f"{azure_endpoint()}?api-version=2018-02-01&resource={resource}"
    client = variable("AZURE_STORAGE_CLIENT_ID", "AZURE_CLIENT_ID")
    if client:
        url += f"&client_id={quote(client)}"
    answer = _ask("GET", url, headers, _PATIENCE)
    if answer is None or answer[0] != 200:
        return False
    try:
        return bool(json.loads(answer[1]).get("access_token"))
    except (ValueError, AttributeError):
        return False


def container_provider() -> Callable[[], dict[str, Any]] | None:
    """The credentials of a container's role, where obstore does not ask for them itself.

    That asks at a whole URL only with a token that stands in a file.
    """
    url = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if url is None or variable(
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
    ):
        return None

    def provide() -> dict[str, Any]:
        token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        answer = _ask("GET", url, {"Authorization": token} if token else {}, _PATIENCE)
        try:
            if answer is None or answer[0] != 200:
                raise ValueError
            value = json.loads(answer[1])
            found = {
                "access_key_id": value["AccessKeyId"],
                "secret_access_key": value["SecretAccessKey"],
                "token": value.get("Token"),
                "expires_at": datetime.datetime.fromisoformat(value["Expiration"]),
            }
        except (ValueError, KeyError, TypeError):
            raise BiofuseError(
                "there are no credentials where AWS_CONTAINER_CREDENTIALS_FULL_URI says"
            ) from None
        remember([found["secret_access_key"], found["token"]])
        return found

    return provide


def _ask(method: str, url: str, headers: dict[str, str], timeout: float) -> tuple[int, str] | None:
    """Status and text of an answer, past any proxy; None if there is none in time."""
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(parts.netloc, timeout=timeout)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(1 << 16).decode(errors="replace")
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError):
        return None
