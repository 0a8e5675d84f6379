"""The `.bgen.bgi` index on mounts, against the one that bgenix makes of the same file."""

import random
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from support.bgen import bgenix, check_index, index_rows, listed, parse
from support.oracles import run, tool
from support.stores import make_store, random_genotypes, vcf_store
from support.vcf import Site, Vcf, sample_names
from support.views import make_files

SAMPLES = 7


def vcf() -> Vcf:
    """Sites of several contigs, some of one position, of three alleles or without an ID."""
    rng = random.Random(1)
    lines = []
    for i in range(30):
        chrom = ("1", "2", "10", "X")[i // 8]
        ref, alt = [("A", "G"), ("AT", "A"), ("C", "CTT"), ("G", "T,C"), ("G", "T")][i % 5]
        many = "," in alt
        calls = []
        for _ in range(SAMPLES):
            if chrom == "X" and rng.random() < 0.5:
                calls.append(rng.choice(["0:0.9,0.1:0.1", "1:0.25,0.75:0.75", ".:.:."]))
            elif many:
                calls.append("0|2:0.1,0.1,0.1,0.5,0.1,0.1:0.3,0.7")
            else:
                calls.append(
                    rng.choice(["0|0:0.98,0.01,0.01:0.03", "1|0:0.1,0.7,0.2:1.1", "./.:.:."])
                    if i % 2
                    else rng.choice(["0|1:0,1,0:1", "1|1:0,0.01,0.99:1.99"])
                )
        name = "." if i % 4 == 0 else f"rs{i}"
        lines.append(Site(chrom, 100 + 10 * (i // 2), calls, ref, alt, id=name, format="GT:GP:DS"))
    return Vcf(sample_names(SAMPLES), lines)


@pytest.fixture
def store(made):
    def make(folder):
        return vcf_store(vcf(), folder, variants_chunk_size=7, samples_chunk_size=3)[1]

    return made("bgi", make)


DROP = ["--multiallelic", "drop"]
OPTIONS = {
    "drop": DROP,
    "two-alleles": ["-M", "2"],
    "regions": [*DROP, "-r", "2:180-210,X", "-s", "S0004,S0001,S0002"],
    "expression": [*DROP, "-i", "POS >= 150 & POS < 220", "-v", "snps"],
    "nothing": [*DROP, "-r", "2:1-2"],
    "id-template": [*DROP, "--variant-id-template", "@:#:$r:$a"],
    "no-header-samples": [*DROP, "--no-header-samples"],
    "16-bits": [*DROP, "--bits", "16"],
    "unphased": [*DROP, "--unphased"],
    "as-diploid": [*DROP, "--haploid-as-diploid"],
    "gp": [*DROP, "--bgen-field", "GP"],
    "ds": [*DROP, "--bgen-field", "DS", "--bits", "16"],
    "basename": [*DROP, "--basename", "other name"],
    "no-sample-file": [*DROP, "--no-sample-file"],
}


def schema(path: Path) -> list[str]:
    """The statements that made a database's tables, without white space."""
    with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as db:
        rows = db.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
    db.close()
    return [re.sub(r"\s+", "", sql) for (sql,) in rows]


def metadata(path: Path) -> dict:
    """The one row of Metadata, and the type of each of its values."""
    with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as db:
        db.row_factory = sqlite3.Row
        [row] = [dict(r) for r in db.execute("SELECT * FROM Metadata")]
        columns = ", ".join(f"typeof({name})" for name in row)
        [types] = db.execute(f"SELECT {columns} FROM Metadata")
    db.close()
    return {name: (value, kind) for (name, value), kind in zip(row.items(), types, strict=True)}


def output(*arguments) -> bytes:
    """The BGEN file that bgenix writes to standard output."""
    words = [tool("bgenix"), *(str(a) for a in arguments)]
    return subprocess.run(words, capture_output=True, check=True, timeout=60).stdout


def check_against_bgenix(stem: Path, folder: Path) -> list:
    """The index says what bgenix's own of a copy does. Returns its rows."""
    copy = folder / "copy.bgen"
    shutil.copyfile(f"{stem}.bgen", copy)
    run(tool("bgenix"), "-g", copy, "-index")
    mine, its = Path(f"{stem}.bgen.bgi"), folder / "copy.bgen.bgi"
    assert schema(mine) == schema(its)
    rows, _ = index_rows(mine)
    assert rows == index_rows(its)[0]
    found, wanted = metadata(mine), metadata(its)
    assert found.pop("filename") == (f"{stem.name}.bgen", "text")
    assert wanted.pop("filename")[0] == str(copy)
    for name in ("last_write_time", "index_creation_time"):
        assert found[name][1] == wanted[name][1]
    when = found.pop("index_creation_time")[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", when)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", wanted.pop("index_creation_time")[0])
    assert found.pop("last_write_time")[0] == int(Path(f"{stem}.bgen").stat().st_mtime)
    del wanted["last_write_time"]
    assert found == wanted
    return rows


def check_bgenix_works(stem: Path, variants: list) -> None:
    """Lists, and picks by name and by range, as a linear search through the file has it."""

    def ordered(found) -> list:
        return sorted((v.names, v.phased, v.probs.tobytes()) for v in found)

    assert sorted(listed(bgenix(stem, "-list"))) == sorted(v.names for v in variants)
    # A dot is a folder to bgenix.
    names = sorted({v.names[1] for v in variants} - {"."})[::3]
    picked = [v for v in variants if v.names[1] in names]
    assert sorted(listed(bgenix(stem, "-list", "-incl-rsids", *names))) == sorted(
        v.names for v in picked
    )
    data = output("-g", f"{stem}.bgen", "-incl-rsids", *names)
    assert ordered(parse(data).variants) == ordered(picked)
    chrom, low = variants[0].names[2], variants[0].names[3]
    within = [v for v in variants if v.names[2] == chrom and low <= v.names[3] <= low + 15]
    data = output("-g", f"{stem}.bgen", "-incl-range", f"{chrom}:{low}-{low + 15}")
    assert ordered(parse(data).variants) == ordered(within)
    assert 0 < len(within) < len(variants)


@pytest.mark.parametrize("options", OPTIONS)
def test_the_index_is_that_of_bgenix(options, store, module_biofuse, tmp_path):
    name = "other name" if options == "basename" else "x"
    with module_biofuse.mount(
        store, "--format", "bgen", "--phased", *OPTIONS[options], stem=name
    ) as mount:
        data = Path(f"{mount.stem}.bgen").read_bytes()
        file = parse(data)
        check_index(mount.stem, data, file)
        check_against_bgenix(mount.stem, tmp_path)
        if options == "nothing":
            assert file.variants == []
            return
        assert (file.samples is None) == (options == "no-header-samples")
        check_bgenix_works(mount.stem, file.variants)
        suffixes = {"bgen", "bgen.bgi"} | ({"sample"} if options != "no-sample-file" else set())
        assert {p.name for p in mount.dir.iterdir()} == {f"{name}.{s}" for s in suffixes}


def test_the_selections_above_select(store, tmp_path):
    """What the index is compared with is not a whole file each time."""
    counts = {}
    for name in ("drop", "two-alleles", "regions", "expression", "nothing"):
        stem = make_files(store, tmp_path / name, "--format", "bgen", "--phased", *OPTIONS[name])
        counts[name] = len(parse(Path(f"{stem}.bgen").read_bytes()).variants)
    assert counts["drop"] == counts["two-alleles"] == 24
    assert counts["nothing"] == 0
    assert 0 < counts["regions"] < 24 and 0 < counts["expression"] < 24


@pytest.mark.parametrize(
    ("option", "left"),
    [
        ("--no-bgi", {"x.bgen", "x.sample"}),
        ("--no-sample-file", {"x.bgen", "x.bgen.bgi"}),
    ],
)
def test_files_that_are_left_out(option, left, store, biofuse, tmp_path):
    with biofuse.mount(store, "--format", "bgen", "--phased", *DROP, option) as mount:
        assert {p.name for p in mount.dir.iterdir()} == left
        data = Path(f"{mount.stem}.bgen").read_bytes()
    assert len(parse(data).variants) == 24


@pytest.mark.slow
def test_an_index_of_many_variants(biofuse, tmp_path):
    """More than are read at a time, in the index's order, which is not the file's."""
    genotypes = random_genotypes(51_000, 2, seed=3)
    store = make_store(tmp_path / "x.vcz", genotypes, contigs=("9", "10"))
    with biofuse.mount(store, "--format", "bgen", "--phased") as mount:
        rows = check_against_bgenix(mount.stem, tmp_path)
        assert len(rows) == 51_000
        last = parse(output("-g", f"{mount.stem}.bgen", "-incl-range", "10:356990-"))
    assert [v.names for v in last.variants] == [(".", r[2], r[0], r[1], r[4:6]) for r in rows[-2:]]
