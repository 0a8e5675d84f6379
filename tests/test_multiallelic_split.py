"""`--multiallelic split` against plink2 on what bcftools norm -m -any has made of the VCF."""

import os

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from support import bgen
from support.multiallelic import normalised, with_others_missing, write_vcf
from support.oracles import plink2, run
from support.plink2 import body, make_pgen
from support.stores import add_field, convert, vcf_store
from support.vcf import Site, Vcf
from support.views import make_files, open_fast_path, parse, plan_view

import biofuse
from biofuse.errors import BiofuseError
from biofuse.plan.split import split_alts
from biofuse.plan.texts import TextArray

SAME = {"split": normalised, "split-missing": with_others_missing}
ALL = ("--format", "plink", "--format", "bgen", "--format", "plink2")
# Of stores, some of which the engine makes the bytes of and some not.
LAYOUTS = {
    "fast": {"variants_chunk_size": 13, "samples_chunk_size": 5},
    "one-chunk": {},
}


@pytest.fixture(scope="module")
def vcf(tmp_path_factory):
    return write_vcf(tmp_path_factory.mktemp("vcf") / "x.vcf", 120, 17)


@pytest.fixture(scope="module")
def stores(vcf):
    return {
        name: convert(vcf, vcf.parent / f"{name}.vcz", **chunks) for name, chunks in LAYOUTS.items()
    }


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("policy", SAME)
def test_as_plink2_has_what_bcftools_splits(policy, layout, vcf, stores, tmp_path):
    ours = make_files(stores[layout], tmp_path / "ours", "--multiallelic", policy, *ALL)
    theirs = make_pgen(SAME[policy](vcf), tmp_path / "theirs", "format=2")
    made, wanted = (stem.with_suffix(".pgen").read_bytes() for stem in (ours, theirs))
    assert made == wanted
    plink2("--pfile", theirs, "--make-bed", "--out", tmp_path / "theirs")
    for suffix in (".bed", ".bim"):
        assert ours.with_suffix(suffix).read_bytes() == theirs.with_suffix(suffix).read_bytes()


@pytest.mark.parametrize("policy", SAME)
def test_every_file_is_that_of_the_store_of_split_sites(policy, vcf, stores, tmp_path):
    """Probabilities, phase and indices too, and a `.bgi` that bgenix reads."""
    (tmp_path / "other").mkdir()
    other = convert(SAME[policy](vcf), tmp_path / "other" / "fast.vcz")
    made = make_files(stores["fast"], tmp_path / "made", "--multiallelic", policy, *ALL)
    wanted = make_files(other, tmp_path / "wanted", *ALL)
    names = sorted(path.name for path in wanted.parent.iterdir() if path.is_file())
    assert len(names) == 9
    for name in names:
        ours, theirs = ((stem.parent / name).read_bytes() for stem in (made, wanted))
        if name.endswith(".pvar"):
            assert _infos(body(made.with_suffix(".pvar"))) == _infos(body(wanted.parent / name))
        elif not name.endswith(".bgi"):
            assert ours == theirs, name
    assert bgen.listed(bgen.bgenix(made, "-list")) == bgen.listed(bgen.bgenix(wanted, "-list"))


def _infos(lines):
    """INFO as a set: bcftools orders it in another way, and has `.` where no value is left."""
    found = []
    for line in lines:
        *fixed, info = line.split("\t")
        fields = {each for each in info.split(";") if each.rpartition("=")[2] != "."}
        found.append((*fixed, frozenset(fields)))
    return found


def test_info_is_that_of_the_alt(vcf, stores, tmp_path):
    made = make_files(stores["fast"], tmp_path / "m", "--multiallelic", "split", *ALL[4:])
    theirs = make_pgen(normalised(vcf), tmp_path / "theirs")
    assert _infos(body(made.with_suffix(".pvar"))) == _infos(body(theirs.with_suffix(".pvar")))


def test_bcf_has_sites_as_they_are(vcf, stores, tmp_path):
    with biofuse.open(
        stores["fast"], formats=["bcf", "plink"], multiallelic="split", basename="x"
    ) as files:
        for name in files.files:
            with files.open(name) as file:
                (tmp_path / name).write_bytes(file.read())
    made = tmp_path / "x"
    columns = r"%CHROM\t%POS\t%ID\t%REF\t%ALT\t%QUAL\t%FILTER[\t%GT]\n"
    texts = [run("bcftools", "query", "-f", columns, p) for p in (made.with_suffix(".bcf"), vcf)]
    assert texts[0] == texts[1]
    assert len(made.with_suffix(".bim").read_text().splitlines()) > texts[0].count("\n")


@pytest.mark.parametrize(
    "options", [("-s", "s3,s1,s11"), ("-r", "2"), ("-i", "N_ALT>1"), ("-m", "3", "-M", "4")]
)
def test_selections(options, vcf, stores, tmp_path):
    made = make_files(stores["fast"], tmp_path / "m", "--multiallelic", "split", *options)
    chosen = tmp_path / "chosen.vcf.gz"
    run("bcftools", "view", "-O", "z", "-o", tmp_path / "all.vcf.gz", vcf)
    run("bcftools", "index", tmp_path / "all.vcf.gz")
    run("bcftools", "view", "-I", *options, "-o", chosen, "-O", "z", tmp_path / "all.vcf.gz")
    run("bcftools", "norm", "-N", "-m", "-any", "-o", tmp_path / "split.vcf", chosen)
    theirs = make_pgen(tmp_path / "split.vcf", tmp_path / "theirs")
    plink2("--pfile", theirs, "--make-bed", "--out", tmp_path / "theirs")
    for suffix in (".bed", ".bim"):
        assert made.with_suffix(suffix).read_bytes() == theirs.with_suffix(suffix).read_bytes()


def test_ids_stay_unique_with_a_template(stores, tmp_path):
    words = ("--multiallelic", "split", "--variant-id-template", "@:#:$r:$a")
    made = make_files(stores["fast"], tmp_path / "made", *words)
    ids = [line.split("\t")[1] for line in made.with_suffix(".bim").read_text().splitlines()]
    assert len(set(ids)) == len(ids)
    # Those of other sites stay what they are.
    assert any(name.startswith("rs") for name in ids)
    with pytest.raises(BiofuseError, match=r"needs \$a"):
        plan_view(stores["fast"], tmp_path / "plan", *words[:2], "--variant-id-template", "@:#")


def test_shared_ids_are_told(stores, tmp_path):
    plan = plan_view(stores["fast"], tmp_path / "plan", "--multiallelic", "split")
    (told,) = [text for text in plan.warnings if "IDs" in text or "ID that others have" in text]
    assert "--variant-id-template" in told


SITES = [
    # The same alleles in two records, in one, and a stored ID that is what would be made.
    *((10, "A", "G", "."), (10, "A", "G,T", "m")),
    (50, "A", "C,C", "."),
    *((60, "A", "C", "1:60:A:T"), (60, "A", "G,T", ".")),
    # Stored IDs that are shared are what the store says.
    *((70, "A", "C", "rs1"), (70, "A", "G", "rs1"), (80, "A", "G", "rs1"), (90, "A", "G", ".")),
]


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_ids_that_are_shared_with_a_template_are_told(chunk, tmp_path):
    sites = [Site("1", position, ["0/1"], *texts) for position, *texts in SITES]
    _, store = vcf_store(Vcf(["S0"], sites), tmp_path, variants_chunk_size=chunk)
    words = ("--variant-id-template", "@:#:$r:$a")
    for policy, count in (("split", 6), ("drop", 0)):
        plan = plan_view(store, tmp_path / policy, "--multiallelic", policy, *words)
        told = [text for text in plan.warnings if "ID that another one at" in text]
        assert [text.split(" ")[0] for text in told] == [str(count)] * bool(count)
        assert not any("makes IDs" in text for text in plan.warnings)
    made = make_files(store, tmp_path / "made", "--multiallelic", "split", *words)
    ids = [line.split("\t")[1] for line in made.with_suffix(".bim").read_text().splitlines()]
    assert sum(ids.count(name) > 1 for name in ids if name != "rs1") == 6
    plan = plan_view(store, tmp_path / "no-template", "--multiallelic", "split")
    (told,) = [text for text in plan.warnings if "makes IDs of position and alleles" in text]
    assert told.startswith("2 records")


def test_ids_that_plink2_takes(tmp_path):
    """Of long alleles, which stay what they are."""
    alleles = ["A" * 20_000, "A" * 19_999 + "C", "G"]
    sites = [Site("1", 5, ["1/2"], "A", ",".join(alleles)), Site("1", 6, ["0/1"])]
    _, store = vcf_store(Vcf(["S0"], sites), tmp_path)
    words = ("--format", "plink2", "--variant-id-template", "@:#:$r:$a", "--multiallelic", "split")
    made = make_files(store, tmp_path / "made", *words)
    plink2("--pfile", made, "--write-snplist", "--out", tmp_path / "its")
    ids = (tmp_path / "its.snplist").read_text().splitlines()
    assert len(set(ids)) == 4 and ids[2:] == ["1:5:A:G", "1:6:A:G"]
    plan = plan_view(store, tmp_path / "plan", *words)
    (told,) = [text for text in plan.warnings if "16,000 bytes" in text]
    assert told.startswith("2 IDs that --variant-id-template makes")
    pvar = made.with_suffix(".pvar").read_text().splitlines()
    assert [line.split("\t")[4] for line in pvar if line[0] != "#"][:3] == alleles


def test_a_store_without_such_sites_has_the_same_tables(tmp_path):
    store = convert(write_vcf(tmp_path / "x.vcf", 30, 5, most=2), tmp_path / "x.vcz")
    plain = plan_view(store, tmp_path / "plain")
    split = plan_view(store, tmp_path / "split", "--multiallelic", "split")
    assert split.streamed == plain.streamed
    assert not [name for name in os.listdir(tmp_path / "split") if "u16" in name or "u32" in name]


def test_alleles_that_are_none(stores, tmp_path):
    store = tmp_path / "x.vcz"
    run("cp", "-r", stores["one-chunk"], store)
    calls = zarr.open_group(store, mode="r+")["call_genotype"]
    values = calls[:]
    values[np.flatnonzero(values.max(axis=(1, 2)) > 1)[0], 0, 0] = -5
    calls[:] = values
    with pytest.raises(BiofuseError, match="below -2"):
        make_files(store, tmp_path / "made", "--multiallelic", "split")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_allele_that_the_site_does_not_have(layout, stores, tmp_path):
    """An error in every format, as it is in a `.bcf`."""
    store = tmp_path / "x.vcz"
    run("cp", "-r", stores[layout], store)
    root = zarr.open_group(store, mode="r+")
    counts = (root["variant_allele"][:] != "").sum(axis=1)
    site = int(np.flatnonzero(counts == 3)[0])
    calls = root["call_genotype"]
    calls[site, 2] = [0, 3]
    message = rf"that the site does not have \(variant {site} of the store and sample 2, counted"
    for policy in SAME:
        for name in ("plink", "bgen", "plink2"):
            words = ("--format", name, "--multiallelic", policy)
            with pytest.raises(BiofuseError, match=message):
                make_files(store, tmp_path / f"{policy}.{name}", *words)
    with pytest.raises(BiofuseError, match=message):
        make_files(store, tmp_path / "bcf", "--format", "bcf")
    # Of the samples that have none, all is shown.
    words = ("-s", "^s2", "--multiallelic", "split")
    ours, theirs = (
        make_files(each, tmp_path / name, *words).with_suffix(".bed").read_bytes()
        for each, name in ((store, "ours"), (stores[layout], "theirs"))
    )
    assert ours == theirs


def test_a_site_of_too_many_alleles():
    """Its ALTs do not begin again at 1."""
    alleles = TextArray.of(["A"] * (1 << 16))
    alleles = TextArray(alleles.data, alleles.starts[None], alleles.sizes[None])
    with pytest.raises(
        BiofuseError, match=r"65,536 alleles, .* up to 65,535 .* --multiallelic drop"
    ):
        split_alts(alleles)
    assert split_alts(alleles[:, :-1]).alts[-1] == (1 << 16) - 2


def test_policies_that_there_are(stores):
    assert parse(stores["fast"], "--multiallelic", "split-missing").multiallelic == "split-missing"


def _read(fast, file: int, offset: int, size: int) -> bytes:
    while not isinstance(found := fast.engine.read(file, offset, size), bytes):
        assert fast.give(found), (found.array, found.chunk_row)
    return found


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_bytes_of_the_engine(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("split")
    num_sites = data.draw(st.integers(1, 40))
    num_samples = data.draw(st.integers(1, 40))
    most = data.draw(st.integers(3, 30))
    vcf = write_vcf(folder / "x.vcf", num_sites, num_samples, most, data.draw(st.integers(0, 99)))
    rows, columns = data.draw(st.integers(1, 50)), data.draw(st.integers(1, 50))
    store = convert(vcf, folder / "x.vcz", variants_chunk_size=rows, samples_chunk_size=columns)
    policy = data.draw(st.sampled_from(list(SAME)))
    words = ("--multiallelic", policy, *ALL)
    made = make_files(store, folder / "made", *words)
    plan = plan_view(store, folder / "plan", *words)
    fast = open_fast_path(plan, folder / "plan", data.draw(st.sampled_from([4 << 20, 64 << 20])))
    for _ in range(6):
        file = data.draw(st.integers(0, len(plan.streamed) - 1))
        whole = (made.parent / plan.streamed[file].name).read_bytes()
        offset = data.draw(st.integers(0, len(whole) + 3))
        size = data.draw(st.integers(0, len(whole) + 3))
        assert _read(fast, file, offset, size) == whole[offset : offset + size]


def test_values_cannot_be_split(vcf, tmp_path):
    store = convert(vcf, tmp_path / "x.vcz")
    shape = zarr.open_group(store, mode="r")["call_genotype"].shape
    add_field(store, "call_DS", np.zeros((*shape[:2], 4), "f4"), chunks=shape[:2])
    words = ("--format", "plink2", "--dosage", "DS", "--multiallelic")
    with pytest.raises(BiofuseError, match=r"several ALTs, and call_DS cannot .* drop"):
        plan_view(store, tmp_path / "plan", *words, "split")
