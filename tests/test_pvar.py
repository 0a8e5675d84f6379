"""`.pvar` against plink2's own, of VCFs as bcftools writes them."""

import random
import re
from dataclasses import replace

import numpy as np
import pytest
import zarr
from support.oracles import plink2, run
from support.plink2 import body, make_pgen
from support.stores import convert, copy_store, make_store, random_genotypes
from support.views import make_files, parse

from biofuse.errors import BiofuseError
from biofuse.plan.build import build_plan

# In the order in which the fields of a store are shown.
HEADER = """\
##fileformat=VCFv4.3
##fileDate=20260101
##source=somebody
##FILTER=<ID=PASS,Description="All filters passed">
##FILTER=<ID=q10,Description="Quality below 10">
##FILTER=<ID=s50,Description="Half of the samples">
##INFO=<ID=AA,Number=1,Type=Character,Description="Ancestral allele">
##INFO=<ID=AC,Number=A,Type=Integer,Description="Count">
##INFO=<ID=AD,Number=R,Type=Integer,Description="Depths">
##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency, in all">
##INFO=<ID=CSQ,Number=.,Type=String,Description="Consequences: a|b">
##INFO=<ID=DB,Number=0,Type=Flag,Description="In a database">
##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">
##INFO=<ID=H.2,Number=.,Type=Float,Description="Any number">
##INFO=<ID=NOTE,Number=1,Type=String,Description="Words">
"""
OTHERS = """\
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##ALT=<ID=DEL,Description="Deletion">
##reference=file:///reference.fa
"""
CONTIGS = {"chr1": 248956422, "chr20": 64444167, "chrX": 156040895, "chrUn_5": None}


def info_text(rng: random.Random) -> str:
    """Keys in order, each there or not."""
    number = rng.choice([rng.randrange(10), rng.randrange(10**9)])
    floats = [f"{rng.choice([rng.random(), rng.gauss(0, 1e6), 10 ** rng.uniform(-30, 30)]):.6g}"]
    floats += [f"{rng.random():.3g}", ".", "0", "1", "-0.5"]
    fields = {
        "AA": rng.choice("ACGT"),
        "AC": str(number),
        "AD": f"{rng.randrange(99)},{rng.randrange(300)}",
        "AF": rng.choice(floats[:2]),
        "CSQ": ",".join(
            rng.choice(["a|b|", "x", "missense&splice|é"]) for _ in range(rng.randrange(1, 4))
        ),
        "DB": None,
        "DP": str(rng.randrange(10**6)),
        "H.2": ",".join([floats[0], *rng.choices(floats, k=rng.randrange(4))]),
        "NOTE": rng.choice(["w", "some-words", "x" * 300]),
    }
    shown = [
        key if value is None else f"{key}={value}"
        for key, value in fields.items()
        if rng.random() < 0.5
    ]
    return ";".join(shown) or "."


def write_vcf(
    path, num_sites, *, qual=None, filters=None, info=None, contigs=tuple(CONTIGS), seed=1
):
    """A VCF of three samples, with what is given for every site, or any values."""
    rng = random.Random(seed)
    with open(path, "w") as f:
        f.write(HEADER)
        for contig, length in CONTIGS.items():
            f.write(f"##contig=<ID={contig}" + (f",length={length}>\n" if length else ">\n"))
        f.write(OTHERS)
        f.write("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb\tc\n")
        for i in range(num_sites):
            contig = contigs[i * len(contigs) // num_sites]
            alleles = rng.choice(
                [("A", "G"), ("ACGT", "A"), ("T", "<DEL>"), ("C", "*"), ("G", ".")]
            )
            columns = (
                qual(i) if qual else rng.choice([".", "0", "7", "30.5", "99", "1.5e-07", "123457"]),
                filters(i) if filters else rng.choice([".", "PASS", "q10", "q10;s50", "s50"]),
                info(i) if info else info_text(rng),
            )
            names = (contig, str(10 + 7 * i), rng.choice([".", f"rs{i}"]), *alleles)
            f.write("\t".join((*names, *columns, "GT", "0/0", "./.", "0/0")) + "\n")
    return path


def check(path, tmp_path, *options, chunk=13):
    """The whole files of a VCF, made here and by plink2."""
    store = convert(path, tmp_path / "x.vcz", variants_chunk_size=chunk)
    ours = make_files(store, tmp_path / "ours", "--format", "plink2", *options)
    theirs = make_pgen(path, tmp_path / "theirs")
    made, wanted = (stem.with_suffix(".pvar").read_text() for stem in (ours, theirs))
    assert _any_number(made).splitlines() == _any_number(wanted).splitlines()
    return ours


def _any_number(text: str) -> str:
    """A store does not tell a field of any number from one, where there is one at most."""
    return re.sub("ID=(CSQ|H.2),Number=1,", r"ID=\1,Number=.,", text)


# Where columns are that plink2 leaves out, or begin after some batches.
SITES = {
    "any": {},
    "no-quality": {"qual": lambda i: "."},
    "no-filters": {"filters": lambda i: "."},
    "neither": {"qual": lambda i: ".", "filters": lambda i: "."},
    "all-pass": {"filters": lambda i: "PASS"},
    "no-info": {"info": lambda i: "."},
    "nothing": {"qual": lambda i: ".", "filters": lambda i: ".", "info": lambda i: "."},
    "late-quality": {"qual": lambda i: "5" if i == 140 else "."},
    "late-filter": {"filters": lambda i: "q10" if i > 120 else "."},
    "both-late": {
        "qual": lambda i: "0.5" if i > 60 else ".",
        "filters": lambda i: "s50" if i > 145 else ".",
    },
    "few-contigs": {"contigs": ("chr20", "chrUn_5")},
}


@pytest.mark.parametrize("name", SITES)
def test_as_plink2_has_it(name, tmp_path):
    check(write_vcf(tmp_path / "x.vcf", 150, **SITES[name]), tmp_path)


def test_numbers(tmp_path):
    """Floats of every size: plink2 writes QUAL itself, and bcftools INFO."""
    rng = random.Random(4)
    values = [0.1, 0.5, 1, 9.999995, 99999.95, 999999.5, 1e6, 123456.5, 1e-4, 9.99999e-5, 2**24]
    values += [1000.125, 0.0001220703125, 262144.25, 16777217, 3.5e-38, 3e38, 1e-7]
    values += [10 ** rng.uniform(-37, 38) for _ in range(1200)]
    values += [
        round(rng.uniform(0, 10**k), n) for k in range(1, 8) for n in range(6) for _ in range(20)
    ]
    plain = write_vcf(
        tmp_path / "plain.vcf",
        len(values),
        qual=lambda i: f"{values[i]!r}",
        info=lambda i: f"AF={values[i]!r};DP=1;H.2=-{values[i]!r},.,{values[-i]!r}",
    )
    # bcftools' numbers, through BCF.
    run("bcftools", "view", "-Ob", "-o", tmp_path / "x.bcf", plain)
    run("bcftools", "view", "-o", tmp_path / "x.vcf", tmp_path / "x.bcf")
    assert f"AF={values[-1]!r}" in plain.read_text()
    check(tmp_path / "x.vcf", tmp_path, chunk=500)


def test_names_of_contigs_as_the_store_has_them(tmp_path):
    path = write_vcf(tmp_path / "x.vcf", 20)
    ours = check(path, tmp_path)
    store = tmp_path / "x.vcz"
    named = make_files(store, tmp_path / "named", "--format", "plink2", "--contig-names", "store")
    made, other = (stem.with_suffix(".pvar").read_text() for stem in (ours, named))
    head, lines = made.partition("#CHROM")[::2]
    assert other.startswith(head)
    shown = [line.split("\t", 1) for line in other.splitlines() if not line.startswith("#")]
    assert {contig for contig, _ in shown} == set(CONTIGS)
    assert [rest for _, rest in shown] == [x.split("\t", 1)[1] for x in lines.splitlines()[1:]]


def test_without_info(tmp_path):
    path = write_vcf(tmp_path / "x.vcf", 30)
    store = convert(path, tmp_path / "x.vcz", variants_chunk_size=7)
    ours = make_files(store, tmp_path / "ours", "--format", "plink2", "--no-pvar-info")
    columns = "pvar-cols=-xheader,-maybequal,-maybefilter,-maybeinfo"
    theirs = make_pgen(path, tmp_path / "theirs", columns)
    made = ours.with_suffix(".pvar").read_text()
    assert made == theirs.with_suffix(".pvar").read_text()
    assert made.startswith("#CHROM\tPOS\tID\tREF\tALT\n")


def test_selected_variants(tmp_path):
    path = write_vcf(tmp_path / "x.vcf", 90)
    store = convert(path, tmp_path / "x.vcz", variants_chunk_size=8)
    chosen = "FILTER='q10' || INFO/DP>500000"
    ours = make_files(store, tmp_path / "ours", "--format", "plink2", "-i", chosen)
    run("bcftools", "view", "-i", chosen, "-o", tmp_path / "chosen.vcf", path)
    theirs = make_pgen(tmp_path / "chosen.vcf", tmp_path / "theirs")
    lines = body(ours.with_suffix(".pvar"))
    assert lines == body(theirs.with_suffix(".pvar"))
    assert 10 < len(lines) < 80


def test_dropped_sites_leave_others_their_own(tmp_path):
    """INFO is that of the variant that is kept."""
    path = write_vcf(tmp_path / "x.vcf", 60)
    lines = path.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("#CHROM")) + 1
    for i in range(first, len(lines), 4):
        fields = lines[i].split("\t")
        fields[4], fields[7] = "C,TT", "DP=1"
        lines[i] = "\t".join(fields)
    path.write_text("\n".join(lines) + "\n")
    store = convert(path, tmp_path / "x.vcz", variants_chunk_size=9)
    ours = make_files(store, tmp_path / "ours", "--format", "plink2", "--multiallelic", "drop")
    theirs = make_pgen(path, tmp_path / "theirs", "--max-alleles", "2")
    assert body(ours.with_suffix(".pvar")) == body(theirs.with_suffix(".pvar"))


def test_a_store_without_such_fields(tmp_path):
    """As sgkit and simulators write them."""
    store = make_store(tmp_path / "x.vcz", random_genotypes(12, 5))
    ours = make_files(store, tmp_path / "ours", "--format", "plink2")
    lines = ours.with_suffix(".pvar").read_text().splitlines()
    assert [line.count("\t") for line in lines[:2]] == [0, 0]
    assert lines[:3] == ["##contig=<ID=1>", "##contig=<ID=2>", "#CHROM\tPOS\tID\tREF\tALT"]
    plink2("--pfile", ours, "--freq", "--out", tmp_path / "out")


def add_variant_field(store, name, values, **attributes):
    root = zarr.open_group(store, mode="r+")
    array = root.create_array(name, shape=values.shape, dtype=values.dtype, chunks=values.shape)
    array[...] = values
    array.attrs.update(attributes)


def test_fields_of_other_kinds(tmp_path):
    store = make_store(tmp_path / "x.vcz", random_genotypes(3, 5))
    fill, missing = np.array([0x7FF0000000000002, 0x7FF0000000000001], "u8").view("f8")
    add_variant_field(
        store, "variant_D8", np.array([[0.25, fill], [missing, 1.5], [missing, fill]])
    )
    add_variant_field(store, "variant_F", np.array([1, 0, 1], "i1"), dtype="bool")
    add_variant_field(store, "variant_I8", np.array([2**40, -1, -(2**40)]))
    add_variant_field(store, "variant_U", np.array([2**64 - 1, 0, 3], "u8"))
    # What is no INFO: a mask, a name that VCF does not allow, other dimensions, no site.
    add_variant_field(store, "variant_I8_mask", np.zeros(3, bool))
    add_variant_field(store, "variant_a-b", np.zeros(3))
    add_variant_field(store, "variant_cube", np.zeros((3, 2, 2)))
    add_variant_field(store, "variant_bits", np.zeros((3, 2), bool))
    add_variant_field(store, "variant_other", np.zeros(4))
    ours = make_files(store, tmp_path / "ours", "--format", "plink2")
    lines = body(ours.with_suffix(".pvar"))
    assert [line.split("\t")[5] for line in lines] == [
        "INFO",
        "D8=0.25;F;I8=1099511627776;U=9223372036854775807",
        "D8=.,1.5;U=0",
        "F;I8=-1099511627776;U=3",
    ]
    head = ours.with_suffix(".pvar").read_text().partition("#CHROM")[0].splitlines()
    assert head[:4] == [
        f'##INFO=<ID={key},Number={number},Type={kind},Description="">'
        for key, number, kind in (
            *(("D8", ".", "Float"), ("F", "0", "Flag")),
            *(("I8", "1", "Integer"), ("U", "1", "Integer")),
        )
    ]


def spoil_chunk(store, name):
    chunk = next(p for p in sorted((store / name).rglob("*")) if p.name[0].isdigit())
    chunk.write_bytes(b"x" * 50)


def spoil_metadata(store, name):
    path = store / name / ".zarray"
    path.write_text(path.read_text().replace('"shape"', '"shapes"'))


@pytest.fixture(scope="module")
def annotated(made):
    def make(folder):
        return convert(write_vcf(folder / "x.vcf", 30), folder / "x.vcz", variants_chunk_size=7)

    return made("pvar-annotated", make)


@pytest.mark.parametrize("field", ["variant_DP", "variant_CSQ", "variant_quality", "filter_id"])
@pytest.mark.parametrize("spoil", [spoil_chunk, spoil_metadata])
def test_a_field_that_cannot_be_read_is_of_this_format_alone(field, spoil, annotated, tmp_path):
    store = copy_store(annotated, tmp_path / "x.vcz")
    spoil(store, field)
    (tmp_path / "plan").mkdir()
    view = replace(parse(store, "--format", "plink", "--format", "plink2"), required=[])
    plan = build_plan(view, str(tmp_path / "plan"), lambda done, total: None)
    assert [streamed.format for streamed in plan.streamed] == ["plink"], plan.left_out
    assert field in plan.left_out["plink2"]
    made = make_files(store, tmp_path / "made", "--format", "plink2", "--no-pvar-info")
    assert made.with_suffix(".pvar").exists()


def test_chunks_that_are_lost_are_told(annotated, tmp_path):
    store = copy_store(annotated, tmp_path / "x.vcz")
    (store / "variant_DP" / "1").unlink()
    (tmp_path / "plan").mkdir()
    plan = build_plan(
        parse(store, "--format", "plink2"), str(tmp_path / "plan"), lambda done, total: None
    )
    (said,) = plan.warnings
    assert "variant_DP" in said and "is shown as 0: right if zarr left them out" in said


@pytest.mark.parametrize("text", ["a b", "a\tb", "a\nb", " "])
def test_white_space_in_info(text, tmp_path):
    """plink2 refuses a VCF of such, and reads a `.pvar` up to a space, in silence."""
    store = make_store(tmp_path / "x.vcz", random_genotypes(3, 5))
    add_variant_field(store, "variant_X", np.array(["a", text, "c"]))
    with pytest.raises(BiofuseError, match=r"1'?:14.* its INFO contains white .*--no-pvar-info"):
        make_files(store, tmp_path / "made", "--format", "plink2")
    made = make_files(store, tmp_path / "other", "--format", "plink2", "--no-pvar-info")
    assert len(body(made.with_suffix(".pvar"))) == 4
