"""What obstore says of a failure, in one line that tells what to do.

Its errors are long: a sentence, the server's answer, and a dump in which alone it stands
whether a name was not found or a certificate not trusted.
"""

import re

from biofuse.errors import BiofuseError, one_line
from biofuse.stores.access import Access
from biofuse.stores.secrets import describe, redact

_DUMP = "Debug source:"
_STATUS = re.compile(r"status(?: code)?:? (\d{3})\b")
_CODE = re.compile(r"<Code>\s*([A-Za-z0-9_.]+)\s*</Code>")
_ERROR_CODE = re.compile(r"\"(?:code|reason)\":\s*\"([A-Za-z0-9_.]+)\"")
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
_REQUEST = re.compile(r"Error performing [A-Z]+ ([a-z]+)://([^/\s?]+)")
_PATH = re.compile(r"(?:for path|at location) (\S+)")
_LONGEST = 300

_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "InvalidBucketName", "AccountNotFound")
_WRONG_REGION = (
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
)
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired")
_UNKNOWN_KEYS = ("InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch", "InvalidSecurity")
_CLOCK = ("RequestTimeTooSkewed",)
# Azure's of a container that is not public, or of one that does not say that there is none.
_NOT_PUBLIC = ("PublicAccessNotPermitted", "NoAuthenticationInformation", "ResourceNotFound")
_PROVIDER = re.compile(r"External \w+ credential provider: (.*)", re.DOTALL)
_CERTIFICATES = {
    "UnknownIssuer": "nobody who is trusted here has signed it",
    "CaUsedAsEndEntity": "nobody who is trusted here has signed it",
    "NotValidForName": "it is another host's",
    "NotValidYet": "it is not valid yet, or this machine's clock is wrong",
    "Expired": "it has expired, or this machine's clock is wrong",
    "Revoked": "it was revoked",
}

# The source of credentials that are in the URL itself.
URL_CREDENTIALS = "the URL"

# By URL without secrets, with whose credentials it was opened.
_accesses: dict[str, Access] = {}


def note_access(url: str, access: Access) -> None:
    """Remember with whose credentials a place is read, which the errors don't tell."""
    _accesses[describe(url)] = access


def server_status(error: BaseException) -> int | None:
    """The status of the answer that an error of obstore is about, such as 503; else None."""
    found = _STATUS.search(_said(error))
    return int(found[1]) if found else None


def server_code(error: BaseException) -> str | None:
    """What the answer calls the error, such as NoSuchBucket; None where there is no word."""
    said = _said(error)
    found = _CODE.search(said) or _ERROR_CODE.search(said)
    return found[1] if found else None


def is_absent(error: BaseException) -> bool:
    """Whether there is no such object: but not where there is not even such a bucket."""
    if not isinstance(error, FileNotFoundError):
        return False
    return server_code(error) not in _NO_BUCKET and server_status(error) in (404, 410, None)


def is_wrong_region(error: BaseException) -> bool:
    """Whether a server of S3 says that the bucket is in another region."""
    said = _said(error)
    if server_code(error) in _WRONG_REGION or "redirect without LOCATION" in said:
        return True
    return server_status(error) == 400 and "region" in said and "is wrong" in said


def is_refused(error: BaseException) -> bool:
    """Whether a server asks for credentials, or for others: what was read may be read again
    once they are renewed."""
    if server_status(error) in (401, 403):
        return True
    return server_code(error) in (*_EXPIRED, *_UNKNOWN_KEYS)


def explain(error: BaseException, url: str) -> str:
    """One line on why a place cannot be read, without secrets.

    Parameters
    ----------
    error : exception
        Of obstore, or any.
    url : str
        What was asked for.
    """
    if isinstance(error, BiofuseError):
        return redact(str(error))
    text = _reason(error, url)
    text = redact(" ".join(text.split()))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _reason(error: BaseException, url: str) -> str:
    name = describe(url)
    full = str(error)
    provider = _PROVIDER.search(full.partition(_DUMP)[0])
    if provider is not None:
        return f"{name} cannot be read: there are no credentials: {_without_type(provider[1])}"
    if "Error performing token request" in full and server_status(error) is None:
        return f"{name} cannot be read: no credentials from {_host(full)}: {_network(full)}"
    status = server_status(error)
    if is_wrong_region(error):
        return (
            f"{name} cannot be read: its bucket is in another region; name it with "
            "--storage-option region=..., or AWS_REGION"
        )
    if status is not None:
        return f"{name} cannot be read: {_answer(error, status, url)}"
    network = _network(full)
    if network is not None:
        return f"{name} cannot be read: {network}"
    if type(error).__name__ == "UnknownConfigurationKeyError":
        key = re.search(r"'([^']*)'", full)
        return f"--storage-option {key[1] if key else ''} is not known to obstore for {name}"
    if isinstance(error, FileNotFoundError):
        return f"{name} cannot be read: there is no {_object(full)}"
    return f"{name} cannot be read: {_sentence(error)}"


def _answer(error: BaseException, status: int, url: str) -> str:
    """On what a server has answered."""
    said = _said(error)
    code = server_code(error)
    host = _host(said)
    told = f"{status} {code}" if code else str(status)
    access = _accesses.get(describe(url))
    if code in _NO_BUCKET:
        return f"there is no bucket or container {_bucket(url)} at {host}"
    refused = status in (401, 403) or code in (*_EXPIRED, *_UNKNOWN_KEYS, *_CLOCK)
    hidden = access is not None and access.is_anonymous and code is not None
    if refused or (hidden and code in _NOT_PUBLIC):
        return _refusal(told, code, host, access)
    if status in (404, 410):
        return f"there is no {_object(said)} at {host} ({told})"
    if status in (429, 503):
        return f"{host} has too much to do ({told})"
    if status >= 500:
        return f"the server {host} fails ({told})"
    message = _MESSAGE.search(said)
    more = f": {message[1]}" if message else ""
    return f"{host} answers {told}{more}"


def _refusal(told: str, code: str | None, host: str, access: Access | None) -> str:
    if access is None:
        return f"{host} denies access ({told})"
    if access.is_anonymous:
        looked = f" ({access.looked_at})" if access.looked_at else ""
        return f"{host} denies access ({told}), and there are no credentials{looked}"
    if code in _EXPIRED:
        return f"the credentials have expired ({told}): {access.source}"
    if code in _CLOCK:
        return f"{host} denies access ({told}): this machine's clock is wrong"
    if code in _UNKNOWN_KEYS:
        return f"{host} does not know the credentials ({told}): {access.source}"
    if access.source == URL_CREDENTIALS:
        return f"{host} denies access ({told}) with what is in the URL"
    return (
        f"{host} denies access ({told}) with these credentials: {access.source}; what is public "
        "is read without by --storage-option skip_signature=true"
    )


def _network(text: str) -> str | None:
    """On what came about before there was an answer; None if there was one, or it is unknown."""
    host = _host(text)
    if "InvalidCertificate" in text:
        why = next((said for word, said in _CERTIFICATES.items() if word in text), "it is invalid")
        return (
            f"the TLS certificate of {host} cannot be trusted: {why}; the variable SSL_CERT_FILE "
            "can name a file of authorities"
        )
    if "InvalidContentType" in text or "InvalidMessage" in text:
        return f"{host} does not speak TLS: perhaps its URL begins with http://"
    if "dns error" in text or "failed to lookup address" in text:
        return f"the host {host} is not found, or there is no network"
    if "BadScheme" in text:
        return (
            f"{host} is asked by plain HTTP: --storage-option client_options="
            "'{\"allow_http\": true}' allows it"
        )
    if "ConnectionRefused" in text or "Connection refused" in text:
        return f"nobody listens at {host} (connection refused)"
    if "NetworkUnreachable" in text or "HostUnreachable" in text or "unreachable" in text.lower():
        return f"there is no way to {host} (network unreachable)"
    if "kind: Timeout" in text or "TimedOut" in text or "timed out" in text.lower():
        return f"no answer from {host} in time"
    if "response body" in text:
        return f"the answer of {host} ends early"
    if "TooManyRedirects" in text:
        return f"{host} sends from one URL to another without end"
    if any(
        word in text
        for word in ("ConnectionReset", "BrokenPipe", "IncompleteMessage", "UnexpectedEof")
    ):
        return f"{host} closes the connection"
    if "error sending request" in text:
        return f"{host} cannot be reached"
    return None


def _said(error: BaseException) -> str:
    """An error's text without the dump, in which the answer stands a second time."""
    return str(error).partition(_DUMP)[0]


def _sentence(error: BaseException) -> str:
    said = " ".join(_said(error).split())
    said = re.sub(r"^Generic \w+ error: ", "", said)
    return said or one_line(error)


def _host(text: str) -> str:
    found = _REQUEST.search(text)
    return redact(f"{found[1]}://{found[2]}").partition("://")[2] if found else "the server"


def _object(text: str) -> str:
    found = _PATH.search(text)
    return f"object {found[1]}" if found else "such object"


def _bucket(url: str) -> str:
    return describe(url).partition("://")[2].partition("/")[0].partition("@")[0]


def _without_type(text: str) -> str:
    """An exception of Python's as obstore tells it."""
    return re.sub(r"^\w*(?:Error|Exception): ", "", " ".join(text.split()))
