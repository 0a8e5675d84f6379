"""`.pgen` of dosages: the values that plink2 imports, read by pgenlib and by plink2."""

import shutil

import numpy as np
import pytest
import zarr
from support.oracles import plink2
from support.plink2 import MISSING, make_pgen, read_pgen
from support.stores import add_field, make_store, random_genotypes, vcf_store
from support.vcf import Site, Vcf, sample_names
from support.views import make_files, open_encoder, plan_view

from biofuse.errors import BiofuseError

MISSING_FLOAT, FILL_FLOAT = np.array([0x7F800001, 0x7F800002], "u4").view("f4")

CALLS = {
    "DS": [
        *("0/0:0", "0/1:1", "1/1:2", "0/0:0.1", "0/0:0.0999", "0/0:0.1001", "0/0:0.10003"),
        *("0/0:0.00003", "0/0:0.00004", "1/1:0.05", "0/0:1.0", "./.:1.0", "./.:0.5", "0/1:."),
        *("0|1:0.95", "1|1:1.9", "0/0:1.8999", "0/.:.", "0/.:0.3", "./.:.", "0/0:1.333", "1/1:1.5"),
        *("1:0.5", "1:0.05", "0:.", "0:0.04", "0:0.0499", "0:0.051", "0:1", "1:0", ".:0.5", ".:."),
    ],
    "GP": [
        *("0/0:1,0,0", "0/1:0,1,0", "1/1:0,0,1", "0/0:0.1,0.2,0.7", "0/0:0.5,0.25,0.15"),
        *(
            "0/0:0.34,0.33,0.28",
            "0/0:.",
            "0/1:.,.,.",
            "0/0:0,0,0",
            "./.:0.9,0.1,0",
            "0/0:0.333,0.333,0.333",
        ),
        *("0/1:0.05,0.9,0.05", "0/0:0.91,0.09,0", "0/0:0.95,0.05,0", "1/1:0.9999,0.0001,0"),
        *("0:0.3,0.7", "0:0.95,0.05", "1:0,1", "1:1,0", "1:.", ".:0.5,0.5"),
    ],
}


def packed(stem, out) -> bytes:
    """The `.pgen` that plink2 makes of another, with no phase."""
    plink2("--pfile", stem, "--make-pgen", "erase-phase", "--out", out)
    return out.with_suffix(".pgen").read_bytes()


def same(ours, theirs, folder) -> None:
    """The same values, as pgenlib reads them, and the same file once plink2 has packed it."""
    made, wanted = (read_pgen(stem.with_suffix(".pgen")) for stem in (ours, theirs))
    assert np.array_equal(made.calls, wanted.calls)
    assert np.array_equal(made.dosages, wanted.dosages)
    assert packed(ours, folder / "packed") == packed(theirs, folder / "theirs-packed")


@pytest.mark.parametrize("field", CALLS)
def test_values_are_plink2s(field, tmp_path):
    calls = CALLS[field]
    count = len(calls)
    rng = np.random.default_rng(2)
    sites = [
        Site("X", 10 + i, [*calls[i % count :], *calls[: i % count]], format=f"GT:{field}")
        for i in range(count)
    ]
    for i in range(40):
        if field == "DS":
            texts = [f"0/0:{x:.3f}" for x in rng.random(count) * 2]
        else:
            parts = rng.dirichlet([0.3, 0.3, 0.3], count).round(3)
            texts = [f"0/1:{a:g},{b:g},{c:g}" for a, b, c in parts]
        sites.append(Site("X", 1000 + i, texts, format=f"GT:{field}"))
    path, store = vcf_store(Vcf(sample_names(count), sites), tmp_path, variants_chunk_size=7)
    ours = make_files(store, tmp_path / "ours", "--format", "plink2", "--dosage", field)
    words = field if field == "DS" else "GP-force"
    same(ours, make_pgen(path, tmp_path / "theirs", dosage=words), tmp_path)


def imputed(folder, num_variants=70_000, num_samples=23):
    """Above 65,536 variants, where a second block of records begins; some sites monomorphic."""
    rng = np.random.default_rng(1)
    frequency = rng.random((num_variants, 1, 1)) ** 2 * 0.5
    genotypes = (rng.random((num_variants, num_samples, 2)) < frequency).astype(np.int8)
    genotypes[::7] = 0
    genotypes[5::701] = 1
    genotypes[rng.random((num_variants, num_samples)) < 0.01] = -1
    store = make_store(folder / "x.vcz", genotypes, chunks=(5000, 23))
    values = genotypes.sum(axis=2) + rng.normal(0, 0.05, genotypes.shape[:2])
    values = values.clip(0, 2).astype("f4").round(3)
    values[::7] = genotypes[::7].sum(axis=2)
    values[5::701] = 2
    values[(genotypes < 0).any(axis=2)] = MISSING_FLOAT
    add_field(store, "call_DS", values, chunks=(5000, 23))
    return store


@pytest.fixture(scope="module")
def files(made):
    store = made("plink2-imputed", imputed)
    return store, made(
        "plink2-imputed-files",
        lambda folder: make_files(
            store,
            folder / "made",
            *("--format", "plink2", "--dosage", "DS", "--variant-id-template", "@:#:$r:$a"),
        ),
    )


@pytest.mark.parametrize(
    "command", ["--pgen-info", "--freq", "--hardy", "--make-rel", "--pca 3", "--make-pgen"]
)
def test_plink2_takes_it(command, files, tmp_path):
    """Sites of one allele, of which every dosage is whole, among them."""
    _, stem = files
    plink2("--pfile", stem, *command.split(), "--bad-freqs", "--out", tmp_path / "out")


def test_plink2_finds_fault_with_padding_alone(files, tmp_path):
    _, stem = files
    with pytest.raises(AssertionError, match=r"Extra byte\(s\) in \(0-based\) variant record #0"):
        plink2("--pfile", stem, "--validate", "--out", tmp_path / "out")
    plink2("--pfile", stem, "--make-pgen", "--out", tmp_path / "packed")
    plink2("--pfile", tmp_path / "packed", "--validate", "--out", tmp_path / "out")


def test_values_in_every_block(files):
    store, stem = files
    group = zarr.open_group(store, mode="r")
    found = read_pgen(stem.with_suffix(".pgen"))
    values = group["call_DS"][...].astype(float)
    missing = np.isnan(values)
    wanted = np.where(missing, MISSING, np.floor(np.nan_to_num(values) * 16384 + 0.5)).astype(int)
    assert np.array_equal(found.dosages, wanted)
    nearest = np.floor(wanted / 16384 + 0.5).astype(int)
    near = np.abs(wanted - 16384 * nearest) < 1638.4
    assert np.array_equal(found.calls, np.where(missing | ~near, MISSING, nearest))


def test_frequencies_are_of_dosages(files, tmp_path):
    store, stem = files
    plink2("--pfile", stem, "--freq", "--out", tmp_path / "out")
    rows = [line.split() for line in (tmp_path / "out.afreq").read_text().splitlines()[1:]]
    values = zarr.open_group(store, mode="r")["call_DS"][...]
    wanted = np.nanmean(np.where(np.isnan(values), np.nan, values), axis=1) / 2
    assert np.abs(np.array([float(row[4]) for row in rows]) - wanted).max() < 1e-4


def test_a_store_without_calls(tmp_path):
    """A call without a dosage is missing, not the REF that stands for calls."""
    values = np.array([[0.2, MISSING_FLOAT, 2], [MISSING_FLOAT, 1, 0]], dtype="f4")
    store = make_store(tmp_path / "x.vcz", random_genotypes(2, 3))
    add_field(store, "call_DS", values)
    shutil.rmtree(store / "call_genotype")
    with pytest.raises(BiofuseError, match="--format plink2 --dosage DS"):
        plan_view(store, tmp_path / "plan", "--format", "plink2")
    ours = make_files(store, tmp_path / "ours", "--format", "plink2", "--dosage", "DS")
    found = read_pgen(ours.with_suffix(".pgen"))
    assert found.dosages.tolist() == [[3277, MISSING, 32768], [MISSING, 16384, 0]]
    assert found.calls.tolist() == [[MISSING, MISSING, 2], [MISSING, 1, 0]]


def test_a_store_without_the_field(tmp_path):
    store = make_store(tmp_path / "x.vcz", random_genotypes(4, 5))
    for field in ("DS", "GP"):
        with pytest.raises(BiofuseError, match=f"no call_{field}, which --dosage {field} needs"):
            plan_view(store, tmp_path / field, "--format", "plink2", "--dosage", field)


@pytest.mark.parametrize("value", [2.1, -0.1, np.inf])
def test_what_is_no_dosage_is_an_error(value, tmp_path):
    store = make_store(tmp_path / "x.vcz", random_genotypes(4, 5), chunks=(2, 5))
    values = np.ones((4, 5), dtype="f4")
    values[3, 2] = value
    add_field(store, "call_DS", values, chunks=(2, 5))
    plan = plan_view(store, tmp_path / "plan", "--format", "plink2", "--dosage", "DS")
    encoder = open_encoder(plan, tmp_path / "plan", 1 << 20)
    size = plan.streamed[0].record_size
    encoder.encode(0, 0, 3, memoryview(bytearray(3 * size)))
    with pytest.raises(BiofuseError, match=r"call_DS/1.0: .* not a dosage of 0 to 2.*--dosage GT"):
        encoder.encode(0, 2, 4, memoryview(bytearray(2 * size)))


def test_run_says_that_values_are_wanted(biofuse, tmp_path):
    store = make_store(tmp_path / "x.vcz", random_genotypes(9, 5))
    said = biofuse.fails("run", store, "--dosage", "DS", "--", "cat", "{pgen}")
    assert said.startswith("the store has no call_DS, which --dosage DS needs")
