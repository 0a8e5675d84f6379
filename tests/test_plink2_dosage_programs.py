"""What plink2 makes of a `.pgen` of dosages is what it makes of its own import of the VCF."""

import random

import pytest
from support.oracles import plink2
from support.plink2 import make_pgen
from support.stores import vcf_store
from support.vcf import Site, Vcf, sample_names
from support.views import make_files

SAMPLES = sample_names(61)
MALES = {name for i, name in enumerate(SAMPLES) if i % 2}
# Among those of ordinary sites, dosages of one value for all, of whole alleles, and near these.
SPREADS = [None, None, 0, 0.02, 0.3, 1e-3]


def call_of(copies: int, ploidy: int, spread: float | None, rng: random.Random) -> str:
    """A call's text; without a spread its dosage is that of its alleles, and there is one."""
    alleles = "/".join("1" if i < copies else "0" for i in range(ploidy))
    if spread is None:
        return f"{alleles}:{copies}"
    dosage = min(max(rng.gauss(copies, spread), 0), ploidy)
    missing = "/".join("." * ploidy)
    return rng.choices(
        [f"{alleles}:{dosage:.3f}", f"{alleles}:.", f"{missing}:.", f"{missing}:{dosage:.3f}"],
        [90, 4, 4, 2],
    )[0]


def calls_of(chrom: str, number: int, rng: random.Random) -> list[str]:
    frequency, spread = rng.uniform(0.1, 0.9), SPREADS[number % len(SPREADS)]
    calls = []
    for name in SAMPLES:
        haploid = chrom in ("Y", "MT") or (chrom == "X" and name in MALES)
        ploidy = 1 if haploid else 2
        copies = sum(rng.random() < frequency for _ in range(ploidy))
        if spread is None:
            copies = ploidy * (number % len(SPREADS))
        calls.append(call_of(copies, ploidy, spread, rng))
    return calls


def vcf() -> Vcf:
    rng = random.Random(8)
    sizes = {"1": 90, "2": 60, "X": 24, "Y": 12, "MT": 12}
    sites = [
        Site(chrom, 3_000_000 + i, calls_of(chrom, i, rng), id=f"{chrom}_{i}", format="GT:DS")
        for chrom, count in sizes.items()
        for i in range(count)
    ]
    return Vcf(SAMPLES, sites)


def write_table(path, head: str, rows: list[str]) -> None:
    path.write_text("\n".join([head, *rows]) + "\n")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A folder of two filesets, `ours` and `theirs`, and of tables."""
    folder = tmp_path_factory.mktemp("dosage-programs")
    rng = random.Random(9)
    sexes = [f"{name} {name} {1 if name in MALES else 2}" for name in SAMPLES]
    write_table(folder / "sexes.txt", "#FID IID SEX", sexes)
    # One sample's phenotype is far from all others': what is its alone is associated.
    traits = [10.0 if i == 3 else rng.gauss(0, 1) for i in range(len(SAMPLES))]
    rows = [
        f"{name} {name} {trait} {rng.choice((1, 2))}"
        for name, trait in zip(SAMPLES, traits, strict=True)
    ]
    write_table(folder / "traits.txt", "#FID IID y case", rows)
    write_table(folder / "some.txt", "#FID IID", [f"{n} {n}" for n in SAMPLES if n[-1] not in "37"])
    write_table(
        folder / "weights.txt", "ID A1 W", [f"1_{i} G {rng.gauss(0, 1)}" for i in range(90)]
    )
    path, store = vcf_store(vcf(), folder)
    sexed = ("--update-sex", folder / "sexes.txt")
    make_pgen(path, folder / "theirs", *sexed, dosage="DS")
    words = ("--format", "plink2", "--dosage", "DS", "--samples-table", folder / "sexes.txt")
    make_files(store, folder / "made", *words).with_suffix(".pgen").rename(folder / "ours.pgen")
    for suffix in (".pvar", ".psam"):
        (folder / f"ours{suffix}").write_bytes((folder / f"theirs{suffix}").read_bytes())
    return folder


def results(folder, stem: str, command: str, out) -> dict[str, bytes]:
    """What a command writes, by suffix, but for its log and the time in a header."""
    out.mkdir()
    words = [word.replace("@", f"{folder}/") for word in command.split()]
    plink2("--pfile", folder / stem, *words, "--bad-freqs", "--seed", "1", "--out", out / "out")
    return {
        path.name: b"\n".join(
            line for line in path.read_bytes().split(b"\n") if not line.startswith(b"##")
        )
        for path in out.iterdir()
        if path.suffix != ".log"
    }


@pytest.mark.parametrize(
    "command",
    [
        "--freq",
        "--freq counts --keep @some.txt",
        "--missing",
        "--hardy",
        "--glm allow-no-covars --pheno @traits.txt",
        "--glm allow-no-covars --pheno @traits.txt --pheno-name y --keep @some.txt",
        "--pca 3",
        "--make-rel",
        "--make-rel --keep @some.txt",
        "--score @weights.txt",
        "--score @weights.txt center --keep @some.txt",
        "--export vcf vcf-dosage=DS",
        "--export vcf vcf-dosage=DS-force",
        "--export vcf vcf-dosage=HDS",
        "--export bcf vcf-dosage=GP",
        "--export bgen-1.2",
        "--export A",
        "--make-bed",
        "--make-pgen",
        "--make-pgen --keep @some.txt",
    ],
)
def test_results_are_those_of_plink2s_own_file(command, inputs, tmp_path):
    ours, theirs = (results(inputs, stem, command, tmp_path / stem) for stem in ("ours", "theirs"))
    assert theirs
    assert ours == theirs


def test_a_site_without_variation_is_not_tested(inputs, tmp_path):
    """Though one sample's phenotype is far from all others'."""
    words = "--glm allow-no-covars --pheno @traits.txt --pheno-name y --chr 1,2"
    table = results(inputs, "ours", words, tmp_path / "out")["out.y.glm.linear"]
    rows = [line.split() for line in table.decode().splitlines()]
    errors = {row[2]: row[-1] for row in rows}
    constant = [f"1_{i}" for i in range(90) if SPREADS[i % len(SPREADS)] is None]
    assert {errors[each] for each in constant} == {"CONST_OMITTED_ALLELE"}
