"""Google's and Azure's object stores, by emulators of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.accounts import forget_accounts
from support.emulators import ACCOUNT, KEY, Azurite, Gcs, azurite, gcs_emulator

from biofuse.stores.explain import explain, is_absent
from biofuse.stores.places import open_place


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path) -> None:
    forget_accounts(monkeypatch, tmp_path / "home")


FILES = {"zarr.json": b"{}", "a/c/0/1": bytes(range(256)), "a b/é": b"x"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("store")
    for name, data in FILES.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(data)
    return made


@pytest.fixture(scope="module")
def gcs(folder) -> Iterator[Gcs]:
    with gcs_emulator() as emulator:
        emulator.upload(folder, "bucket", "in/x.vcz")
        yield emulator


@pytest.fixture(scope="module")
def azure(folder, tmp_path_factory) -> Iterator[Azurite]:
    with azurite(tmp_path_factory.mktemp("azurite")) as emulator:
        emulator.upload(folder, "container", "in/x.vcz")
        yield emulator


def check_reads(url: str, **options) -> None:
    """Objects, parts of them, lists of them, and those that are not there."""
    store = open_place(url, options)
    for name, data in FILES.items():
        assert bytes(store.get(name).bytes()) == data
    assert bytes(store.get_range("a/c/0/1", start=3, end=9)) == bytes(range(3, 9))
    found = {each["path"] for page in store.list() for each in page}
    assert found == set(FILES)
    with pytest.raises(FileNotFoundError) as error:
        store.get("none")
    assert is_absent(error.value)
    assert "there is no object in/x.vcz/none at 127.0.0.1" in explain(error.value, url)


def test_google(gcs, monkeypatch):
    check_reads("gs://bucket/in/x.vcz", base_url=gcs.url)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url)
    check_reads("gs://bucket/in/x.vcz/")


def test_azure(azure, monkeypatch):
    options = {"endpoint": azure.url, "account_name": ACCOUNT, "account_key": KEY}
    check_reads("az://container/in/x.vcz", **options)
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING",
        f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={azure.url};",
    )
    check_reads("abfs://container/in/x.vcz")


def test_errors_of_azure(azure):
    place = {"endpoint": azure.url, "account_name": ACCOUNT}

    def told(url: str, **options) -> str:
        with pytest.raises(Exception, match=r"40\d") as error:
            open_place(url, {**place, **options}).get("zarr.json")
        assert not is_absent(error.value)
        return explain(error.value, url)

    assert "there is no bucket or container none at" in told("az://none/x", account_key=KEY)
    assert "and there are no credentials" in told("az://container/in/x.vcz")
    assert "with these credentials" in told("az://container/in/x.vcz", account_key="a2V5")
    assert "with these credentials" in told("az://container/in/x.vcz", sas_key="sv=1&sig=a")
