"""GP and DS without genotypes, at sites without ALT, of haploid calls: what a `.bgen` shows."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from support import bgen_reference as reference
from support.bgen import check_all_readers, check_index, parse
from support.oracles import plink2
from support.stores import add_field, make_store, vcf_store
from support.vcf import Site, Vcf, sample_names
from support.views import make_files

from biofuse.errors import BiofuseError

VARIANTS, SAMPLES = 23, 17


def random_gp(width: int) -> np.ndarray:
    """Probabilities, some missing, and where there are three some of haploid calls."""
    rng = np.random.default_rng(width)
    gp = rng.dirichlet([0.7] * width, size=(VARIANTS, SAMPLES)).astype(np.float32)
    if width == 3:
        haploid = rng.random((VARIANTS, SAMPLES)) < 0.2
        gp[haploid, 1] = 1 - gp[haploid, 0]
        gp[haploid, 2] = reference.special(reference.FILL)
    gp[rng.random((VARIANTS, SAMPLES)) < 0.1] = reference.special(reference.MISSING)
    return gp


VALUES = {
    "GP": lambda: random_gp(3),
    "GP-haploid": lambda: random_gp(2),
    "DS": lambda: (2 * np.random.default_rng(2).random((VARIANTS, SAMPLES))).astype(np.float32),
}


def values_alone(path: Path, name: str) -> tuple[Path, Path]:
    """A store without call_genotype, and one with calls of REF of the same ploidy."""
    ploidy = 1 if name == "GP-haploid" else 2
    genotypes = np.zeros((VARIANTS, SAMPLES, ploidy), dtype=np.int8)
    full = make_store(path / "full.vcz", genotypes, chunks=(5, 7))
    add_field(full, f"call_{name[:2]}", VALUES[name](), chunks=(5, 7))
    store = shutil.copytree(full, path / "x.vcz")
    shutil.rmtree(store / "call_genotype")
    return store, full


@pytest.mark.slow
@pytest.mark.parametrize("name", VALUES)
def test_a_store_of_values_alone(name, biofuse, tmp_path):
    store, full = values_alone(tmp_path, name)
    field = name[:2]
    words = ["--bgen-field", field]
    with biofuse.mount(store, "--format", "bgen", *words) as mount:
        data = Path(f"{mount.stem}.bgen").read_bytes()
        file = parse(data)
        reference.check_stored(file.variants, reference.expected(full, field=field))
        check_index(mount.stem, data, file)
        check_all_readers(mount.stem, tmp_path, file.variants)
    # The option alone asks for the format; the other is left out.
    directory = biofuse.new_directory()
    done = biofuse("mount", store, directory, *words)
    assert {p.name for p in directory.iterdir()} == {"x.bgen", "x.bgen.bgi", "x.sample"}
    biofuse("umount", directory)
    assert "there is no .bed: the store has no call_genotype" in done.stderr
    for more in ([], ["--format", "bgen"], ["--format", "plink"]):
        said = biofuse.fails("mount", store, biofuse.new_directory(), *more)
        assert f"no call_genotype, but call_{field}" in said
        assert f"--format bgen --bgen-field {field}" in said


def test_a_selection_of_values_alone(tmp_path):
    store, full = values_alone(tmp_path, "GP")
    options = ["-s", "S0012,S0003", "-i", "POS > 70 & POS < 120"]
    stem = make_files(store, tmp_path / "f", "--format", "bgen", "--bgen-field", "GP", *options)
    file = parse(Path(f"{stem}.bgen").read_bytes())
    wanted = reference.expected(full, field="GP", samples=[12, 3], variants=range(10, 17))
    reference.check_stored(file.variants, wanted)
    assert file.samples == ["S0012", "S0003"]


def test_info_on_values_alone(biofuse, tmp_path):
    store, _ = values_alone(tmp_path, "DS")
    text = biofuse("info", store).stdout
    assert "23" in text and "bgen: none, as the store has no call_genotype, but call_DS" in text


def test_genotypes_that_come_later_are_seen(biofuse, tmp_path):
    store, _ = values_alone(tmp_path, "DS")
    words = ["--format", "bgen", "--bgen-field", "DS"]
    with biofuse.mount(store, *words):
        pass
    haploid = np.full((VARIANTS, SAMPLES, 2), -2, dtype=np.int8)
    haploid[..., 0] = 0
    other = make_store(tmp_path / "haploid.vcz", haploid, chunks=(23, 17))
    shutil.copytree(other / "call_genotype", store / "call_genotype")
    ds = zarr.open_group(store, mode="r+")["call_DS"]
    ds[...] = ds[...] / 2
    with biofuse.mount(store, *words) as mount:
        file = parse(Path(f"{mount.stem}.bgen").read_bytes())
    reference.check_stored(file.variants, reference.expected(store, field="DS"))
    assert all((v.ploidy == 1).all() for v in file.variants)


def test_sites_without_alt(tmp_path):
    """One genotype, so one probability; no dosage, which is missing. Calls say as much."""
    sites = [
        Site("1", 10, ["0/0:1:.", "0:1:.", "./.:.:.", "0/0:0.9995:."], ref="A", alt=".", id="a"),
        Site("1", 20, ["0/1:0,1,0:1", "1:0,1:1", "./.:.:.", "0/0:1,0,0:0"], id="b"),
    ]
    lines = [Site(**{**s.__dict__, "format": "GT:GP:DS"}) for s in sites]
    _, store = vcf_store(Vcf(sample_names(4), lines), tmp_path)
    found = {}
    for field in ("GT", "GP", "DS"):
        words = ["--format", "bgen", "--bgen-field", field]
        stem = make_files(store, tmp_path / field, *words)
        found[field] = parse(Path(f"{stem}.bgen").read_bytes()).variants
        reference.check_stored(found[field], reference.expected(store, field=field))
        check_all_readers(stem, tmp_path, found[field])
    for a, b in zip(found["GT"], found["GP"], strict=True):
        assert np.array_equal(a.ploidy, b.ploidy) and np.array_equal(a.missing, b.missing)
        assert np.array_equal(a.integers, b.integers)
    assert found["GP"][0].integers.tolist() == [[255, 0], [255, -1], [0, 0], [255, 0]]
    assert found["DS"][0].missing.all()


def test_two_probabilities_where_all_calls_are_haploid(tmp_path):
    """In a store with room for diploid ones; of a diploid call two are too few."""
    genotypes = np.zeros((4, 3, 2), dtype=np.int8)
    genotypes[..., 1] = -2
    store = make_store(tmp_path / "x.vcz", genotypes)
    gp = np.random.default_rng(1).dirichlet((1, 1), size=(4, 3)).astype(np.float32)
    add_field(store, "call_GP", gp)
    words = ["--format", "bgen", "--bgen-field", "GP"]
    stem = make_files(store, tmp_path / "files", *words)
    file = parse(Path(f"{stem}.bgen").read_bytes())
    reference.check_stored(file.variants, reference.expected(store, field="GP"))
    check_all_readers(stem, tmp_path, file.variants)
    genotypes[2, 1, 1] = 0
    make_store(tmp_path / "y.vcz", genotypes)
    add_field(tmp_path / "y.vcz", "call_GP", gp)
    with pytest.raises(BiofuseError, match="a diploid call has two values of call_GP") as caught:
        make_files(tmp_path / "y.vcz", tmp_path / "more", *words)
    assert "variant 2 of the store and sample 1" in str(caught.value)


def write_dosages(folder: Path, value: str) -> Path:
    calls = [f"1:{value}", "0:0.25", "0/1:1.125"]
    lines = [Site("1", 10, calls, id="a", format="GT:DS")]
    return vcf_store(Vcf(sample_names(3), lines), folder)


def test_dosages_of_haploid_calls_are_plink2s(tmp_path):
    """They go to 1: shown as diploid ones they count twice, and above 1 they are an error."""
    vcf, store = write_dosages(tmp_path, "0.75")
    words = ["--format", "bgen", "--bgen-field", "DS", "--bits", "16", "--haploid-as-diploid"]
    stem = make_files(store, tmp_path / "files", *words)
    (variant,) = parse(Path(f"{stem}.bgen").read_bytes()).variants
    plink2(
        *("--vcf", vcf, "dosage=DS", "--double-id"),
        *("--export", "A", "--out", tmp_path / "plink2"),
    )
    row = (tmp_path / "plink2.raw").read_text().splitlines()
    of_alt = [2 - float(line.split("\t")[6]) for line in row[1:]]
    assert np.allclose(variant.dosage(), of_alt, rtol=0, atol=2e-4)
    assert np.allclose(of_alt, [1.5, 0.5, 1.125], rtol=0, atol=1e-3)
    (tmp_path / "above").mkdir()
    vcf, store = write_dosages(tmp_path / "above", "1.5")
    with pytest.raises(BiofuseError, match=r"not a dosage of 0 to 1, as a haploid call has: 1\.5"):
        make_files(store, tmp_path / "more", *words)
    with pytest.raises(AssertionError, match="invalid DS field"):
        plink2("--vcf", vcf, "dosage=DS", "--double-id", "--out", tmp_path / "above" / "p")


BAD_FIELDS = {
    "none": ("GP", None, "the store has no call_GP, which --bgen-field GP needs"),
    "other": ("DS", ("call_GP", (4, 3, 3)), "it has call_GP"),
    "one-probability": ("GP", ("call_GP", (4, 3, 1)), r"call_GP is of shape \(4, 3, 1\), not"),
    "no-width": ("GP", ("call_GP", (4, 3)), r"call_GP is of shape \(4, 3\), not"),
    "fewer-variants": ("GP", ("call_GP", (2, 3, 3)), "where call_genotype has 4 variants and 3"),
    "more-samples": ("DS", ("call_DS", (4, 5)), r"is of shape \(4, 5\) where call_genotype has 4"),
}


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_fields_that_cannot_be_shown(name, tmp_path):
    field, made, text = BAD_FIELDS[name]
    store = make_store(tmp_path / "x.vcz", np.zeros((4, 3, 2), dtype=np.int8))
    if made is not None:
        add_field(store, made[0], np.zeros(made[1], dtype=np.float32))
    with pytest.raises(BiofuseError, match=text):
        make_files(store, tmp_path / "files", "--format", "bgen", "--bgen-field", field)
