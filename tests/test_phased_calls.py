"""That a hard-call .pgen drops phase is said where calls are phased, not only whole variants."""

import numpy as np
import pytest
from support.damage import DAMAGE
from support.stores import add_field, make_store
from support.views import plan_view

from biofuse.plan import phased_calls

VARIANTS, SAMPLES = 120, 20
CHUNKS = (20, 8)
SAID = "the store has phased calls, and the .pgen shows them as unphased"
HIDES = "the store has phased variants, and the .bgen shows them as unphased"
ENCODINGS = ["v2-blosc-zstd-bit", "v2-gzip", "v3-blosc-zstd-bit", "v3-sharded"]


def phased_store(path, calls, flags, encoding=ENCODINGS[0], chunks=CHUNKS):
    """A store of calls of REF but for some, of which some are flagged.

    Parameters
    ----------
    calls : dict of (int, int) to sequence of int
    flags : iterable of (int, int)
    """
    ploidy = max((len(call) for call in calls.values()), default=2)
    genotypes = np.zeros((VARIANTS, SAMPLES, ploidy), dtype=np.int8)
    for place, call in calls.items():
        genotypes[place] = call
    phased = np.zeros((VARIANTS, SAMPLES), dtype=bool)
    for place in flags:
        phased[place] = True
    make_store(path, genotypes, chunks=CHUNKS, encoding=encoding)
    return add_field(path, "call_genotype_phased", phased, chunks=chunks, encoding=encoding)


def notices(store, folder, name="plink2", *options) -> list[str]:
    return plan_view(store, folder, "--format", name, *options).notices.get(name, [])


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("place", [(0, 0), (119, 19), (57, 9)])
def test_one_phased_heterozygous_call(place, encoding, tmp_path):
    store = phased_store(tmp_path / "x.vcz", {place: (1, 0)}, [place], encoding)
    [line] = notices(store, tmp_path / "plan")
    assert line.startswith(SAID)
    assert notices(store, tmp_path / "bgen", "bgen") == []


@pytest.mark.parametrize("call", [(1, 1), (-1, -1), (1, -2), (-1, 1), (0, 0)])
def test_flags_that_say_nothing(call, tmp_path):
    """Of homozygous, missing and haploid calls, beside a call that is not flagged."""
    places = [(row, 4) for row in range(VARIANTS)]
    calls = {place: call for place in places} | {(3, 5): (0, 1)}
    store = phased_store(tmp_path / "x.vcz", calls, places)
    assert notices(store, tmp_path / "plan") == []


def test_alleles_of_sites_that_are_split(tmp_path):
    store = phased_store(tmp_path / "x.vcz", {(3, 5): (2, 3)}, [(3, 5)])
    assert len(notices(store, tmp_path / "plan")) == 1


def test_haploid_stores(tmp_path):
    """Every call of which is flagged."""
    everything = [(row, column) for row in range(VARIANTS) for column in range(SAMPLES)]
    store = phased_store(tmp_path / "x.vcz", {(0, 0): (1,)}, everything)
    assert notices(store, tmp_path / "pgen") == []
    assert not [line for line in notices(store, tmp_path / "bgen", "bgen") if "phase" in line]
    # Its records would be flagged.
    [line, _] = notices(store, tmp_path / "phased", "bgen", "--phased")
    assert line.startswith("the .bgen has phased variants")


def test_haploid_variants_of_diploid_stores(tmp_path):
    """All calls of some variants are flagged, and haploid; in others one is phased."""
    calls = {(row, column): (1, -2) for row in range(10, 13) for column in range(SAMPLES)}
    store = phased_store(tmp_path / "x.vcz", calls, list(calls))
    said = [line for line in notices(store, tmp_path / "a", "bgen") if line.startswith(HIDES)]
    assert said == []
    store = phased_store(tmp_path / "y.vcz", calls | {(2, 2): (0, 1)}, [*calls, (2, 2)])
    said = [line for line in notices(store, tmp_path / "b", "bgen") if line.startswith(HIDES)]
    assert len(said) == 1


def test_only_variants_and_samples_of_the_view_count(tmp_path):
    store = phased_store(tmp_path / "x.vcz", {(30, 9): (0, 1)}, [(30, 9), (30, 10)])
    for name, words, count in (
        ("a", ["-s", "S0009"], 1),
        ("b", ["-s", "^S0009"], 0),
        ("c", ["-i", "POS == 217"], 1),
        ("d", ["-e", "POS == 217"], 0),
        ("e", ["-s", "S0019,S0009,S0001", "-i", "POS > 210"], 1),
        ("f", ["-i", "POS < 0"], 0),
    ):
        assert len(notices(store, tmp_path / name, "plink2", *words)) == count, name


@pytest.mark.parametrize("chunks", [(20, 8), (7, 5), (120, 20), (50, 3)])
def test_flags_in_other_chunks_than_calls(chunks, tmp_path):
    place = (59, 11)
    calls = {place: (1, 0), (58, 11): (0, 1), (59, 12): (0, 1)}
    for flags, count in (([place], 1), ([(60, 11), (59, 10)], 0)):
        store = phased_store(tmp_path / f"{count}.vcz", calls, flags, chunks=chunks)
        assert len(notices(store, tmp_path / str(count))) == count


def test_what_it_may_cost_is_bounded(tmp_path, monkeypatch):
    """Flags that say nothing lie before the one that does, in the order of looks."""
    flags = [(row, column) for row in range(0, VARIANTS, 20) for column in range(0, SAMPLES, 8)]
    last = (119, 15)
    store = phased_store(tmp_path / "x.vcz", {last: (0, 1)}, [*flags, last])
    reads = []
    load = phased_calls.loaded

    def count(reader, *what):
        reads.append(reader.genotypes.path)
        return load(reader, *what)

    monkeypatch.setattr(phased_calls, "loaded", count)
    assert len(notices(store, tmp_path / "all")) == 1
    needed = reads.count("call_genotype")
    assert 1 < needed <= phased_calls.CALL_CHUNKS
    monkeypatch.setattr(phased_calls, "CALL_CHUNKS", needed)
    assert len(notices(store, tmp_path / "enough")) == 1
    monkeypatch.setattr(phased_calls, "CALL_CHUNKS", needed - 1)
    assert notices(store, tmp_path / "few") == []
    monkeypatch.setattr(phased_calls, "CALL_CHUNKS", needed)
    monkeypatch.setattr(phased_calls, "CHUNKS", needed - 1)
    assert notices(store, tmp_path / "few-flags") == []


@pytest.mark.parametrize("field", ["call_genotype", "call_genotype_phased"])
def test_chunks_that_cannot_be_read(field, tmp_path):
    """They are said, and the others are looked at."""
    calls = {(3, 2): (0, 1), (119, 2): (0, 1)}
    store = phased_store(tmp_path / "x.vcz", calls, list(calls))
    tail = ".0" if field == "call_genotype" else ""
    DAMAGE["half"](store / field / f"0.0{tail}")
    plan = plan_view(store, tmp_path / "plan", "--format", "plink2")
    assert [line.startswith(SAID) for line in plan.notices["plink2"]] == [True]
    assert any(f"{field}/0.0" in line for line in plan.warnings)
    assert not plan.lasting


def test_info_and_saved_plans_tell_it(biofuse, tmp_path):
    store = phased_store(tmp_path / "x.vcz", {(3, 2): (0, 1)}, [(3, 2)])
    assert biofuse("info", store).stdout.count(SAID) == 1
    biofuse("plan", store, "-o", tmp_path / "x.plan")
    words = ["--format", "plink2", "--no-cache", "--plan", tmp_path / "x.plan"]
    assert SAID in biofuse("run", store, *words, "--", "true").stderr
