"""How S3 is reached: variables, profiles, roles.

obstore reads the AWS_* variables and asks for the roles of containers and instances; what it
does not know are profiles, machines without a role, and endpoints of plain HTTP.

The files and their order: AWS SDKs and Tools Reference Guide.
"""

import os
from typing import Any

from biofuse.errors import BiofuseError
from biofuse.stores.access import Access, Given, is_yes, variable
from biofuse.stores.profiles import Profile, find_profile

_LOOKED_AT = "AWS_ACCESS_KEY_ID, ~/.aws, a role of this machine"
_KEYS = ("access_key_id", "secret_access_key")
# Options that bring credentials of their own.
_OWN = (*_KEYS, "session_token", "token", "web_identity_token_file", "role_arn")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_CONTAINER = ("CONTAINER_CREDENTIALS_RELATIVE_URI", "CONTAINER_CREDENTIALS_FULL_URI")


def s3_access(given: Given) -> Access:
    """With whose credentials S3 is read, and where it is.

    Parameters
    ----------
    given : Given
        Options, which come before all else.

    Raises
    ------
    BiofuseError
        If there are credentials that cannot be used.
    """
    profile = find_profile()
    access = _credentials(given, profile)
    access.looked_at = _LOOKED_AT
    region = profile.get("region")
    if region is not None and s3_region(given) == region:
        access.settings["region"] = region
    access.settings.update(_place(given, profile))
    return access


def s3_region(given: Given) -> str | None:
    """The region that was told; None if none was."""
    return (
        given.get("region", "default_region")
        or variable("AWS_REGION", "AWS_DEFAULT_REGION")
        or find_profile().get("region")
    )


def s3_endpoint(given: Given) -> str | None:
    """The URL of the server that was told; None for that of AWS."""
    return _endpoint(given, find_profile())


def _endpoint(given: Given, profile: Profile) -> str | None:
    told: str | None = given.get("endpoint_url_s3", "endpoint_url", "endpoint") or variable(
        *_ENDPOINTS
    )
    return told or profile.endpoint


def _place(given: Given, profile: Profile) -> dict[str, Any]:
    """What obstore is told of the server's URL."""
    endpoint = _endpoint(given, profile)
    if endpoint is None:
        region = s3_region(given) or "us-east-1"
        # China has a domain of its own, which obstore does not know.
        china = ".cn" if region.startswith("cn-") else ""
        # A variable that is set to nothing is a URL to obstore.
        if not china and not any(name in os.environ for name in _ENDPOINTS):
            return {}
        endpoint = f"https://s3.{region}.amazonaws.com{china}"
    settings = {"endpoint": endpoint.rstrip("/")}
    if _ENDPOINTS[0] in os.environ:
        # To obstore this variable would be more than any option.
        settings["aws_endpoint_url_s3"] = settings["endpoint"]
    return settings


def _credentials(given: Given, profile: Profile) -> Access:
    if given.is_true("skip_signature"):
        return Access(None)
    if given.has(_OWN) or given.has(name.lower() for name in _CONTAINER):
        return _given_credentials(given)
    if given.get("skip_signature") is None and is_yes(variable("AWS_SKIP_SIGNATURE")):
        return Access(None)
    if variable("AWS_ACCESS_KEY_ID") and variable("AWS_SECRET_ACCESS_KEY"):
        return Access("the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if variable("AWS_WEB_IDENTITY_TOKEN_FILE") and variable("AWS_ROLE_ARN"):
        return Access("the variables AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN")
    provider = profile.provider()
    if provider is not None:
        return Access(profile.source, {}, provider)
    from biofuse.stores import instance

    if any(variable(f"AWS_{name}") for name in _CONTAINER):
        return Access("the container's role", {}, instance.container_provider())
    if instance.has_aws_role():
        return Access("this machine's role", {"metadata_endpoint": instance.aws_endpoint()})
    return Access(None, {"skip_signature": True})


def _given_credentials(given: Given) -> Access:
    source = "those of --storage-option"
    key, secret = (given.get(name) for name in _KEYS)
    if bool(key) != bool(secret):
        # The other one may be a variable.
        key = key or variable("AWS_ACCESS_KEY_ID")
        secret = secret or variable("AWS_SECRET_ACCESS_KEY")
        if not (key and secret):
            raise BiofuseError(
                "--storage-option access_key_id and secret_access_key go together: one is missing"
            )
    access = Access(source)
    if key and not given.has(("session_token", "token")) and variable("AWS_SESSION_TOKEN"):
        # That belongs to the keys of the variables; obstore would take it with these.
        credential = {
            "access_key_id": str(key),
            "secret_access_key": str(secret),
            "token": None,
            "expires_at": None,
        }
        access.provider = lambda: credential
    return access
