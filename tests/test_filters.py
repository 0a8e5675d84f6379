"""Sites that are kept by what they are: the same as bcftools keeps, or an error."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import zarr
from support.filter_cases import Expressions, write_vcf
from support.oracles import bcftools_view
from support.stores import chunk_files, convert, make_store, random_genotypes, vcf_store
from support.vcf import Site, Vcf
from support.views import make_view, parse

from biofuse.errors import BiofuseError
from biofuse.plan.filters import filter_variants
from biofuse.plan.selection import resolve
from biofuse.stores import Location, open_store
from biofuse.stores.location import open_group


def kept(store: Path, *options) -> list[int]:
    """Positions that a view has, as its options are resolved."""
    location = Location(str(store))
    group = open_group(location)
    positions = group["variant_position"][:]
    resolved = resolve(location, group, open_store(location), parse(store, *options).selection)
    return positions[resolved.kept(0, len(positions))].tolist()


def positions_of(vcf: Path, *options) -> list[int]:
    """Positions that bcftools keeps; an error if it fails."""
    command = ["bcftools", "view", "-H", *map(str, options), str(vcf)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return [int(line.split("\t")[1]) for line in done.stdout.splitlines()]


def make_cases(directory: Path) -> tuple[Path, Path]:
    vcf = write_vcf(directory / "cases.vcf", seed=7)
    return vcf, convert(vcf, directory / "cases.vcz", variants_chunk_size=17, samples_chunk_size=4)


def make_counted(directory: Path) -> tuple[Path, Path]:
    vcf = write_vcf(directory / "counted.vcf", seed=8, counted=True)
    return vcf, convert(
        vcf, directory / "counted.vcz", variants_chunk_size=17, samples_chunk_size=4
    )


SOME = "S7,S1,S3"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("samples", [None, SOME])
def test_random_expressions_as_in_bcftools(seed, samples, made, tmp_path):
    """Site for site. What bcftools understands of these, is understood here."""
    vcf, store = made("filter-cases", make_cases)
    more = [] if samples is None else ["-s", samples]
    if samples is not None:
        vcf = bcftools_view(vcf, tmp_path / "some.vcf", *more)
    expressions = Expressions(seed)
    telling = 0
    for number in range(40):
        text = expressions.any(number % 3)
        option = "-e" if number % 4 == 3 else "-i"
        found = kept(store, option, text, *more)
        assert found == positions_of(vcf, option, text), f"{option} {text!r}"
        telling += 0 < len(found) < 150
    assert telling > 20


@pytest.mark.slow
def test_random_expressions_where_counts_are_stored(made):
    """INFO/AC and INFO/AN, which the calls do not agree with, decide where they are."""
    vcf, store = made("filter-counted", make_counted)
    expressions = Expressions(100)
    for number in range(40):
        text = expressions.any(number % 3)
        assert kept(store, "-i", text) == positions_of(vcf, "-i", text), text


FIRST_TYPED = [
    "MAF>0.01",
    "MAF>=0.05 && MAF<=0.5",
    "MAC>=2",
    "AC>0",
    "AC=0",
    "AN>11",
    "AF<0.2 || AF>0.8",
    "N_PASS(GT='alt')>3",
    "F_PASS(GT!='mis')>0.9",
    "F_MISSING<0.1",
    "N_MISSING=0",
    "QUAL>=6.3",
    'QUAL!="."',
    'FILTER="PASS"',
    'FILTER!="PASS"',
    'TYPE="snp"',
    'TYPE!="indel" & QUAL>5',
    "N_ALT=1",
    "ILEN<0",
    "STRLEN(REF)>1",
    'ID!="."',
    'ID~"^rs1"',
    'CHROM="chr2" && POS>=400',
    'GT="het"',
    'GT="0/1" | GT="1|1"',
    "INFO/DPX>5",
    "FMT/DP>=8 & GT='het'",
    "FMT/AD[*:1]>1",
    "AVG(FMT/DP)>7",
    "FLG=1",
]


@pytest.mark.slow
@pytest.mark.parametrize("text", FIRST_TYPED)
@pytest.mark.parametrize("case", ["filter-cases", "filter-counted"])
def test_what_users_type_first(text, case, made):
    vcf, store = made(case, make_cases if case == "filter-cases" else make_counted)
    for option in ("-i", "-e"):
        found = kept(store, option, text)
        assert found == positions_of(vcf, option, text)
    assert 0 < len(found) < 150


@pytest.mark.parametrize(
    "text",
    [
        *("AC<=1", "INFO/AC!=1", "INFO/AC[0]=0", "AN<6", "INFO/AN=6", 'AC="."', "AC/AN>=0.5"),
        *("AF>0.3", "INFO/AF<=0.25", "MAF>0.1", "MAC=1"),
    ],
)
def test_stored_counts_of_some_samples(text, made):
    """bcftools writes INFO/AC and INFO/AN anew when it subsets, and leaves INFO/AF as it is."""
    vcf, store = made("filter-counted", make_counted)
    some = bcftools_view(vcf, store.parent / "counted-some.vcf", "-s", SOME)
    found = kept(store, "-s", SOME, "-i", text)
    assert found == positions_of(some, "-i", text)
    assert 0 < len(found) < 150


@pytest.mark.parametrize("limit", ["0.05", "0.3", "0.35", "0.7", "0.9"])
def test_frequencies_that_equal_the_limit(limit, tmp_path):
    """bcftools has the limit in single precision: 1 of 20 is less than 0.05."""
    calls = [["1/1"] * (i // 2) + ["0/1"] * (i % 2) + ["0/0"] * 10 for i in range(21)]
    sites = [Site("1", i + 1, each[:10]) for i, each in enumerate(calls)]
    vcf, store = vcf_store(Vcf([f"S{i}" for i in range(10)], sites), tmp_path, "limit")
    for option in ("-q", "-Q"):
        assert kept(store, option, limit) == positions_of(vcf, option, limit)


OPTIONS = {
    "apply-filters": ["-f", "PASS"],
    "apply-filters-list": ["--apply-filters", "PASS,."],
    "apply-filters-one-of-two": ["-f", "s50"],
    "min-ac": ["-c", "3"],
    "max-ac": ["-C", "2"],
    "min-ac-zero": ["-c", "0"],
    "min-ac-minor": ["--min-ac", "2:minor"],
    "max-ac-minor": ["-C", "1:minor"],
    "min-ac-major": ["-c", "14:major"],
    "min-ac-nonmajor": ["-c", "1:nonmajor"],
    "max-ac-nonmajor": ["-C", "1:nonmajor"],
    "min-af": ["-q", "0.25"],
    "max-af": ["-Q", "0.25"],
    "min-af-zero": ["-q", "0"],
    "min-af-minor": ["--min-af", "0.1:minor"],
    "max-af-minor": ["-Q", "0.3:minor"],
    "max-af-major": ["-Q", "0.75:major"],
    "min-af-nonmajor": ["-q", ".3:nonmajor"],
    "known": ["-k"],
    "novel": ["-n"],
    "uncalled": ["-u"],
    "exclude-uncalled": ["-U"],
    "genotype-hom": ["-g", "hom"],
    "genotype-het": ["-g", "het"],
    "genotype-miss": ["-g", "miss"],
    "genotype-not-hom": ["-g", "^hom"],
    "genotype-not-het": ["-g", "^het"],
    "genotype-not-miss": ["-g", "^miss"],
    "min-alleles": ["-m", "2"],
    "max-alleles": ["-M", "1"],
    "together": ["-f", "PASS,q10", "-q", "0.1", "-k", "-v", "snps", "-e", "QUAL<5"],
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("samples", [None, SOME])
def test_options_as_in_bcftools(name, samples, made, tmp_path):
    """Of a subset, counts are of its samples: these options look after subsetting."""
    vcf, store = made("filter-cases", make_cases)
    more = [] if samples is None else ["-s", samples]
    found = kept(store, *OPTIONS[name], *more)
    if samples is not None and name.startswith("genotype"):
        # bcftools 1.16 looks at as many calls, but at the first ones, if it subsets itself.
        vcf, more = bcftools_view(vcf, tmp_path / "some.vcf", *more), []
    if samples is not None and name == "together":
        # bcftools decides about expressions before it subsets; this one is of sites alone.
        assert OPTIONS[name][-1] == "QUAL<5"
    assert found == positions_of(vcf, *OPTIONS[name], *more)
    if name not in ("min-ac-zero", "uncalled", "max-alleles", "min-ac-major"):
        assert 0 < len(found) < 150


@pytest.mark.parametrize("name", [name for name in OPTIONS if "-a" in name])
def test_options_where_counts_are_stored(name, made):
    vcf, store = made("filter-counted", make_counted)
    assert kept(store, *OPTIONS[name]) == positions_of(vcf, *OPTIONS[name])


def make_carriers(directory: Path) -> tuple[Path, Path]:
    """Sites at which one sample or two have an alternative allele, or none."""
    names = [f"S{i}" for i in range(5)]
    sites = []
    for i, carriers in enumerate(("", "0", "1", "2", "01", "12", "34", "013", "3", "4")):
        calls = ["0/1" if str(k) in carriers else "0/0" for k in range(5)]
        sites.append(Site("1", 10 * i + 10, calls))
    sites.append(Site("1", 500, ["./.", "0/1", "./.", "./.", "./."]))
    return vcf_store(Vcf(names, sites), directory, "carriers")


@pytest.mark.parametrize("samples", ["S1", "^S1", "S3,S4", "S1,S0"])
def test_private_sites(samples, made):
    vcf, store = made("carriers", make_carriers)
    for option in ("-x", "-X"):
        found = kept(store, option, "-s", samples)
        assert found == positions_of(vcf, option, "-s", samples)
        assert 0 < len(found) < 11


ALLELES = [
    *(("A", "G"), ("A", "G,T"), ("A", "AT"), ("AT", "A"), ("AT", "GC"), ("ATG", "GCA")),
    *(("ACG", "ATG"), ("A", "<DEL>"), ("A", "<*>"), ("A", "*"), ("A", "A[1:100["), ("A", ".")),
    *(("A", "]1:100]A"), ("A", "G,AT"), ("AT", "A,GC"), ("A", "G,*"), ("A", "G,<DEL>")),
    *(("A", "G,<*>"), ("A", "<NON_REF>"), ("ATG", "GT"), ("AC", "GTT"), ("A", "<INS>")),
    *(("A", "<DUP:TANDEM>"), ("a", "g"), ("A", "a"), ("ac", "A"), ("A", "N"), ("AT", "GC,G")),
    *(("A", "X"), ("A", "<X>"), ("CAT", "CA,CGT"), ("A", "*,AT"), ("A", ".A"), ("A", "A.")),
    *(("ACGT", "AGGA"), ("AAA", "AA"), ("AT", "TA"), ("A", "TA"), ("TA", "A"), ("CTA", "GA")),
    *(("ATT", "CT"), ("A", "<DEL>,AT"), ("AC", "A[1:100["), ("A", "[1:100[A"), ("AC", "ac")),
    *(("A", "G,A[1:100["), ("AC", "*"), ("AC", "<*>"), ("AC", "AC,A"), ("TAA", "TA,T")),
    *(("TCC", "TC,TCCC"), ("GCC", "CCC"), ("CAAT", "CTT"), ("AGG", "TGGG"), ("A", "]1:1]AT")),
]


def make_types(directory: Path) -> tuple[Path, Path]:
    sites = [
        Site("1", 10 * i + 10, ["0/0"], ref=ref, alt=alt) for i, (ref, alt) in enumerate(ALLELES)
    ]
    return vcf_store(Vcf(["S1"], sites), directory, "types", variants_chunk_size=10)


@pytest.mark.parametrize(
    "types", ["snps", "indels", "mnps", "other", "bnd", "snps,indels", "mnps,other,bnd"]
)
def test_types_of_every_kind_of_site(types, made):
    """Mixed sites too: one allele of the type is enough to keep a site, or to leave it out."""
    vcf, store = made("types", make_types)
    for option in ("-v", "-V"):
        found = kept(store, option, types)
        assert found == positions_of(vcf, option, types)
        assert 0 < len(found) < len(ALLELES)


@pytest.mark.parametrize("word", ["snp", "indel", "mnp", "other", "ref", "bnd", "overlap"])
@pytest.mark.parametrize("operator", ["=", "!=", "~", "!~"])
def test_types_in_expressions(word, operator, made):
    vcf, store = made("types", make_types)
    text = f'TYPE{operator}"{word}"'
    found = kept(store, "-i", text)
    assert found == positions_of(vcf, "-i", text)
    assert 0 < len(found) < len(ALLELES)


@pytest.mark.parametrize(
    "text", ["ILEN=1", "ILEN<0", "ILEN>0", "ILEN!=-1", "N_ALT=2", "STRLEN(ALT)>2", 'ALT~"<"']
)
def test_lengths_of_every_kind_of_site(text, made):
    vcf, store = made("types", make_types)
    assert kept(store, "-i", text) == positions_of(vcf, "-i", text) != []


REFUSED = {
    ("-v", "ref"): "--types 'ref': types are snps, indels, mnps, other, bnd",
    ("-V", "snp"): "--exclude-types 'snp': types are",
    ("-f", "nope"): "--apply-filters 'nope': the store has no such filter, but PASS, q10, s50",
    ("-q", "1.5"): "--min-af '1.5' is not understood",
    ("-q", "0.1:alt2"): ":nref, :alt1, :minor, :major, :nonmajor",
    ("-c", "1.5"): "--min-ac '1.5' is not understood",
    ("-c", "-1"): "--min-ac '-1' is not understood",
    ("-m", "0"): "--min-alleles 0: every site has an allele",
    ("-g", "hap"): "--genotype 'hap' is not understood",
    ("-x",): "need some of the samples: add -s or -S",
    ("-u", "-U"): "--uncalled and --exclude-uncalled are not given together",
    ("-i", "QUAL>1", "-e", "QUAL>2"): "join them with &&",
    ("-i", ""): "its end is not expected, at character 1",
    ("-i", "QUAL"): "this is compared with nothing, at character 1",
    ("-i", "QUAL>5 &&"): "its end is not expected, at character 10",
    ("-i", "QUAL>"): "its end is not expected, at character 6",
    ("-i", "QUAL>5 and POS>1"): "'and' is not expected, at character 8",
    ("-i", "QUAL>>5"): "'>' is not expected, at character 6",
    ("-i", "1<QUAL<5"): "'<' is not expected, at character 7",
    ("-i", "(QUAL>5"): "its end is not expected, at character 8",
    ("-i", "QUAL>5)"): "')' is not expected, at character 7",
    # Each function within another doubles the ways to read it.
    ("-i", f"QUAL>5 && {'MAX(' * 60}QUAL"): "this is compared with nothing, at character 251",
    ("-i", f"{'(' * 2000}QUAL>5{')' * 2000}"): "((((...' cannot be used: it joins too many",
    ("-i", "#" * 3000): f"'{'#' * 40}...' is not understood, at character 1",
    ("-i", "QUAL>5 || " * 2000 + "QUAL>6"): "it joins too many conditions",
    ("-i", "QUAL>5 ! POS>1"): "'!' is not understood, at character 8",
    ("-i", "QUAL > #"): "'#' is not understood, at character 8",
    ("-i", "POS%2=0"): "'%2=0' is not understood, at character 4",
    ("-i", "NOPE>1"): "the store has no field NOPE, at character 1",
    ("-i", "POS>1 && INFO/GQ>1"): "the store has no field INFO/GQ, at character 10",
    ("-i", 'QUAL="6.3"'): "QUAL is compared with numbers",
    ("-i", 'MAF="."'): "MAF is compared with numbers",
    ("-i", "TXT=5"): "TXT is no number",
    ("-i", "ID=rs5"): "ID is no number: compare with a text",
    ("-i", 'ID>"rs5"'): "> does not compare texts",
    ("-i", "ID=@snps.txt"): "texts from a file (@) are not offered, at character 4",
    ("-i", 'ID~"rs(1|2)"'): "the pattern 'rs(1|2)' is not offered",
    ("-i", 'TXT~"."'): "would match a missing text",
    ("-i", 'FILTER="nope"'): "the store has no filter 'nope', but PASS, q10, s50",
    ("-i", 'TYPE="ins"'): "there is no type 'ins'",
    ("-i", 'GT="hemi"'): "calls are not compared with ='hemi'",
    ("-i", 'GT="het,hom"'): "calls are not compared with ='het,hom'",
    ("-i", 'GT~"1"'): "calls are not compared with ~'1'",
    ("-i", "GT=1"): "GT is no number",
    ("-i", "N_PASS(QUAL>5)>0"): "N_PASS takes a condition on samples",
    ("-i", "N_PASS(FMT/DP)>0"): "N_PASS() is not offered in this way",
    ("-i", "BINOM(FMT/AD)>0"): "BINOM() is not offered in this way",
    ("-i", "SUM(LST)>2"): "SUM takes FORMAT fields only",
    ("-i", "FMT/AD[0]>2"): "FMT/AD[0] is not understood",
    ("-i", "LST[2]>2"): "LST[2] has no value 2 at variant",
    ("-i", "AF[1]>0"): "AF[1] is not understood",
    ("-i", "10-5-3=2"): "brackets must tell what - and - are of",
    ("-i", "FMT/AD>FMT/DP"): "several values, and the other one a sample",
    ("-i", "FMT/AD>LST"): "different numbers of values",
}


@pytest.mark.parametrize("options", REFUSED, ids=lambda words: " ".join(words)[:60])
def test_what_is_refused_is_told_in_a_line(options, made):
    _, store = made("filter-cases", make_cases)
    with pytest.raises(BiofuseError) as raised:
        kept(store, *options)
    assert REFUSED[options].replace("LST[2] has", "LST has") in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_refused_expression_on_the_command_line(biofuse, made):
    _, store = made("filter-cases", make_cases)
    said = biofuse.fails("mount", store, biofuse.new_directory(), "-i", "MAF>0.01 && DP>>3")
    assert "'MAF>0.01 && DP>>3' cannot be used: '>' is not expected, at character 16 (" in said


def test_a_field_of_both_kinds_must_be_told_apart(made, tmp_path):
    _, store = made("filter-cases", make_cases)
    with pytest.raises(BiofuseError, match="may be INFO/DP or FORMAT/DP: write which"):
        copy = tmp_path / "both.vcz"
        subprocess.run(["cp", "-r", store, copy], check=True)
        subprocess.run(["cp", "-r", copy / "variant_DPX", copy / "variant_DP"], check=True)
        (copy / ".zmetadata").unlink(missing_ok=True)
        kept(copy, "-i", "DP>1")


def test_stores_without_the_fields_that_are_asked_for(tmp_path):
    """sgkit writes no QUAL, FILTER, IDs."""
    store = make_store(tmp_path / "bare.vcz", random_genotypes(40, 7))
    for options, said in (
        (["-f", "PASS"], "--apply-filters needs variant_filter, which the store has not"),
        (["-i", 'FILTER="PASS"'], "FILTER needs variant_filter, which the store has not"),
        (["-i", "QUAL>1"], "QUAL needs variant_quality, which the store has not"),
        (["-i", "FMT/DP>1"], "the store has no field FMT/DP"),
    ):
        with pytest.raises(BiofuseError, match=said):
            kept(store, *options)
    zarr.open_group(store, mode="r+")["variant_id"]
    subprocess.run(["rm", "-r", store / "variant_id"], check=True)
    with pytest.raises(BiofuseError, match="--known and --novel need variant_id"):
        kept(store, "-k")
    assert 0 < len(kept(store, "-i", "MAF>0.3")) < 40


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["v2-zstd", "v3-blosc-zstd-bit", "v3-sharded", "v2-none"])
@pytest.mark.parametrize("ploidy", [1, 2, 3])
def test_counts_of_every_encoding(encoding, ploidy, tmp_path):
    calls = random_genotypes(61, 23, ploidy, seed=ploidy)
    store = make_store(tmp_path / "x.vcz", calls, chunks=(9, 5), encoding=encoding)
    positions = np.arange(1, 62) * 7
    samples = [f"S{i:04d}" for i in (22, 3, 4, 11)]
    some = calls[:, [22, 3, 4, 11]]
    for options, values in (([], calls), (["-s", ",".join(samples)], some)):
        count, total = (values == 1).sum(axis=(1, 2)), (values >= 0).sum(axis=(1, 2))
        assert kept(store, "-c", "4", *options) == positions[count >= 4].tolist()
        assert kept(store, "-i", "AN<=3 | AC=2", *options) == [
            p for p, n, c in zip(positions, total, count, strict=True) if n and (n <= 3 or c == 2)
        ] + [p for p, n in zip(positions, total, strict=True) if not n]
        incomplete = (values == -1).any(axis=2).sum(axis=1)
        assert kept(store, "-i", "N_MISSING=1", *options) == positions[incomplete == 1].tolist()


def test_only_chunks_with_candidates_are_read(made, tmp_path):
    _, store = made("filter-cases", make_cases)
    copy = tmp_path / "cut.vcz"
    subprocess.run(["cp", "-r", store, copy], check=True)
    # All but the third chunk of variants: 34 to 50.
    for file in chunk_files(copy):
        if re.split(r"[./]", str(file.relative_to(copy / "call_genotype")))[0] != "2":
            file.write_bytes(b"nonsense")
    location = Location(str(copy))
    group = open_group(location)
    selection = parse(copy, "-i", "MAF>0.2 && GT='het'").selection
    candidates = np.array([35, 36, 41, 50], dtype=np.uint32)
    found = filter_variants(location, group, selection, None, candidates)
    whole = open_group(Location(str(store)))
    expected = filter_variants(Location(str(store)), whole, selection, None, None)
    assert found.tolist() == [i for i in expected.tolist() if i in candidates] != []
    assert found.dtype == np.uint32
    with pytest.raises(BiofuseError, match=r"call_genotype/1.*Blosc"):
        filter_variants(location, group, selection, None, np.array([20], dtype=np.uint32))


def test_an_allele_that_the_site_has_not(tmp_path):
    calls = random_genotypes(10, 5)
    calls[6, 2, 0] = 3
    store = make_store(tmp_path / "x.vcz", calls)
    with pytest.raises(BiofuseError, match="an allele that the site has not, at variant 6 of"):
        kept(store, "-i", "AC>0")


def test_a_view_of_filtered_sites_on_a_mount(biofuse, made, tmp_path):
    vcf, store = made("filter-cases", make_cases)
    options = ["-i", 'MAF>0.1 && FMT/DP>7 & GT="het"', "-f", "PASS,.", "-s", SOME, "-m", "2"]
    with biofuse.mount(store, *options) as mount:
        seen = mount.fileset()
    assert seen == make_view(store, tmp_path / "plan", *options)
    some = bcftools_view(vcf, tmp_path / "some.vcf", "-I", "-s", SOME)
    expected = positions_of(some, *options[:4], "-m", "2")
    assert [int(line.split("\t")[3]) for line in seen.bim.splitlines()] == expected != []
