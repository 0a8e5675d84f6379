"""Metadata that is not what Zarr asks for: one line that names the object, or the right files."""

import json
import warnings

import pytest
from support import reference
from support.odd_metadata import DOCUMENTS, ODD, check_said, paths, put
from support.stores import copy_store, make_store, random_genotypes
from support.views import make_view

from biofuse.errors import BiofuseError
from biofuse.stores import store_stem

GENOTYPES = random_genotypes(30, 9, seed=7)
NAMES = (".zarray", ".zattrs", ".zgroup", "zarr.json")
FIELDS = (".", "call_genotype", "variant_allele", "variant_position", "sample_id")


def what_comes(store, folder) -> str | None:
    """What is said of a store; None if it is shown, which is to be right."""
    with warnings.catch_warnings(record=True) as heard:
        try:
            view = make_view(store, folder)
        except BiofuseError as error:
            check_said(str(error))
            return str(error)
    # That is of one of the entries that are tried.
    said = [str(each.message) for each in heard]
    assert [text for text in said if "empty list of filters" not in text] == []
    assert len(view.bed) == len(reference.bed(GENOTYPES))
    return None


@pytest.mark.slow
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("encoding", ["v2-gzip", "v3-sharded", "v3-blosc-zstd-bit"])
def test_every_entry_changed(encoding, field, tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 5), encoding=encoding)
    (tmp_path / "views").mkdir()
    refused = tried = 0
    for file in [store / field / name for name in NAMES if (store / field / name).exists()]:
        sound = file.read_bytes()
        value = json.loads(sound)
        key = str(file.relative_to(store))
        for path in paths(value):
            for new in ODD:
                file.write_bytes(json.dumps(put(value, path, new)).encode())
                said = what_comes(store, tmp_path / "views" / str(tried))
                tried += 1
                refused += said is not None
                assert said is None or key in said or field in said or str(store) in said
        file.write_bytes(sound)
    assert tried > 10
    assert refused > 0 or field == "."
    assert make_view(store, tmp_path / "again").bed == reference.bed(GENOTYPES)


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("encoding", ["v2-gzip", "v3-zstd"])
def test_every_document_of_another_kind(encoding, document, made, tmp_path):
    def make(folder):
        return make_store(folder / "x.vcz", GENOTYPES, chunks=(20, 5), encoding=encoding)

    store = copy_store(made(f"odd-{encoding}", make), tmp_path / "x.vcz")
    (tmp_path / "views").mkdir()
    keys = [f"{field}/{name}".removeprefix("./") for field in FIELDS for name in NAMES]
    for i, key in enumerate(key for key in keys if (store / key).exists()):
        sound = (store / key).read_bytes()
        (store / key).write_bytes(DOCUMENTS[document])
        said = what_comes(store, tmp_path / "views" / str(i))
        if said is None:
            assert document == "empty"
            assert key.endswith(".zattrs")
        else:
            assert key in said
        (store / key).write_bytes(sound)


@pytest.mark.parametrize("document", ["list", "deep", "not-utf-8"])
@pytest.mark.parametrize("command", ["info", "mount"])
def test_what_users_see(document, command, biofuse, tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 5))
    (store / "call_genotype" / ".zarray").write_bytes(DOCUMENTS[document])
    more = [biofuse.new_directory()] if command == "mount" else []
    said = biofuse.fails(command, store, *more)
    assert said.startswith("call_genotype/.zarray is damaged: ")
    assert "\n" not in said


def change(store, key, **entries):
    value = json.loads((store / key).read_text())
    (store / key).write_text(json.dumps({**value, **entries}))


def test_a_codec_that_nobody_knows_does_not_make_an_array_absent(tmp_path):
    """IDs that cannot be read are not missing ones."""
    for encoding, key, entries in (
        ("v2-gzip", "variant_id/.zarray", {"compressor": {"id": "snappiest"}}),
        ("v3-zstd", "variant_id/zarr.json", {"codecs": [{"name": "snappiest"}]}),
    ):
        store = make_store(tmp_path / encoding, GENOTYPES, chunks=(20, 5), encoding=encoding)
        change(store, key, **entries)
        said = what_comes(store, tmp_path / f"view-{encoding}")
        assert said is not None
        assert said.startswith(f"{key} is damaged, or of a kind that is not read")


def test_a_chunk_is_no_program(tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 5))
    change(store, "variant_id/.zarray", filters=[{"id": "pickle", "protocol": 5}])
    said = what_comes(store, tmp_path / "v")
    assert said is not None
    assert "variant_id/.zarray names the codec pickle, which runs what a chunk has" in said


def test_a_group_in_place_of_an_array(tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 5))
    (store / "variant_id" / ".zarray").unlink()
    (store / "variant_id" / ".zgroup").write_text('{"zarr_format": 2}')
    assert what_comes(store, tmp_path / "v") == "variant_id is a group of arrays, not an array"


def test_metadata_that_is_huge(tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 5))
    with open(store / ".zattrs", "r+b") as f:
        f.truncate(1 << 40)
    said = what_comes(store, tmp_path / "v")
    assert said is not None
    assert said.startswith(".zattrs is damaged: it has 1,099,511,627,776 bytes")


@pytest.mark.parametrize("version", [3, [1], {"a": 1}, None, "99"])
def test_versions_of_odd_types(version, biofuse, tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 5))
    change(store, ".zattrs", vcf_zarr_version=version)
    assert json.loads(biofuse("info", store, "--json").stdout)["vcf_zarr_version"] == version
    assert make_view(store, tmp_path / "v").bed == reference.bed(GENOTYPES)


@pytest.mark.parametrize(
    ("path", "stem"),
    [
        ("cohort.zip", "cohort"),
        ("a/cohort.vcz.zip", "cohort"),
        ("cohort#1.vcz", "cohort#1"),
        ("what?.vcz", "what?"),
        ("a?b/cohort.vcz/", "cohort"),
        ("s3://bucket/cohort.vcz?x=1#y", "cohort"),
        (".zip", ".zip"),
    ],
)
def test_stems(path, stem):
    assert store_stem(path) == stem


@pytest.mark.parametrize("name", ["1i| ", "(,)i4", "(2,)i4,(", "99999999999999999999i4", "i4,"])
@pytest.mark.parametrize("field", ["variant_position", "call_genotype"])
def test_types_that_are_none(field, name, tmp_path):
    """NumPy evaluates part of what it takes for a list of types."""
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 5))
    change(store, f"{field}/.zarray", dtype=name)
    said = what_comes(store, tmp_path / "v")
    assert said is not None
    assert field in said
