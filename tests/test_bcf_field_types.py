"""Fields of FORMAT of every type in a `.bcf`, and what is refused."""

import json
import subprocess
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr
from support.bcf_formats import set_calls, values_of
from support.oracles import run
from support.stores import make_store, random_genotypes
from support.views import plan_view

from biofuse.errors import BiofuseError

BLOSC = {
    "none": numcodecs.Blosc("zstd", shuffle=0, blocksize=4096),
    "bytes": numcodecs.Blosc("zstd", shuffle=1, blocksize=4096),
    "bits": numcodecs.Blosc("zstd", shuffle=2, blocksize=4096),
    "lz4": numcodecs.Blosc("lz4"),
    "zlib": numcodecs.Zlib(1),
    "plain": None,
}
INTEGERS = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i2", ">i4", "bool"]


def numbers(dtype: str, shape, rng: np.random.Generator) -> np.ndarray:
    """Any numbers of a type that BCF can hold, often those at its ends."""
    if dtype == "bool":
        return rng.random(shape) < 0.5
    info = np.iinfo(dtype)
    least, most = max(info.min, -(2**31) + 8), min(info.max, 2**31 - 1)
    ends = [x for x in (least, least + 1, 0, 1, 99, -1, -3, most - 1, most) if least <= x <= most]
    return rng.choice(np.array(ends), shape).astype(dtype)


def shown(values: np.ndarray) -> list[list[str]]:
    """Of each site and sample, what bcftools is to say of integers."""
    signed = values.dtype.kind == "i"
    found = []
    for site in values.reshape(*values.shape[:2], -1).astype(np.int64).tolist():
        each = []
        for sample in site:
            while signed and len(sample) > 1 and sample[-1] == -2:
                sample.pop()
            if sample == [-2] and values.ndim == 3 and values.shape[2] > 1:
                sample = [-1]
            each.append(",".join("." if signed and v == -1 else str(v) for v in sample))
        found.append(each)
    return found


@pytest.mark.parametrize("codec", BLOSC)
def test_integers_of_every_type(codec, tmp_path, biofuse):
    store = make_store(tmp_path / "x.vcz", random_genotypes(83, 37, seed=2), chunks=(20, 10))
    rng = np.random.default_rng(3)
    wanted = {}
    for dtype in INTEGERS:
        for width in (None, 1, 3):
            name = f"X{dtype.replace('>', 'b')}_{width or 0}"
            shape = (83, 37) if width is None else (83, 37, width)
            values = numbers(dtype, shape, rng)
            if values.dtype.kind == "i" and width == 3:
                ended = rng.random(shape[:2]) < 0.3
                values[ended, rng.integers(1, 3) :] = -2
                # All of one is none.
                values[5, 7] = -2
            chunks = (20, 10) if width is None else (31, 7, 3 if width == 3 else 1)
            set_calls(store, name, values, chunks, BLOSC[codec])
            wanted[name] = shown(values)
    # In chunks that part the last dimension.
    values = numbers("i2", (83, 37, 5), rng)
    set_calls(store, "Z", values, (20, 10, 2), BLOSC[codec])
    wanted["Z"] = shown(values)
    with biofuse.mount(store, "--format", "bcf", "--bcf-fields", "all") as mount:
        for name, expected in wanted.items():
            assert values_of(mount.dir / "x.bcf", name) == expected, name
    words = ("--format", "bcf", "--bcf-fields", "Xi4_3,Z", "-s", "S0030,S0002,S0011")
    with biofuse.mount(store, *words, "-r", "1:30-70") as mount:
        positions = zarr.open_group(store)["variant_position"][:]
        contig = zarr.open_group(store)["variant_contig"][:]
        rows = np.flatnonzero((positions >= 30) & (positions <= 70) & (contig == 0))
        assert len(rows) > 2
        for name in ("Xi4_3", "Z"):
            found = values_of(mount.dir / "x.bcf", name)
            assert found == [[wanted[name][i][s] for s in (30, 2, 11)] for i in rows]
        assert "%GT" not in run("bcftools", "view", "-H", mount.dir / "x.bcf").split("\t")[8]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
def test_floats_of_every_type(dtype, tmp_path, biofuse):
    store = make_store(tmp_path / "x.vcz", random_genotypes(9, 4, seed=2))
    values = np.random.default_rng(4).choice([0, 0.5, -2.25, 3], (9, 4, 2)).astype(dtype)
    unsigned, missing, none = {
        2: ("u2", 0x7C01, 0x7C02),
        4: ("u4", 0x7F800001, 0x7F800002),
        8: ("u8", 0x7FF0000000000001, 0x7FF0000000000002),
    }[values.dtype.itemsize]
    bits = values.view(np.dtype(unsigned).newbyteorder(values.dtype.byteorder))
    bits[1, 1] = [missing, missing]
    bits[2, 2] = [missing, none]
    bits[3, 3] = [none, none]
    bits[4, 0, 0] = missing
    bits[5, 1, 1] = none
    set_calls(store, "FN", values, (4, 3, 2))
    set_calls(store, "F1", values[:, :, 0], (4, 3))
    expected = [[[f"{v:g}" for v in sample] for sample in site] for site in values.astype(float)]
    expected[1][1], expected[2][2], expected[3][3] = [".", "."], ["."], ["."]
    expected[4][0][0], expected[5][1] = ".", expected[5][1][:1]
    with biofuse.mount(store, "--format", "bcf", "--bcf-fields", "GT,FN,F1") as mount:
        path = mount.dir / "x.bcf"
        assert values_of(path, "FN") == [[",".join(s) for s in site] for site in expected]
        assert values_of(path, "F1") == [[s[0] for s in site] for site in expected]


def texts(shape, rng: np.random.Generator) -> np.ndarray:
    words = ["", ".", "a", "é", "ß" * 20, "PASS", "x" * 130]
    return rng.choice(np.array(words, dtype=object), shape)


def joined(values: np.ndarray) -> list[list[str]]:
    found = []
    for site in values.reshape(*values.shape[:2], -1).tolist():
        each = []
        for sample in site:
            while sample and not sample[-1]:
                sample.pop()
            each.append(",".join(sample) or ".")
        found.append(each)
    return found


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_texts_of_every_kind(zarr_format, tmp_path, biofuse):
    encoding = "v2-blosc-zstd-bit" if zarr_format == 2 else "v3-blosc-zstd-bit"
    genotypes = random_genotypes(41, 23, seed=2)
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(12, 10), encoding=encoding)
    rng = np.random.default_rng(5)
    wanted = {}
    for i, (shape, chunks) in enumerate(
        [
            ((41, 23), (12, 10)),
            ((41, 23), (50, 7)),
            ((41, 23, 3), (9, 10, 3)),
            ((41, 23, 3), (9, 10, 2)),
        ]
    ):
        values = texts(shape, rng)
        set_calls(store, f"T{i}", values, chunks)
        wanted[f"T{i}"] = joined(values)
        if len(chunks) == 2 or chunks[2] == 3:
            set_calls(store, f"U{i}", values.astype("U130"), chunks)
            wanted[f"U{i}"] = wanted[f"T{i}"]
        if zarr_format == 2:
            for name, codec in (("Z", numcodecs.Zlib(1)), ("N", None)):
                set_calls(store, f"{name}{i}", values, chunks, codec)
                wanted[f"{name}{i}"] = wanted[f"T{i}"]
            plain = np.where(values == "é", "e", np.where(values == "ß" * 20, "s", values))
            set_calls(store, f"S{i}", plain.astype("S130"), chunks)
            wanted[f"S{i}"] = joined(plain)
    set_calls(store, "NONE", np.full((41, 23), "", dtype=object), (12, 10))
    wanted["NONE"] = [["."] * 23] * 41
    with biofuse.mount(store, "--format", "bcf", "--bcf-fields", "all") as mount:
        for name, expected in wanted.items():
            assert values_of(mount.dir / "x.bcf", name) == expected, name
    with biofuse.mount(store, "--format", "bcf", "--bcf-fields", "T1,T2", "-s", "S0021,S0001") as m:
        for name in ("T1", "T2"):
            expected = [[site[21], site[1]] for site in wanted[name]]
            assert values_of(m.dir / "x.bcf", name) == expected


@pytest.fixture
def small(tmp_path) -> Path:
    """A store that is changed."""
    store = make_store(tmp_path / "x.vcz", random_genotypes(12, 5, seed=1), chunks=(5, 2))
    set_calls(store, "DP", np.arange(60, dtype=np.int32).reshape(12, 5), (5, 2))
    set_calls(store, "FT", np.full((12, 5), "PASS", dtype=object), (5, 2))
    return store


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("DQ", "no field DQ of FORMAT (no call_DQ): it has GT, DP, FT"),
        ("GT,genotype", "no field genotype of FORMAT"),
        ("GT,genotype_mask", "no field genotype_mask of FORMAT"),
        ("GT,,DP", "has an empty name in it"),
        ("GT,a b", "no field a b of FORMAT"),
        ("DP,all", "no field all of FORMAT"),
    ],
)
def test_names_that_are_none(words, what, small, tmp_path):
    set_calls(small, "genotype_mask", np.zeros((12, 5, 2), dtype=bool), (5, 2, 2))
    with pytest.raises(BiofuseError) as caught:
        plan_view(small, tmp_path / "plan", "--format", "bcf", "--bcf-fields", words)
    assert what in str(caught.value) and "\n" not in str(caught.value)


def test_fields_of_other_kinds_are_left_out_of_all(small, tmp_path, biofuse):
    set_calls(small, "DEEP", np.zeros((12, 5, 2, 2), dtype=np.int8), (5, 2, 2, 2))
    set_calls(small, "SHORT", np.zeros((11, 5), dtype=np.int8), (5, 2))
    set_calls(small, "EMPTY", np.zeros((12, 5, 0), dtype=np.int8), (5, 2, 1))
    set_calls(small, "DP_mask", np.zeros((12, 5), dtype=bool), (5, 2))
    for name in ("DEEP", "SHORT", "EMPTY"):
        line = biofuse.fails(
            *("mount", small, biofuse.new_directory()),
            *("--format", "bcf", "--bcf-fields", f"GT,{name}"),
        )
        assert f"call_{name} is of shape" in line and "leave it out of --bcf-fields" in line
    done = biofuse(
        *("run", small, "--format", "bcf", "--bcf-fields", "all", "--"),
        *("bcftools", "query", "-f", "[%DP,%FT ]\n", "{bcf}"),
    )
    assert done.stdout.splitlines()[1].split() == [f"{i},PASS" for i in range(5, 10)]
    plan = plan_view(small, tmp_path / "plan", "--format", "bcf", "--bcf-fields", "all")
    assert plan.streamed[0].fields == ["call_genotype", "call_DP", "call_FT"]


def test_a_store_without_calls(tmp_path, biofuse):
    store = make_store(tmp_path / "x.vcz", random_genotypes(12, 5, seed=1))
    root = zarr.open_group(store, mode="r+")
    del root["call_genotype"]
    values = np.arange(60, dtype=np.float32).reshape(12, 5) / 4
    set_calls(store, "DS", values, (5, 2))
    line = biofuse.fails("mount", store, biofuse.new_directory(), "--format", "bcf")
    assert "no call_genotype" in line
    for words in ("DS", "all"):
        with biofuse.mount(store, "--format", "bcf", "--bcf-fields", words) as mount:
            found = values_of(mount.dir / "x.bcf", "DS")
        assert found == [[f"{v:g}" for v in site] for site in values.tolist()]


def test_values_for_alleles_that_a_site_does_not_have(tmp_path, biofuse):
    """Records have as many values as their sites have alleles: one more is not left out."""
    dimensions = {"_ARRAY_DIMENSIONS": ["variants", "samples", "alleles"]}
    for i, (dtype, value) in enumerate([("i2", 7), ("i2", None), ("f4", 0.5)]):
        store = make_store(tmp_path / f"{i}.vcz", random_genotypes(12, 5, seed=1))
        values = np.full((12, 5, 3), 4, dtype=dtype)
        values[..., 2] = -2
        if dtype == "f4":
            values.view(np.uint32)[..., 2] = 0x7F800002
        if value is not None:
            values[7, 3, 2] = value
        set_calls(store, "AD", values, (12, 5, 3), attributes=dimensions)
        done = subprocess.run(
            biofuse.command(
                *("run", store, "--bcf-fields", "GT,AD", "--"),
                *("bcftools", "query", "-f", "[%AD ]\n", "{bcf}"),
            ),
            env=biofuse.env,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if value is None:
            assert done.stdout.splitlines() == ["4,4 " * 5] * 12
            continue
        assert done.returncode != 0
        assert "more values than the site has alleles for" in done.stderr
        assert "variant 7 of the store and sample 3" in done.stderr
        assert "leave AD out of --bcf-fields" in done.stderr


@pytest.mark.parametrize(
    ("dtype", "value"), [("i4", -(2**31) + 3), ("i8", 2**31), ("u4", 2**32 - 1), ("u8", 2**64 - 1)]
)
def test_numbers_that_bcf_cannot_hold(dtype, value, small, biofuse):
    values = np.zeros((12, 5), dtype=dtype)
    values[8, 1] = value
    set_calls(small, "DP", values, (5, 2))
    done = subprocess.run(
        biofuse.command(
            *("run", small, "--format", "bcf", "--bcf-fields", "DP", "--"),
            *("bcftools", "view", "-H", "{bcf}"),
        ),
        env=biofuse.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "a number is one that BCF, of 32 bits, cannot hold" in done.stderr
    assert f": {value} (variant 8 of the store and sample 1" in done.stderr


def test_texts_that_change_are_another_plan(small, biofuse):
    """How long they are decides offsets; a text that becomes longer is looked at again."""

    def found() -> list[str]:
        done = biofuse(
            *("run", small, "--format", "bcf", "--bcf-fields", "FT", "--"),
            *("bcftools", "query", "-f", "[%FT ]\n", "{bcf}"),
        )
        return done.stdout.splitlines()

    assert found() == ["PASS " * 5] * 12
    zarr.open_group(small, mode="r+")["call_FT"][7, 2] = "much longer"
    assert found()[7] == "PASS PASS much longer PASS PASS "
    path = small / "call_FT" / ".zattrs"
    path.write_text(json.dumps({**json.loads(path.read_text()), "description": "Another"}))
    words = ("run", small, "--format", "bcf", "--bcf-fields", "FT", "--", "bcftools", "view", "-h")
    assert 'Description="Another"' in biofuse(*words, "{bcf}").stdout


def test_a_text_that_grew_under_a_mount(small, biofuse):
    with biofuse.mount(small, "--format", "bcf", "--bcf-fields", "FT") as mount:
        mount.expect_log("was changed after the store was mounted")
        zarr.open_group(small, mode="r+")["call_FT"][7, 2] = "much longer"
        with pytest.raises(OSError, match="Stale"):
            (mount.dir / "x.bcf").read_bytes()


def test_a_damaged_chunk_of_texts(small, biofuse):
    path = small / "call_FT" / "1.0"
    path.write_bytes(numcodecs.Blosc("zstd").encode(b"\x05\0\0\0abc"))
    line = biofuse.fails(
        *("mount", small, biofuse.new_directory()), *("--format", "bcf", "--bcf-fields", "FT")
    )
    assert "call_FT/1" in line and "texts" in line


def test_a_chunk_that_is_not_stored(small, tmp_path, biofuse):
    """It is told, and shown as the fill value; one that is lost later is an error."""
    (small / "call_DP" / "1.0").unlink()
    options = ("--format", "bcf", "--bcf-fields", "GT,DP")
    plan = plan_view(small, tmp_path / "plan", *options)
    assert any("call_DP" in text and "shown as 0" in text for text in plan.warnings)
    with biofuse.mount(small, *options) as mount:
        mount.expect_log("1 of 9 chunks of call_DP")
        found = values_of(mount.dir / "x.bcf", "DP")
        assert [row[:2] for row in found[5:10]] == [["0", "0"]] * 5
        assert found[4] == [str(n) for n in range(20, 25)]
    with biofuse.mount(small, *options) as mount:
        mount.expect_log("call_DP")
        (small / "call_DP" / "2.0").unlink()
        with pytest.raises(OSError, match="Stale"):
            (mount.dir / "x.bcf").read_bytes()


def test_a_plan_that_is_saved(small, tmp_path, biofuse):
    biofuse("plan", small, "-o", tmp_path / "x.plan", "--format", "bcf")
    options = ("--format", "bcf", "--bcf-fields", "all")
    with biofuse.mount(small, *options) as mount:
        expected = (mount.dir / "x.bcf").read_bytes()
    with biofuse.mount(small, *options, "--plan", tmp_path / "x.plan") as mount:
        assert (mount.dir / "x.bcf").read_bytes() == expected
