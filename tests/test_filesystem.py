"""`biofuse://`: the files by URL, for whoever reads those of fsspec."""

import fsspec
import numpy as np
import pytest
from support import reference
from support.stores import make_store, random_genotypes, zip_store

from biofuse.api.filesystem import BiofuseFileSystem

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
