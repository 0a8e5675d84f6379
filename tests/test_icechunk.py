"""Icechunk repositories: seen without a word, read from one snapshot, absent chunks and all."""

import errno
import os
import shutil
from pathlib import Path

import icechunk
import numpy as np
import pytest
from support import reference
from support.accounts import forget_accounts
from support.damage import error_of, read_uncached
from support.places import write_icechunk
from support.program import wait_until
from support.stores import make_store, random_genotypes

from biofuse.errors import BiofuseError
from biofuse.stores import Location, Range, open_store, places, read_whole
from biofuse.stores import icechunk as module
from biofuse.stores.icechunk import (
    icechunk_error,
    icechunk_snapshot,
    is_icechunk,
    is_local_icechunk,
    pinned,
)

GENOTYPES = random_genotypes(60, 23, seed=11)
OTHERS = random_genotypes(60, 23, seed=12)
BED = reference.bed(GENOTYPES)
SECRET = "s3cr3t-0f-th1s-t3st"
SECRET_KEYS = [
    *("--storage-option", "access_key_id=a-key"),
    *("--storage-option", f"secret_access_key={SECRET}"),
]


def made_store(folder: Path, genotypes: np.ndarray = GENOTYPES) -> Path:
    return make_store(folder / "x.vcz", genotypes, chunks=(20, 9), encoding="v3-blosc-zstd-bit")


def repository(path: Path, store: Path) -> icechunk.Repository:
    icechunk.set_logs_filter("off")
    storage = icechunk.local_filesystem_storage(str(path))
    write_icechunk(store, storage)
    return icechunk.Repository.open(storage)


@pytest.fixture(scope="module")
def repo(tmp_path_factory) -> Path:
    """A branch and a tag of the first commit, and a second one."""
    folder = tmp_path_factory.mktemp("repository")
    path = folder / "x.icechunk"
    made = repository(path, made_store(folder))
    first = made.lookup_branch("main")
    made.create_branch("first", snapshot_id=first)
    made.create_tag("v1", snapshot_id=first)
    shutil.rmtree(folder / "x.vcz")
    storage = icechunk.local_filesystem_storage(str(path))
    write_icechunk(made_store(folder, OTHERS), storage, False)
    return path


def snapshots(path: Path) -> tuple[str, str]:
    made = icechunk.Repository.open(icechunk.local_filesystem_storage(str(path)))
    return made.lookup_branch("first"), made.lookup_branch("main")


@pytest.mark.parametrize(
    ("names", "answer"),
    [
        (["manifests", "refs", "snapshots", "transactions"], True),
        (["chunks/", "config.yaml", "refs/", "snapshots/"], True),
        (["chunks", "manifests", "overwritten", "repo", "snapshots", "transactions"], True),
        (["refs"], False),
        (["snapshots"], False),
        (["snapshots", "repo", "zarr.json"], False),
        ([".zgroup", ".zmetadata", "call_genotype"], False),
        ([], False),
    ],
)
def test_what_is_one(names, answer):
    assert is_icechunk(lambda folder: names if folder == "" else []) == answer


def test_what_is_one_here(repo, tmp_path):
    assert is_local_icechunk(str(repo))
    assert not is_local_icechunk(str(repo / "refs"))
    assert not is_local_icechunk(str(made_store(tmp_path)))
    assert not is_local_icechunk(str(tmp_path / "none"))
    assert Location.typed(str(repo), None, {}).backend == "icechunk"


def test_a_mount_needs_no_word(repo, biofuse):
    with biofuse.mount(repo) as mount:
        assert mount.bed.read_bytes() == reference.bed(OTHERS)
    # Warnings of Icechunk's are nowhere.
    said = biofuse("info", repo)
    assert said.stderr == ""
    assert "WARN" not in said.stdout


def test_which_snapshot(repo, biofuse):
    first, second = snapshots(repo)
    for option in ("branch=first", "tag=v1", f"snapshot={first}"):
        with biofuse.mount(repo, "--storage-option", option) as mount:
            assert mount.bed.read_bytes() == BED
    assert icechunk_snapshot(Location(str(repo), "icechunk")) == second
    assert icechunk_snapshot(Location(str(repo), "icechunk", {"tag": "v1"})) == first
    location = pinned(Location(str(repo), "icechunk", {"tag": "v1"}))
    assert location.options == {"snapshot": first}
    assert pinned(Location(str(repo))) == Location(str(repo))


def test_a_mount_stays_with_its_snapshot(tmp_path, biofuse):
    path = tmp_path / "x.icechunk"
    repository(path, made_store(tmp_path))
    with biofuse.mount(path, "--idle-timeout", "0.2") as mount:
        shutil.rmtree(tmp_path / "x.vcz")
        storage = icechunk.local_filesystem_storage(str(path))
        write_icechunk(made_store(tmp_path, OTHERS), storage, False)
        assert mount.bed.read_bytes() == BED
    with biofuse.mount(path) as mount:
        assert mount.bed.read_bytes() == reference.bed(OTHERS)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"branch": "none"}, "has no branch none"),
        ({"tag": "none"}, "has no tag none"),
        ({"snapshot": "none"}, "has no snapshot none"),
        ({"snapshot": "1CECHNKREP0F1RSTCMTZ"}, "has no snapshot 1CECHNKREP0F1RSTCMTZ"),
        ({"branch": "main", "tag": "v1"}, "one of branch and tag chooses a snapshot"),
        ({"whatever": 1}, "--storage-option whatever is not known to Icechunk"),
    ],
)
def test_what_there_is_not(options, told, repo):
    with pytest.raises(BiofuseError, match=told) as error:
        icechunk_snapshot(Location(str(repo), "icechunk", options))
    assert len(str(error.value)) < 200


def test_no_repository(tmp_path, repo):
    with pytest.raises(BiofuseError, match="is no Icechunk repository"):
        icechunk_snapshot(Location(str(tmp_path), "icechunk"))
    with pytest.raises(BiofuseError, match="no such store"):
        icechunk_snapshot(Location(str(tmp_path / "none"), "icechunk"))
    assert os.listdir(tmp_path) == []


def test_objects(repo):
    """Parts of them, those that are absent, and sizes."""
    store = open_store(Location(str(repo), "icechunk", {"tag": "v1"}))
    whole = store.get_many([Range("call_genotype/c/0/0/0")])[0]
    assert whole is not None and whole.size == len(whole.data) > 16
    for start, stop in ((0, 16), (5, 9), (5, whole.size + 100), (whole.size, whole.size + 1)):
        [piece] = store.get_many([Range("call_genotype/c/0/0/0", start, stop)])
        assert piece is not None and piece.size == whole.size
        wanted = bytes(whole.data)[start:stop]
        assert bytes(piece.data)[start - piece.start :][: len(wanted)] == wanted
    absent = [
        "call_genotype/c/9/9/9",
        "none/zarr.json",
        "none/c/0",
        ".zmetadata",
        "call_genotype/.zattrs",
    ]
    assert read_whole(store, absent, 1 << 20) == [None] * len(absent)
    assert store.get_many([Range(key, 3, 9) for key in absent]) == [None] * len(absent)
    [metadata] = store.get_many([Range("zarr.json", 0, 1 << 20)])
    assert metadata is not None and bytes(metadata.data).startswith(b"{")


def test_on_s3(placer, made, biofuse, monkeypatch):
    """Few requests: to open it, and each chunk once, of which a small one is in the manifest."""
    there = placer.put("s3-icechunk", made("icechunk-s3", made_store))
    for name, value in there.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(module, "_sessions", {})
    location = pinned(Location(there.url, "icechunk"))
    store = open_store(location)
    keys = [f"call_genotype/c/{i}/{j}/0" for i in range(3) for j in range(3)]
    pieces = read_whole(store, ["call_genotype/zarr.json", *keys], 1 << 20)
    assert None not in pieces
    assert store.get_many([Range(keys[0], 4, 8), Range("call_genotype/c/9/9/9", 4, 8)])[1] is None
    # Of a snapshot, a manifest, a branch and a repository's settings, of which Icechunk 2 asks
    # for more.
    assert len(there.proxy.traffic) <= 7
    options = ["--backend-storage", "icechunk", *SECRET_KEYS]
    with there.mount(biofuse, *options) as mount:
        assert mount.bed.read_bytes() == BED
        status = biofuse("status", mount.dir, "--json").stdout
        assert SECRET not in status + "".join(each.command for each in biofuse.processes())


def with_objects_of_chunks(folder: Path) -> Path:
    """A repository in which each chunk is an object; small ones would be in the manifest."""
    path = folder / "x.icechunk"
    icechunk.set_logs_filter("off")
    storage = icechunk.local_filesystem_storage(str(path))
    config = icechunk.RepositoryConfig(inline_chunk_threshold_bytes=0)
    icechunk.Repository.create(storage, config).save_config()
    write_icechunk(made_store(folder), storage, False)
    return path


def test_a_chunk_that_is_lost(tmp_path):
    """It is in the manifest, and its object is gone."""
    path = with_objects_of_chunks(tmp_path)
    shutil.rmtree(path / "chunks")
    store = open_store(Location(str(path), "icechunk"))
    with pytest.raises(BiofuseError, match="call_genotype/c/0/0/0 cannot be read: ") as error:
        store.get_many([Range("call_genotype/c/0/0/0", 4, 8)])
    assert len(str(error.value)) < 300


def test_objects_that_are_lost_under_a_mount(tmp_path, biofuse):
    path = with_objects_of_chunks(tmp_path)
    with biofuse.mount(path, "--format", "plink", "--idle-timeout", "0.2") as mount:
        mount.expect_log(" cannot be read: object store error Object at location ")
        bim = mount.bim.read_bytes()
        wait_until(lambda: mount.pid("encode") is None, "the worker has ended")
        (path / "chunks").rename(path / "away")
        assert error_of(mount.bed, 0, len(BED)) == errno.EIO
        assert read_uncached(mount.bim, 0, len(bim)) == bim
        (path / "away").rename(path / "chunks")
        assert read_uncached(mount.bed, 0, len(BED)) == BED


def test_absent_chunks(tmp_path, biofuse):
    """Of calls they are missing calls, where that is asked for."""
    store = made_store(tmp_path)
    (store / "call_genotype/c/1/1/0").unlink()
    path = tmp_path / "x.icechunk"
    repository(path, store)
    options = ["--missing-chunks", "fill"]
    with biofuse.mount(store, *options) as local:
        wanted = local.bed.read_bytes()
    assert wanted != BED
    with biofuse.mount(path, *options) as mount:
        assert mount.bed.read_bytes() == wanted
    assert biofuse("info", path, *options).stderr == ""


S3 = {"region": "us-east-1"}


class FakeIcechunk:
    """Says what storage it was asked for."""

    def __getattr__(self, name):
        return lambda **place: (name, place)


@pytest.mark.parametrize(
    ("url", "storage", "place"),
    [
        ("s3://b/c/x.icechunk", "s3_storage", {"bucket": "b", "prefix": "c/x.icechunk"} | S3),
        ("gs://b/x/", "gcs_storage", {"bucket": "b", "prefix": "x"}),
        ("az://a/c/p/q", "azure_storage", {"account": "a", "container": "c", "prefix": "p/q"}),
        (
            "abfs://c@a.dfs.core.windows.net/p/q",
            "azure_storage",
            {"account": "a", "container": "c", "prefix": "p/q"},
        ),
    ],
)
def test_where_icechunk_looks(url, storage, place, monkeypatch, tmp_path):
    forget_accounts(monkeypatch, tmp_path / "home")
    monkeypatch.setattr(places, "bucket_region", lambda url, options: None)
    name, found = module._storage(FakeIcechunk(), url, {"x": 1})
    nobody = {"from_env": True} if storage == "azure_storage" else {"anonymous": True}
    assert (name, found) == (storage, {**place, "x": 1, **nobody})


def test_how_icechunk_comes_to_s3(monkeypatch, tmp_path):
    forget_accounts(monkeypatch, tmp_path / "home")

    def asked(**options: object) -> dict[str, object]:
        _, found = module._storage(FakeIcechunk(), "s3://b/x", options)
        assert (found.pop("bucket"), found.pop("prefix")) == ("b", "x")
        return found

    monkeypatch.setattr(places, "bucket_region", lambda url, options: "eu-west-2")
    assert asked(anonymous=False) == {"anonymous": False, "region": "eu-west-2"}
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert asked(skip_signature=True) == {"anonymous": True, "region": "eu-west-1"}
    keys = {"access_key_id": "a", "secret_access_key": "b"}
    assert asked(**keys, region="r") == {**keys, "region": "r"}
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    assert asked() == {"from_env": True, "region": "eu-west-1"}
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://h:9000")
    assert asked(client_options={"allow_http": True}) == {
        "from_env": True,
        "endpoint_url": "http://h:9000",
        "allow_http": True,
        "force_path_style": True,
        "region": "us-east-1",
    }


@pytest.mark.parametrize("url", ["ftp://a/x", "az://account", "az:///c/p"])
def test_places_that_icechunk_has_not(url, monkeypatch, tmp_path):
    forget_accounts(monkeypatch, tmp_path / "home")
    with pytest.raises(BiofuseError, match=r"Icechunk|ACCOUNT"):
        module._storage(FakeIcechunk(), url, {})


def test_errors_are_lines():
    text = """  x error getting object metadata from object store dispatch failure
  |
  | context:
  |    0: icechunk::repository::open
  |              at icechunk/src/repository.rs:260
  |
  |-> dispatch failure
  `-> Connection refused (os error 111)
"""
    assert icechunk_error(ValueError(text)) == (
        "error getting object metadata from object store dispatch failure: "
        "Connection refused (os error 111)"
    )
    assert icechunk_error(ValueError("  x it is so")) == "it is so"
