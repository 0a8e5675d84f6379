"""Whether a view has phased variants or haploid calls is found out, and said of its .bgen."""

import numpy as np
import pytest
import zarr
from support.bgen import parse
from support.damage import DAMAGE
from support.stores import add_field, chunk_files, make_store, random_genotypes
from support.views import make_files, plan_view

from biofuse.plan import phase

VARIANTS, SAMPLES = 200, 20
HAPLOID_FREE = np.abs(random_genotypes(VARIANTS, SAMPLES, seed=1)).clip(0, 1)
HAS = "the .bgen has phased variants"
MAY = "the .bgen may have phased variants"


def phased_store(path, phased, encoding="v2-blosc-zstd-bit", chunks=(20, 8)):
    version = "v3-blosc-zstd-bit" if encoding.startswith("v3") else "v2-blosc-zstd-bit"
    make_store(path, HAPLOID_FREE, chunks=chunks, encoding=version)
    return add_field(path, "call_genotype_phased", phased, chunks=chunks, encoding=encoding)


def notice(store, folder, *options) -> str | None:
    """What is said of phase, without the programs' names."""
    shown = ("--format", "bgen", "--phased")
    found = plan_view(store, folder, *shown, *options).notices.get("bgen", [])
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
    monkeypatch.setattr(phase, "CHUNKS", 1000)
    store = phased_store(tmp_path / "x.vcz", rows(row), encoding)
    assert notice(store, tmp_path / "plan") == HAS


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_phased_variant(encoding, tmp_path, monkeypatch):
    """All calls but one of every variant are phased, in each chunk of samples in turn."""
    monkeypatch.setattr(phase, "CHUNKS", 1000)
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
    monkeypatch.setattr(phase, "CHUNKS", 10)
    assert notice(store, tmp_path / "all") is None
    monkeypatch.setattr(phase, "CHUNKS", 9)
    assert notice(store, tmp_path / "most") == MAY
    # Chunks that are alike cost one.
    store = phased_store(tmp_path / "same.vcz", rows(110))
    monkeypatch.setattr(phase, "CHUNKS", 2)
    assert notice(store, tmp_path / "same") == HAS
    monkeypatch.setattr(phase, "ROWS", 9)
    monkeypatch.setattr(phase, "CHUNKS", 64)
    store = phased_store(tmp_path / "none.vcz", rows())
    assert notice(store, tmp_path / "rows") == MAY
    monkeypatch.setattr(phase, "ROWS", 10)
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
    plan = plan_view(store, tmp_path / "some", "--format", "bgen", "--phased")
    assert not plan.lasting
    told = [text for text in plan.warnings if "call_genotype_phased/5.0" in text]
    assert "not all calls can be looked at" in told[-1]
    assert plan.notices["bgen"][0].startswith(HAS)
    add_field(store, "call_genotype_phased", rows(), chunks=(20, 8))
    DAMAGE[damage](chunk)
    assert notice(store, tmp_path / "none") == MAY


HIDES = "the store has phased variants, and the .bgen shows them as unphased"


# Said of every store that has phase, whatever is asked of the `.bgen`.
OF_PGEN = "biofuse: the store has phased calls, and the .pgen shows them as unphased"


def said(biofuse, command, store, *words) -> str:
    """What a command prints on standard error, but for what is said of the `.pgen`."""
    directory = [] if command == "run" else [biofuse.new_directory()]
    done = biofuse(command, store, *directory, *words)
    if directory:
        biofuse("umount", *directory)
    lines = done.stderr.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(OF_PGEN))


def test_the_pgen_tells_too(biofuse, tmp_path):
    store = phased_store(tmp_path / "x.vcz", rows(150))
    for words, count in (([], 0), (["--format", "plink2"], 1), (["--format", "bgen"], 0)):
        directory = biofuse.new_directory()
        done = biofuse("mount", store, directory, *words)
        biofuse("umount", directory)
        assert done.stderr.count(OF_PGEN) == count


@pytest.mark.slow
def test_who_is_told(biofuse, tmp_path):
    store = phased_store(tmp_path / "x.vcz", rows(150))
    # Twice: from the kept plan too.
    for _ in range(2):
        for words in ([], ["--format", "bgen"], ["--format", "plink", "--format", "bgen"]):
            for option, told in (([], HIDES), (["--phased"], HAS)):
                lines = said(biofuse, "mount", store, *words, *option).splitlines()
                # Of phase that is shown, chunks that are not stored are told before.
                assert lines[-1].startswith(f"biofuse: {told}") and len(lines) == 1 + len(option)
            assert said(biofuse, "mount", store, *words, "--unphased") == ""
        ran = ["--", "test", "-s", "{bgen}"]
        assert said(biofuse, "run", store, *ran).startswith(f"biofuse: {HIDES}")
        assert f"biofuse: {HAS}" in said(biofuse, "run", store, "--phased", *ran)
        assert said(biofuse, "run", store, "--unphased", *ran) == ""
        assert said(biofuse, "mount", store, "--format", "plink") == ""
    assert HIDES in biofuse("info", store).stdout


@pytest.mark.slow
def test_haploid_calls_are_told(biofuse, tmp_path):
    """Of one sample, on one contig of three."""
    store = make_store(tmp_path / "x.vcz", HAPLOID_FREE, chunks=(20, 8), contigs=("1", "X", "2"))
    told = "the .bgen has haploid calls, which REGENIE, SAIGE and BOLT-LMM do not take"
    assert said(biofuse, "mount", store) == ""
    assert told not in biofuse("info", store).stdout
    genotypes = zarr.open_group(store, mode="r+")["call_genotype"]
    contig = zarr.open_group(store, mode="r")["variant_contig"][:]
    on_x = np.flatnonzero(contig == 1)
    assert 0 < len(on_x) < VARIANTS
    genotypes[on_x[0] : on_x[-1] + 1, 5, 1] = -2
    for words in ([], ["--format", "bgen"], ["--phased"]):
        assert said(biofuse, "mount", store, *words).startswith(f"biofuse: {told}")
    assert told in biofuse("info", store).stdout
    for words in (["--haploid-as-diploid"], ["--format", "plink"], ["-s", "^S0005"]):
        assert said(biofuse, "mount", store, *words) == ""


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_one_haploid_call_is_found(encoding, tmp_path):
    version = "v3" if encoding.startswith("v3") else "v2"
    for row, column in ((0, 3), (199, 7), (66, 0)):
        genotypes = HAPLOID_FREE.copy()
        genotypes[row, column, 1] = -2
        store = make_store(tmp_path / f"{row}.vcz", genotypes, chunks=(20, 8), encoding=encoding)
        assert version in encoding
        plan = plan_view(store, tmp_path / f"{row}", "--format", "bgen")
        found = plan.notices.get("bgen", [])
        looked_at = encoding == "v2-blosc-zstd-bit" or row != 66
        assert [text.startswith("the .bgen has haploid calls") for text in found] == (
            [True] if looked_at else []
        )


def test_phase_as_xarray_writes_it(biofuse, tmp_path):
    """Booleans as int8, with an attribute that says so."""
    phased = rows(*range(0, VARIANTS, 3))
    store = phased_store(tmp_path / "x.vcz", phased)
    shown = ("--format", "bgen", "--phased")
    files = {}
    for dtype in ("bool", "int8", "uint8"):
        add_field(store, "call_genotype_phased", phased.astype(dtype), chunks=(20, 8))
        if dtype != "bool":
            array = zarr.open_group(store, mode="r+")["call_genotype_phased"]
            array.attrs["dtype"] = "bool"
        stem = make_files(store, tmp_path / dtype, *shown)
        files[dtype] = stem.with_suffix(".bgen").read_bytes()
        found = [variant.phased for variant in parse(files[dtype]).variants]
        assert found == phased.all(axis=1).tolist() and any(found) and not all(found)
        assert notice(store, tmp_path / f"plan-{dtype}") == HAS
    assert files["int8"] == files["uint8"] == files["bool"]


def test_no_variant_is_phased_unless_asked_for(tmp_path):
    """What REGENIE, which looks at the first variant only, and SAIGE read right."""
    store = phased_store(tmp_path / "x.vcz", rows(*range(100, VARIANTS)))
    shown = {
        name: parse(
            make_files(store, tmp_path / name, *words, like=like).with_suffix(".bgen").read_bytes()
        )
        for name, like, words in (
            ("default", "mount", ["--format", "bgen"]),
            ("unphased", "mount", ["--format", "bgen", "--unphased"]),
            ("phased", "mount", ["--format", "bgen", "--phased"]),
            ("0.1.0", "mount-bgen", []),
            ("0.1.0-unphased", "mount-bgen", ["--unphased"]),
        )
    }
    for name, file in shown.items():
        expected = 100 if name in ("phased", "0.1.0") else 0
        assert sum(variant.phased for variant in file.variants) == expected, name
