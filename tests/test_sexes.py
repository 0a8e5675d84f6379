"""With sexes of a table, X, Y and MT are what the VCF has: plink2's and PLINK 1.9's own reading.

Males are haploid on X and Y, females have no calls on Y, all are haploid on MT.
"""

import random
import re
import subprocess
from pathlib import Path

import pytest
from support.oracles import plink2, plink19, run
from support.stores import vcf_store
from support.vcf import Site, Vcf, compress, sample_names
from support.views import make_files

NAMES = sample_names(40)
SEXES = [1 + (i * 7 % 5 < 2) for i in range(len(NAMES))]
FORMATS = ("--format", "plink", "--format", "plink2", "--format", "bgen")
CHROMS = {"chr1": 1000, "chrX": 5_000_000, "chrY": 5_000_000, "chrM": 100}
WARNED = ("haploid", "nonmale", "sex", "error", "warning")


def calls_of(chrom: str, rng: random.Random) -> list[str]:
    frequency = rng.uniform(0.1, 0.9)

    def call(sex: int) -> str:
        found = "." if rng.random() < 0.08 else "1" if rng.random() < frequency else "0"
        if chrom == "chr1" or (chrom == "chrX" and sex == 2):
            other = "." if found == "." else "1" if rng.random() < frequency else "0"
            return "/".join(sorted((found, other)))
        return "." if chrom == "chrY" and sex == 2 else found

    return [call(sex) for sex in SEXES]


@pytest.fixture(scope="module")
def vcf() -> Vcf:
    rng = random.Random(8)
    sites = [
        Site(chrom, start + 10 * i, calls_of(chrom, rng), id=f"{chrom}_{i}")
        for chrom, start in CHROMS.items()
        for i in range(40)
    ]
    return Vcf(NAMES, sites)


@pytest.fixture(scope="module")
def source(vcf, made) -> tuple[Path, Path]:
    return made("sexes", lambda folder: vcf_store(vcf, folder))


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("table") / "sexes.tsv"
    rows = zip(NAMES, SEXES, strict=True)
    path.write_text("IID\tSEX\n" + "".join(f"{name}\t{'MF'[sex - 1]}\n" for name, sex in rows))
    return path


@pytest.fixture(scope="module")
def known(source, table, tmp_path_factory) -> Path:
    """The stem of files with sexes."""
    folder = tmp_path_factory.mktemp("known") / "made"
    return make_files(source[1], folder, *FORMATS, "--samples-table", table)


@pytest.fixture(scope="module")
def unknown(source, tmp_path_factory) -> Path:
    """Of those without."""
    return make_files(source[1], tmp_path_factory.mktemp("unknown") / "made", *FORMATS)


def inputs(stem: Path) -> dict[str, tuple]:
    """How plink2 reads each format."""
    bgen = (stem.with_suffix(".bgen"), "ref-first", "--sample", stem.with_suffix(".sample"))
    return {"bed": ("--bfile", stem), "pgen": ("--pfile", stem), "bgen": ("--bgen", *bgen)}


def said(*words) -> list[str]:
    """Lines of a program's output that are of sexes and haploid calls, or warn."""
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=120, check=True
    )
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
    loaded = ("samples (", "people (")
    return [
        line
        for line in lines
        if any(word in line.lower() for word in WARNED) and not any(part in line for part in loaded)
    ]


def calls_in(vcf: Path) -> list[str]:
    text = run("bcftools", "query", "-f", "%CHROM:%POS[ %GT]\n", vcf)
    return text.splitlines()


def wanted(vcf: Vcf) -> list[str]:
    names = {"chr1": "1", "chrX": "X", "chrY": "Y", "chrM": "MT"}
    return [f"{names[s.chrom]}:{s.pos} {' '.join(s.calls)}" for s in vcf.sites]


@pytest.mark.parametrize("kind", ["bed", "pgen", "bgen"])
def test_plink2_reads_the_calls_of_the_vcf(kind, vcf, known, tmp_path):
    plink2(*inputs(known)[kind], "--export", "vcf", "--out", tmp_path / "x")
    assert calls_in(tmp_path / "x.vcf") == wanted(vcf)


@pytest.mark.parametrize("kind", ["bed", "pgen", "bgen"])
def test_plink2_warns_of_nothing(kind, known, tmp_path):
    assert said("plink2", *inputs(known)[kind], "--freq", "--out", tmp_path / "x") == []


@pytest.mark.parametrize("kind", ["bed", "pgen", "bgen"])
@pytest.mark.parametrize("command", ["--freq", "--hardy", "--missing"])
def test_plink2_counts_as_in_the_vcf(command, kind, source, known, tmp_path):
    """What it finds in the VCF, of the same sexes."""
    (tmp_path / "x.psam").write_text(
        "#IID\tSEX\n" + "".join(f"{n}\t{s}\n" for n, s in zip(NAMES, SEXES, strict=True))
    )
    plink2("--vcf", source[0], "--psam", tmp_path / "x.psam", command, "--out", tmp_path / "vcf")
    plink2(*inputs(known)[kind], command, "--out", tmp_path / "ours")
    # Samples have other families.
    found = {path.name[4:] for path in tmp_path.glob("ours.*")} - {".log", ".smiss"}
    assert found
    for suffix in found:
        ours = tmp_path / f"ours{suffix}"
        assert ours.read_bytes() == (tmp_path / f"vcf{suffix}").read_bytes(), suffix


def test_plink19_reads_the_calls_of_the_vcf(vcf, known, tmp_path):
    """It names chromosomes by their numbers, and writes those of MT as diploid."""
    command = ("--bfile", known, "--keep-allele-order", "--recode", "vcf-iid")
    plink19(*command, "--out", tmp_path / "x")
    numbers = {"1": "1", "X": "23", "Y": "24", "MT": "26"}
    lines = [line.partition(":") for line in wanted(vcf)]
    expected = []
    for name, _, rest in lines:
        shown = re.sub(r" (\S)", r" \1/\1", rest) if name == "MT" else rest
        expected.append(f"{numbers[name]}:{shown}")
    assert calls_in(tmp_path / "x.vcf") == expected


def test_plink19_warns_of_nothing(known, tmp_path):
    command = ("plink1.9", "--bfile", known, "--keep-allele-order", "--freq")
    assert said(*command, "--out", tmp_path / "x") == []


def test_plink19_counts_as_bcftools(source, known, tmp_path):
    """Alleles, of which males have one on X; PLINK 1.9 counts each of MT twice."""
    plink19("--bfile", known, "--keep-allele-order", "--freq", "counts", "--out", tmp_path / "x")
    rows = [line.split() for line in (tmp_path / "x.frq.counts").read_text().splitlines()[1:]]
    counts = [(row[1], int(row[4]), int(row[4]) + int(row[5])) for row in rows]
    filled = run("bcftools", "+fill-AN-AC", compress(source[0])).encode()
    query = ("bcftools", "query", "-f", "%ID\t%INFO/AC\t%INFO/AN\n", "-")
    text = subprocess.run(query, input=filled, capture_output=True, check=True).stdout.decode()
    expected = [line.split("\t") for line in text.splitlines()]
    twice = {name: 2 if name.startswith("chrM") else 1 for name, _, _ in expected}
    assert counts == [(n, int(ac) * twice[n], int(an) * twice[n]) for n, ac, an in expected]


def test_plink19_checks_sexes(source, table, known, tmp_path):
    """What it says of files that plink2 makes of the VCF with these sexes."""
    sexes = "".join(f"{n} {n} {s}\n" for n, s in zip(NAMES, SEXES, strict=True))
    (tmp_path / "sexes.txt").write_text(f"#FID IID SEX\n{sexes}")
    plink2(
        *("--vcf", source[0], "--double-id", "--update-sex", tmp_path / "sexes.txt"),
        *("--make-bed", "--out", tmp_path / "vcf"),
    )
    for stem, name in ((known, "ours"), (tmp_path / "vcf", "theirs")):
        plink19("--bfile", stem, "--keep-allele-order", "--check-sex", "--out", tmp_path / name)
    ours = (tmp_path / "ours.sexcheck").read_text()
    assert ours == (tmp_path / "theirs.sexcheck").read_text()
    rows = [line.split() for line in ours.splitlines()[1:]]
    assert [int(row[2]) for row in rows] == SEXES
    males = [row for row in rows if row[2] == "1"]
    assert all(row[3:5] == ["1", "OK"] for row in males)


def test_haploid_as_diploid_keeps_its_meaning(source, table, known, unknown, tmp_path):
    """The `.bgen` has the records that it has without sexes, and the `.sample` the sexes."""
    options = ("--format", "bgen", "--haploid-as-diploid")
    with_sexes = make_files(source[1], tmp_path / "with", *options, "--samples-table", table)
    without = make_files(source[1], tmp_path / "without", *options)
    made = with_sexes.with_suffix(".bgen").read_bytes()
    assert made == without.with_suffix(".bgen").read_bytes()
    assert made != known.with_suffix(".bgen").read_bytes()
    for suffix in (".bed", ".pgen", ".bgen"):
        one, two = known.with_suffix(suffix), unknown.with_suffix(suffix)
        assert one.read_bytes() == two.read_bytes()
    sample = with_sexes.with_suffix(".sample")
    assert sample.read_bytes() == known.with_suffix(".sample").read_bytes()
    # plink2 takes males for haploid on X either way.
    bgen = (with_sexes.with_suffix(".bgen"), "ref-first", "--sample", sample)
    plink2("--bgen", *bgen, "--freq", "--out", tmp_path / "diploid")
    plink2(*inputs(known)["bgen"], "--freq", "--out", tmp_path / "haploid")
    diploid, haploid = (tmp_path / f"{name}.afreq" for name in ("diploid", "haploid"))
    assert diploid.read_bytes() == haploid.read_bytes()


@pytest.mark.parametrize("kind", ["bed", "pgen", "bgen"])
def test_without_sexes_plink2_has_other_calls(kind, vcf, known, unknown, tmp_path):
    """A fact that the pages on programs tell: on X it takes all for diploid, of Y it leaves out."""
    plink2(*inputs(unknown)[kind], "--export", "vcf", "--out", tmp_path / "x")
    found = calls_in(tmp_path / "x.vcf")
    right = [ours == theirs for ours, theirs in zip(found, wanted(vcf), strict=True)]
    assert all(right[:40])
    assert not any(right[40:80])
    plink2(*inputs(unknown)[kind], "--freq", "--out", tmp_path / "unknown")
    plink2(*inputs(known)[kind], "--freq", "--out", tmp_path / "known")
    counts = [(tmp_path / f"{name}.afreq").read_text().split("\n") for name in ("known", "unknown")]
    same = [one == two for one, two in zip(*counts, strict=True)][1:-1]
    assert all(same[:40])
    assert not any(same[40:80])


def test_without_sexes_plink19_warns(unknown, tmp_path):
    lines = said("plink1.9", "--bfile", unknown, "--freq", "--out", tmp_path / "x")
    assert any("Nonmissing nonmale Y chromosome genotype(s) present" in line for line in lines)
    plink19("--bfile", unknown, "--check-sex", "--out", tmp_path / "x")
    rows = [line.split() for line in (tmp_path / "x.sexcheck").read_text().splitlines()[1:]]
    assert {row[4] for row in rows} == {"PROBLEM"}


def test_without_sexes_plink2_makes_no_associations_on_y(known, unknown, tmp_path):
    """It leaves out what it takes for calls of no male."""
    rng = random.Random(3)
    rows = "".join(f"{name}\t{name}\t{rng.random()}\n" for name in NAMES)
    (tmp_path / "y.txt").write_text(f"#FID\tIID\ty\n{rows}")
    tested = {}
    for stem in (known, unknown):
        plink2(
            *("--bfile", stem, "--pheno", tmp_path / "y.txt", "--glm", "allow-no-covars"),
            *("--out", tmp_path / "x"),
        )
        lines = (tmp_path / "x.y.glm.linear").read_text().splitlines()[1:]
        tested[stem] = sum(line.startswith("Y\t") for line in lines)
    assert tested == {known: 40, unknown: 0}
