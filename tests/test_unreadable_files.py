"""What is there but cannot be opened is an error, at once; it is never the fill value."""

import os
import socket

import pytest
from support import reference
from support.stores import chunk_files, copy_store, make_store, random_genotypes, zip_store
from support.views import encoded_parts, open_encoder, plan_view

from biofuse.errors import BiofuseError
from biofuse.plan.fingerprint import Fingerprint
from biofuse.stores import Location, Range, open_store
from biofuse.stores.location import open_group

GENOTYPES = random_genotypes(60, 20, seed=4)
ENCODINGS = [
    "v2-blosc-zstd-bit",
    "v2-gzip",
    "v2-filter",
    "v3-blosc-zstd-bit",
    "v3-zstd",
    "v3-sharded",
    "v3-v2-keys",
]


@pytest.fixture
def fresh_store(made, tmp_path):
    """`fresh_store(encoding)` is a store of the test's own."""

    def get(encoding):
        def make(folder):
            return make_store(folder / "x.vcz", GENOTYPES, chunks=(20, 10), encoding=encoding)

        return copy_store(made(f"unreadable-{encoding}", make), tmp_path / "x.vcz")

    return get


def _socket(path):
    # Sockets' names are short.
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


# How to make what lies in a file's place, and what is said of it.
KINDS = {
    "dangling": (lambda path: path.symlink_to("/nonexistent/x"), "is a symbolic link to /nonex"),
    "loop": (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
    "fifo": (os.mkfifo, r"named pipe|no regular file"),
    "socket": (_socket, r"socket|no regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), r"a device|no regular file"),
    "folder": (os.mkdir, r"it is a folder"),
}


def put(kind, path):
    """Put something in a file's place. Returns what is said of it."""
    path.unlink()
    make, said = KINDS[kind]
    make(path)
    return said


def show(store, folder):
    """All bytes of the .bed, as a mount makes them."""
    plan = plan_view(store, folder / "plan")
    return b"".join(encoded_parts(plan, folder / "plan"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_in_place_of_a_chunk_of_genotypes(encoding, kind, fresh_store, tmp_path):
    store = fresh_store(encoding)
    assert show(copy_store(store, tmp_path / "good.vcz"), tmp_path) == reference.bed(GENOTYPES)
    chunk = chunk_files(store)[-1]
    said = put(kind, chunk)
    (tmp_path / "bad").mkdir()
    with pytest.raises(BiofuseError, match=said) as caught:
        show(store, tmp_path / "bad")
    assert "call_genotype" in str(caught.value)


@pytest.mark.parametrize("encoding", ["v2-blosc-zstd-bit", "v3-blosc-zstd-bit", "v3-zstd"])
def test_a_broken_link_in_place_of_a_folder_of_chunks(encoding, fresh_store, tmp_path):
    store = fresh_store(encoding)
    folder = chunk_files(store)[0].parent
    if encoding.startswith("v2"):
        folder = store / "call_genotype"
    folder.rename(tmp_path / "away")
    folder.symlink_to("/nonexistent/x")
    with pytest.raises(BiofuseError, match=r"symbolic link to /nonexistent|leads nowhere"):
        show(store, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["variant_position", "variant_id", "sample_id"])
@pytest.mark.parametrize("encoding", ["v2-blosc-zstd-bit", "v3-blosc-zstd-bit"])
def test_in_place_of_a_chunk_of_another_field(encoding, name, kind, fresh_store, tmp_path):
    store = fresh_store(encoding)
    said = put(kind, chunk_files(store, name)[-1])
    with pytest.raises(BiofuseError, match=f"{said}|is a link that leads nowhere") as caught:
        show(store, tmp_path)
    assert name in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("encoding", "key"),
    [
        ("v2-gzip", ".zgroup"),
        ("v2-gzip", ".zattrs"),
        ("v2-gzip", "call_genotype/.zarray"),
        ("v2-gzip", "variant_id/.zattrs"),
        ("v3-zstd", "zarr.json"),
        ("v3-zstd", "variant_id/zarr.json"),
    ],
)
def test_in_place_of_metadata(encoding, key, kind, fresh_store, tmp_path):
    store = fresh_store(encoding)
    said = put(kind, store / key)
    with pytest.raises(BiofuseError, match=said) as caught:
        show(store, tmp_path)
    assert key in str(caught.value)


@pytest.mark.parametrize("encoding", ["v2-gzip", "v3-zstd"])
def test_a_broken_link_in_place_of_an_array(encoding, fresh_store, tmp_path):
    """The IDs are not missing: nobody knows them."""
    store = fresh_store(encoding)
    (store / "variant_id").rename(tmp_path / "away")
    (store / "variant_id").symlink_to("/nonexistent/x")
    with pytest.raises(BiofuseError, match="variant_id is a symbolic link to /nonexistent/x"):
        show(store, tmp_path)


def test_links_that_lead_somewhere(fresh_store, tmp_path):
    store = fresh_store("v2-gzip")
    for path in (chunk_files(store)[1], store / "variant_id", store / "sample_id" / ".zarray"):
        away = tmp_path / path.name
        path.rename(away)
        path.symlink_to(away)
    assert show(store, tmp_path) == reference.bed(GENOTYPES)


@pytest.mark.parametrize("name", ["x.vcz.zip", "x.vcz"])
def test_a_pipe_in_place_of_the_store(name, biofuse, tmp_path):
    os.mkfifo(tmp_path / name)
    said = biofuse.fails("info", tmp_path / name)
    assert "named pipe" in said or "is a file, not a VCF Zarr store" in said


def test_a_broken_link_in_place_of_the_store(tmp_path):
    (tmp_path / "x.vcz").symlink_to("/nonexistent/x")
    with pytest.raises(BiofuseError, match=r"no such store: .*symbolic link to nothing"):
        Location(str(tmp_path / "x.vcz")).check()


def test_a_pipe_in_a_store_holds_up_no_command(biofuse, fresh_store):
    store = fresh_store("v2-gzip")
    (store / ".zattrs").unlink()
    os.mkfifo(store / ".zattrs")
    said = biofuse.fails("mount", store, biofuse.new_directory())
    assert said == ".zattrs cannot be read: it is a named pipe (FIFO), not a file"


def test_what_comes_next_is_told_when_it_is_read(fresh_store, tmp_path):
    """To look ahead at a chunk that cannot be opened harms no read of another."""
    store = fresh_store("v2-blosc-zstd-bit")
    put("loop", chunk_files(store)[-1])
    opened = open_store(Location(str(store)))
    opened.hint([str(chunk_files(store)[0].relative_to(store)), "call_genotype/2.1.0"])
    assert opened.get_many([Range("call_genotype/9.9.9")]) == [None]
    assert opened.signature(["call_genotype/2.1.0"]).startswith("error")


def test_folders_that_lead_back(fresh_store, tmp_path):
    store = fresh_store("v2-gzip")
    for i in range(30):
        (store / "variant_id" / f"back{i}").symlink_to("..")
    value = Fingerprint(str(store), ["call_genotype"], ["variant_id"]).to_json()
    assert Fingerprint.still_holds(value)
    os.utime(store / "variant_id" / "0", (1, 1))
    assert not Fingerprint.still_holds(value)


def test_a_zip_is_read_in_the_same_way(fresh_store, tmp_path):
    archive = zip_store(fresh_store("v3-sharded"))
    assert show(archive, tmp_path) == reference.bed(GENOTYPES)


def test_what_an_array_says_of_itself_holds(fresh_store, tmp_path):
    """Consolidated metadata is a copy, of the time when it was made."""
    import zarr

    store = fresh_store("v2-gzip")
    zarr.consolidate_metadata(str(store))
    assert (store / ".zmetadata").exists()
    group = zarr.open_group(store, mode="r+", use_consolidated=False)
    group["call_genotype"].resize((40, 20, 2))
    for name in ("variant_position", "variant_contig", "variant_id"):
        group[name].resize((40,))
    group["variant_allele"].resize((40, 2))
    assert show(store, tmp_path) == reference.bed(GENOTYPES[:40])
    assert "call_genotype" in list(open_group(Location(str(store))))


def test_a_read_after_the_plan(fresh_store, tmp_path):
    """The worker finds what came to lie there since."""
    store = fresh_store("v2-filter")
    plan = plan_view(store, tmp_path / "plan")
    encoder = open_encoder(plan, tmp_path / "plan", 1 << 20)
    chunk = chunk_files(store)[0]
    chunk.unlink()
    os.mkfifo(chunk)
    with pytest.raises(BiofuseError, match=r"named pipe|changed while it was mounted"):
        encoder.encode(0, 0, 1, memoryview(bytearray(5)))
