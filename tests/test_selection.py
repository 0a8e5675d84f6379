"""Selections: the view equals what converting the subset gives, for every option."""

import random

import pytest
from support.depths import add_depths
from support.oracles import bcftools_view, plink2, plink2_make_bed, vcztools_view_plink
from support.stores import convert, vcf_store
from support.vcf import DIPLOID, HALF, HAPLOID, Site, Vcf, random_vcf, sample_names
from support.views import make_view, plan_view

from biofuse.errors import BiofuseError

# An awkward number of samples, in eight chunks of 13; sites in chunks of 17.
NUM_SAMPLES = 101


def cohort_vcf() -> Vcf:
    """Sites on three contigs, among them deletions that reach into regions."""
    vcf = random_vcf(NUM_SAMPLES, 120, DIPLOID + HALF + HAPLOID, ("1", "chr2", "X"), seed=5)
    rng = random.Random(1)
    calls = rng.choices(DIPLOID, k=NUM_SAMPLES)
    deletion = Site("X", 1000, calls, ref="A" + "CG" * 40, alt="A", id="del", qual="50")
    return Vcf(vcf.samples, [*vcf.sites, deletion])


def make_cohort(directory):
    path, store = vcf_store(
        cohort_vcf(), directory, "cohort", variants_chunk_size=17, samples_chunk_size=13
    )
    (directory / "more.tsv").write_text("1\t149\t300\nX\t1\t180\n")
    (directory / "regions.tsv").write_text("1\t150\t300\nchr2\t200\t250\n")
    (directory / "samples.txt").write_text("S0077\nS0003\nS0050\n")
    return path, store


@pytest.fixture
def cohort(made):
    """The VCF, the store, and a function that puts the files' names into options."""
    path, store = made("cohort", make_cohort)
    folder = store.parent
    return path, store, lambda options: [str(o).replace("{}/", f"{folder}/") for o in options]


# Every option on a mount, some of them together; below, each alone and in this process.
ON_MOUNTS = {
    "regions": ["-r", "1:150-300,X", "-s", "S0099,S0001,S0050,S0013,S0012"],
    "files": ["-R", "{}/regions.tsv", "-S", "{}/samples.txt"],
    "targets": ["-t", "^1,X:100-300", "-i", "QUAL>10"],
    "targets-file": ["-T", "{}/more.tsv", "-s", "S0002,nobody,S0001", "--force-samples"],
    "types": ["-v", "snps", "-e", 'FILTER="PASS"'],
    "exclude-types": ["-V", "snps", "-m", "2", "-s", "^S0000,S0100,S0050"],
    "max-alleles": ["-M", "1", "-S", "^{}/samples.txt"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_MOUNTS)
def test_the_mount_equals_vcztools(name, biofuse, cohort, tmp_path):
    _, store, filled = cohort
    options = filled(ON_MOUNTS[name])
    expected = vcztools_view_plink(store, tmp_path / "v", *options)
    with biofuse.mount(store, *options) as mount:
        assert mount.fileset() == expected
    assert 0 < expected.bim.count("\n") < 121 or expected.fam.count("\n") < 101


ALONE = {
    "regions": ["-r", "1:150-300,X"],
    "regions-long": ["--regions", "X"],
    "regions-within-deletion": ["-r", "X:1050-1060"],
    "regions-overlapping": ["-r", "1:100-250,1:200-300,1:220"],
    "regions-out-of-order": ["-r", "X:100-200,1:100-200"],
    "regions-open": ["-r", "chr2:300-"],
    "regions-file": ["-R", "{}/regions.tsv"],
    "another-regions-file": ["-R", "{}/more.tsv"],
    "targets": ["-t", "chr2:200-250,1"],
    "targets-by-position": ["-t", "1:100-140,X:1050-1060"],
    "targets-complement": ["-t", "^1,X:100-300"],
    "targets-file": ["-T", "{}/more.tsv"],
    "targets-file-complement": ["-T", "^{}/regions.tsv"],
    "regions-and-targets": ["-r", "1,X", "-t", "^1:150-300"],
    "samples": ["-s", "S0099,S0001,S0050,S0013,S0012"],
    "samples-first": ["-s", "S0000"],
    "samples-last": ["-s", "S0100"],
    "samples-complement": ["-s", "^S0000,S0100,S0050"],
    "samples-file": ["-S", "{}/samples.txt"],
    "samples-file-complement": ["-S", "^{}/samples.txt"],
    "force-samples": ["-s", "S0002,nobody,S0001", "--force-samples"],
    "force-samples-complement": ["-s", "^S0002,nobody", "--force-samples"],
    "include": ["-i", "QUAL>10"],
    "include-or": ["-i", "QUAL<10 || INFO/DP>90"],
    "include-filter": ["-i", 'FILTER~"q10"'],
    "include-type": ["-i", 'TYPE="snp"'],
    "include-count-of-subset": ["-s", "S0005,S0006", "-i", "AC>0"],
    "exclude": ["-e", 'FILTER="PASS"'],
    "exclude-and": ["-e", 'POS>200 && CHROM="X"'],
    "types": ["-v", "snps"],
    "exclude-types": ["-V", "snps"],
    "min-alleles": ["-m", "2"],
    "max-alleles": ["-M", "1"],
    "both-allele-limits": ["-m", "2", "-M", "2"],
    "together": ["-r", "1,chr2", "-S", "^{}/samples.txt", "-i", "INFO/DP>20", "-m", "2"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ALONE)
def test_every_selection_equals_vcztools(name, cohort, tmp_path):
    _, store, filled = cohort
    options = filled(ALONE[name])
    expected = vcztools_view_plink(store, tmp_path / "v", *options)
    assert make_view(store, tmp_path / "plan", *options) == expected
    assert 0 < expected.bim.count("\n") < 121 or expected.fam.count("\n") < 101


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 37, 100, 101])
def test_permutations_of_samples(count, cohort, tmp_path):
    """Reordered subsets of every size modulo four, from several chunks of samples."""
    _, store, _ = cohort
    names = random.Random(count).sample(sample_names(NUM_SAMPLES), count)
    seen = make_view(store, tmp_path / "plan", "-s", ",".join(names))
    assert [line.split()[1] for line in seen.fam.splitlines()] == names
    position = {name: i for i, name in enumerate(sample_names(NUM_SAMPLES))}
    sites = [
        Site(s.chrom, s.pos, [s.calls[position[name]] for name in names])
        for s in cohort_vcf().sites
    ]
    assert seen.bed == Vcf(names, sites).bed()
    assert seen == vcztools_view_plink(store, tmp_path / "v", "-s", ",".join(names))


def test_a_permutation_on_a_mount(biofuse, cohort, tmp_path):
    _, store, _ = cohort
    names = sample_names(NUM_SAMPLES)
    random.Random(9).shuffle(names)
    (tmp_path / "order.txt").write_text("\n".join(names) + "\n")
    options = ["-S", tmp_path / "order.txt"]
    with biofuse.mount(store, *options) as mount:
        assert mount.fileset() == vcztools_view_plink(store, tmp_path / "v", *options)


AGAINST_BCFTOOLS = {
    "regions": ["-r", "1:150-300,X:1050-1060"],
    "targets": ["-t", "^chr2"],
    "samples": ["-s", "S0099,S0001,S0050"],
    "samples-complement": ["-s", "^S0000,S0100"],
    "expression": ["-e", "QUAL<50 || INFO/DP<30"],
    "types": ["-v", "snps"],
    "alleles": ["-m", "2", "-M", "2"],
}


@pytest.mark.parametrize("name", AGAINST_BCFTOOLS)
def test_the_view_equals_bcftools_and_plink2(name, cohort, tmp_path):
    path, store, _ = cohort
    options = AGAINST_BCFTOOLS[name]
    # -r needs an index.
    source = path.with_suffix(".vcf.gz") if "-r" in options else path
    subset = bcftools_view(source, tmp_path / "subset.vcf", *options)
    assert make_view(store, tmp_path / "plan", *options) == plink2_make_bed(subset, tmp_path / "p")


def make_with_depths(directory):
    """Calls with a depth each: expressions on samples need a field of one number a call."""
    vcf = random_vcf(23, 70, seed=12)
    path = vcf.write(directory / "plain.vcf")
    path = add_depths(path, directory / "depths.vcf")
    store = convert(
        path, directory / "depths.vcz", variants_chunk_size=8, samples_chunk_size=5, zarr_format=2
    )
    return path, store


@pytest.mark.parametrize(
    ("kind", "expression"), [("-i", "FMT/DP>97"), ("-e", "FMT/DP<2"), ("-i", "FMT/DP>97 & QUAL>5")]
)
@pytest.mark.parametrize("samples", [None, "S0020,S0003,S0011"])
def test_a_site_stays_where_any_sample_matches(kind, expression, samples, made, tmp_path):
    """As in bcftools; vcztools view-plink refuses expressions on samples."""
    path, store = made("depths", make_with_depths)
    options = [kind, expression]
    if samples is not None:
        # With fewer samples these are too rare, and bcftools decides before it subsets.
        options[1] = expression.replace("97", "80").replace("<2", "<20")
    source = path
    more = []
    if samples is not None:
        more = ["-s", samples]
        source = bcftools_view(path, tmp_path / "samples.vcf", "-I", *more)
    subset = bcftools_view(source, tmp_path / "subset.vcf", *options)
    expected = plink2_make_bed(subset, tmp_path / "p")
    assert 0 < len(expected.bim.splitlines()) < 70
    assert make_view(store, tmp_path / "plan", *options, *more) == expected


def test_an_expression_on_samples_on_a_mount(biofuse, made, tmp_path):
    path, store = made("depths", make_with_depths)
    options = ["-i", "FMT/DP>97", "-t", "1:200-600"]
    subset = bcftools_view(path, tmp_path / "subset.vcf", *options)
    with biofuse.mount(store, *options) as mount:
        assert mount.fileset() == plink2_make_bed(subset, tmp_path / "p")


def test_an_empty_result(biofuse, cohort):
    _, store, _ = cohort
    directory = biofuse.new_directory()
    done = biofuse("mount", store, directory, "-i", "QUAL>1000", "-s", "S0001,S0002")
    try:
        assert done.stderr == "biofuse: the view has no variants: the selection leaves none\n"
        assert (directory / "cohort.bed").stat().st_size == 3
        assert (directory / "cohort.bed").read_bytes() == b"\x6c\x1b\x01"
        assert (directory / "cohort.bim").read_bytes() == b""
        assert (directory / "cohort.fam").read_text().count("\n") == 2
    finally:
        biofuse("umount", directory)


def make_multiallelic(directory):
    names = sample_names(7)
    rng = random.Random(3)
    sites = []
    for i in range(60):
        alt, calls = ("G", ("0/0", "0/1", "1/1")) if i % 5 else ("G,T", ("0/1", "1/2", "2/2"))
        if i < 20:
            alt, calls = "G", ("0/0", "0/1", "./.")
        sites.append(Site("chr3", 10 * i + 10, rng.choices(calls, k=7), ref="A", alt=alt))
    return vcf_store(
        Vcf(names, sites), directory, "multi", variants_chunk_size=9, samples_chunk_size=3
    )


def test_multiallelic_sites_are_an_error_that_names_the_first(biofuse, made):
    _, store = made("multi", make_multiallelic)
    said = biofuse.fails("mount", store, biofuse.new_directory())
    assert "chr3:210 has 3 alleles (A,G,T)" in said
    assert "--multiallelic drop" in said
    assert "--multiallelic split" in said
    said = biofuse.fails("mount", store, biofuse.new_directory(), "-r", "chr3:300-")
    assert "chr3:310 " in said


def test_multiallelic_sites_dropped(biofuse, made, tmp_path):
    path, store = made("multi", make_multiallelic)
    expected = vcztools_view_plink(store, tmp_path / "v", "-M", "2")
    assert len(expected.bim.splitlines()) == 52
    with biofuse.mount(store, "--multiallelic", "drop", "-s", "S0006,S0002") as mount:
        few = mount.fileset()
    assert few == vcztools_view_plink(store, tmp_path / "w", "-M", "2", "-s", "S0006,S0002")
    assert make_view(store, tmp_path / "d", "--multiallelic", "drop") == expected
    assert make_view(store, tmp_path / "m", "-M", "2") == expected
    assert make_view(store, tmp_path / "e", "-e", "N_ALT>1") == expected
    assert plink2_make_bed(path, tmp_path / "p", "--max-alleles", "2") == expected


def test_only_selected_sites_are_held_against_the_policy(made, tmp_path):
    _, store = made("multi", make_multiallelic)
    seen = make_view(store, tmp_path / "plan", "-t", "chr3:1-200")
    assert seen == vcztools_view_plink(store, tmp_path / "v", "-t", "chr3:1-200")
    with pytest.raises(BiofuseError, match="chr3:260 has 3 alleles"):
        make_view(store, tmp_path / "other", "-t", "chr3:211-")


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ("chr3:300-320", "1 site of more than two alleles is left out"),
        ("chr3:300-370", "2 sites of more than two alleles are left out"),
    ],
)
def test_how_many_sites_are_dropped_is_said(region, said, made, tmp_path):
    _, store = made("multi", make_multiallelic)
    plan = plan_view(store, tmp_path / "plan", "--multiallelic", "drop", "-r", region)
    assert plan.warnings == [said]


@pytest.mark.parametrize(
    "template", ["@:#:$r:$a", "@:#:$1:$2", "@:#", "chr@_#_$r", "#@$1$2", "x@-#[b38]$r,$a"]
)
def test_variant_id_templates_as_in_plink2(template, cohort, tmp_path):
    path, store, _ = cohort
    expected = plink2_make_bed(
        path,
        tmp_path / "p",
        *("--set-missing-var-ids", template, "--new-id-max-allele-len", "100"),
    )
    seen = make_view(store, tmp_path / "plan", "--variant-id-template", template)
    assert seen == expected
    names = [line.split("\t")[1] for line in seen.bim.splitlines()]
    assert "." not in names
    assert "rs0" in names


def test_a_variant_id_template_on_a_mount(biofuse, cohort, tmp_path):
    path, store, _ = cohort
    with biofuse.mount(store, "--variant-id-template", "@:#:$r:$a", "-m", "2") as mount:
        seen = mount.fileset()
        # Programs that need distinct IDs get them.
        plink2("--bfile", mount.stem, "--indep-pairwise", "50", "5", "0.5", "--out", tmp_path / "i")
    subset = bcftools_view(path, tmp_path / "subset.vcf", "-m", "2")
    options = ["--set-missing-var-ids", "@:#:$r:$a", "--new-id-max-allele-len", "100"]
    assert seen == plink2_make_bed(subset, tmp_path / "p", *options)
