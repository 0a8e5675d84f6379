"""What a `.bcf` shows of stores and selections, and what it refuses."""

import gzip
import json
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pysam
import pytest
import zarr
from support import bcf
from support.oracles import run
from support.places import contents
from support.stores import convert, copy_store, make_store, random_genotypes, vcf_store, zip_store
from support.vcf import Site, Vcf
from support.views import plan_view

import biofuse as api
from biofuse.errors import BiofuseError

SAMPLES = 11


@pytest.fixture(scope="module")
def source(made) -> Path:
    """A folder with a VCF and the store made from it."""

    def make(folder: Path) -> Path:
        path = bcf.write_vcf(folder / "x.vcf", SAMPLES, 120, bcf.MIXED, 5, 9)
        convert(path, folder / "x.vcz", variants_chunk_size=25, samples_chunk_size=4)
        return folder

    return made("bcf", make)


def write(store: Path, folder: Path, **options) -> Path:
    """The files that a mount would show. Returns the `.bcf`."""
    folder.mkdir()
    with api.open(store, formats="bcf", cache_dir=folder / "plans", **options) as fileset:
        for name in fileset.files:
            with fileset.open(name) as file:
                (folder / name).write_bytes(file.read())
    return folder / "x.bcf"


def bcftools_view(vcf: Path, out: Path, *options: str) -> Path:
    """The part of a VCF that bcftools takes; INFO, of which a store's is as it was, too."""
    run("bcftools", "view", "-I", "-Ob", "-o", out, *options, vcf)
    return out


SELECTIONS = {
    "everything": ({}, ()),
    "regions": ({"regions": "chr1:1-20000,2"}, ("-r", "chr1:1-20000,2")),
    "samples": ({"samples": "S7,S0,S3"}, ("-s", "S7,S0,S3")),
    "expression": ({"include": "BIG>5 | QUAL>50"}, ("-i", "BIG>5 | QUAL>50")),
    "both": ({"regions": "2", "samples": ["S1"]}, ("-r", "2", "-s", "S1")),
    "two alleles": ({"multiallelic": "drop"}, ("-M", "2")),
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_selections(name, source, tmp_path):
    options, words = SELECTIONS[name]
    ours = write(source / "x.vcz", tmp_path / "ours", **options)
    theirs = bcftools_view(source / "x.vcf.gz", tmp_path / "theirs.bcf", *words)
    found = bcf.query(ours)
    assert found == bcf.query(theirs)
    assert found
    assert bcf.query(ours, "-r", "2:1-200000") == [
        line for line in found if line[:2] == "2\t" and int(line.split("\t")[1]) <= 200_000
    ]


def test_a_zip_file(source, tmp_path):
    copy = copy_store(source / "x.vcz", tmp_path / "x.vcz")
    packed = zip_store(copy)
    ours, theirs = (write(s, tmp_path / n) for s, n in ((packed, "a"), (source / "x.vcz", "b")))
    assert ours.read_bytes() == theirs.read_bytes()


def test_zarr_3(source, tmp_path):
    convert(source / "x.vcf", tmp_path / "x.vcz", zarr_format=3, variants_chunk_size=25)
    ours, theirs = (
        write(s, tmp_path / n) for s, n in ((tmp_path / "x.vcz", "a"), (source / "x.vcz", "b"))
    )
    assert bcf.query(ours) == bcf.query(theirs)


def test_a_place_far_away(source, placer, biofuse):
    options = ("--format", "bcf")
    with biofuse.mount(source / "x.vcz", *options) as mount:
        expected = contents(mount.dir)
    with placer.put("s3", source / "x.vcz").mount(biofuse, *options) as mount:
        assert contents(mount.dir) == expected
    assert set(expected) == {"x.bcf", "x.bcf.csi"}


def test_it_is_shown_where_it_is_asked_for(source, biofuse):
    """Not beside the others by default: all fields of sites are read for it."""
    done = biofuse("run", source / "x.vcz", "--", "bcftools", "query", "-f", "%POS\n", "{bcf}")
    assert len(done.stdout.splitlines()) == 120
    line = biofuse.fails("mount", source / "x.vcz", biofuse.new_directory())
    assert "alleles" in line and "--multiallelic drop" in line
    done = biofuse(
        *("run", source / "x.vcz", "--multiallelic", "drop", "--"),
        *("sh", "-c", "ls {dir}; bcftools index -s {bcf}; test -s {csi}; test -s {bed}"),
    )
    names = done.stdout.split()[:8]
    assert {"x.bcf", "x.bcf.csi", "x.bed", "x.bgen"} <= set(names)


def test_others_are_left_out_where_sites_have_more_alleles(source, biofuse):
    done = biofuse(
        *("run", source / "x.vcz", "--format", "bcf", "--no-csi", "--"),
        *("sh", "-c", "ls {dir}; bcftools query -f '%POS\n' {bcf}"),
    )
    assert done.stdout.split()[0] == "x.bcf"
    assert len(done.stdout.split()) == 121
    line = biofuse.fails(
        *("mount", source / "x.vcz", biofuse.new_directory()),
        *("--format", "bcf", "--format", "plink"),
    )
    assert "these files hold two a site" in line


def set_field(store: Path, name: str, values: np.ndarray, **attributes) -> None:
    """A field of sites, made anew."""
    root = zarr.open_group(store, mode="r+")
    array = root.create_array(
        name,
        shape=values.shape,
        dtype="str" if values.dtype == object else values.dtype,
        chunks=values.shape,
        overwrite=True,
        attributes=attributes,
    )
    array[...] = values


@pytest.fixture
def small(tmp_path) -> Path:
    """A store that is changed."""
    return make_store(tmp_path / "x.vcz", random_genotypes(12, 5, seed=1))


def test_sites_out_of_order(small, tmp_path):
    positions = zarr.open_group(small, mode="r+")["variant_position"]
    positions[5] = 1
    with pytest.raises(BiofuseError, match=r"1:1 comes behind .* --no-csi does without it"):
        plan_view(small, tmp_path / "plan", "--format", "bcf")
    made = write(small, tmp_path / "out", no_csi=True)
    assert [p.name for p in sorted(made.parent.glob("x.*"))] == ["x.bcf"]
    assert len(run("bcftools", "query", "-f", "%POS\n", made).split()) == 12


def test_contigs_that_come_again(small, tmp_path):
    zarr.open_group(small, mode="r+")["variant_contig"][:] = [0] * 4 + [1] * 4 + [0] * 4
    with pytest.raises(BiofuseError, match="--no-csi"):
        plan_view(small, tmp_path / "plan", "--format", "bcf")


@pytest.mark.parametrize("options", [{}, {"regions": "chr1"}, {"regions": "chrM"}])
def test_contigs_without_sites(options, tmp_path):
    """The index has all contigs of the header, as bcftools makes it: else htslib reads beyond."""
    contigs = ("chr1", "chr2", "chrX", "chrM")
    store = make_store(tmp_path / "x.vcz", random_genotypes(6, 3), contigs=contigs)
    made = write(store, tmp_path / "out", **options)
    own = made.with_suffix(".bcf.csi").read_bytes()
    asked = [("-r", "chrM"), ("-r", "chr2,chrX"), ("-r", "chr1,chrM"), ("-r", "chr2:30-60")]
    found = [bcf.query(made, *words, sites=r"%CHROM\t%POS\n") for words in asked]
    chr1 = [] if options.get("regions") == "chrM" else [f"chr1\t{p}" for p in (7, 14, 21, 28)]
    assert found[2] == chr1
    run("bcftools", "index", "-f", made)
    assert found == [bcf.query(made, *words, sites=r"%CHROM\t%POS\n") for words in asked]
    theirs = made.with_suffix(".bcf.csi").read_bytes()
    counts = [struct.unpack_from("<i", gzip.decompress(data), 16) for data in (own, theirs)]
    assert counts == [(4,), (4,)]


@pytest.mark.parametrize(
    ("name", "values", "what"),
    [
        (
            "variant_X",
            np.arange(12, dtype=np.int64) + 2**31 - 5,
            "integers of a BCF file are of 32",
        ),
        ("variant_X", np.full(12, -(2**31) + 3, dtype=np.int32), "a value of INFO"),
        ("filter_id", np.array(["a,b"], dtype=object), "does not fit a header"),
        ("contig_id", np.array(["1", "<2>"], dtype=object), "does not fit a header"),
        ("sample_id", np.array(["a\tb", *"cdef"], dtype=object), "has a tab"),
        ("sample_id", np.array([*"abcda"], dtype=object), "sample ID 'a' is that of several"),
        ("contig_id", np.array(["1", "2", "1"], dtype=object), "name '1' twice in contig_id"),
        ("filter_id", np.array(["q", "q"], dtype=object), "name 'q' twice in filter_id"),
        ("variant_filter", np.zeros((12, 3), dtype=bool), "variant_filter is of shape"),
    ],
)
def test_what_does_not_fit(name, values, what, small, tmp_path):
    set_field(small, name, values)
    with pytest.raises(BiofuseError, match=what) as caught:
        plan_view(small, tmp_path / "plan", "--format", "bcf")
    assert "\n" not in str(caught.value)


def test_values_of_other_types(small, tmp_path):
    """What is missing and none is so in other widths of floats, and flags may be numbers."""
    wide = np.array([0.5, np.nan, -2.25] * 4)
    wide.view(np.uint64)[1::3] = 0x7FF0000000000001
    narrow = np.array([[0.5, 1.5], [0, 0], [3, 0]] * 4, dtype=np.float16)
    narrow.view(np.uint16)[1::3] = 0x7C01
    narrow.view(np.uint16)[2::3, 1] = 0x7C02
    set_field(small, "variant_WIDE", wide, description='a "b" \\ c\nd 100%')
    set_field(small, "variant_NARROW", narrow)
    set_field(small, "variant_FLAG", np.array([1, 0, 0] * 4, dtype=np.int8), dtype="bool")
    set_field(small, "variant_BIG", np.array([1, -1, 2**31 - 1] * 4, dtype=np.int64))
    set_field(small, "variant_BYTES", np.array([b"x", b"yz", b""] * 4))
    set_field(small, "variant_MINUS", np.array([-2, -1, 5] * 4, dtype=np.int16))
    made = write(small, tmp_path / "out")
    tags = ("WIDE", "NARROW", "FLAG", "BIG", "BYTES", "MINUS")
    lines = run("bcftools", "query", "-f", r"\t".join(f"%INFO/{t}" for t in tags) + r"\n", made)
    assert [line.split("\t") for line in lines.splitlines()] == [
        ["0.5", "0.5,1.5", "1", "1", "x", "-2"],
        [".", ".", ".", ".", "yz", "."],
        ["-2.25", "3", ".", "2147483647", ".", "5"],
    ] * 4
    header = run("bcftools", "view", "-h", made)
    assert r'Description="a \"b\" \\ c d 100%"' in header


def test_a_header_of_an_earlier_version(small, tmp_path):
    root = zarr.open_group(small, mode="r+")
    root.attrs["vcf_header"] = "##fileformat=VCFv4.1\n##source=x=y\n##contig=<ID=9>\n#CHROM\n"
    header = run("bcftools", "view", "-h", write(small, tmp_path / "out"))
    assert header.startswith("##fileformat=VCFv4.1\n")
    assert "##source=x=y\n" in header
    assert "ID=9" not in header


def test_every_nan_is_missing(small, tmp_path):
    """What numpy writes too, which is not VCF Zarr's: as the .pvar has it."""
    nan, rng = np.nan, np.random.default_rng(0)
    ours = np.array([nan, 0.5] * 6)
    ours[::4] = -nan
    set_field(small, "variant_quality", ours.astype(np.float32))
    set_field(small, "variant_ONE", ours)
    two = np.array([[nan, 1], [2, nan], [nan, nan], [1, 1]] * 3, dtype=np.float32)
    two.view(np.uint32)[2::4, 1] = 0x7F800002
    two.view(np.uint32)[3::4, 0] = 0x7F800002
    set_field(small, "variant_TWO", two)
    gp = rng.random((12, 5, 3)).round(2).astype(np.float32)
    gp[::2, 1] = nan
    gp[:, 2, 2] = nan
    gp.view(np.uint32)[:, 3, 2] = 0x7F800002
    root = zarr.open_group(small, mode="r+")
    root.create_array("call_XP", data=gp, chunks=gp.shape)
    made = write(small, tmp_path / "out", bcf_fields="GT,XP")
    lines = bcf.query(made, sites=r"%QUAL\t%ONE\t%TWO[\t%XP]\n")
    number = "{:g}".format
    for i, line in enumerate(lines):
        quality, one, values, *calls = line.split("\t")
        assert (quality, one) == ((".", ".") if i % 2 == 0 else ("0.5", "0.5"))
        assert values == (".,1", "2,.", ".", ".,1")[i % 4]
        for j, call in enumerate(calls):
            shown = ["." if np.isnan(x) else number(x) for x in gp[i, j]]
            assert call == ",".join(shown[:2] if j == 3 else shown)
    with api.open(small, formats="plink2", basename="x", cache_dir=tmp_path / "p") as fileset:
        text = fileset.open("x.pvar").read().decode()
    rows = [line.split("\t") for line in text.splitlines() if line[0] != "#"]
    assert [row[5] for row in rows] == [line.split("\t")[0] for line in lines]
    with pysam.VariantFile(str(made)) as file:
        records = [str(record).split("\t") for record in file]
    infos = [set(row[7].split(";")) for row in records]
    assert [set(row[-1].split(";")) for row in rows] == infos


@pytest.mark.parametrize("version", ["VCFv4.2", "VCFv4.3", "VCFv4.4", "VCFv4.5"])
def test_phase_is_what_every_htslib_reads_in_the_vcf(version, tmp_path):
    """From 4.4 on the first allele has a phase too, which htslib writes where it is another one."""
    calls = [["0|1", "1|1", "0/1"], ["0", "1", "."], ["./.", ".|.", "1|0"]]
    path = Vcf("abc", [Site("1", 10 * i, c) for i, c in enumerate(calls, 1)]).write(
        tmp_path / "x.vcf"
    )
    path.write_text(path.read_text().replace("VCFv4.3", version, 1))
    made = write(convert(path, tmp_path / "x.vcz"), tmp_path / "out")

    def read_anew(path: Path) -> list[str]:
        with pysam.VariantFile(str(path)) as file:
            return [str(record).split("\t", 9)[9] for record in file]

    words = ("query", "-f", r"[%GT\t]\n")
    assert run("bcftools", *words, made) == run("bcftools", *words, path)
    assert read_anew(made) == read_anew(path) == ["\t".join(each) + "\n" for each in calls]


def test_a_change_of_info_is_a_change_of_the_store(source, tmp_path, biofuse):
    """A plan that is kept is not used once a field, or what is said of it, is another."""
    store = copy_store(source / "x.vcz", tmp_path / "x.vcz")

    def depths() -> tuple[str, str]:
        words = ("run", store, "--", "sh", "-c", "bcftools query -f '%INFO/I1 ' {bcf}; echo; ")
        done = biofuse(*words[:-1], words[-1] + "bcftools view -h {bcf}")
        first, _, rest = done.stdout.partition("\n")
        return first, rest

    before = depths()
    array = zarr.open_group(store, mode="r+")["variant_I1"]
    array[:] = np.full(array.shape, 4, dtype=array.dtype)
    after = depths()
    assert before[0] != after[0] == "4 " * 120
    path = store / "variant_I1" / ".zattrs"
    path.write_text(json.dumps({**json.loads(path.read_text()), "description": "Another"}))
    (store / ".zmetadata").unlink(missing_ok=True)
    assert 'Description="Another"' in depths()[1]


def test_a_chunk_of_info_that_is_not_stored_is_told(source, tmp_path):
    store = copy_store(source / "x.vcz", tmp_path / "x.vcz")
    (store / "variant_BIG" / "1").unlink()
    plan = plan_view(store, tmp_path / "plan", "--format", "bcf")
    assert any("variant_BIG" in text and "not stored" in text for text in plan.warnings)


def test_calls_that_cannot_be_shown_fail(small, biofuse):
    """An allele that the site does not have is an error, which names the variant."""
    zarr.open_group(small, mode="r+")["call_genotype"][7, 2] = [0, 2]
    root = zarr.open_group(small, mode="r+")
    alleles = root["variant_allele"][...]
    shutil.rmtree(small / "variant_allele")
    set_field(small, "variant_allele", np.array([[*row, ""] for row in alleles], dtype=object))
    done = subprocess.run(
        biofuse.command("run", small, "--", "bcftools", "view", "-H", "{bcf}"),
        env=biofuse.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "a call has an allele that the site does not have (variant 7 of" in done.stderr
    assert "and sample 2, counted from 0" in done.stderr


def test_alleles_of_more_than_a_byte(tmp_path):
    """The largest that is shown is 127; another one is an error, and not that one."""
    calls = [["127/1", "0|127"], ["0/1", "1/200"], ["1/2", "./127"]]
    sites = [
        Site("1", 10 * i + 10, gts, alt=",".join("C" * n for n in range(2, 302)))
        for i, gts in enumerate(calls)
    ]
    vcf, store = vcf_store(Vcf(["a", "b"], sites), tmp_path)
    assert zarr.open_group(store, mode="r")["call_genotype"].dtype.itemsize > 1
    words = ("query", "-f", r"%POS[\t%GT]\n")
    made = write(store, tmp_path / "shown", targets="^1:20")
    assert run("bcftools", *words, made) == run("bcftools", *words, "-e", "POS=20", vcf)
    with pytest.raises(BiofuseError, match=r"above 127.* \(variant 1 .* sample 1, counted from 0"):
        write(store, tmp_path / "all")
    split = api.open(store, formats="plink", multiallelic="split", cache_dir=tmp_path / "plans")
    with (
        split as fileset,
        fileset.open("x.bed") as bed,
        pytest.raises(BiofuseError, match=r"above 127.* \(variant 1 .* sample 1, counted"),
    ):
        bed.read()
    assert run("bcftools", *words, write(store, tmp_path / "a", samples="a")) == "".join(
        f"{10 * i + 10}\t{gts[0]}\n" for i, gts in enumerate(calls)
    )


def test_fields_that_info_cannot_have_are_told(small, tmp_path):
    set_field(small, "variant_X", np.zeros((12, 2), dtype=bool))
    set_field(small, "variant_a b", np.zeros(12, dtype=np.int32) + 5)
    set_field(small, "variant_CUBE", np.zeros((12, 2, 2)))
    plan = plan_view(small, tmp_path / "plan", "--format", "bcf")
    told = [text for text in plan.warnings if "is not in INFO: " in text]
    assert [text.split(" is not")[0] for text in told] == [
        "variant_CUBE",
        "variant_X",
        "variant_a b",
    ]
