"""Variants are read in batches that grow, but not where their alleles are long."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from support.stores import make_store

from biofuse.options import ViewOptions
from biofuse.plan import variants
from biofuse.plan.selection import Resolved
from biofuse.plan.variants import VariantPass
from biofuse.stores import Location, open_store

VARIANTS = 300


def batches(store: Path, kept=None) -> list:
    group = zarr.open_group(store, mode="r")
    resolved = Resolved(None, kept)
    found = VariantPass(
        group,
        open_store(Location(str(store))),
        resolved,
        ViewOptions(store, "x", ("plink",)),
        lambda done, total: None,
    ).batches()
    return list(found)


def make(path: Path, long=()) -> Path:
    store = make_store(path, np.zeros((VARIANTS, 1, 2), dtype=np.int8), chunks=(10, 1))
    array = zarr.open_group(store, mode="r+")["variant_allele"]
    alleles = array[...]
    for i in long:
        alleles[i, 1] = "C" * 5000
    array[...] = alleles
    return store


def check(store: Path, found: list, kept=slice(None)) -> None:
    group = zarr.open_group(store, mode="r")
    alleles = group["variant_allele"][...][kept]
    assert [ref for b in found for ref in b.whole.variants.ref] == alleles[:, 0].tolist()
    assert [alt for b in found for alt in b.whole.variants.alt] == alleles[:, 1].tolist()
    assert np.array_equal(np.concatenate([b.whole.index for b in found]), np.arange(VARIANTS)[kept])


def test_batches_grow(tmp_path):
    store = make(tmp_path / "x.vcz")
    found = batches(store)
    check(store, found)
    assert [len(b.whole.index) for b in found] == [10, 80, 210]


def test_batches_of_long_alleles_are_small(tmp_path, monkeypatch):
    monkeypatch.setattr(variants, "_TEXT", 100_000)
    store = make(tmp_path / "x.vcz", long=range(20, 200))
    found = batches(store)
    check(store, found)
    # The first of them is as large as those before let it be; of 5,000 characters each, 20
    # would be as many as there may be.
    first, *others = [b for b in found if b.whole.index[-1] >= 20 and b.whole.index[0] < 200]
    assert first.whole.index[0] <= 20
    assert {len(b.whole.index) for b in others} <= {10, 20}
    assert found[-1].whole.index[0] > 200


@pytest.mark.parametrize("text", [1, 1000])
def test_a_chunk_is_the_least(text, tmp_path, monkeypatch):
    monkeypatch.setattr(variants, "_TEXT", text)
    store = make(tmp_path / "x.vcz", long=range(VARIANTS))
    found = batches(store)
    check(store, found)
    assert {len(b.whole.index) for b in found} == {10}


def test_a_selection(tmp_path):
    kept = np.array([3, 4, 99, 100, 250, 299])
    store = make(tmp_path / "x.vcz")
    check(store, batches(store, kept), kept)
