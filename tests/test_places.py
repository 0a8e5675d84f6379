"""Places as people type them, with credentials of variables and options: what servers are asked."""

import base64
import sys
from collections.abc import Iterator
from urllib.parse import unquote

import pytest
from support.accounts import Ask, asking, forget_accounts, region, signer
from support.scripted import Answer, Scripted, make_authority, scripted, server_context

from biofuse.errors import BiofuseError
from biofuse.stores import places
from biofuse.stores.explain import explain
from biofuse.stores.places import SCHEMES, bucket_region, open_place


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path) -> None:
    forget_accounts(monkeypatch, tmp_path / "home")


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted(lambda asked: Answer(b"0123456789")) as made:
        yield made


@pytest.fixture
def ask(server) -> Ask:
    """Get an object of a place, and return what the server was asked for it."""

    return asking(server)


def test_every_scheme_is_told_of():
    assert {"s3", "s3a", "gs", "az", "abfss", "http", "https", "file"} <= SCHEMES
    with pytest.raises(BiofuseError, match=r"ftp://a/b is of no kind that is read: abfs, "):
        open_place("ftp://user:secret@a/b", {})


@pytest.mark.parametrize(
    ("url", "extra"),
    [
        ("s3://b/x.vcz", "s3"),
        ("gs://b/x.vcz", "gcs"),
        ("abfss://c@a.dfs.core.windows.net/x", "azure"),
        ("https://h/x.vcz", "http"),
    ],
)
def test_without_obstore(url, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(BiofuseError) as error:
        open_place(url, {})
    assert str(error.value) == f"{url} needs the package obstore: pip install 'biofuse[{extra}]'"


def test_files(tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "k").write_bytes(b"here")
    store = open_place((tmp_path / "a b").as_uri(), {})
    assert bytes(store.get("k").bytes()) == b"here"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("x.vcz", "/b/x.vcz/k"),
        ("a/b.vcz/", "/b/a/b.vcz/k"),
        # As it is typed: nothing in it is escaped.
        ("a b%20#1?.vcz", "/b/a%20b%2520%231%3F.vcz/k"),
        ("", "/b/k"),
    ],
)
def test_names_in_buckets(name, path, ask, server):
    assert ask(f"s3://b/{name}", endpoint=server.url).path == path
    assert ask(f"s3a://b/{name}", endpoint=server.url).path == path
    # Escaped differently.
    gcs = unquote(ask(f"gs://b/{name}", base_url=server.url).path)
    assert gcs == unquote(path)
    azure = ask(f"az://b/{name}", endpoint=server.url, account_name="a").path
    assert azure == path


def test_one_object(ask, server):
    assert ask("s3://b/x.vcz.zip", "", endpoint=server.url).path == "/b/x.vcz.zip"
    assert ask(f"{server.url}/a/x.vcz.zip", "").path == "/a/x.vcz.zip"


def test_buckets_have_names():
    for url in ("s3://", "gs:///x", "az://", "az://container", "az:///c/p"):
        with pytest.raises(BiofuseError, match="names no"):
            open_place(url, {})


# S3.


def test_s3_without_credentials(ask, server):
    asked = ask("s3://b/x", endpoint=server.url)
    assert signer(asked) is None


def test_s3_variables(ask, server, monkeypatch):
    for name, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "variable",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    asked = ask("s3://b/x")
    assert (signer(asked), region(asked)) == ("variable", "eu-west-1")
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    assert region(ask("s3://b/x")) == "eu-north-1"
    assert region(ask("s3://b/x", region="us-west-2")) == "us-west-2"
    assert region(ask("s3://b/x", AWS_REGION="us-west-1")) == "us-west-1"
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-variables")
    assert ask("s3://b/x").headers["x-amz-security-token"] == "token-of-variables"
    assert signer(ask("s3://b/x", skip_signature=True)) is None
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    assert signer(ask("s3://b/x")) is None


def test_s3_keys_that_are_typed(ask, server, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "variable")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-variables")
    keys = {"endpoint": server.url, "access_key_id": "typed", "secret_access_key": "s"}
    asked = ask("s3://b/x", **keys)
    # A token of other keys would have them refused.
    assert signer(asked) == "typed"
    assert "x-amz-security-token" not in asked.headers
    asked = ask("s3://b/x", **keys, session_token="typed-token")
    assert asked.headers["x-amz-security-token"] == "typed-token"
    # As JSON has made it of digits.
    assert signer(ask("s3://b/x", **{**keys, "access_key_id": 12345678})) == "12345678"
    assert signer(ask("s3://b/x", endpoint=server.url, config={**keys})) == "typed"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(BiofuseError, match="go together"):
        open_place("s3://b/x", {"secret_access_key": "s"})


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"])
def test_s3_endpoints(name, ask, server, monkeypatch):
    """The nearest counts, and one of plain HTTP may be used where it was typed."""
    monkeypatch.setenv(name, server.url)
    assert ask("s3://b/x").headers["host"] == server.host
    monkeypatch.setenv(name, "http://nobody.invalid")
    for option in ("endpoint", "endpoint_url", "aws_endpoint_url_s3", "AWS_ENDPOINT"):
        assert ask("s3://b/x", **{option: server.url}).headers["host"] == server.host
    monkeypatch.setenv(name, "")
    assert ask("s3://b/x", endpoint=f"{server.url}/").path == "/b/x/k"


def test_plain_http_may_be_denied(server):
    options = {"endpoint": server.url, "client_options": {"allow_http": False}}
    with pytest.raises(Exception, match="builder error") as error:
        open_place("s3://b/x", options).get("k")
    assert "plain HTTP" in explain(error.value, "s3://b/x")
    assert server.asked == []


def test_s3_domains(monkeypatch):
    """What obstore is told; it asks nobody before the first object."""
    seen = {}

    class Stores:
        def S3Store(self, bucket, **settings):
            seen.update(settings, bucket=bucket)

    monkeypatch.setattr(places, "_load", lambda url: Stores())
    open_place("s3://b/x", {"region": "cn-north-1"})
    assert seen["endpoint"] == "https://s3.cn-north-1.amazonaws.com.cn"
    seen.clear()
    open_place("s3://b/x", {"region": "eu-west-1", "retry_config": {"max_retries": 3}})
    assert "endpoint" not in seen
    assert seen["retry_config"] == {"max_retries": 3}
    monkeypatch.setenv("AWS_PROXY_URL", "http://proxy:1")
    open_place("s3://b/x", {}, connect_timeout=0.25, timeout=9, connections=7)
    assert seen["client_options"] == {
        "connect_timeout": "250ms",
        "timeout": "9000ms",
        "pool_max_idle_per_host": "7",
        "proxy_url": "http://proxy:1",
    }
    assert seen["retry_config"] == {"max_retries": 0}


def test_s3_by_https(monkeypatch):
    seen = []

    class Store:
        @staticmethod
        def from_url(url, **settings):
            seen.append(("s3", url))

    class Stores:
        S3Store = Store

        def HTTPStore(self, url, **settings):
            seen.append(("http", url))

    monkeypatch.setattr(places, "_load", lambda url: Stores())
    bucket = "https://b.s3.eu-west-1.amazonaws.com/x.vcz"
    open_place(bucket, {})
    open_place(f"{bucket}?X-Amz-Signature=1", {})
    assert seen == [("s3", bucket), ("http", f"{bucket}?X-Amz-Signature=1")]


def test_the_region_of_a_bucket(server):
    server.answer = lambda asked: Answer(
        status=301, headers={"x-amz-bucket-region": "ap-south-1" if asked.path == "/b" else ""}
    )
    assert bucket_region("s3://b/x.vcz", {"endpoint": server.url}) == "ap-south-1"
    assert server.asked[-1].method == "HEAD"
    assert "Authorization" not in server.asked[-1].headers
    assert bucket_region("s3://c/x.vcz", {"endpoint": server.url}) is None
    assert bucket_region("s3://c/x.vcz", {"endpoint": "http://127.0.0.1:9"}) is None
    assert bucket_region("gs://c/x.vcz", {}) is None


# HTTP.


def test_http(ask, server):
    asked = ask(f"{server.url}/a%20b/x.vcz/#1")
    assert asked.path == "/a%20b/x.vcz/k"
    assert "authorization" not in asked.headers
    assert ask(f"{server.url}/x?X-Amz-Signature=1&b=2").path == "/x/k?X-Amz-Signature=1&b=2"
    with_user = server.url.replace("//", "//me:a%40b@")
    assert ask(f"{with_user}/x").headers["authorization"] == (
        "Basic " + base64.b64encode(b"me:a@b").decode()
    )
    headers = {"default_headers": {"authorization": "Bearer mine"}}
    assert ask(f"{server.url}/x", client_options=headers).headers["authorization"] == "Bearer mine"


def test_certificates(tmp_path, monkeypatch):
    authority = make_authority(tmp_path)
    with scripted(lambda asked: Answer(b"hi"), server_context(tmp_path, authority)) as server:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.pem))
        assert bytes(open_place("s3://b/x", {"endpoint": server.url}).get("k").bytes()) == b"hi"
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.pem))
        assert bytes(open_place(f"{server.url}/x", {}).get("k").bytes()) == b"hi"
    monkeypatch.setenv("AWS_CA_BUNDLE", "/none.pem")
    with pytest.raises(BiofuseError, match=r"/none.pem, which AWS_CA_BUNDLE names, cannot"):
        open_place("s3://b/x", {})


def test_options_that_are_none():
    for url, name in (("s3://b/x", "secret_acces_key"), ("gs://b/x", "bukket")):
        with pytest.raises(BiofuseError) as error:
            open_place(url, {name: "s3cr3t-value"})
        assert name in str(error.value)
        assert "s3cr3t-value" not in str(error.value)
        assert len(str(error.value)) < 120
    with pytest.raises(BiofuseError) as error:
        open_place("http://h/x", {"region": "eu-west-1"})
    assert "region" in str(error.value)
