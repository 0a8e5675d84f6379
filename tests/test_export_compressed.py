"""Compressed BGEN files: what they hold is what the uncompressed ones do, to every reader."""

import sqlite3
from pathlib import Path

import bgen_reader
import cbgen
import numpy as np
import pytest
from bgen import BgenReader
from hypothesis import given
from hypothesis import strategies as st
from support.oracles import plink2, run, tool
from support.stores import make_store, random_genotypes

from biofuse import native
from biofuse.errors import BiofuseError
from biofuse.export.compress import Compression

GENOTYPES = random_genotypes(300, 120, seed=12)
METHODS = ("zlib", "zlib:1", "zlib:12", "zstd", "zstd:1", "zstd:19")


@pytest.fixture(scope="module")
def files(made, module_biofuse):
    """Paths of the plain file, and of each compressed one."""

    def make(folder):
        store = make_store(folder / "x.vcz", GENOTYPES, chunks=(70, 50))
        paths = {"plain": folder / "plain"}
        module_biofuse("export", store, folder / "plain", "--format", "bgen")
        for method in METHODS:
            stem = folder / method.replace(":", "-")
            module_biofuse(
                *("export", store, stem, "--compress", method, "--verify", "--format", "bgen"),
                *(["--no-cache"] if ":" in method else []),
            )
            paths[method] = stem
        return {name: f"{stem}.bgen" for name, stem in paths.items()}

    return made("compressed", make)


@pytest.mark.parametrize("method", METHODS)
def test_readers_of_python(method, files):
    plain, made = BgenReader(files["plain"]), BgenReader(files[method])
    assert len(plain) == len(made) == 300
    for a, b in zip(plain, made, strict=True):
        assert (a.rsid, a.chrom, a.pos, a.alleles) == (b.rsid, b.chrom, b.pos, b.alleles)
        np.testing.assert_array_equal(a.probabilities, b.probabilities)
    for name in (files["plain"], files[method]):
        found = cbgen.bgen_file(name)
        assert (found.nvariants, found.nsamples) == (300, 120)
    read = [bgen_reader.open_bgen(files[name], verbose=False).read() for name in ("plain", method)]
    np.testing.assert_array_equal(*read)


@pytest.mark.parametrize("method", METHODS)
def test_plink2(method, files, tmp_path):
    for name in ("plain", method):
        sample = files[name].removesuffix("bgen") + "sample"
        out = tmp_path / ("plain" if name == "plain" else "made")
        plink2("--bgen", files[name], "ref-first", "--sample", sample, "--make-pgen", "--out", out)
    for suffix in ("pgen", "pvar", "psam"):
        plain, made = ((tmp_path / f"{n}.{suffix}").read_bytes() for n in ("plain", "made"))
        assert plain == made


@pytest.mark.parametrize("method", ["zlib", "zstd"])
def test_bgenix(method, files):
    region = ["-incl-range", "1:100-700"]
    plain, made = (
        run(tool("bgenix"), "-g", files[name], *region, "-list") for name in ("plain", method)
    )

    def rows(text):
        return [line for line in text.splitlines() if not line.startswith("#")]

    assert rows(plain) == rows(made)
    assert len(rows(made)) > 50


@pytest.mark.parametrize("method", METHODS)
def test_the_index(method, files):
    with sqlite3.connect(f"{files[method]}.bgi") as index:
        found = index.execute(
            "SELECT file_start_position, size_in_bytes FROM Variant ORDER BY 1"
        ).fetchall()
        [(name, size)] = index.execute("SELECT filename, file_size FROM Metadata").fetchall()
        assert index.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    data = Path(files[method]).read_bytes()
    assert len(data) == size
    assert files[method].endswith(f"/{name}")
    at = 4 + int.from_bytes(data[:4], "little")
    for start, length in found:
        assert start == at
        at += length
    assert at == len(data)


def test_it_is_smaller(files):
    sizes = {name: Path(path).stat().st_size for name, path in files.items()}
    assert sizes["zlib:12"] <= sizes["zlib"] <= sizes["zlib:1"] < sizes["plain"] / 2
    assert sizes["zstd:19"] <= sizes["zstd:1"] < sizes["plain"] / 2


@pytest.mark.parametrize("options", [["--bits", "16"], ["--no-header-samples"], ["-r", "2"]])
def test_with_other_options(options, made, module_biofuse, tmp_path):
    store = made("compressed-more", lambda folder: make_store(folder / "y.vcz", GENOTYPES))
    for name, more in (("plain", []), ("made", ["--compress", "zstd"])):
        module_biofuse(*("export", store, tmp_path / name, "--format", "bgen"), *options, *more)
    plain, made_ = (BgenReader(str(tmp_path / f"{name}.bgen")) for name in ("plain", "made"))
    for a, b in zip(plain, made_, strict=True):
        assert a.rsid == b.rsid
        np.testing.assert_array_equal(a.probabilities, b.probabilities)


def test_what_a_method_is():
    assert Compression.parse("zlib") == Compression("zlib", 6)
    assert Compression.parse("zstd:22") == Compression("zstd", 22)
    for text in ("", "lz4", "zlib:", "zlib:x", "zlib:0", "zstd:23", "ZLIB"):
        with pytest.raises(BiofuseError):
            Compression.parse(text)


@given(data=st.binary(max_size=200), ends=st.lists(st.integers(0, 260), max_size=4))
def test_records_that_are_damaged(data, ends):
    from array import array

    for method in ("zlib", "zstd"):
        try:
            native.bgen_compress(data, array("Q", ends), method, 1)
        except (native.NativeError, ValueError):
            continue
        assert not any(ends)
