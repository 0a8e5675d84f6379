"""Chunks of calls of which nothing tells at mount whether they are stored."""

import os
from pathlib import Path

import numpy as np
import pytest
import zarr
from support.layouts import key_at, lose
from support.stores import add_field, chunk_files, copy_store
from support.views import make_view, open_encoder, plan_view
from test_missing_chunks import CHUNK, FAR, TOLD, make_plain

from biofuse.errors import BiofuseError
from biofuse.manifest import Plan
from biofuse.plan import grid


def encoded(plan: Plan, directory: Path) -> bytes:
    """All records of a `.bed`."""
    [bed] = plan.streamed
    out = bytearray(bed.size - bed.header_size)
    open_encoder(plan, directory, 1 << 20).encode(0, 0, bed.records, memoryview(out))
    return bytes(out)


def test_more_chunks_than_are_listed_far_away(made, tmp_path, monkeypatch):
    """Nothing is told of them at mount, and a read of one that is not stored fails."""
    assert grid._MAX_LISTED_FAR == 20_000
    store = copy_store(made("missing-plain", make_plain), tmp_path / "x.vcz")
    url, key = f"file://{store}", key_at(store, "call_genotype", 1, 2, 0)
    lose(store, key)
    expected = make_view(store, tmp_path / "view").bed[3:]
    count = len(grid.Grid(zarr.open_group(store, mode="r")["call_genotype"]))
    monkeypatch.setattr(grid, "_MAX_LISTED_FAR", count)
    plan = plan_view(url, tmp_path / "listed", *FAR)
    assert [key in warning for warning in plan.warnings] == [True]
    assert encoded(plan, tmp_path / "listed") == expected
    monkeypatch.setattr(grid, "_MAX_LISTED_FAR", count - 1)
    plan = plan_view(url, tmp_path / "unlisted", *FAR)
    assert plan.warnings == []
    with pytest.raises(BiofuseError, match=f"^{key} is not stored, which could not be told"):
        encoded(plan, tmp_path / "unlisted")
    plan = plan_view(url, tmp_path / "filled", *FAR, "--missing-chunks", "fill")
    assert encoded(plan, tmp_path / "filled") == expected
    # Of a store here all names are looked at.
    (warning,) = plan_view(store, tmp_path / "local").warnings
    assert key in warning


@pytest.mark.parametrize("field", [field for field in TOLD if field.startswith("call_")])
def test_a_server_that_lists_nothing(field, made, placer, biofuse, tmp_path):
    """Nobody could say before that a chunk is lost: reads of it fail, unless it is to be shown."""
    store = copy_store(made("missing-plain", make_plain), tmp_path / "x.vcz")
    there = placer.put("http", store)
    options, ndim = TOLD[field][0], zarr.open_group(store, mode="r")[field].ndim
    with there.mount(biofuse, *options) as mount:
        [whole] = [path for path in mount.dir.iterdir() if path.suffix in (".bed", ".bgen")]
        expected = whole.read_bytes()
    # A fifth of the records is before what is lost.
    count = len(expected) // 8
    keys = [key_at(store, field, *index[:ndim]) for index in ((3, 1, 0), (2, 0, 0))]
    for key in keys:
        there.delete(key)
        lose(store, key)
    saved = tmp_path / "x.plan"
    biofuse("plan", there.url, "-o", saved, *(word for word in options if word != "--no-bgi"))
    with biofuse.mount(store, *options) as mount:
        # What it has to tell is not the matter here.
        mount.expect_log("")
        local = (mount.dir / whole.name).read_bytes()
    assert local != expected
    if field == "call_genotype":
        # Who is left out for what he is not said to be is never seen to be missing.
        for filters in ["-i", "AC>0"], ["-i", 'GT="alt"'], ["--min-ac", "1"]:
            said = biofuse.fails("mount", there.url, biofuse.new_directory(), *options, *filters)
            assert "is not stored, which could not be told before" in said
    for plan in [], ["--plan", saved]:
        with there.mount(biofuse, *options, *plan) as mount:
            mount.expect_log("is not stored, which could not be told before")
            # Past the kernel's cache, which reads whole pages.
            fd = os.open(mount.dir / whole.name, os.O_RDONLY | os.O_DIRECT)
            assert os.pread(fd, count, 0) == expected[:count]
            with pytest.raises(OSError, match="Input/output error"):
                os.pread(fd, len(expected), 0)
            os.close(fd)
            assert any(key in mount.log_text() for key in keys)
        with there.mount(biofuse, *options, *plan, "--missing-chunks", "fill") as mount:
            assert (mount.dir / whole.name).read_bytes() == local


@pytest.mark.parametrize("plan", [False, True])
def test_other_fields_of_a_server_that_lists_nothing(plan, made, placer, biofuse, tmp_path):
    """Of FORMAT; and phase, of which none need be stored where there is none."""
    store = copy_store(made("missing-plain", make_plain), tmp_path / "x.vcz")
    depth = np.arange(40 * 9, dtype=np.int32).reshape(40, 9)
    add_field(store, "call_DP", depth, chunks=(CHUNK, 4), fill_value=-1)
    # Without which nobody could know of DP.
    zarr.consolidate_metadata(store)
    there = placer.put("http", store)
    options = ["--format", "bcf", "--bcf-fields", "GT,DP"]
    saved = tmp_path / "x.plan"
    for key in key_at(store, "call_DP", 3, 1), key_at(store, "call_genotype_phased", 3, 1):
        there.delete(key)
        lose(store, key)
        more = []
        if plan:
            biofuse("plan", there.url, "-o", saved, *options)
            more = ["--plan", saved]
        with there.mount(biofuse, *options, *more) as mount:
            mount.expect_log(f"{key} is not stored, which could not be told before")
            mount.expect_log("is not stored, which could not be told before")
            with pytest.raises(OSError, match="Input/output error"):
                (mount.dir / "x.bcf").read_bytes()
        options = ["--format", "bcf"]
    for path in chunk_files(store, "call_genotype_phased"):
        key = str(path.relative_to(store))
        if (store / key).exists():
            there.delete(key)
            lose(store, key)
    with biofuse.mount(store, *options) as mount:
        expected = (mount.dir / "x.bcf").read_bytes()
    if plan:
        biofuse("plan", there.url, "-o", saved, *options)
    with there.mount(biofuse, *options, *(["--plan", saved] if plan else [])) as mount:
        assert (mount.dir / "x.bcf").read_bytes() == expected
