"""What of a store's place may be told, and what may not: keys, tokens, signed URLs.

Plans are files, and files are shared; statuses and logs are read by others. So the public part
of a place goes there, and the secret part from process to process in a variable.
"""

import json
import logging
import os
import re
from collections.abc import Mapping
from typing import Any

# Of the plan, serve and worker processes, as JSON: see `Secrets`.
VARIABLE = "BIOFUSE_STORE_SECRETS"

# The secret part of a place: "path", the whole URL, where `describe` leaves something out of
# it, and "options". Empty where there is nothing to hide.
Secrets = dict[str, Any]

# Options that say where and how, not who: of obstore, fsspec's backends and Icechunk. Whatever
# is not among them is taken for a secret.
# fmt: off
_HARMLESS = frozenset((
    "account_host", "account_name", "allow_http", "allow_invalid_certificates", "anon",
    "anonymous", "backoff", "base_url", "block_size", "branch", "bucket", "bucket_name",
    "cache_type", "checksum_algorithm", "client_kwargs", "client_options", "conditional_put",
    "config", "config_kwargs", "connect_timeout", "container_name", "copy_if_not_exists",
    "credential_type", "default_block_size", "default_cache_type", "default_region",
    "disable_bulk_delete", "disable_tagging", "endpoint", "endpoint_url", "endpoint_url_s3",
    "force_path_style", "from_env", "host", "http1_only", "http2_keep_alive_interval",
    "http2_keep_alive_timeout", "http2_keep_alive_while_idle", "http2_only", "imdsv1_fallback",
    "init_backoff", "max_backoff", "max_retries", "metadata_endpoint",
    "network_stream_timeout_seconds", "pool_idle_timeout", "pool_max_idle_per_host", "port",
    "prefix", "profile", "project", "proxy_excludes", "randomize_addresses", "read_timeout",
    "region", "region_name", "request_payer", "request_timeout", "requester_pays", "retry_config",
    "retry_timeout", "s3_express", "signature_version", "skip_instance_cache", "skip_signature",
    "snapshot", "sts_endpoint", "tag", "timeout", "unsigned_payload", "use_emulator",
    "use_fabric_endpoint", "use_ssl", "user_agent", "virtual_hosted_style_request",
))
# fmt: on
# Of an option's name, which obstore takes with and without.
_PREFIXES = ("aws_", "google_", "azure_storage_", "azure_")
# Options that name files.
_FILES = (
    "application_credentials",
    "container_authorization_token_file",
    "federated_token_file",
    "service_account",
    "service_account_path",
    "web_identity_token_file",
)
# Variables whose values are secrets, by a word in their names.
_SECRET_VARIABLE = re.compile(
    r"(AWS|AZURE|GOOGLE|GCS)_(?!.*(_FILE|_ID|_PATH|_ENDPOINT|_URI|_HOST)$)"
    r".*(SECRET|TOKEN|KEY|SAS|CONNECTION_STRING)"
)
# Shorter ones are words and numbers of every other line.
_SHORTEST = 6
# A key of digits alone, for sizes and times are less.
_LARGE_NUMBER = 10**11
_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://([^\s\"'<>]*)")
# Where a container stands before the @.
_CONTAINERS = ("abfs", "abfss", "wasb", "wasbs")
_PARAMETER = re.compile(
    r"(?i)\b(x-(?:amz|goog)-(?:signature|credential|security-token)|signature|sig|credential|"
    r"access[-_]?token|token|password|authorization)(=|: *(?:basic|bearer|sharedkey) +)"
    r"[^\s&,;\"'<>)]+"
)

# Values that were given or found in this process. Messages are made far from there.
_known: set[str] = set()


def describe(url: str) -> str:
    """A path or URL without user, password and what follows a question mark.

    Parameters
    ----------
    url : str
        One URL, or several that fsspec chains by `::`.
    """
    if "://" not in url:
        return url
    return "::".join(_describe_one(part) for part in url.split("::"))


def _describe_one(url: str) -> str:
    scheme, colons, rest = url.partition("://")
    if not colons:
        return url
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    host, slash, path = rest.partition("/")
    user, at, machine = host.rpartition("@")
    if at and (":" in user or scheme.lower() not in _CONTAINERS):
        host = machine
    return f"{scheme}://{host}{slash}{path}"


def split_secrets(path: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any], Secrets]:
    """A store's path and options without what is secret, and that.

    Parameters
    ----------
    path : str
        A path or URL.
    options : mapping
        For its backend.

    Returns
    -------
    tuple
        Path, options and secrets, of which `join_secrets` makes path and options again.
    """
    public, hidden = _split(options)
    secrets: Secrets = {}
    shown = describe(path)
    if shown != path:
        secrets["path"] = path
    if hidden:
        secrets["options"] = hidden
    remember(secrets)
    return shown, public, secrets


def join_secrets(
    path: str, options: Mapping[str, Any], secrets: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The path and options that `split_secrets` was given."""
    return secrets.get("path", path), _merged(options, secrets.get("options", {}))


def whole_paths(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options whose files a process in another directory finds too."""
    return {
        key: os.path.abspath(value)
        if plain_name(key) in _FILES and isinstance(value, str) and os.path.exists(value)
        else value
        for key, value in options.items()
    }


def secret_variables(secrets: Secrets) -> dict[str, str]:
    """What is added to the variables of a process that is to have these, and no others."""
    return {VARIABLE: json.dumps(secrets) if secrets else ""}


def given_secrets() -> Secrets:
    """What this process was started with."""
    text = os.environ.get(VARIABLE)
    secrets: Secrets = json.loads(text) if text else {}
    remember(secrets)
    return secrets


def _split(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    public: dict[str, Any] = {}
    hidden: dict[str, Any] = {}
    for key, value in options.items():
        name = plain_name(key)
        if name not in _HARMLESS:
            hidden[key] = value
        elif isinstance(value, Mapping):
            shown, rest = _split(value)
            # An empty one may be given too.
            if shown or not rest:
                public[key] = shown
            if rest:
                hidden[key] = rest
        elif isinstance(value, list) or (isinstance(value, str) and describe(value) != value):
            hidden[key] = value
        else:
            public[key] = value
    return public, hidden


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(first)
    for key, value in second.items():
        mine = merged.get(key)
        if isinstance(mine, Mapping) and isinstance(value, Mapping):
            value = _merged(mine, value)
        merged[key] = value
    return merged


def plain_name(key: str) -> str:
    """An option's name as most write it: `region` for AWS_REGION."""
    name = key.lower()
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def remember(value: Any) -> None:
    """Have `redact` leave out these values: a text, or all that are in a dictionary or list."""
    if isinstance(value, str):
        if len(value) >= _SHORTEST:
            _known.add(value)
            _known.update(_secret_parts(value))
    elif isinstance(value, Mapping):
        for each in value.values():
            remember(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            remember(each)
    elif isinstance(value, int) and value >= _LARGE_NUMBER:
        remember(str(value))


def _secret_parts(value: str) -> list[str]:
    """Of a URL: its password, and the values of what follows a question mark."""
    _, colons, rest = value.partition("://")
    if not colons:
        return []
    rest, _, query = rest.partition("?")
    user, at, _ = rest.partition("/")[0].rpartition("@")
    parts = re.split(r"[&;]", query.partition("#")[0])
    found = [part.partition("=")[2] for part in parts]
    if at:
        found.append(user.partition(":")[2])
    return [part for part in found if len(part) >= _SHORTEST and not part.isdigit()]


def redact(text: str) -> str:
    """A text without secrets, such as an error's that has a URL in it."""
    found = _known | {
        value
        for name, value in os.environ.items()
        if len(value) >= _SHORTEST and _SECRET_VARIABLE.match(name)
    }
    text = _URL.sub(lambda url: _redact_url(url[0]), text)
    for value in sorted(found, key=len, reverse=True):
        if value in text:
            text = text.replace(value, describe(value) if "://" in value else "***")
    return _PARAMETER.sub(r"\1\2***", text)


def _redact_url(url: str) -> str:
    """A URL in a text, which may go on right behind it."""
    end = ""
    while url and url[-1] in ".,;:)]}":
        url, end = url[:-1], url[-1] + end
    return describe(url) + end


class RedactingFormatter(logging.Formatter):
    """Lines of a log, without secrets: tracebacks too."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def redact_logs() -> None:
    """Have every handler of this process's log leave secrets out."""
    for handler in logging.getLogger().handlers:
        form = handler.formatter
        handler.setFormatter(
            RedactingFormatter(form._fmt if form else None, form.datefmt if form else None)
        )
