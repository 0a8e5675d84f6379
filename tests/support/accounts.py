"""A machine on which nobody has left credentials, for tests of where those are found."""

import os
from pathlib import Path

import pytest

from biofuse.stores import explain, instance, profiles, secrets

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
