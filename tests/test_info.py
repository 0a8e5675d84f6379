"""`biofuse info`: sites, and the files and fields of every view, against mounts and bcftools."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import zarr
from support.bcf import TRIPLOID, write_vcf
from support.oracles import run
from support.stores import convert, copy_store, make_store, random_genotypes, vcf_store
from support.vcf import Site, Vcf, random_vcf
from support.views import make_files, plan_view

from biofuse.cli import info
from biofuse.cli.info import describe_store
from biofuse.errors import BiofuseError
from biofuse.plan import contents, counts
from biofuse.plan.counts import count_sites
from biofuse.stores import Location, open_store
from biofuse.stores.location import open_group

FORMATS = ("plink", "bgen", "plink2", "bcf")
HOLD_TWO = ("plink", "bgen", "plink2")
# Sites of more than two alleles among the 1,200 of `large`.
NUMBER, MANY = 1200, 133


def about(store, **options) -> dict:
    """What it tells, as with --json."""
    return json.loads(json.dumps(describe_store(Location(str(store)), **options)))


def text_of(value: dict) -> str:
    """The same without --json."""
    return "".join(f"{key:<12}{text}\n" for key, text in info._lines(value))


def sizes_of(store, folder, name, *options) -> dict[str, int]:
    """Sizes of the files of a plan, in a format."""
    plan = plan_view(store, folder / f"plan-{name}{len(options)}", "--format", name, *options)
    return {file.name: file.size for file in [*plan.streamed, *plan.static]}


def real_sizes(store, folder, *options) -> dict[str, dict[str, int]]:
    """The same in all formats."""
    return {name: sizes_of(store, folder, name, *options) for name in FORMATS}


def told_sizes(value: dict) -> dict[str, dict[str, int]]:
    return {
        name: {file["name"]: file["size"] for file in view["files"]}
        for name, view in value["views"].items()
    }


@pytest.fixture
def two(made):
    """Of two alleles a site, with several chunks of sites."""

    def make(folder):
        vcf = random_vcf(13, 130, chroms=("chr1", "chr2", "chr3"), seed=21)
        return vcf_store(vcf, folder, variants_chunk_size=10)

    return made("info-two", make)


@pytest.fixture
def many(made):
    """Of up to four alleles, with INFO of every kind; with its VCF."""

    def make(folder):
        vcf = write_vcf(folder / "x.vcf", 7, 90, seed=4)
        return vcf, convert(vcf, folder / "x.vcz", variants_chunk_size=20)

    return made("info-many", make)


def test_sizes_are_those_of_mounts(two, biofuse):
    _, store = two
    value = json.loads(biofuse("info", store, "--json").stdout)
    assert value == about(store)
    assert biofuse("info", store).stdout == text_of(value)
    assert os.listdir(biofuse.temporary) == []
    words = [word for name in FORMATS for word in ("--format", name)]
    with biofuse.mount(store, *words) as mount:
        real = {path.name: path.stat().st_size for path in mount.dir.iterdir()}
    told = [file for view in value["views"].values() for file in view["files"]]
    assert real == {file["name"]: file["size"] for file in told}
    assert list(value["views"]) == list(FORMATS)
    for view in value["views"].values():
        assert all(file["exact"] for file in view["files"])
        main = view["files"][0]
        assert (view["file"], view["size"], view["exact"]) == (main["name"], main["size"], True)
        assert view["reason"] is None


def test_sizes_without_sites_of_more_than_two_alleles(many, tmp_path):
    _, store = many
    value = about(store)
    # The .bcf has them all.
    dropped = real_sizes(store, tmp_path, "--multiallelic", "drop")
    assert told_sizes(value) == dropped | {"bcf": sizes_of(store, tmp_path, "bcf")}
    assert told_sizes(value)["bcf"] != dropped["bcf"]
    text = text_of(value)
    count = value["sites"]["more_than_two_alleles"]
    assert f"{count} sites of more than two alleles\n" in text
    assert (
        f"plink, bgen, plink2: sites of more than two alleles: {count}; a mount has this view only "
        "with --multiallelic drop" in text
    )
    with pytest.raises(BiofuseError, match="--multiallelic drop"):
        sizes_of(store, tmp_path, "plink")
    for name, view in value["views"].items():
        assert ("sites of more than two alleles" in view["left_out"]) == (name in HOLD_TWO)


def test_one_such_site_is_one(two):
    _, store = two
    value = about(store) | {"max_alleles": 3}
    value["sites"] |= {"more_than_two_alleles": 1, "more_than_two_alleles_exact": True}
    assert " 1 site of more than two alleles\n" in text_of(value)


def test_sites_are_counted_as_bcftools_does(many):
    vcf, store = many
    source = vcf.with_suffix(".vcf.gz")
    value = about(store)
    listed = run("bcftools", "view", "-H", "-G", source).splitlines()
    wanted = {name: 0 for name in value["contigs"]}
    for line in listed:
        wanted[line.split("\t")[0]] += 1
    assert dict(zip(value["contigs"], value["sites"]["by_contig"], strict=True)) == wanted
    more = run("bcftools", "view", "-H", "-G", "-m", "3", source).splitlines()
    assert value["sites"]["more_than_two_alleles"] == len(more) > 10
    assert value["sites"]["more_than_two_alleles_exact"] is True
    text = text_of(value)
    for name, count in wanted.items():
        assert f"              {name}: {count}\n" in text


@pytest.mark.parametrize("index", ["none", "stale", "of-other-contigs", "too-small"])
def test_sites_are_counted_without_a_good_index(index, many, tmp_path):
    _, original = many
    store = copy_store(original, tmp_path / "x.vcz")
    wanted = counted(store).by_contig
    group = zarr.open_group(store, mode="r+")
    rows = group["region_index"][...]
    del group["region_index"]
    if index == "stale":
        # As of a store of which two contigs have changed places.
        rows[:, 1] = np.array([1, 0, 2])[rows[:, 1]]
    elif index == "of-other-contigs":
        rows[:, 1] = 7
    elif index == "too-small":
        rows = rows[:-1]
    if index != "none":
        group.create_array("region_index", data=rows, chunks=rows.shape)
    zarr.consolidate_metadata(store)
    assert counted(store).by_contig == wanted
    assert sum(wanted) == 90


def counted(store: Path):
    location = Location(str(store))
    return count_sites(open_group(location), open_store(location))


def test_the_fields_of_every_view(many, biofuse):
    vcf, store = many
    header = run("bcftools", "view", "-h", vcf.with_suffix(".vcf.gz")).splitlines()
    keys = sorted(line[11:].split(",")[0] for line in header if line.startswith("##INFO=<ID="))
    views = about(store)["views"]
    assert views["bcf"]["info"] == views["plink2"]["info"] == keys
    assert views["bcf"]["columns"] == views["plink2"]["columns"] == ["QUAL", "FILTER"]
    for name, view in views.items():
        assert view["format"] == ["GT"]
        if name in ("plink", "bgen"):
            assert (view["info"], view["columns"]) == ([], [])
    with biofuse.mount(store, "--format", "bcf") as mount:
        shown = run("bcftools", "view", "-h", f"{mount.stem}.bcf").splitlines()
        assert {line.split(",")[0] for line in shown if line.startswith("##INFO")} == {
            f"##INFO=<ID={key}" for key in keys
        }


def test_what_is_left_out_and_why(tmp_path):
    calls = ["0/1:0.9:0.1,0.9,0", "0/0:0.1:0.9,0.1,0", "1/1:2:0,0,1"]
    sites = [Site("1", 10 + i, calls, id=f"rs{i}", format="GT:DS:GP") for i in range(8)]
    _, store = vcf_store(Vcf(["A", "B", "C"], sites), tmp_path)
    group = zarr.open_group(store, mode="r+")
    for name, values in {
        "variant_cube": np.zeros((8, 2, 2), np.int8),
        "variant_2fast": np.zeros(8, np.int8),
        "variant_short": np.zeros(5, np.int8),
        "variant_flags": np.zeros((8, 2), bool),
        "variant_when": np.zeros(8, "<M8[s]"),
        "call_depth": np.zeros((8, 3), np.int16),
    }.items():
        group.create_array(name, data=values, chunks=values.shape)
    zarr.consolidate_metadata(store)
    value = about(store)
    views = value["views"]
    no_info = {
        "variant_cube": "it has 3 dimensions, and INFO has room for two",
        "variant_2fast": "VCF allows no such name",
        "variant_short": "its shape is (5,), of 8 variants",
        "variant_flags": "flags have one value a site",
        "variant_when": "INFO has no type for datetime64[s]",
    }
    depth = {"FORMAT/depth": "not made from it"}
    by_option = {
        "bgen": {f"FORMAT/{key}": f"--bgen-field {key} shows it" for key in ("DS", "GP")},
        "plink2": {f"FORMAT/{key}": f"--dosage {key} shows it" for key in ("DS", "GP")},
    }
    others = {f"FORMAT/{key}": "not made from it" for key in ("DS", "GP")}
    assert views["plink"]["left_out"] == depth | others
    assert views["bgen"]["left_out"] == depth | by_option["bgen"]
    assert views["plink2"]["left_out"] == depth | by_option["plink2"] | no_info
    assert set(views["bcf"]["left_out"]) == {*depth, *others, *no_info}
    text = text_of(value)
    assert "left out    plink2, bcf: variant_2fast: VCF allows no such name\n" in text
    assert "left out    bgen: FORMAT/DS: --bgen-field DS shows it\n" in text
    # And so it is: the options are there, and what INFO cannot have is not in the files.
    assert sizes_of(store, tmp_path, "bgen", "--bgen-field", "DS")
    pvar = Path(f"{make_files(store, tmp_path / 'files', '--format', 'plink2')}.pvar").read_text()
    assert not any(name.removeprefix("variant_") in pvar for name in no_info)


def test_views_that_there_are_none_of(tmp_path):
    vcf = write_vcf(tmp_path / "x.vcf", 5, 30, TRIPLOID, seed=2)
    store = convert(vcf, tmp_path / "x.vcz")
    value = about(store)
    for name in HOLD_TWO:
        view = value["views"][name]
        assert (view["file"], view["size"], view["files"]) == (None, None, [])
        assert "4 alleles a call" in view["reason"]
        assert view["left_out"] == {}
    assert told_sizes(value)["bcf"] == sizes_of(store, tmp_path, "bcf")
    text = text_of(value)
    assert "plink: none, as the store's genotypes have room for 4 alleles a call" in text


def test_a_site_that_one_view_cannot_show(tmp_path):
    store = make_store(tmp_path / "x.vcz", random_genotypes(40, 9, seed=1), chunks=(10, 9))
    ids = zarr.open_group(store, mode="r+")["variant_id"]
    values = ids[...]
    values[25] = "x" * 70_000
    ids[...] = values
    views = about(store)["views"]
    assert "has an ID of 70000 bytes, and BGEN holds up to 65535" in views["bgen"]["reason"]
    assert views["plink"]["reason"] is None
    # What no view can show is told of all.
    alleles = zarr.open_group(store, mode="r+")["variant_allele"]
    values = alleles[...]
    values[7, 0] = ""
    alleles[...] = values
    for view in about(store)["views"].values():
        assert view["reason"].startswith("variant 7 of the store (counted from 0) has an empty REF")
        assert view["files"] == []


@pytest.fixture
def large(made):
    """Of more chunks than are looked at, with sites of three alleles in some; 1,200 sites."""

    def make(folder):
        vcf = random_vcf(5, NUMBER, chroms=("chr1", "chr2"), seed=5)
        sites = [
            # An index of small positions is of a type that is too small for it, and not used.
            Site(s.chrom, 10**6 + s.pos, s.calls, "C", "A,G,T" if i % 9 == 4 else "T", f"rs{i}")
            for i, s in enumerate(vcf.sites)
        ]
        return vcf_store(Vcf(vcf.samples, sites), folder, variants_chunk_size=10)[1]

    return made("info-large", make)


@pytest.fixture
def few_looked_at(monkeypatch):
    """Of as few chunks as of a large store."""
    monkeypatch.setattr(contents, "_SITES", 0)


def test_some_sites_tell_about_as_much_as_all(large, few_looked_at, monkeypatch, tmp_path):
    dropped = real_sizes(large, tmp_path, "--multiallelic", "drop")
    real = dropped | {"bcf": sizes_of(large, tmp_path, "bcf")}
    # 120 chunks of a local store are read for what alleles there are; here they may not be.
    monkeypatch.setattr(counts, "_CHUNKS", 50)
    value = about(large)
    assert value["sites"]["looked_at"] == 16 * 10
    assert sum(value["sites"]["by_contig"]) == NUMBER
    assert value["sites"]["more_than_two_alleles_exact"] is False
    assert value["sites"]["more_than_two_alleles"] == pytest.approx(MANY, rel=0.1)
    for name, view in value["views"].items():
        for file in view["files"]:
            size = real[name][file["name"]]
            samples_only = file["name"].endswith((".fam", ".sample", ".psam"))
            assert file["exact"] is samples_only
            close = 0 if samples_only else 0.12
            # An index has pages, and one of a few sites is small.
            slack = 40_000 if file["name"].endswith((".bgi", ".csi")) else 0
            assert file["size"] == pytest.approx(size, rel=close, abs=slack), file
    told = []
    full = about(large, full=True, progress=lambda *done: told.append(done))
    assert told_sizes(full) == real
    assert full["sites"]["looked_at"] == NUMBER
    assert full["sites"]["more_than_two_alleles"] == MANY
    assert all(file["exact"] for view in full["views"].values() for file in view["files"])
    assert (NUMBER, NUMBER) in told and told[0] == (0, NUMBER)


def test_a_small_store_is_all_looked_at(large):
    assert about(large) == about(large, full=True)


def test_alleles_of_a_store_of_moderate_size_are_all_counted(large, few_looked_at):
    value = about(large)
    sites = value["sites"]
    assert sites["looked_at"] == 16 * 10
    assert (sites["more_than_two_alleles"], sites["more_than_two_alleles_exact"]) == (MANY, True)
    # So the number of sites is known, and with it what has records of one size.
    exact = {file["name"] for v in value["views"].values() for file in v["files"] if file["exact"]}
    assert exact == {"x.bed", "x.fam", "x.sample", "x.pgen", "x.psam"}
    assert value["views"]["plink"]["size"] == 3 + 2 * (NUMBER - MANY)
    assert "x.bed 2.1 KiB, x.bim about " in text_of(value)


def test_few_requests_far_away(large, placer, biofuse):
    there = placer.put("s3", large)
    biofuse.env.update(there.env)
    value = json.loads(biofuse("info", there.url, "--json").stdout)
    assert value["sites"]["looked_at"] == 8 * 10
    assert sum(value["sites"]["by_contig"]) == NUMBER
    assert value["sites"]["more_than_two_alleles_exact"] is False
    asked = [request for request in there.proxy.traffic if "/variant_" in request.path]
    chunks = [request for request in asked if request.path.rpartition("/")[2][:1].isdigit()]
    # Eight chunks of each field of sites, and three of two for the index; of 120.
    fields = {path.name for path in large.iterdir() if path.name.startswith("variant_")}
    assert 8 * 4 <= len(chunks) <= 2 * (8 * len(fields) + 2 * 3)
    text = text_of(value)
    assert "as the 80 that were looked at tell; --full looks at all" in text
    full = json.loads(biofuse("info", there.url, "--json", "--full").stdout)
    assert full["sites"]["more_than_two_alleles"] == MANY
    assert told_sizes(full) == told_sizes(about(large, full=True))


@pytest.mark.slow
def test_contigs_far_away_without_an_index(large, placer, biofuse, tmp_path):
    store = copy_store(large, tmp_path / "x.vcz")
    group = zarr.open_group(store, mode="r+")
    del group["region_index"]
    zarr.consolidate_metadata(store)
    there = placer.put("s3", store)
    biofuse.env.update(there.env)
    value = json.loads(biofuse("info", there.url, "--json").stdout)
    assert value["sites"]["by_contig"] is None
    assert "contigs     chr1, chr2; --full tells" in text_of(value)


def test_a_store_of_no_sites_and_one_of_many_contigs(tmp_path):
    none = make_store(tmp_path / "none.vcz", np.zeros((0, 4, 2), np.int8))
    value = about(none)
    assert told_sizes(value) == real_sizes(none, tmp_path)
    assert value["sites"]["by_contig"] == [0, 0]
    assert "contigs     0, and 2 without sites" in text_of(value)
    vcf = random_vcf(3, 100, chroms=[f"c{i}" for i in range(100)], seed=1)
    _, store = vcf_store(vcf, tmp_path, "contigs")
    text = text_of(about(store))
    assert "contigs     100\n              c0: 1\n" in text
    assert "              c59: 1\n              40 more: 40\n" in text
