"""A machine on which nobody has left credentials, and what a server is asked with those found."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from biofuse.stores import explain, instance, profiles, secrets
from biofuse.stores.places import open_place
from support.scripted import Asked, Scripted

Ask = Callable[..., Asked]

_PREFIXES = ("AWS_", "AZURE_", "AZURITE_", "GOOGLE_", "GCE_", "CLOUDSDK_", "STORAGE_EMULATOR_")
_OTHERS = ("IDENTITY_ENDPOINT", "NO_GCE_CHECK", "SSL_CERT_FILE", "SSL_CERT_DIR")


def forget_accounts(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Have this process find nothing: no variables, files or servers of a cloud."""
    for name in list(os.environ):
        if name.startswith(_PREFIXES) or name in (*_OTHERS, secrets.VARIABLE):
            monkeypatch.delenv(name)
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    # Where nobody listens; some networks answer at the real address.
    monkeypatch.setattr(instance, "_ADDRESS", "http://127.0.0.1:9")
    monkeypatch.setattr(secrets, "_known", set())
    monkeypatch.setattr(explain, "_accesses", {})
    for probe in (instance.has_aws_role, instance.has_google_account, instance.has_azure_identity):
        probe.cache_clear()
    profiles._parse.cache_clear()


def asking(server: Scripted) -> Ask:
    """What gets an object of a place, and returns what the server was asked for it."""

    def get(url: str, key: str = "k", **options) -> Asked:
        store = open_place(url, options)
        assert bytes(store.get(key).bytes()) == b"0123456789"
        return server.asked[-1]

    return get


def signer(asked: Asked) -> str | None:
    """The key that a request to S3 is signed with; None if it is not."""
    found = re.search(r"Credential=([^/]+)/", asked.headers.get("authorization", ""))
    return found[1] if found else None


def region(asked: Asked) -> str:
    """The region that a request to S3 is signed for."""
    found = re.search(r"Credential=[^/]+/\d+/([^/]+)/s3/", asked.headers["authorization"])
    assert found is not None
    return found[1]
