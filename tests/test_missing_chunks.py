"""Chunks of fields that a view depends on and that a store has lost: silence is for what may be."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from support.layouts import LAYOUTS, as_zip, key_at, lay_out, lose
from support.oracles import Fileset
from support.stores import add_field, chunk_files, copy_store, make_store, random_genotypes
from support.views import make_view, open_encoder, plan_view, record_offsets

from biofuse.errors import BiofuseError

# Five chunks of variants; the second contig begins in the middle of the fourth.
GENOTYPES = random_genotypes(40, 9, seed=5)
NUM = 40
CHUNK = 8
PHASE = np.ones((40, 9), dtype=bool)
GP = np.zeros((40, 9, 3), dtype=np.float32) + np.float32([1, 0, 0])


def make_plain(folder: Path) -> Path:
    """Every chunk of this store but those of the first contig is stored."""
    store = make_store(folder / "plain.vcz", GENOTYPES, chunks=(CHUNK, 4))
    add_field(store, "call_genotype_phased", PHASE, chunks=(CHUNK, 4), fill_value=False)
    add_field(store, "call_GP", GP, chunks=(CHUNK, 4), fill_value=float("nan"))
    positions = np.concatenate([np.arange(1, 27) * 7, np.arange(1, 15) * 3])
    root = zarr.open_group(store, mode="r+")
    root["variant_position"][...] = positions
    root["variant_id"][...] = np.array([f"rs{i}" for i in range(NUM)], dtype=object)
    return store


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return request.param


@pytest.fixture
def store(layout, made, tmp_path):
    plain = made("missing-plain", make_plain)
    laid = made(f"missing-{layout}", lambda folder: lay_out(plain, folder / "x.vcz", layout))
    return copy_store(laid, tmp_path / "x.vcz")


def per_object(store: Path, field: str) -> int:
    array = zarr.open_group(store, mode="r")[field]
    return (array.shards or array.chunks)[0]


def bgen(store: Path, directory: Path, *options):
    """Plan a `.bgen`. Returns the plan."""
    return plan_view(store, directory, "--format", "bgen", "--no-bgi", *options)


ERRORS = {
    "variant_position": ((1,), "a position of 0"),
    "variant_allele": ((1, 0), "an empty REF"),
    "contig_id": ((0,), "an empty contig name"),
    "sample_id": ((1,), "an empty sample ID"),
}


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("field", ERRORS)
def test_what_cannot_be_is_an_error(field, packed, store, tmp_path):
    index, what = ERRORS[field]
    key = key_at(store, field, *index)
    lose(store, key)
    if packed:
        store = as_zip(store)
    with pytest.raises(BiofuseError, match="not stored") as error:
        bgen(store, tmp_path / "plan")
    text = str(error.value)
    assert f"1 of {len_of(field, key, store, packed)}" in text
    assert f"({key}" in text and what in text and "--missing-chunks fill" in text
    plan = bgen(store, tmp_path / "filled", "--missing-chunks", "fill")
    assert [what in warning and key in warning for warning in plan.warnings] == [True]


def len_of(field: str, key: str, store: Path, packed: bool) -> int:
    """How many objects the field has by its shape."""
    root = zarr.open_group(zarr.storage.ZipStore(store, mode="r") if packed else store, mode="r")
    array = root[field]
    sizes = array.shards or array.chunks
    return int(np.prod([-(-n // size) for n, size in zip(array.shape, sizes, strict=True)]))


TOLD = {
    "variant_id": (("--format", "plink"), (1,), "shown as missing IDs"),
    "call_genotype": (("--format", "plink"), (1, 2, 0), "shown as REF"),
    "call_genotype_phased": (
        ("--format", "bgen", "--no-bgi", "--phased"),
        (1, 2),
        "shown as unphased",
    ),
    "call_GP": (
        ("--format", "bgen", "--no-bgi", "--bgen-field", "GP"),
        (1, 0, 0),
        "shown as missing",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("field", TOLD)
def test_what_may_be_is_told_with_its_sites(field, packed, store, tmp_path):
    options, index, shown = TOLD[field]
    assert plan_view(store, tmp_path / "before", *options).warnings == []
    key = key_at(store, field, *index)
    first, size = per_object(store, field), per_object(store, field)
    lose(store, key)
    if packed:
        store = as_zip(store)
    (warning,) = plan_view(store, tmp_path / "plan", *options).warnings
    assert f"of {field} is not stored and is {shown}" in warning
    last = first + size - 1
    sites = f"1:{7 * (first + 1)}-{7 * (last + 1)}"
    if last >= 26:
        sites = f"1:{7 * (first + 1)} to 2:{3 * (last - 25)}"
    assert f"({key}: sites {sites})" in warning


def test_phase_is_no_matter_of_a_bed(made, tmp_path):
    store = copy_store(made("missing-plain", make_plain), tmp_path / "x.vcz")
    lose(store, key_at(store, "call_genotype_phased", 1, 0))
    lose(store, key_at(store, "call_GP", 1, 0, 0))
    assert plan_view(store, tmp_path / "plan").warnings == []


@pytest.mark.parametrize("field", ["variant_id", "call_genotype_phased"])
def test_a_field_without_any_chunk_has_nothing_to_tell(field, made, tmp_path):
    store = copy_store(made("missing-plain", make_plain), tmp_path / "x.vcz")
    for chunk in chunk_files(store, field):
        chunk.unlink()
    assert bgen(store, tmp_path / "plan").warnings == []


def test_the_first_contig_is_not_stored_and_right(store, tmp_path):
    assert len(chunk_files(store, "variant_contig")) < -(-NUM // per_object(store, "variant_id"))
    assert bgen(store, tmp_path / "plan").warnings == []
    lines = make_view(store, tmp_path / "view").bim.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["1"] * 26 + ["2"] * 14


@pytest.mark.parametrize("lost", [3, 4])
def test_a_contig_that_is_lost_puts_variants_out_of_order(lost, made, tmp_path):
    """The chunk in which the second one begins, and one after it."""
    store = copy_store(made("missing-plain", make_plain), tmp_path / "x.vcz")
    lose(store, f"variant_contig/{lost}")
    (warning,) = plan_view(store, tmp_path / "plan").warnings
    assert "chunks of variant_contig are not stored and are shown as contig 1" in warning
    assert f"variant_contig/{lost}: variants {8 * lost} to {8 * lost + 7} of the store" in warning


@pytest.mark.parametrize("option", ["-r", "-t"])
def test_a_selection_does_not_hide_it(option, made, tmp_path):
    store = copy_store(made("missing-plain", make_plain), tmp_path / "x.vcz")
    lose(store, "variant_position/1")
    with pytest.raises(BiofuseError, match=r"variant_position/1: variants 8 to 15"):
        plan_view(store, tmp_path / "plan", option, "2")


def test_fields_of_an_expression(made, tmp_path):
    store = copy_store(made("missing-plain", make_plain), tmp_path / "x.vcz")
    add_field(store, "variant_DP", np.arange(1, 41, dtype=np.int32), chunks=(CHUNK,))
    options = ("-i", "DP > 3")
    assert plan_view(store, tmp_path / "before", *options).warnings == []
    lose(store, "variant_DP/2")
    (warning,) = plan_view(store, tmp_path / "plan", *options).warnings
    assert "1 of 5 chunks of variant_DP is not stored and is taken for 0" in warning
    assert plan_view(store, tmp_path / "other").warnings == []


def test_a_null_sample_is_no_lost_one(made, tmp_path):
    store = copy_store(made("missing-plain", make_plain), tmp_path / "x.vcz")
    zarr.open_group(store, mode="r+")["sample_id"][5] = ""
    seen = make_view(store, tmp_path / "view")
    assert [line.split("\t")[1] for line in seen.fam.splitlines()] == [
        f"S{i:04d}" for i in range(9) if i != 5
    ]
    lose(store, "sample_id/1")
    with pytest.raises(BiofuseError, match=r"sample_id/1: samples 4 to 7"):
        make_view(store, tmp_path / "lost")
    seen = make_view(store, tmp_path / "filled", "--missing-chunks", "fill")
    assert len(seen.fam.splitlines()) == 5


def unset_fill_value(array: Path) -> None:
    metadata = json.loads((array / ".zarray").read_text())
    assert metadata["fill_value"] in (0, "")
    (array / ".zarray").write_text(json.dumps({**metadata, "fill_value": None}))


@pytest.mark.parametrize("is_set", [True, False], ids=["fill-value", "none-set"])
def test_what_fill_shows(is_set, made, tmp_path):
    store = copy_store(made("missing-plain", make_plain), tmp_path / "x.vcz")
    if not is_set:
        for field in ("variant_position", "variant_allele"):
            unset_fill_value(store / field)
    before = make_view(store, tmp_path / "before")
    lose(store, "variant_position/1")
    lose(store, key_at(store, "variant_allele", 2, 0))
    seen = make_view(store, tmp_path / "seen", "--missing-chunks", "fill")
    expected = [line.split("\t") for line in before.bim.splitlines()]
    for columns in expected[8:16]:
        columns[3] = "0"
    for columns in expected[16:24]:
        columns[4:] = [".", "."]
    bim = "".join("\t".join(columns) + "\n" for columns in expected)
    assert seen == Fileset(before.bed, bim, before.fam)


WRONG_SEPARATOR = {
    "v2-flat": ".zarray",
    "v2-nested": ".zarray",
    "v3": "zarr.json",
    "v3-flat": "zarr.json",
    "v3-v2-names": "zarr.json",
    "v3-sharded": "zarr.json",
}


@pytest.mark.parametrize("field", ["call_genotype", "variant_allele"])
def test_names_of_another_separator(field, layout, store, tmp_path):
    path = store / field / WRONG_SEPARATOR[layout]
    metadata = json.loads(path.read_text())
    if "dimension_separator" in metadata:
        holder, name = metadata, "dimension_separator"
    else:
        holder, name = metadata["chunk_key_encoding"]["configuration"], "separator"
    holder[name] = {".": "/", "/": "."}[holder[name]]
    path.write_text(json.dumps(metadata))
    for options in ((), ("--missing-chunks", "fill")):
        with pytest.raises(BiofuseError, match=f"^{field} is damaged: .*separator") as error:
            plan_view(store, tmp_path / f"plan{len(options)}", *options)
        assert f"files named {chunk_files(store, field)[0].relative_to(store / field)}" in str(
            error.value
        )


def dangle(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [dangle, fifo, folder])
@pytest.mark.parametrize("field", ["variant_position", "variant_id", "variant_allele", "contig_id"])
def test_what_is_there_and_is_no_file(field, spoil, store, tmp_path):
    key = key_at(
        store,
        field,
        *((1,) if field != "contig_id" else (0,)),
        *((0,) * (field == "variant_allele")),
    )
    spoil(store / key)
    for options in ((), ("--missing-chunks", "fill")):
        with pytest.raises(BiofuseError, match=f"^{key} cannot be read: it is"):
            plan_view(store, tmp_path / f"plan{len(options)}", *options)


@pytest.mark.parametrize("spoil", [dangle, fifo, folder])
def test_a_chunk_of_genotypes_that_is_no_file(spoil, store, tmp_path):
    key = key_at(store, "call_genotype", 1, 1, 0)
    spoil(store / key)
    (warning,) = plan_view(store, tmp_path / "plan").warnings
    assert "chunks of call_genotype cannot be opened, and reads of them fail" in warning
    assert key in warning


def test_a_link_that_leads_to_a_chunk_is_one(made, tmp_path):
    store = copy_store(made("missing-plain", make_plain), tmp_path / "x.vcz")
    before = make_view(store, tmp_path / "before")
    for field in ("variant_position", "call_genotype"):
        chunk = chunk_files(store, field)[0]
        shutil.move(chunk, tmp_path / field)
        chunk.symlink_to(tmp_path / field)
    assert plan_view(store, tmp_path / "plan").warnings == []
    assert make_view(store, tmp_path / "after") == before


FAR = ("--backend-storage", "fsspec")


@pytest.mark.parametrize("field", ERRORS)
def test_a_store_that_is_not_local(field, store, tmp_path):
    index, what = ERRORS[field]
    key = key_at(store, field, *index)
    url = f"file://{store}"
    assert plan_view(url, tmp_path / "before", *FAR).warnings == []
    lose(store, key)
    with pytest.raises(BiofuseError, match=what) as error:
        plan_view(url, tmp_path / "plan", *FAR)
    assert key in str(error.value)


def test_a_store_that_has_no_list_of_names(made, tmp_path, monkeypatch):
    from biofuse.stores.remote import ZarrStore

    monkeypatch.setattr(ZarrStore, "listing", lambda self, folder: None)
    store = copy_store(made("missing-plain", make_plain), tmp_path / "x.vcz")
    lose(store, "variant_id/1")
    (warning,) = plan_view(f"file://{store}", tmp_path / "told", *FAR).warnings
    assert "(variant_id/1: sites 1:63-112)" in warning
    monkeypatch.setattr("biofuse.plan.grid._MAX_PROBES_FAR", 1)
    assert plan_view(f"file://{store}", tmp_path / "plan", *FAR).warnings == []
    lose(store, "variant_position/1")
    with pytest.raises(BiofuseError, match="a position of 0, since variant_position/1 is not"):
        plan_view(f"file://{store}", tmp_path / "lost", *FAR)


@pytest.mark.slow
def test_the_command_fails_and_can_be_told_to_go_on(biofuse, made, tmp_path):
    store = copy_store(made("missing-plain", make_plain), tmp_path / "x.vcz")
    with biofuse.mount(store, "--format", "plink"):
        pass
    # What was planned before does not hide it.
    lose(store, "variant_position/1")
    for command in ("mount", "mount-plink", "mount-bgen"):
        said = biofuse.fails(command, store, biofuse.new_directory())
        assert said.startswith("1 of 5 chunks of variant_position is not stored")
    assert biofuse.fails("info", store) == said
    said = biofuse("info", store, "--missing-chunks", "fill").stdout
    assert "variant_position/1" in said
    with biofuse.mount(store, "--format", "plink", "--missing-chunks", "fill") as mount:
        assert mount.bim.read_text().count("\t0\t0\t") == 8
    assert biofuse.fails("run", store, "--", "true") != ""


def lost_after_planning(store: Path, field: str, directory: Path, *options, cache=1 << 20) -> str:
    """Plan, lose a chunk of calls, read all. Returns what the read says."""
    index = (1, 0, 0)[: zarr.open_group(store, mode="r")[field].ndim]
    # Another one that the plan knows of is the fill value still.
    known = key_at(store, field, 0, 1, *index[2:])
    key = key_at(store, field, *index)
    lose(store, known)
    plan = plan_view(store, directory, *options)
    encoder = open_encoder(plan, directory, cache)
    assert plan.fields[field]["absent"] is not None
    streamed = plan.streamed[0]
    offsets = record_offsets(plan, directory)
    first = per_object(store, field)
    out = memoryview(bytearray(offsets[first] - offsets[0]))
    encoder.encode(0, 0, first, out)
    lose(store, key)
    # As a mount of the kept plan has it: opened after the loss, and nothing looks changed.
    plan = dataclasses.replace(plan, watched=[], signature="")
    encoder = open_encoder(plan, directory, cache)
    encoder.encode(0, 0, first, out)
    with pytest.raises(BiofuseError) as error:
        encoder.encode(
            0,
            first,
            streamed.records,
            memoryview(bytearray(offsets[streamed.records] - offsets[first])),
        )
    assert str(error.value).startswith(f"{key} is not there and was when this view was planned")
    return key


@pytest.mark.parametrize("field", [field for field in TOLD if field.startswith("call_")])
def test_calls_that_are_lost_after_planning(field, store, tmp_path):
    options = [*TOLD[field][0], *(["--phased"] if field == "call_genotype_phased" else [])]
    lost_after_planning(store, field, tmp_path / "plan", *options)


@pytest.mark.parametrize("encoding", ["v2-gzip", "v2-filter", "v3-gzip"])
def test_calls_off_the_fast_path_that_are_lost_after_planning(encoding, tmp_path):
    """Decoded by a codec alone, and by zarr-python."""
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(CHUNK, 4), encoding=encoding)
    lost_after_planning(store, "call_genotype", tmp_path / "plan")


@pytest.mark.parametrize("nested", ["v2-nested", "v3"])
def test_a_kept_plan_does_not_hide_lost_calls(nested, biofuse, made, tmp_path):
    """Folders between hide from a glance that a chunk is gone."""
    plain = made("missing-plain", make_plain)
    store = lay_out(plain, tmp_path / "x.vcz", nested)
    with biofuse.mount(store, "--format", "plink"):
        pass
    key = key_at(store, "call_genotype", 3, 1, 0)
    lose(store, key)
    with biofuse.mount(store, "--format", "plink") as mount:
        mount.expect_log(f"{key} is not there and was when this view was planned")
        with pytest.raises(OSError, match="Input/output error"):
            mount.bed.read_bytes()
