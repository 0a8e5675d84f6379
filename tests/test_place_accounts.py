"""Whose credentials places are read with, of those that are left about: what servers are asked."""

import base64
import datetime
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.accounts import Ask, asking, forget_accounts, region, signer
from support.scripted import Answer, Asked, Scripted, scripted

from biofuse.errors import BiofuseError
from biofuse.stores import instance
from biofuse.stores.explain import explain
from biofuse.stores.places import open_place


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


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_s3_profiles(ask, server, monkeypatch, tmp_path):
    home = tmp_path / "home" / ".aws"
    write(
        home / "credentials",
        "[default]\naws_access_key_id = default\naws_secret_access_key = s\n"
        "[other]\naws_access_key_id = other\naws_secret_access_key = s%x\n"
        "aws_session_token = token-of-other\n",
    )
    write(
        home / "config",
        f"[default]\nregion = eu-west-1\nendpoint_url = {server.url}\n"
        f"[profile other]\nregion = eu-west-2\nservices = here\n"
        f"[services here]\ns3 =\n  endpoint_url = {server.url}\n  addressing_style = path\n"
        '[profile "of config"]\naws_access_key_id = config\naws_secret_access_key = s\n'
        f"endpoint_url = {server.url}\n",
    )
    asked = ask("s3://b/x")
    assert (signer(asked), region(asked)) == ("default", "eu-west-1")
    monkeypatch.setenv("AWS_PROFILE", "other")
    asked = ask("s3://b/x")
    assert (signer(asked), region(asked)) == ("other", "eu-west-2")
    assert asked.headers["x-amz-security-token"] == "token-of-other"
    monkeypatch.setenv("AWS_PROFILE", "of config")
    assert signer(ask("s3://b/x")) == "config"
    monkeypatch.setenv("AWS_PROFILE", "none")
    with pytest.raises(BiofuseError, match=r"the profile none, which AWS_PROFILE names, is in nei"):
        open_place("s3://b/x", {})
    # Keys of variables come first.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "variable")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert signer(ask("s3://b/x", endpoint=server.url)) == "variable"


def test_s3_files_elsewhere(ask, server, monkeypatch, tmp_path):
    text = "[default]\naws_access_key_id = elsewhere\naws_secret_access_key = s\n"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(write(tmp_path / "c", text)))
    config = write(tmp_path / "d", "[default]\nregion = eu-south-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    asked = ask("s3://b/x", endpoint=server.url)
    assert (signer(asked), region(asked)) == ("elsewhere", "eu-south-1")
    config.write_text("no section\n")
    with pytest.raises(BiofuseError, match="not of the form of an AWS file"):
        open_place("s3://b/x", {})


def test_s3_credentials_that_are_renewed(server, monkeypatch, tmp_path):
    """Other programs write new ones to the file while a mount goes on."""
    text = "[default]\naws_access_key_id = {}\naws_secret_access_key = s\n"
    path = write(tmp_path / "home" / ".aws" / "credentials", text.format("first"))
    monkeypatch.setattr("biofuse.stores.profiles._LOOK_AGAIN", datetime.timedelta())
    store = open_place("s3://b/x", {"endpoint": server.url})
    store.get("k")
    assert signer(server.asked[-1]) == "first"
    path.write_text(text.format("second"))
    for _ in range(100):
        store.get("k")
        if signer(server.asked[-1]) == "second":
            break
    assert signer(server.asked[-1]) == "second"


def test_s3_credential_process(ask, server, monkeypatch, tmp_path):
    program = tmp_path / "a program"
    count = tmp_path / "count"

    def prints(**more) -> None:
        value = {"Version": 1, "AccessKeyId": "process", "SecretAccessKey": "s-of-process", **more}
        write(program, f"#!/bin/sh\necho x >>'{count}'\necho '{json.dumps(value)}'\n")
        program.chmod(0o755)

    config = f"[default]\ncredential_process = '{program}' --x 1\nendpoint_url = {server.url}\n"
    write(tmp_path / "home" / ".aws" / "config", config)
    prints()
    assert signer(ask("s3://b/x")) == "process"
    # One that lasts is not asked for again, one that ends is.
    for expiration, runs in (("2126-01-01T00:00:00Z", 1), ("2026-01-01T00:00:00+00:00", 2)):
        prints(SessionToken="token-of-process", Expiration=expiration)
        count.unlink()
        store = open_place("s3://b/x", {})
        for _ in range(20):
            store.get("k")
        assert server.asked[-1].headers["x-amz-security-token"] == "token-of-process"
        assert len(count.read_text().split()) >= runs
        if runs == 1:
            assert len(count.read_text().split()) == 1
    for text, why in (
        ("exit 3", "exit code 3"),
        ("echo secret-text", "does not print credentials"),
        ("echo '{}'", "does not print credentials"),
    ):
        write(program, f"#!/bin/sh\n{text}\n")
        with pytest.raises(Exception, match="credential") as error:
            open_place("s3://b/x", {}).get("k")
        told = explain(error.value, "s3://b/x")
        assert why in told
        assert "secret-text" not in told


def test_s3_roles_take_boto3(monkeypatch, tmp_path):
    config = "[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = other\n"
    write(tmp_path / "home" / ".aws" / "config", config)
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(BiofuseError, match=r"the profile default of ~/.aws is of a role.*boto3$"):
        open_place("s3://b/x", {})


def test_s3_roles(ask, server, s3, monkeypatch, tmp_path):
    """moto gives any role to anyone."""
    write(
        tmp_path / "home" / ".aws" / "config",
        "[default]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = other\n"
        "region = eu-west-1\n[profile other]\naws_access_key_id = k\naws_secret_access_key = s\n",
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", s3.url)
    asked = ask("s3://b/x", endpoint=server.url)
    # A key that STS has made begins so.
    assert (signer(asked) or "").startswith("ASIA")
    assert asked.headers["x-amz-security-token"]


class Machine:
    """The metadata servers of the clouds."""

    def __init__(self) -> None:
        self.role = "a-role"

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/latest/api/token":
            return Answer(b"a-token")
        if asked.path == "/latest/meta-data/iam/security-credentials/":
            return Answer(self.role.encode(), 200 if self.role else 404)
        if asked.path.startswith("/latest/meta-data/iam/security-credentials/"):
            return Answer(
                json.dumps(
                    {
                        "Code": "Success",
                        "AccessKeyId": "instance",
                        "SecretAccessKey": "s",
                        "Token": "token-of-instance",
                        "LastUpdated": "2026-01-01T00:00:00Z",
                        "Type": "AWS-HMAC",
                        "Expiration": "2126-01-01T00:00:00Z",
                    }
                ).encode()
            )
        if asked.path.endswith("/default/email"):
            return Answer(b"me@project", 200 if self.role else 404)
        if "metadata/instance" in asked.path:
            return Answer(b"{}")
        return Answer(
            json.dumps(
                {
                    "access_token": "token-of-machine",
                    "expires_in": 3600 if "compute" in asked.path else "3600",
                    "expires_on": "4926614400",
                    "token_type": "Bearer",
                }
            ).encode(),
            200 if self.role else 400,
        )


@pytest.fixture
def machine(monkeypatch) -> Iterator[Machine]:
    found = Machine()
    with scripted(found) as metadata:
        monkeypatch.setattr(instance, "_ADDRESS", metadata.url)
        monkeypatch.setenv("GCE_METADATA_HOST", metadata.host)
        yield found


def test_s3_roles_of_machines(ask, server, machine, monkeypatch):
    asked = ask("s3://b/x", endpoint=server.url)
    assert signer(asked) == "instance"
    assert asked.headers["x-amz-security-token"] == "token-of-instance"
    instance.has_aws_role.cache_clear()
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert signer(ask("s3://b/x", endpoint=server.url)) is None
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    instance.has_aws_role.cache_clear()
    machine.role = ""
    assert signer(ask("s3://b/x", endpoint=server.url)) is None


def test_s3_roles_of_containers(ask, server, machine, monkeypatch):
    path = "/latest/meta-data/iam/security-credentials/a-role"
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", instance._ADDRESS + path)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert signer(ask("s3://b/x", endpoint=server.url)) == "instance"


# Google.


def test_google(ask, server, monkeypatch, tmp_path, machine):
    assert ask("gs://b/x", base_url=server.url).headers["authorization"] == (
        "Bearer token-of-machine"
    )
    machine.role = ""
    instance.has_google_account.cache_clear()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.host)
    assert "authorization" not in ask("gs://b/x").headers
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "token-of-variable")
    assert ask("gs://b/x").headers["authorization"] == "Bearer token-of-variable"
    assert "authorization" not in ask("gs://b/x", skip_signature=True).headers
    monkeypatch.delenv("GOOGLE_BEARER_TOKEN")

    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/none.json")
    with pytest.raises(BiofuseError, match=r"there is no file /none.json, which GOOGLE_APPL"):
        open_place("gs://b/x", {})
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    path = tmp_path / "home/.config/gcloud/application_default_credentials.json"
    write(path, json.dumps({"type": "external_account"}))
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(BiofuseError, match=r"kind external_account, for which google-auth is nee"):
        open_place("gs://b/x", {})
    write(path, "{}")
    with pytest.raises(BiofuseError, match="no credentials file of Google's"):
        open_place("gs://b/x", {})


# Azure.

KEY = base64.b64encode(b"a key").decode()


def test_azure(ask, server, monkeypatch, machine):
    url = "abfss://c@account.dfs.core.windows.net/x"
    place = {"endpoint": server.url}
    assert ask(url, **place).headers["authorization"] == "Bearer token-of-machine"
    machine.role = ""
    instance.has_azure_identity.cache_clear()
    assert "authorization" not in ask(url, **place).headers
    monkeypatch.setenv("AZURE_STORAGE_KEY", KEY)
    assert ask(url, **place).headers["authorization"].startswith("SharedKey account:")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "other")
    assert ask("az://c/x", **place).headers["authorization"].startswith("SharedKey other:")
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT")
    asked = ask("az://third/c/x", **place)
    assert (asked.path, asked.headers["authorization"].split(":")[0]) == (
        "/c/x/k",
        "SharedKey third",
    )
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "sv=1&sig=abc")
    monkeypatch.delenv("AZURE_STORAGE_KEY")
    assert ask(url, **place).path == "/c/x/k?sv=1&sig=abc"
    # One of the URL is nearer.
    asked = ask("https://a.blob.core.windows.net/c/x%20y?sv=2&sig=def", **place)
    assert asked.path == "/c/x%20y/k?sv=2&sig=def"


def test_azure_connection_strings(ask, server, monkeypatch):
    text = (
        f"DefaultEndpointsProtocol=http;AccountName=me;AccountKey={KEY};BlobEndpoint={server.url}/"
    )
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    asked = ask("az://c/x")
    assert asked.headers["authorization"].startswith("SharedKey me:")
    text = f"BlobEndpoint={server.url};SharedAccessSignature=sv=1&sig=abc;AccountName=me"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    assert ask("az://c/x").path == "/c/x/k?sv=1&sig=abc"
