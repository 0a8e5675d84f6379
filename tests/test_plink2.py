"""`.pgen` of hard calls, and `.psam`, against plink2's own and pgenlib."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import reference
from support.oracles import plink2
from support.plink2 import MISSING, body, make_pgen, read_pgen
from support.stores import add_field, make_store, random_genotypes, vcf_store
from support.vcf import DIPLOID, HALF, HAPLOID, Site, Vcf, random_vcf, sample_names
from support.views import make_files, plan_view

from biofuse.errors import BiofuseError

MAGIC = b"\x6c\x1b\x02"

CASES = {
    "diploid": (41, DIPLOID, ("1", "2")),
    "of-four": (40, DIPLOID, ("1",)),
    "one-sample": (1, DIPLOID, ("1",)),
    "two-samples": (2, (*DIPLOID, *HALF), ("1",)),
    "three-samples": (3, (*DIPLOID, *HAPLOID), ("chr7", "chrX")),
    "half-calls": (31, (*DIPLOID, *HALF), ("chr1", "chrUn_7")),
    "haploid": (33, HAPLOID, ("chrX", "chrY", "chrM")),
    "mixed-ploidy": (131, (*DIPLOID, *HAPLOID, *HALF), ("20", "X", "MT")),
    "many-samples": (1003, (*DIPLOID, *HAPLOID), ("22",)),
}


def pgen_of(genotypes: np.ndarray) -> bytes:
    """The `.pgen` of calls, from the codes of the `.bed`, which others have checked."""
    bed = np.frombuffer(reference.bed(genotypes)[3:], np.uint8).reshape(len(genotypes), -1)
    codes = np.stack([bed >> shift & 3 for shift in (0, 2, 4, 6)], axis=2).reshape(len(bed), -1)
    shown = np.array([2, 3, 1, 0], np.uint8)[codes]
    shown[:, genotypes.shape[1] :] = 0
    quads = shown.reshape(len(bed), -1, 4)
    packed = quads[..., 0] | quads[..., 1] << 2 | quads[..., 2] << 4 | quads[..., 3] << 6
    counts = np.array(genotypes.shape[:2], "<u4").tobytes()
    return MAGIC + counts + b"\x40" + packed.astype(np.uint8).tobytes()


@pytest.mark.parametrize("name", CASES)
def test_as_plink2_has_it(name, tmp_path):
    num_samples, choices, chroms = CASES[name]
    vcf = random_vcf(num_samples, 60, choices, chroms, seed=num_samples)
    path, store = vcf_store(vcf, tmp_path, variants_chunk_size=17, samples_chunk_size=29)
    theirs = make_pgen(path, tmp_path / "theirs", "format=2")
    ours = make_files(store, tmp_path / "ours", "--format", "plink2")
    for suffix in (".pgen", ".psam"):
        made = ours.with_suffix(suffix).read_bytes()
        assert made == theirs.with_suffix(suffix).read_bytes(), suffix
    assert body(ours.with_suffix(".pvar")) == body(theirs.with_suffix(".pvar"))


def test_every_call(tmp_path):
    """Each at every place within a byte."""
    texts = [*DIPLOID, *HAPLOID, *HALF]
    sites = [
        Site("1", 10 + i, [*texts[i % len(texts) :], *texts[: i % len(texts)]]) for i in range(40)
    ]
    path, store = vcf_store(Vcf(sample_names(len(texts)), sites), tmp_path)
    theirs = make_pgen(path, tmp_path / "theirs", "format=2")
    ours = make_files(store, tmp_path / "ours", "--format", "plink2")
    made = ours.with_suffix(".pgen").read_bytes()
    assert made == theirs.with_suffix(".pgen").read_bytes()


def test_selected_samples_and_variants(tmp_path):
    vcf = random_vcf(57, 80, (*DIPLOID, *HAPLOID), ("1", "2"), seed=4)
    path, store = vcf_store(vcf, tmp_path, variants_chunk_size=11, samples_chunk_size=10)
    kept = [f"S{i:04d}" for i in range(0, 57, 3)]
    options = ("-s", ",".join(kept), "-r", "2")
    ours = make_files(store, tmp_path / "ours", "--format", "plink2", *options)
    (tmp_path / "keep").write_text("".join(f"{name} {name}\n" for name in kept))
    theirs = make_pgen(
        path, tmp_path / "theirs", "format=2", "--chr", "2", "--keep", tmp_path / "keep"
    )
    for suffix in (".pgen", ".psam"):
        made = ours.with_suffix(suffix).read_bytes()
        assert made == theirs.with_suffix(suffix).read_bytes(), suffix
    assert body(ours.with_suffix(".pvar")) == body(theirs.with_suffix(".pvar"))


@settings(max_examples=25)
@given(data=st.data())
def test_any_store_as_pgenlib_reads_it(data, tmp_path_factory):
    variants, samples = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 70))
    ploidy = data.draw(st.sampled_from([1, 2]))
    genotypes = random_genotypes(variants, samples, ploidy, seed=data.draw(st.integers(0, 99)))
    encoding = data.draw(st.sampled_from(["v2-blosc-zstd-bit", "v3-zstd", "v3-sharded"]))
    chunks = (data.draw(st.integers(1, 20)), data.draw(st.integers(1, 40)))
    folder = tmp_path_factory.mktemp("any")
    store = make_store(folder / "x.vcz", genotypes, chunks=chunks, encoding=encoding)
    made = make_files(store, folder / "made", "--format", "plink2").with_suffix(".pgen")
    assert made.read_bytes() == pgen_of(genotypes)
    codes = reference.codes(genotypes)
    wanted = np.array([2, MISSING, 1, 0])[codes]
    assert np.array_equal(read_pgen(made).calls, wanted)


def test_sites_of_more_than_two_alleles(tmp_path):
    calls = ["0/1", "1/2", "2/2"]
    sites = [
        Site("1", 5, ["0/1", "1/1", "./."]),
        Site("1", 9, calls, alt="G,T"),
        Site("1", 12, ["0/0"] * 3),
    ]
    path, store = vcf_store(Vcf(sample_names(3), sites), tmp_path)
    with pytest.raises(BiofuseError, match=r"1:9 has 3 alleles .*--multiallelic drop"):
        plan_view(store, tmp_path / "plan", "--format", "plink2")
    ours = make_files(store, tmp_path / "ours", "--format", "plink2", "--multiallelic", "drop")
    theirs = make_pgen(path, tmp_path / "theirs", "format=2", "--max-alleles", "2")
    made = ours.with_suffix(".pgen").read_bytes()
    assert made == theirs.with_suffix(".pgen").read_bytes()
    assert body(ours.with_suffix(".pvar")) == body(theirs.with_suffix(".pvar"))


def test_no_variants(tmp_path):
    store = make_store(tmp_path / "x.vcz", random_genotypes(4, 5))
    ours = make_files(store, tmp_path / "ours", "--format", "plink2", "-e", "POS>0")
    assert (
        ours.with_suffix(".pgen").read_bytes() == MAGIC + bytes([0] * 4 + [5] + [0] * 3) + b"\x40"
    )
    assert ours.with_suffix(".pvar").read_text() == "#CHROM\tPOS\tID\tREF\tALT\n"


def test_ploidy_of_three(tmp_path):
    store = make_store(tmp_path / "x.vcz", np.zeros((4, 3, 3), dtype=np.int8))
    with pytest.raises(BiofuseError, match="3 alleles a call; PLINK 2 files are made of haploid"):
        plan_view(store, tmp_path / "plan", "--format", "plink2")


@pytest.mark.parametrize("phased", [True, False])
def test_phase_is_told_to_be_lost(phased, tmp_path):
    store = make_store(tmp_path / "x.vcz", random_genotypes(12, 5), chunks=(5, 5))
    add_field(store, "call_genotype_phased", np.full((12, 5), phased), chunks=(5, 5))
    plan = plan_view(store, tmp_path / "plan", "--format", "plink2")
    said = "the store has phased calls, and the .pgen shows them as unphased"
    found = plan.notices.get("plink2", [])
    assert len(found) == phased
    assert all(line.startswith(said) for line in found)


def test_without_sidecars(tmp_path):
    store = make_store(tmp_path / "x.vcz", random_genotypes(4, 5))
    for option, left in (("--no-pvar", {".psam"}), ("--no-psam", {".pvar"})):
        plan = plan_view(store, tmp_path / option, "--format", "plink2", option)
        assert {file.name for file in plan.static} == {f"x{suffix}" for suffix in left}


RESULTS = {
    "--freq": ["afreq"],
    "--hardy": ["hardy"],
    "--missing": ["vmiss", "smiss"],
    "--pca": ["eigenval", "eigenvec"],
    "--make-king-table": ["kin0"],
}


@pytest.fixture(scope="module")
def mounted(module_biofuse, made):
    def make(folder):
        rng = np.random.default_rng(8)
        frequency = rng.random((1500, 1, 1)) ** 2 * 0.6
        genotypes = (rng.random((1500, 67, 2)) < frequency).astype(np.int8)
        genotypes[rng.random((1500, 67)) < 0.01] = -1
        return make_store(folder / "x.vcz", genotypes, chunks=(200, 30))

    words = ("--format", "plink", "--format", "plink2", "--variant-id-template", "@:#:$r:$a")
    with module_biofuse.mount(made("plink2-mounted", make), *words) as mount:
        yield mount


@pytest.mark.parametrize("command", RESULTS)
def test_plink2_says_the_same_of_both_filesets(command, mounted, tmp_path):
    more = ["4"] if command == "--pca" else []
    for option in ("--pfile", "--bfile"):
        plink2(option, mounted.stem, command, *more, "--out", tmp_path / option[2:])
    for suffix in RESULTS[command]:
        results = [(tmp_path / f"{kind}.{suffix}").read_bytes() for kind in ("pfile", "bfile")]
        assert results[0] == results[1] != b""


def test_plink2_finds_it_valid(mounted, tmp_path):
    said = plink2("--pfile", mounted.stem, "--validate", "--out", tmp_path / "out")
    assert "Validating" in said and "done" in said
    said = plink2("--pfile", mounted.stem, "--pgen-info", "--out", tmp_path / "out")
    assert "1500 variants" in said and "67 samples" in said
    # Which takes its .pgen for one without a sidecar of its own.
    plink2("--pfile", mounted.stem, "--make-bed", "--out", tmp_path / "out")
    assert (tmp_path / "out.bed").read_bytes() == mounted.bed.read_bytes()
    assert (tmp_path / "out.bim").read_bytes() == mounted.bim.read_bytes()


def test_run_names_the_files(made, biofuse, tmp_path):
    store = made("plink2-run", lambda f: make_store(f / "x.vcz", random_genotypes(9, 5)))
    command = 'cat {pgen} {pvar} {psam} > "$0"; cat "$BIOFUSE_PGEN" "$BIOFUSE_PVAR" "$BIOFUSE_PSAM"'
    out = tmp_path / "out"
    done = biofuse(
        "run", store, "--format", "plink2", "--", "sh", "-c", f"{command} | cmp - $0", out
    )
    assert done.stdout == ""
    assert out.read_bytes()[:3] == MAGIC
