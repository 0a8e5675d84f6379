"""`biofuse check`: what it sees of a store that was damaged on the way."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zarr
from support.layouts import LAYOUTS, as_zip, key_at, lay_out, lose
from support.stores import add_field, chunk_files, copy_store, make_store, random_genotypes

from biofuse.check.store import StoreCheck
from biofuse.stores import Location, local

GENOTYPES = random_genotypes(40, 9, seed=6)
CHUNK = 8
METADATA = (".zarray", "zarr.json")


def make_plain(folder: Path) -> Path:
    store = make_store(folder / "plain.vcz", GENOTYPES, chunks=(CHUNK, 4))
    add_field(store, "call_genotype_phased", np.ones((40, 9), bool), chunks=(CHUNK, 4))
    add_field(store, "call_DS", np.ones((40, 9), np.float32), chunks=(CHUNK, 4))
    add_field(store, "call_genotype_mask", GENOTYPES < 0, chunks=(CHUNK, 4))
    add_field(store, "variant_filter", np.ones((40, 1), bool), chunks=(CHUNK, 1))
    add_field(store, "contig_length", np.array([200, 300]), chunks=(2,))
    root = zarr.open_group(store, mode="r+")
    array = root.create_array("filter_id", shape=(1,), dtype=str, chunks=(1,))
    array[...] = np.array(["PASS"], dtype=object)
    root["variant_id"][...] = np.array([f"rs{i}" for i in range(40)], dtype=object)
    return store


@pytest.fixture
def plain(made, tmp_path):
    return copy_store(made("check-plain", make_plain), tmp_path / "x.vcz")


@pytest.fixture(params=LAYOUTS)
def store(request, made, tmp_path):
    source = made("check-plain", make_plain)
    laid = made(
        f"check-{request.param}", lambda folder: lay_out(source, folder / "x.vcz", request.param)
    )
    return copy_store(laid, tmp_path / "x.vcz")


def check(store, *, fill=False, backend=None, threads=2):
    return StoreCheck(Location(str(store), backend), threads, fill).run()


def errors(report) -> list[tuple[str, str, str | None]]:
    return [(f.kind, f.array, f.key) for f in report.findings if not f.note]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["folder", "zip", "far"])
def test_a_store_that_is_whole(how, store):
    sizes = [chunk.stat().st_size for chunk in files_of(store)]
    if how == "zip":
        store = as_zip(store)
    report = check(
        f"file://{store}" if how == "far" else store, backend=("fsspec" if how == "far" else None)
    )
    assert errors(report) == []
    assert report.bytes_read == sum(sizes)
    # What is all of the fill value: the first contig.
    assert {f.array for f in report.findings} == {"variant_contig"}
    assert report.arrays == 13


def files_of(store: Path) -> list[Path]:
    arrays = [p for p in store.iterdir() if p.is_dir()]
    return [chunk for array in arrays for chunk in chunk_files(store, array.name)]


LOST = {
    "variant_position": (1,),
    "variant_allele": (1, 0),
    "variant_id": (1,),
    "contig_id": (0,),
    "sample_id": (1,),
    "call_genotype": (1, 1, 0),
    "call_genotype_phased": (1, 1),
    "call_DS": (1, 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["folder", "zip", "far"])
@pytest.mark.parametrize("field", LOST)
def test_what_is_lost(field, how, store):
    key = key_at(store, field, *LOST[field])
    lose(store, key)
    if how == "zip":
        store = as_zip(store)
    far = how == "far"
    report = check(f"file://{store}" if far else store, backend="fsspec" if far else None)
    assert errors(report) == [("missing", field, key)]
    (finding,) = [f for f in report.findings if not f.note]
    assert (finding.keys, finding.count) == ((key,), 1)
    assert f"of {field} is not stored" in finding.text


@pytest.mark.parametrize("field", LOST)
def test_what_is_lost_where_fill_is_to_be_shown(field, plain):
    lose(plain, key_at(plain, field, *LOST[field]))
    report = check(plain, fill=True)
    assert [error for error in errors(report) if error[0] == "missing"] == []
    assert {f.array for f in report.findings if f.kind == "missing"} == {field, "variant_contig"}


@pytest.mark.parametrize("field", ["call_genotype_mask", "variant_filter"])
def test_what_may_be_left_out_is_a_note(field, plain):
    lose(plain, chunk_files(plain, field)[1].relative_to(plain))
    report = check(plain)
    assert errors(report) == []
    assert field in {f.array for f in report.findings if f.note}


def test_a_lost_contig(plain):
    lose(plain, "variant_contig/4")
    # On the first contig, positions are beyond its length, too.
    assert ("missing", "variant_contig", "variant_contig/4") in errors(check(plain))


def half(chunk: Path) -> None:
    os.truncate(chunk, chunk.stat().st_size // 2)


def link(chunk: Path) -> None:
    chunk.unlink()
    chunk.symlink_to("nowhere")


def fifo(chunk: Path) -> None:
    chunk.unlink()
    os.mkfifo(chunk)


def folder(chunk: Path) -> None:
    chunk.unlink()
    chunk.mkdir()


def blank(chunk: Path) -> None:
    chunk.write_bytes(b"")


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [link, fifo, folder])
@pytest.mark.parametrize("field", ["call_genotype", "variant_position"])
def test_what_is_no_file(field, spoil, store):
    chunk = chunk_files(store, field)[0]
    spoil(chunk)
    key = str(chunk.relative_to(store))
    assert ("unreadable", field, key) in errors(check(store))
    assert {error[1] for error in errors(check(store))} == {field}


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [link, fifo, blank])
@pytest.mark.parametrize("where", ["v2-nested/1/1", "v2-nested/1", "v3/c/1/1", "v3/c/1", "v3/c"])
def test_what_is_no_folder(where, spoil, made, tmp_path):
    layout, _, name = where.partition("/")
    store = lay_out(made("check-plain", make_plain), tmp_path / "x.vcz", layout)
    place = store / "call_genotype" / name
    lost = [chunk for chunk in chunk_files(store) if place in chunk.parents]
    shutil.rmtree(place)
    place.touch()
    spoil(place)
    found = [error[2] for error in errors(check(store)) if error[0] == "unreadable"]
    assert sorted(found) == sorted(str(chunk.relative_to(store)) for chunk in lost)
    assert {error[:2] for error in errors(check(store))} == {("unreadable", "call_genotype")}


@pytest.mark.parametrize("name", ["call_genotype", "variant_id", "call_DS"])
def test_an_array_that_a_link_does_not_lead_to(name, store):
    shutil.rmtree(store / name)
    (store / name).symlink_to("nowhere")
    assert ("unreadable", name, None) in errors(check(store))


@pytest.mark.parametrize("spoil", [link, fifo, folder])
def test_metadata_that_is_no_file(spoil, store):
    [metadata] = [path for path in (store / "call_DS").glob("*") if path.name in METADATA]
    spoil(metadata)
    [found] = check(store).findings[:1]
    assert (found.kind, found.array, found.note) == ("unreadable", "call_DS", False)
    assert f"call_DS/{metadata.name} cannot be read: it is a" in found.text


@pytest.mark.parametrize("size", [0, 10, -1])
@pytest.mark.parametrize("field", ["call_genotype", "variant_id", "variant_position"])
def test_a_chunk_that_is_cut_off(field, size, plain):
    chunk = chunk_files(plain, field)[0]
    os.truncate(chunk, size if size >= 0 else chunk.stat().st_size - 1)
    key = str(chunk.relative_to(plain))
    ((kind, *rest),) = errors(check(plain))
    assert rest == [field, key]
    assert kind in ("length", "undecodable")


@pytest.mark.parametrize("field", ["call_genotype", "variant_allele"])
def test_a_chunk_of_another_array(field, plain):
    other = chunk_files(plain, "call_genotype_phased")[0]
    chunk = chunk_files(plain, field)[1]
    shutil.copy(other, chunk)
    ((kind, *rest),) = errors(check(plain))
    assert rest == [field, str(chunk.relative_to(plain))]
    assert kind in ("length", "undecodable")


@pytest.mark.parametrize("at", [4, 5, 6, 7, 12, 13])
def test_bits_that_flip_in_a_header(at, plain):
    chunk = chunk_files(plain, "call_genotype")[3]
    data = bytearray(chunk.read_bytes())
    data[at] ^= 0x41
    chunk.write_bytes(data)
    ((kind, _, key),) = errors(check(plain))
    assert (kind, key) == ("length", str(chunk.relative_to(plain)))


@pytest.mark.parametrize("encoding", ["v2-gzip", "v2-zstd", "v3-gzip", "v3-zstd", "v3-sharded"])
def test_bits_that_flip_where_a_checksum_tells(encoding, tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(CHUNK, 4), encoding=encoding)
    assert errors(check(store)) == []
    chunk = chunk_files(store)[0]
    flip_all = bytearray(chunk.read_bytes())
    for i in range(len(flip_all) - 9, len(flip_all) - 1):
        flip_all[i] ^= 0x55
    chunk.write_bytes(flip_all)
    ((kind, _, key),) = errors(check(store))
    assert key == str(chunk.relative_to(store))
    # Some rot makes a stream of another length.
    assert kind in ("undecodable", "length")


def test_bits_that_flip_in_a_zip(plain):
    packed = as_zip(plain)
    with zipfile.ZipFile(packed) as archive:
        info = archive.getinfo("call_genotype_mask/" + first_of(archive, "call_genotype_mask"))
    with open(packed, "r+b") as f:
        f.seek(info.header_offset + 30 + len(info.filename) + info.file_size - 1)
        byte = f.read(1)
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte[0] ^ 1]))
    report = check(packed)
    assert errors(report) == [("unreadable", "call_genotype_mask", info.filename)]
    assert "checksum" in report.findings[-1].text or "checksum" in report.findings[0].text


def first_of(archive: zipfile.ZipFile, field: str) -> str:
    names = [name.removeprefix(f"{field}/") for name in archive.namelist() if field in name]
    return min(name for name in names if name[0] != ".")


@pytest.mark.parametrize("field", ["call_genotype", "variant_position", "variant_id"])
def test_a_chunk_of_many_bytes_is_not_read(field, plain, monkeypatch):
    """A file of zeros that takes no room may be larger than the memory there is."""
    chunk = chunk_files(plain, field)[1]
    os.truncate(chunk, 1 << 33)
    pread_all = local.pread_all

    def bounded(fd: int, start: int, size: int) -> bytes:
        assert size < 1 << 29
        return pread_all(fd, start, size)

    monkeypatch.setattr(local, "pread_all", bounded)
    ((kind, _, key),) = errors(check(plain))
    assert (kind, key) == ("length", str(chunk.relative_to(plain)))


@pytest.mark.parametrize("encoding", ["v2-gzip", "v2-zstd", "v2-blosc-zstd-bit"])
def test_a_chunk_that_comes_to_too_much(encoding, tmp_path):
    """A quarter of a GiB of zeros is what a few kilobytes say."""
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(CHUNK, 4), encoding=encoding)
    compressor = zarr.open_group(store, mode="r")["call_genotype"].metadata.compressor
    chunk_files(store)[0].write_bytes(compressor.encode(np.zeros(1 << 28, np.int8)))
    ((kind, *_),) = errors(check(store))
    assert kind == "length"


def set_values(store: Path, field: str, place, value) -> None:
    zarr.open_group(store, mode="r+")[field][place] = value


OUT_OF_RANGE = {
    "contig": ("variant_contig", 30, 2, "has contig 2, and contig_id has 2 (variant 30 "),
    "no-contig": ("variant_contig", 30, -1, "has contig -1"),
    "contig-again": ("variant_contig", 35, 0, "has contig 1 again after others (variant 36 "),
    "position": ("variant_position", 12, 3, "has position 3 after 84 on the same contig (variant"),
    "at-a-border": ("variant_position", 8, 50, "has position 50 after 56 on the same contig"),
    "below": ("variant_position", 0, -1, "has position -1 (variant 0 "),
    "beyond": ("variant_position", 39, 302, "has position 302 on contig 1, of length 300"),
    "allele": ("call_genotype", (20, 3, 0), 2, "has allele 2, and the site has 2 alleles (variant"),
    "no-allele": ("call_genotype", (20, 3, 0), -3, "has allele -3 (variant 20 "),
    "ref": ("variant_allele", (9, 0), "", "has an empty REF (variant 9 "),
    "contig-name": ("contig_id", 1, "", "has an empty contig name (contig 1"),
    "dosage": ("call_DS", (7, 7), -0.5, "has the value -0.5 (variant 7 "),
}


@pytest.mark.parametrize("case", OUT_OF_RANGE)
def test_values_that_cannot_be(case, plain):
    field, place, value, text = OUT_OF_RANGE[case]
    set_values(plain, field, place, value)
    report = check(plain)
    assert {error[:2] for error in errors(report)} >= {("range", field)}
    # A position that goes back may be told of the first contig too, which is not stored.
    assert {error[1] for error in errors(report)} <= {field, "variant_position", "variant_contig"}
    assert any(f.array == field and f.text.startswith(text) for f in report.findings), report


def test_a_telomere_is_no_error(plain):
    set_values(plain, "variant_position", 0, 0)
    set_values(plain, "variant_position", 39, 301)
    assert errors(check(plain)) == []


def test_shapes_that_do_not_fit(plain):
    add_field(plain, "variant_filter", np.ones((40, 2), bool), chunks=(CHUNK, 2))
    add_field(plain, "call_DS", np.ones((39, 9), np.float32), chunks=(CHUNK, 4))
    assert errors(check(plain)) == [
        ("shape", "call_DS", None),
        ("shape", "variant_filter", None),
    ]


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"zarr_format": 2}', ""])
def test_metadata_that_cannot_be_read(text, plain):
    (plain / "variant_id" / ".zarray").write_text(text)
    assert errors(check(plain)) == [("unreadable", "variant_id", None)]


@pytest.mark.parametrize("name", ["variant_id", "variant_position", "call_genotype"])
def test_metadata_that_is_lost(name, store):
    for file in (".zarray", "zarr.json"):
        if (store / name / file).exists():
            lose(store, f"{name}/{file}")
    assert ("unreadable", name, None) in errors(check(store))


@pytest.mark.parametrize("value", [[0], [2**60], [-1], "x", None])
@pytest.mark.parametrize("entry", ["shape", "chunks"])
def test_metadata_that_says_what_cannot_be(entry, value, plain):
    path = plain / "variant_id" / ".zarray"
    metadata = json.loads(path.read_text())
    path.write_text(json.dumps({**metadata, entry: value}))
    assert {error[1] for error in errors(check(plain))} == {"variant_id"}


def test_names_of_another_separator(plain):
    path = plain / "call_genotype" / ".zarray"
    metadata = json.loads(path.read_text())
    separator = {"/": ".", ".": "/"}[metadata["dimension_separator"]]
    path.write_text(json.dumps({**metadata, "dimension_separator": separator}))
    assert errors(check(plain)) == [("names", "call_genotype", None)]


def test_chunks_beyond_the_shape_are_a_note(plain):
    shutil.copy(plain / "variant_position/1", plain / "variant_position/5")
    report = check(plain)
    assert errors(report) == []
    assert [f.text for f in report.findings if f.array == "variant_position"] == [
        "has 1 files that no chunk of it has the name of, such as variant_position/5"
    ]


def test_the_command(biofuse, plain):
    said = biofuse("check", plain)
    assert said.stdout.splitlines()[-1].endswith(": nothing is wrong") and said.stderr == ""
    value = json.loads(biofuse("check", plain, "--json").stdout)
    assert (value["ok"], value["errors"], value["arrays"]) == (True, 0, 13)
    lose(plain, "variant_position/1")
    half(chunk_files(plain, "call_genotype")[4])
    said = biofuse("check", plain, "--threads", "1", code=1)
    lines = said.stdout.splitlines()
    assert any(line.startswith("missing ") and "variant_position/1" in line for line in lines)
    value = json.loads(biofuse("check", plain, "--json", code=1).stdout)
    assert not value["ok"] and value["errors"] == 2
    (lost,) = [f for f in value["findings"] if f["kind"] == "missing" and not f["note"]]
    assert (lost["array"], lost["key"], lost["count"]) == (
        "variant_position",
        "variant_position/1",
        1,
    )
    assert "no such store" in biofuse.fails("check", plain / "none")
