"""Whether a view has phased variants is found out, and said to those who ask for BGEN files."""

import numpy as np
import pytest
from support.damage import DAMAGE
from support.stores import add_field, chunk_files, make_store, random_genotypes
from support.views import plan_view

from biofuse.plan import phase

VARIANTS, SAMPLES = 200, 20
HAS = "the .bgen has phased variants"
MAY = "the .bgen may have phased variants"


def phased_store(path, phased, encoding="v2-blosc-zstd-bit", chunks=(20, 8)):
    genotypes = np.abs(random_genotypes(VARIANTS, SAMPLES, seed=1)).clip(0, 1)
    version = "v3-blosc-zstd-bit" if encoding.startswith("v3") else "v2-blosc-zstd-bit"
    make_store(path, genotypes, chunks=chunks, encoding=version)
    return add_field(path, "call_genotype_phased", phased, chunks=chunks, encoding=encoding)


def notice(store, folder, *options) -> str | None:
    """What is said of phase, without the programs' names."""
    found = plan_view(store, folder, "--format", "bgen", *options).notices.get("bgen", [])
    assert len(found) <= 1
    assert all("REGENIE and SAIGE" in text and "give --unphased" in text for text in found)
    return found[0].partition(", which")[0].partition(" (not")[0] if found else None


def rows(*numbers) -> np.ndarray:
    phased = np.zeros((VARIANTS, SAMPLES), dtype=bool)
    # Chunks of one value would not be stored.
    phased[:, 3] = True
    phased[list(numbers)] = True
    return phased


ENCODINGS = ["v2-blosc-zstd-bit", "v2-blosc-lz4-bit", "v2-gzip", "v3-gzip", "v3-sharded"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("row", [0, 37, 113, 199])
def test_one_phased_variant_is_found(row, encoding, tmp_path, monkeypatch):
    monkeypatch.setattr(phase, "_CHUNKS", 1000)
    store = phased_store(tmp_path / "x.vcz", rows(row), encoding)
    assert notice(store, tmp_path / "plan") == HAS


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_phased_variant(encoding, tmp_path, monkeypatch):
    """All calls but one of every variant are phased, in each chunk of samples in turn."""
    monkeypatch.setattr(phase, "_CHUNKS", 1000)
    phased = np.ones((VARIANTS, SAMPLES), dtype=bool)
    phased[np.arange(VARIANTS), np.arange(VARIANTS) % SAMPLES] = False
    store = phased_store(tmp_path / "x.vcz", phased, encoding)
    assert notice(store, tmp_path / "plan") is None
    # Some of their samples have phased variants.
    assert notice(store, tmp_path / "some", "-s", "S0019,S0003,S0004") == HAS


def test_only_variants_and_samples_of_the_view_count(tmp_path):
    phased = rows(30)
    phased[90, :12] = True
    store = phased_store(tmp_path / "x.vcz", phased)
    assert notice(store, tmp_path / "a", "-i", "POS < 200") is None
    assert notice(store, tmp_path / "b", "-i", "POS == 217") == HAS
    assert notice(store, tmp_path / "c", "-i", "POS > 217") is None
    assert notice(store, tmp_path / "d", "-i", "POS > 217", "-s", "S0011,S0001") == HAS
    assert notice(store, tmp_path / "e", "-i", "POS > 217", "-s", "S0011,S0012") is None
    assert notice(store, tmp_path / "f", "--unphased") is None
    assert notice(store, tmp_path / "g", "-i", "POS < 0") is None


def test_chunks_that_are_not_stored(tmp_path):
    for fill, said in ((False, None), (True, HAS)):
        store = phased_store(tmp_path / f"{fill}.vcz", rows())
        add_field(store, "call_genotype_phased", rows(), chunks=(20, 8), fill_value=fill)
        for chunk in chunk_files(store, "call_genotype_phased"):
            chunk.unlink()
        assert notice(store, tmp_path / str(fill)) == said


def test_what_it_may_cost_is_bounded(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    phased = rng.random((VARIANTS, SAMPLES)) < 0.5
    phased[:, 0] = False
    store = phased_store(tmp_path / "x.vcz", phased)
    monkeypatch.setattr(phase, "_CHUNKS", 10)
    assert notice(store, tmp_path / "all") is None
    monkeypatch.setattr(phase, "_CHUNKS", 9)
    assert notice(store, tmp_path / "most") == MAY
    # Chunks that are alike cost one.
    store = phased_store(tmp_path / "same.vcz", rows(110))
    monkeypatch.setattr(phase, "_CHUNKS", 2)
    assert notice(store, tmp_path / "same") == HAS
    monkeypatch.setattr(phase, "_ROWS", 9)
    monkeypatch.setattr(phase, "_CHUNKS", 64)
    store = phased_store(tmp_path / "none.vcz", rows())
    assert notice(store, tmp_path / "rows") == MAY
    monkeypatch.setattr(phase, "_ROWS", 10)
    assert notice(store, tmp_path / "more-rows") is None


@pytest.mark.parametrize("damage", ["half", "text", "directory"])
def test_chunks_that_cannot_be_read(damage, tmp_path):
    """They are said, and the others are looked at."""
    store = phased_store(tmp_path / "x.vcz", rows())
    phased = rows(150)
    phased[3, :19] = True
    add_field(store, "call_genotype_phased", phased, chunks=(20, 8))
    chunk = store / "call_genotype_phased" / "5.0"
    DAMAGE[damage](chunk)
    plan = plan_view(store, tmp_path / "some", "--format", "bgen")
    assert not plan.lasting
    assert ["call_genotype_phased/5.0" in text for text in plan.warnings] == [True]
    assert plan.notices["bgen"][0].startswith(HAS)
    add_field(store, "call_genotype_phased", rows(), chunks=(20, 8))
    DAMAGE[damage](chunk)
    assert notice(store, tmp_path / "none") == MAY


def test_who_is_told(biofuse, tmp_path):
    store = phased_store(tmp_path / "x.vcz", rows(150))

    def said(command, *words) -> str:
        directory = [] if command == "run" else [biofuse.new_directory()]
        done = biofuse(command, store, *directory, *words)
        if directory:
            biofuse("umount", *directory)
        return done.stderr

    told = "biofuse: " + HAS
    # Twice: from the kept plan too.
    for _ in range(2):
        for words in (["--format", "bgen"], ["--format", "plink", "--format", "bgen"]):
            text = said("mount", *words)
            assert text.startswith(told) and len(text.splitlines()) == 1
        assert said("run", "--", "test", "-s", "{bgen}").startswith(told)
        for words in ([], ["--format", "plink"], ["--format", "bgen", "--unphased"]):
            assert said("mount", *words) == ""
        assert said("run", "--", "test", "-s", "{bed}") == ""
        assert said("run", "--unphased", "--", "test", "-s", "{bgen}") == ""
