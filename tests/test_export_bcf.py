"""Compressed BCF files: what they hold is what the mounted ones do, and regions are found."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.multiallelic import write_vcf
from support.oracles import run
from support.stores import convert

from biofuse import native
from biofuse.bgzf import BLOCK, END, PAYLOAD, compressed, stored_block
from biofuse.errors import BiofuseError
from biofuse.export.csi import moved_index

METHODS = ("zlib", "zlib:1", "zlib:12")
REGIONS = ("1:500-9000", "2", "1:1-10", "2:30000-40000")


@pytest.fixture(scope="module")
def files(made, module_biofuse):
    """Paths of the plain file, and of each compressed one."""

    def make(folder):
        vcf = write_vcf(folder / "x.vcf", 4000, 60)
        store = convert(vcf, folder / "x.vcz", variants_chunk_size=300)
        module_biofuse("export", store, folder / "plain", "--format", "bcf")
        for method in METHODS:
            words = ("--format", "bcf", "--compress", method, "--verify")
            module_biofuse("export", store, folder / method.replace(":", "-"), *words)
        return {name: str(folder / f"{name.replace(':', '-')}.bcf") for name in ("plain", *METHODS)}

    return made("compressed-bcf", make)


@pytest.mark.parametrize("method", METHODS)
def test_bcftools_reads_the_same(method, files):
    whole = [run("bcftools", "view", "--no-version", files[name]) for name in ("plain", method)]
    assert whole[0] == whole[1]
    assert whole[0].count("\n") > 4000
    for region in REGIONS:
        words = ("bcftools", "view", "-H", "-r", region)
        some = [run(*words, files[name]) for name in ("plain", method)]
        assert some[0] == some[1]
        assert 1 <= some[0].count("\n") < 4000
    stats = [run("bcftools", "index", "--stats", files[name]) for name in ("plain", method)]
    assert stats[0] == stats[1]


def test_its_index_finds_what_that_of_bcftools_does(files, tmp_path):
    run("cp", files["zlib"], tmp_path / "x.bcf")
    run("bcftools", "index", tmp_path / "x.bcf")
    for region in REGIONS:
        words = ("bcftools", "view", "-H", "-r", region)
        assert run(*words, files["zlib"]) == run(*words, tmp_path / "x.bcf")


def test_it_is_smaller_and_whole(files):
    sizes = {}
    for name, path in files.items():
        with open(path, "rb") as file:
            data = file.read()
        sizes[name] = len(data)
        assert data.endswith(END)
        run("bgzip", "-t", path)
    assert sizes["zlib:12"] < sizes["zlib"] < sizes["zlib:1"] < sizes["plain"] / 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "bcf", "--compress", "zstd"], "a .bcf is compressed by zlib alone"),
        (["--format", "plink", "--compress", "zlib"], "--compress is for --format bgen and"),
    ],
)
def test_what_cannot_be(words, said, files, made, biofuse, tmp_path):
    store = files["plain"].replace("plain.bcf", "x.vcz")
    assert said in biofuse.fails("export", store, tmp_path / "x", *words)


def test_both_at_once(files, module_biofuse, tmp_path):
    store = files["plain"].replace("plain.bcf", "x.vcz")
    words = ("--format", "bcf", "--format", "bgen", "--multiallelic", "split")
    module_biofuse("export", store, tmp_path / "x", *words, "--compress", "zlib", "--per-contig")
    names = {path.name for path in tmp_path.iterdir()}
    assert {"x_1.bcf", "x_1.bcf.csi", "x_2.bgen", "x_2.bgen.bgi"} <= names
    lines = run("bcftools", "view", "-H", tmp_path / "x_2.bcf")
    assert lines == run("bcftools", "view", "-H", "-r", "2", files["plain"])


@given(payloads=st.lists(st.binary(max_size=3000) | st.just(bytes(PAYLOAD)), max_size=4))
def test_blocks(payloads):
    blocks = [stored_block(each) for each in payloads if each]
    ends = array("Q")
    for block in blocks:
        ends.append((ends[-1] if ends else 0) + len(block))
    made, sizes = native.bgzf_compress(b"".join(blocks), ends, 6)
    assert len(made) == sum(sizes)
    at = 0
    for payload, size in zip(filter(None, payloads), sizes, strict=True):
        block = bytes(made[at : at + size])
        assert int.from_bytes(block[16:18], "little") == size - 1
        assert run_gzip(block) == payload
        at += size


def run_gzip(data: bytes) -> bytes:
    import gzip

    return gzip.decompress(data)


@given(data=st.binary(max_size=200), ends=st.lists(st.integers(0, 260), min_size=1, max_size=4))
def test_blocks_that_are_damaged(data, ends):
    with pytest.raises((native.NativeError, ValueError)):
        native.bgzf_compress(data, array("Q", ends), 1)


@pytest.mark.parametrize("data", [b"", b"CSI\2" + bytes(30), b"CSI\1" + b"\xff" * 40])
def test_an_index_that_is_damaged(data):
    with pytest.raises(BiofuseError, match="index is malformed"):
        moved_index(compressed(data), [0, BLOCK])
    with pytest.raises(BiofuseError, match="index is malformed"):
        moved_index(b"no gzip", [0])
