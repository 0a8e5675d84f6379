"""How region_index is used: as a help, which may be missing or wrong."""

import mmap
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from support.regions import (
    BASE,
    CONTIGS,
    kept,
    kept_by_bcftools,
    make_stores,
    opened,
    write_vcf,
)
from support.stores import convert

from biofuse.plan.regions import select_regions
from biofuse.selection_files import read_selection


@pytest.fixture
def stores(made):
    return made("regions", make_stores)


class Recorded:
    """A store that remembers which keys are read of it."""

    far = False

    def __init__(self, store):
        self._store = store
        self.keys: set[str] = set()

    def get_many(self, ranges):
        self.keys.update(wanted.key for wanted in ranges)
        return self._store.get_many(ranges)


def test_only_chunks_that_the_index_points_to_are_read(stores):
    group, store = opened(stores["whole"])
    recorded = Recorded(store)
    selection = read_selection(**{"regions": "chr2:100040-100050", "targets": "chr2"})
    found, _ = select_regions(group, recorded, selection)
    assert found.tolist() == kept_by_bcftools(stores["vcf"], regions="chr2:100040-100050")
    index = group["region_index"][:]
    on_contig = index[index[:, 1] == CONTIGS.index("chr2")]
    wanted = on_contig[(on_contig[:, 2] <= 100050) & (on_contig[:, 4] >= 100040)][:, 0]
    read = {int(key.split("/")[1]) for key in recorded.keys if key.startswith("variant_position")}
    assert read == set(wanted.tolist())
    assert 0 < len(read) < 6


def test_what_is_kept_is_in_a_file(stores):
    """Tens of millions of indices are no memory that stays."""
    found, _ = select_regions(*opened(stores["whole"]), read_selection(**{"regions": "1,X"}))
    assert isinstance(found.base.obj, mmap.mmap)


def test_nothing_is_read_where_the_index_has_no_such_position(stores):
    group, store = opened(stores["whole"])
    recorded = Recorded(store)
    found, _ = select_regions(group, recorded, read_selection(**{"regions": "chr2:500000-"}))
    assert len(found) == 0
    assert recorded.keys == set()


@pytest.mark.parametrize("change", ["positions", "contigs", "rows", "order", "columns"])
def test_an_index_that_does_not_fit_is_not_used(change, stores, tmp_path):
    path = shutil.copytree(stores["whole"], tmp_path / "stale.vcz")
    root = zarr.open_group(path, mode="r+")
    index = root["region_index"][:]
    if change == "positions":
        root["variant_position"][35:50] = np.arange(200500, 200515)
    elif change == "contigs":
        root["variant_contig"][40:60] = 0
        root["variant_position"][:] = np.arange(120) + BASE
    elif change == "rows":
        index[3, 5] += 1
    elif change == "order":
        index[:, 2], index[:, 3] = index[:, 3].copy(), index[:, 2].copy()
        index[2, 2:4] = 100100, 100001
    else:
        index = index[:, :5]
    del root["region_index"]
    root.create_array("region_index", data=index)
    without = shutil.copytree(path, tmp_path / "without.vcz")
    shutil.rmtree(without / "region_index")
    for store in (path, without):
        (store / ".zmetadata").unlink(missing_ok=True)
    for regions in ("1:100020-100060", "chr2:100030-100060"):
        assert kept(path, regions=regions) == kept(without, regions=regions) != []


def test_the_user_is_told_of_an_index_that_differs(stores, tmp_path):
    path = shutil.copytree(stores["whole"], tmp_path / "stale.vcz")
    root = zarr.open_group(path, mode="r+")
    root["variant_position"][:] = root["variant_position"][:] + 1
    _, said = select_regions(*opened(path), read_selection(**{"regions": "1:100020-100060"}))
    assert said == ["region_index is not used: it differs from variant_contig and variant_position"]


def test_an_index_of_small_integers(made):
    """Where positions are stored as int8 or int16, bio2zarr's index has ends that overflowed."""

    def make(directory: Path) -> tuple[Path, Path]:
        path = write_vcf(directory / "small.vcf", 0)
        return path.with_suffix(".vcf.gz"), convert(path, directory / "small.vcz")

    vcf, store = made("small-positions", make)
    index = zarr.open_group(store, mode="r")["region_index"]
    assert index.dtype == np.int8
    for regions in ("1:113", "X:118-130", "chr2:1-5"):
        expected = kept_by_bcftools(vcf, regions=regions)
        assert kept(store, regions=regions) == expected != []
