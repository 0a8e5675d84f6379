"""`biofuse://`: the files by URL, for whoever reads those of fsspec."""

import errno
import gc
import os
import shutil

import fsspec
import numpy as np
import pytest
from support import reference
from support.stores import make_store, random_genotypes, zip_store

from biofuse.api.filesystem import BiofuseFileSystem
from biofuse.errors import BiofuseError

GENOTYPES = random_genotypes(80, 30, seed=11)


@pytest.fixture(scope="module")
def store(made):
    return made("filesystem", lambda folder: make_store(folder / "x.vcz", GENOTYPES))


@pytest.fixture
def fs(store):
    return fsspec.filesystem("biofuse", fo=str(store), no_cache=True, skip_instance_cache=True)


def test_it_is_registered(fs):
    assert isinstance(fs, BiofuseFileSystem)
    assert fsspec.get_filesystem_class("biofuse") is BiofuseFileSystem


def test_the_folder(fs):
    names = ["x.bed", "x.bgen", "x.bgen.bgi", "x.bim", "x.fam", "x.sample"]
    assert fs.ls("", detail=False) == names
    assert fs.find("") == names
    assert fs.glob("*.b*m") == ["x.bim"]
    assert fs.isdir("") and fs.isfile("x.bed")
    assert fs.exists("x.bed") and not fs.exists("y.bed")
    assert fs.size("x.bed") == 3 + 80 * 8
    assert fs.info("x.bed") == {"name": "x.bed", "size": 643, "type": "file"}
    assert sum(each["size"] for each in fs.ls("")) == fs.du("")
    with pytest.raises(FileNotFoundError):
        fs.info("y.bed")
    with pytest.raises(FileNotFoundError):
        fs.ls("y.bed")


def test_bytes(fs, tmp_path):
    expected = reference.bed(GENOTYPES)
    assert fs.cat("x.bed") == expected
    assert fs.cat_file("x.bed", 10, 30) == expected[10:30]
    assert fs.cat_file("x.bed", -5) == expected[-5:]
    assert fs.cat_file("x.bed", 600, 9000) == expected[600:]
    assert fs.cat_ranges(["x.bed"] * 2, [0, 7], [3, 9]) == [expected[:3], expected[7:9]]
    assert fs.head("x.bed", 3) == expected[:3]
    assert fs.tail("x.bed", 9) == expected[-9:]
    fs.get("x.bed", str(tmp_path / "copy.bed"))
    assert (tmp_path / "copy.bed").read_bytes() == expected
    with fs.open("x.fam", "rt") as file:
        assert file.readline() == "S0000\tS0000\t0\t0\t0\t-9\n"


def test_it_is_read_only(fs):
    for do in (
        lambda: fs.open("x.bed", "wb"),
        lambda: fs.rm("x.bed"),
        lambda: fs.pipe("x.bed", b"x"),
        lambda: fs.put(__file__, "x.bed"),
    ):
        with pytest.raises((NotImplementedError, ValueError, OSError)):
            do()


def test_urls(store):
    expected = reference.bed(GENOTYPES)
    archive = zip_store(store)
    for url in (
        f"biofuse://{store}/x.bed",
        f"biofuse://x.bed::file://{store}",
        f"biofuse://x.bed::{store}",
        f"biofuse://{archive}/x.bed",
    ):
        with fsspec.open(url) as file:
            assert file.read() == expected, url
    with fsspec.open(f"biofuse://{store}/a.bed", basename="a", samples="S0002,S0001") as file:
        assert file.read() == reference.bed(GENOTYPES[:, [2, 1]])
    with pytest.raises(ValueError, match="no store"):
        fsspec.filesystem("biofuse")


def test_a_store_in_an_object_store(placer, store, monkeypatch):
    there = placer.put("s3", store)
    for name, value in there.env.items():
        monkeypatch.setenv(name, value)
    options = dict(word.split("=", 1) for word in there.options if "=" in word)
    url = f"biofuse://{there.url}/x.bed"
    with fsspec.open(url, no_cache=True, storage_options=options) as file:
        assert file.read() == reference.bed(GENOTYPES)


def test_arrays_and_tables(store):
    """As pandas and others open what they read: numpy stands for them here."""
    with fsspec.open(f"biofuse://{store}/x.bim", "rt") as file:
        table = np.loadtxt(file, dtype=str)
    assert table.shape == (80, 6)
    assert table[:, 3].astype(int).tolist() == [7 * i for i in range(1, 81)]


def test_a_store_that_was_changed(tmp_path):
    """Who opens it then is shown what it is; who has opened it before is told."""
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 30))
    urls = [f"biofuse://{store}/x.{suffix}" for suffix in ("bed", "bim")]
    texts = [fsspec.open(url).open().read() for url in urls]
    before = fsspec.filesystem("biofuse", fo=str(store))
    shutil.rmtree(store)
    others = random_genotypes(90, 30, seed=12)
    make_store(store, others, chunks=(20, 30))
    for url, text in zip(urls, texts, strict=True):
        with fsspec.open(url) as file:
            assert file.read() not in (b"", text)
    with fsspec.open(urls[0]) as file:
        assert file.read() == reference.bed(others)
    with pytest.raises(
        BiofuseError, match=r"after the store was opened.*; open it again"
    ) as caught:
        before.cat("x.bed")
    assert caught.value.errno == errno.ESTALE


def test_what_is_open_stays_and_then_goes(store):
    """A fileset goes with the last file of it, where nobody closes it."""
    before = set(os.listdir("/proc/self/fd"))
    file = fsspec.open(f"biofuse://{store}/x.bed").open()
    gc.collect()
    assert file.read() == reference.bed(GENOTYPES)
    del file
    gc.collect()
    assert set(os.listdir("/proc/self/fd")) <= before
