"""Fields of stores that other programs wrote: byte strings, text that no line can hold."""

import json
from pathlib import Path

import numpy as np
import pytest
import zarr
from support import reference
from support.stores import make_store, random_genotypes
from support.views import plan_view

GENOTYPES = random_genotypes(30, 9, seed=5)


@pytest.fixture
def store(tmp_path) -> Path:
    return make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 9))


def replace(store: Path, name: str, values: np.ndarray, chunk: int) -> None:
    """Put another array in a field's place."""
    group = zarr.open_group(store, mode="r+")
    dimensions = group[name].attrs["_ARRAY_DIMENSIONS"]
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=str if values.dtype == object else values.dtype,
        chunks=(chunk, *values.shape[1:]),
        overwrite=True,
    )
    array.attrs["_ARRAY_DIMENSIONS"] = dimensions
    array[...] = values


def test_byte_strings_are_text(store, biofuse):
    with biofuse.mount(store) as mount:
        expected = mount.fileset()
        bgen = (mount.dir / "x.bgen").read_bytes()
    for name in ("variant_allele", "variant_id", "contig_id", "sample_id"):
        values = zarr.open_group(store, mode="r")[name][:]
        chunk = 20 if name.startswith("variant") else len(values)
        replace(store, name, np.char.encode(np.array(values.tolist()), "utf-8"), chunk)
        assert zarr.open_group(store, mode="r")[name].dtype.kind == "S"
    with biofuse.mount(store) as mount:
        assert mount.fileset() == expected
        assert (mount.dir / "x.bgen").read_bytes() == bgen


def test_a_folder_of_a_fields_name_is_no_field(store, tmp_path):
    plans = []
    for folder in (None, "variant_foo"):
        if folder is not None:
            (store / folder).mkdir()
        made = plan_view(store, tmp_path / f"{folder}", "--format", "bcf", "--format", "plink2")
        plans.append(made.shown_names())
        assert not [text for text in made.warnings if "not stored" in text]
    assert plans[0] == plans[1]


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["v2-zstd", "v3-zstd"])
@pytest.mark.parametrize("kind", ["U", "S"])
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
def test_texts_of_a_length(kind, encoding, biofuse, tmp_path):
    """As xarray writes them; Zarr v3 has their length in an object that stands for the type."""
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 9), encoding=encoding)
    with biofuse.mount(store) as mount:
        expected = mount.fileset()
        bgen = (mount.dir / "x.bgen").read_bytes()
    group = zarr.open_group(store, mode="r+")
    for name in ("variant_allele", "variant_id", "contig_id", "sample_id"):
        values = np.array(group[name][:].tolist())
        values = np.char.encode(values, "utf-8") if kind == "S" else values
        chunks = (20 if name.startswith("variant") else len(values), *values.shape[1:])
        names = group[name].metadata.to_dict().get("dimension_names")
        group.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=chunks,
            overwrite=True,
            dimension_names=names,
        )[...] = values
        assert zarr.open_group(store, mode="r")[name].dtype.kind == kind
    biofuse("check", store)
    with biofuse.mount(store) as mount:
        assert mount.fileset() == expected
        assert (mount.dir / "x.bgen").read_bytes() == bgen


def test_null_samples_and_alleles_of_byte_strings(store, biofuse):
    names = np.array([b"A", b"", *(b"S%d" % i for i in range(7))])
    replace(store, "sample_id", names, 9)
    alleles = np.array([[b"A", b"C", b""]] * 29 + [[b"A", b"C", b"G"]])
    replace(store, "variant_allele", alleles, 20)
    said = biofuse.fails("mount", store, biofuse.new_directory(), "--format", "plink")
    assert "has 3 alleles (A,C,G)" in said
    kept = np.delete(GENOTYPES[:29], 1, axis=1)
    with biofuse.mount(store, "--format", "plink", "--multiallelic", "drop") as mount:
        assert mount.bed.read_bytes() == reference.bed(kept)
        assert mount.fam.read_text().split()[::6] == [n.decode() for n in names if n]


@pytest.mark.parametrize("name", ["variant_position", "variant_contig"])
def test_numbers_that_are_not_integers(name, store, biofuse):
    values = zarr.open_group(store, mode="r")[name][:].astype(np.float64)
    replace(store, name, values, 20)
    said = biofuse.fails("mount", store, biofuse.new_directory())
    assert f"{name} is of type float64" in said


# A field, what it has in its row 7, and what of it the message shows.
UNFIT = {
    "space-in-id": ("variant_id", "rs 7"),
    "tab-in-id": ("variant_id", "rs\t7"),
    "line-feed-in-id": ("variant_id", "rs\n7"),
    "return-in-id": ("variant_id", "rs7\r"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", UNFIT)
def test_text_that_no_bim_can_hold(name, store, biofuse):
    field, text = UNFIT[name]
    group = zarr.open_group(store, mode="r+")
    values = group[field][:]
    values[7] = text
    group[field][:] = values
    said = biofuse.fails("mount", store, biofuse.new_directory(), "--format", "plink")
    assert repr(text) in said
    assert said.startswith("the site '1':56 does not fit a .bim file: ")
    with biofuse.mount(store, "--format", "plink", "--no-bim") as mount:
        assert mount.bed.read_bytes() == reference.bed(GENOTYPES)


def test_an_empty_ref(store, biofuse):
    group = zarr.open_group(store, mode="r+")
    group["variant_allele"][7, 0] = ""
    said = biofuse.fails("mount", store, biofuse.new_directory(), "--format", "plink")
    assert said.startswith("variant 7 of the store (counted from 0) has an empty REF")


def test_info_of_a_store_with_room_for_more_alleles(store, biofuse):
    alleles = np.array([["A", "C", ""]] * 30, dtype=object)
    for many in (0, 1):
        alleles[:many, 2] = "T"
        replace(store, "variant_allele", alleles, 20)
        value = json.loads(biofuse("info", store, "--json").stdout)
        assert value["sites"]["more_than_two_alleles"] == many
        view = value["views"]["plink"]
        assert (view["size"], view["exact"]) == (3 + (30 - many) * 3, True)
        assert bool(view["left_out"]) == bool(many)
