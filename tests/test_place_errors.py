"""What is wrong with a place, in one line: each with a server that has it."""

import re
import socket
from collections.abc import Callable, Iterator

import pytest
from support.accounts import forget_accounts
from support.scripted import (
    Answer,
    Asked,
    Scripted,
    make_authority,
    s3_error,
    scripted,
    server_context,
)

from biofuse.errors import BiofuseError
from biofuse.stores.explain import (
    explain,
    is_absent,
    is_refused,
    is_wrong_region,
    server_code,
    server_status,
)
from biofuse.stores.places import open_place

SECRET = "a-secret-of-this-test"
KEYS = {"access_key_id": "a-key", "secret_access_key": SECRET}


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path) -> None:
    forget_accounts(monkeypatch, tmp_path / "home")


def failure(url: str, key: str = "k", lists: bool = False, timeout: float = 20, **options):
    """The error of a read, or of a list."""
    store = open_place(url, options, timeout=timeout)
    try:
        if lists:
            list(store.list())
        else:
            store.get(key).bytes()
    except Exception as error:
        return error
    raise AssertionError("nothing failed")


def line(url: str, **more) -> str:
    """What is told of it: one line without secrets, and no dump."""
    told = explain(failure(url, **more), url)
    assert "\n" not in told
    assert len(told) <= 300
    assert not re.search(r"Debug|RetryError|Generic|source:|Error \{", told), told
    assert SECRET not in told
    return told


@pytest.fixture
def bucket(s3) -> Iterator[Callable[..., str]]:
    """Asks moto's S3."""
    if "places" not in buckets:
        s3.make_bucket("places")
        buckets.add("places")

    def get(url: str, **more) -> str:
        return line(url, endpoint=s3.url, region="eu-west-1", **KEYS, **more)

    yield get


buckets: set[str] = set()


def test_no_bucket(bucket, s3):
    host = s3.url.removeprefix("http://")
    wanted = f"s3://none/x.vcz cannot be read: there is no bucket or container none at {host}"
    assert bucket("s3://none/x.vcz") == wanted
    assert bucket("s3://none/x.vcz", lists=True) == wanted


def test_no_key(bucket, s3):
    host = s3.url.removeprefix("http://")
    assert bucket("s3://places/x.vcz") == (
        f"s3://places/x.vcz cannot be read: there is no object x.vcz/k at {host} (404 NoSuchKey)"
    )
    error = failure("s3://places/x", endpoint=s3.url, **KEYS)
    assert is_absent(error)
    assert (server_status(error), server_code(error)) == (404, "NoSuchKey")
    assert not is_absent(failure("s3://none/x", endpoint=s3.url, **KEYS))


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted(lambda asked: Answer(b"0123456789")) as made:
        yield made


def test_no_credentials(server):
    server.answer = lambda asked: s3_error("AccessDenied", 403)
    told = line("s3://b/x.vcz", endpoint=server.url)
    assert told == (
        f"s3://b/x.vcz cannot be read: {server.host} denies access (403 AccessDenied), and there "
        "are no credentials (AWS_ACCESS_KEY_ID, ~/.aws, a role of this machine)"
    )
    told = line("gs://b/x.vcz", base_url=server.url)
    assert "denies access" in told and "GOOGLE_APPLICATION_CREDENTIALS" in told
    server.answer = lambda asked: s3_error("PublicAccessNotPermitted", 409)
    told = line("az://c/x.vcz", endpoint=server.url, account_name="a")
    assert "denies access" in told and "AZURE_STORAGE_ACCOUNT_KEY" in told
    server.answer = lambda asked: Answer(status=401)
    assert "denies access (401), and there are no credentials" in line(f"{server.url}/x.vcz")


@pytest.mark.parametrize(
    ("code", "status", "wanted"),
    [
        ("AccessDenied", 403, "denies access (403 AccessDenied) with these credentials: the varia"),
        ("InvalidAccessKeyId", 403, "does not know the credentials (403 InvalidAccessKeyId): the"),
        ("SignatureDoesNotMatch", 403, "does not know the credentials (403 SignatureDoesNotMatc"),
        ("ExpiredToken", 400, "the credentials have expired (400 ExpiredToken): the variables AWS"),
        ("RequestTimeTooSkewed", 403, "denies access (403 RequestTimeTooSkewed): this machine's c"),
    ],
)
def test_refused_credentials(code, status, wanted, server, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    server.answer = lambda asked: s3_error(code, status)
    assert wanted in line("s3://b/x.vcz", endpoint=server.url)
    error = failure("s3://b/x.vcz", endpoint=server.url)
    assert is_refused(error)
    assert not is_absent(error)


def test_a_refused_url(server):
    server.answer = lambda asked: Answer(b"no", 403)
    url = f"{server.url}/x.vcz?X-Amz-Signature={SECRET}"
    assert line(url).endswith(f"{server.host} denies access (403) with what is in the URL")
    url = f"{server.url.replace('//', f'//me:{SECRET}@')}/x.vcz"
    assert line(url).startswith(f"{server.url}/x.vcz cannot be read: {server.host} denies access")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=301),
        s3_error("PermanentRedirect", 301),
        s3_error("AuthorizationHeaderMalformed", 400),
    ],
)
def test_another_region(answer, server):
    server.answer = lambda asked: answer
    options = {"endpoint": server.url, **KEYS}
    assert is_wrong_region(failure("s3://b/x.vcz", **options))
    told = line("s3://b/x.vcz", **options)
    assert told.startswith("s3://b/x.vcz cannot be read: its bucket is in another region; name it")


def test_errors_of_servers(server):
    for answer, wanted in (
        (s3_error("SlowDown", 503), f"{server.host} has too much to do (503 SlowDown)"),
        (Answer(b"<html>", 500), f"the server {server.host} fails (500)"),
        (Answer(b"", 429), f"{server.host} has too much to do (429)"),
        (s3_error("InvalidRequest", 400), f"{server.host} answers 400 InvalidRequest: it is so"),
        (Answer(b"", 418), f"{server.host} answers 418"),
    ):
        server.answer = lambda asked, answer=answer: answer
        told = line("s3://b/x.vcz", endpoint=server.url, **KEYS)
        assert told == f"s3://b/x.vcz cannot be read: {wanted}"
        error = failure("s3://b/x.vcz", endpoint=server.url, **KEYS)
        assert server_status(error) == answer.status
        assert not is_wrong_region(error) and not is_absent(error)


@pytest.mark.parametrize(
    ("signed", "days", "host", "why"),
    [
        (False, 9, "localhost", "nobody who is trusted here has signed it"),
        (True, -1, "localhost", "it has expired"),
        (True, 9, "other.example", "it is another host's"),
    ],
)
def test_certificates(signed, days, host, why, tmp_path, monkeypatch):
    authority = make_authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.pem))
    context = server_context(tmp_path, authority if signed else None, days, host)
    with scripted(lambda asked: Answer(), context) as server:
        told = line("s3://b/x.vcz", endpoint=server.url, **KEYS)
        assert f"the TLS certificate of {server.host} cannot be trusted: {why}" in told
        assert "SSL_CERT_FILE" in told
        assert "TLS certificate" in line(f"{server.url}/x.vcz")


def test_no_tls_there(server):
    told = line(f"{server.url.replace('http', 'https')}/x.vcz")
    assert told.endswith(f"{server.host} does not speak TLS: perhaps its URL begins with http://")


def test_no_such_host():
    told = line("s3://b/x.vcz", endpoint="https://no-such-host.invalid", **KEYS)
    assert told == (
        "s3://b/x.vcz cannot be read: the host no-such-host.invalid is not found, or there is no "
        "network"
    )


def test_nobody_listens():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{taken.getsockname()[1]}"
        told = line("s3://b/x.vcz", endpoint=f"http://{host}", **KEYS)
    assert told == (f"s3://b/x.vcz cannot be read: nobody listens at {host} (connection refused)")


def test_no_answer():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        told = line(f"http://{host}/x.vcz", timeout=0.3)
    assert told == f"http://{host}/x.vcz cannot be read: no answer from {host} in time"


def test_answers_that_end_early(server):
    headers = {"Content-Length": "9", "Connection": "close"}
    server.answer = lambda asked: Answer(b"abc", headers=headers)
    told = line("s3://b/x.vcz", endpoint=server.url, **KEYS)
    assert told == "s3://b/x.vcz cannot be read: the answer of the server ends early"

    def broken(asked: Asked) -> Answer:
        raise ConnectionError

    server.answer = broken
    told = line("s3://b/x.vcz", endpoint=server.url, **KEYS)
    assert told == f"s3://b/x.vcz cannot be read: {server.host} closes the connection"


def test_other_errors():
    assert explain(BiofuseError("as it is"), "s3://b/x") == "as it is"
    error = ValueError(f"what\n is https://me:{SECRET}@h/x?sig={SECRET} " + "very " * 100)
    told = explain(error, "https://me:p@h/x?sig=1")
    assert told.startswith("https://h/x cannot be read: what is https://h/x very very")
    assert SECRET not in told and len(told) == 300
