"""The slow path: how often chunks are decoded, and what that takes."""

import json
import tracemalloc

import numpy as np
import pytest
import zarr
from support.program import wait_until
from support.stores import add_field, chunk_files, make_store, random_genotypes
from support.views import open_encoder, plan_view

from biofuse import native
from biofuse.genotypes.cache import ByteCache
from biofuse.genotypes.describe import describe
from biofuse.genotypes.packed import PackedReader
from biofuse.genotypes.whole import WholeChunks
from biofuse.memory import budget_warning
from biofuse.stores import Location, open_store

MIB = 1 << 20


def open_reader(store, cache_bytes: int = 64 * MIB) -> PackedReader:
    location = Location(str(store))
    array = describe(zarr.open_group(store, mode="r")["call_genotype"])
    chunks = WholeChunks(open_store(location), location, ByteCache(cache_bytes))
    return PackedReader(chunks, array, array.shape[1] * array.ploidy)


@pytest.fixture
def decoded(monkeypatch) -> list[tuple[int, int]]:
    """Chunks that were decoded, in order."""
    seen = []
    original = WholeChunks.decode

    def decode(self, array, chunk_row, sample_chunk):
        seen.append((array.path, chunk_row, sample_chunk))
        return original(self, array, chunk_row, sample_chunk)

    monkeypatch.setattr(WholeChunks, "decode", decode)
    return seen


# Copies of a chunk that zarr's codecs make, by encoding and type.
COPIES = {
    ("v2-zstd", "int8"): 1,
    ("v3-zstd", "int8"): 1,
    ("v2-blosc-lz4-bit", "int8"): 1,
    ("v2-none", "int8"): 1,
    ("v2-blosc-zstd-bit", "int16"): 1,
    ("v2-blosc-zstd-bit", "int32"): 1,
    ("v2-gzip", "int8"): 2,
    ("v3-gzip", "int8"): 2,
    ("v2-filter", "int8"): 2,
    ("v3-sharded", "int8"): 2,
}


@pytest.mark.slow
@pytest.mark.parametrize(("encoding", "dtype"), COPIES)
def test_a_chunk_is_decoded_with_no_copy_of_ours(encoding, dtype, tmp_path):
    genotypes = random_genotypes(300, 10_000, alike=True).astype(dtype)
    genotypes[genotypes == 1] = 0
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(300, 10_000), encoding=encoding)
    array = describe(zarr.open_group(store, mode="r")["call_genotype"])
    copies = COPIES[encoding, dtype]
    assert array.decoding_need == copies * array.decoded_size
    open_reader(store).read(0, 0, 0, 9)
    reader = open_reader(store)
    tracemalloc.start()
    try:
        reader.read(0, 0, 0, 9)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    encoded = sum(path.stat().st_size for path in chunk_files(store))
    assert peak <= array.decoding_need + encoded + 3 * MIB


@pytest.mark.parametrize("wide", [False, True])
def test_a_chunk_beyond_the_cache_is_decoded_once_a_range(wide, tmp_path, decoded):
    genotypes = np.zeros((800, 10_000, 2), np.int8)
    if wide:
        genotypes[7, 5] = genotypes[7, 9_500] = 3
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(800, 5_000), encoding="v2-zstd")
    plan = plan_view(store, tmp_path / "plan")
    # A quarter of the planes: of two, or of all eight where an allele needs them.
    encoder = open_encoder(plan, tmp_path / "plan", 4 * MIB if wide else MIB)
    for first in range(10, 800, 10):
        encoder.encode(0, first, first + 10, memoryview(bytearray(10 * 2_500)))
    reader = encoder._readers["call_genotype"]
    ranges = -(-800 // reader._packed._whole.range_rows(reader.genotypes, reader._packed.row_bytes))
    assert ranges == 5
    # The first look at a chunk shows that it needs all planes.
    assert len(decoded) == 2 * ranges
    assert reader._packed.row_bytes == (8 if wide else 2) * 2_501
    cache = reader._packed._whole._cache
    assert cache.used <= cache.limit


def test_rows_across_ranges(tmp_path):
    genotypes = random_genotypes(300, 2_000)
    genotypes[250, 1_900] = 5
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(200, 1_100), encoding="v2-gzip")
    array = describe(zarr.open_group(store, mode="r")["call_genotype"])
    reader = open_reader(store, 20_000)
    for chunk_row, first, last in ((0, 0, 199), (1, 3, 99), (0, 17, 18), (1, 0, 99)):
        packed = [reader.read(chunk_row, chunk, first, last) for chunk in (0, 1)]
        assert all((p.first_row, p.last_row) == (first, last + 1) for p in packed)
        rows = native.Rows(*array.chunks[:2], 2, np.array([1_100, 900], np.uint32))
        for chunk in (0, 1):
            rows.set_packed(chunk, packed[chunk])
        for row in range(first, last + 1):
            assert rows.alleles(row) == genotypes[200 * chunk_row + row].tobytes()


def test_values_beyond_the_cache_are_decoded_once_a_range(tmp_path, decoded, monkeypatch):
    genotypes = random_genotypes(200, 2_000)
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(200, 2_000))
    ds = np.random.default_rng(1).random((200, 2_000)).astype(np.float32)
    add_field(store, "call_DS", ds, chunks=(200, 1_000), encoding="v2-gzip")
    options = ["--format", "bgen", "--bgen-field", "DS"]
    plan = plan_view(store, tmp_path / "plan", *options)
    # Values of 1.6 MB, through a cache of three quarters of one.
    encoder = open_encoder(plan, tmp_path / "plan", MIB)
    offsets = memoryview((tmp_path / "plan" / plan.streamed[0].offsets).read_bytes()).cast("Q")
    for first in range(0, 200, 5):
        out = bytearray(offsets[first + 5] - offsets[first])
        encoder.encode(0, first, first + 5, memoryview(out))
    assert len(decoded) <= 2 * 3
    assert {path for path, _, _ in decoded} == {"call_DS"}


@pytest.mark.parametrize(
    ("need", "budget", "warned"), [(0, 1, False), (32, 128, False), (33, 128, True)]
)
def test_when_it_is_warned(need, budget, warned):
    text = budget_warning(need * MIB, budget * MIB)
    assert (text is not None) == warned
    if warned:
        assert "33.0 MiB" in text
        assert "128.0 MiB" in text


@pytest.fixture(scope="module")
def large_chunks(tmp_path_factory):
    """A chunk takes 1.9 MiB, and twice that while it is decoded."""
    directory = tmp_path_factory.mktemp("s")
    genotypes = random_genotypes(100, 10_000, alike=True)
    return make_store(directory / "x.vcz", genotypes, chunks=(100, 10_000), encoding="v2-gzip")


@pytest.mark.slow
def test_the_mount_and_the_log_say_that_a_chunk_does_not_fit(large_chunks, biofuse):
    target = biofuse.new_directory()
    log = biofuse.home / "log"
    words = ["mount", large_chunks, target, "--log-file", log, "--format", "plink"]
    said = biofuse(*words, "--memory", "8MiB").stderr
    text = "takes 3.8 MiB and does not fit --memory 8.0 MiB"
    assert text in said
    biofuse("umount", target)
    assert log.read_text().count(text) == 1
    assert "decoded whole" not in biofuse(*words, "--memory", "16MiB").stderr
    biofuse("umount", target)
    assert log.read_text().count("decoded whole") == 1


def test_info_says_that_a_chunk_does_not_fit(tmp_path, biofuse):
    # Nothing of it is stored, so that it costs no time.
    store = make_store(tmp_path / "x.vcz", random_genotypes(4, 3), encoding="v2-gzip")
    root = zarr.open_group(store, mode="r+")
    root.create_array(
        "call_genotype",
        shape=(4, 3, 2),
        chunks=(20_000, 20_000, 2),
        dtype="int8",
        compressors=root["call_genotype"].compressors,
        overwrite=True,
        attributes={"_ARRAY_DIMENSIONS": ["variants", "samples", "ploidy"]},
    )
    warnings = json.loads(biofuse("info", store, "--json").stdout)["warnings"]
    assert any("takes 1.5 GiB and does not fit" in text for text in warnings)
    assert "does not fit" in biofuse("info", store).stdout


def test_frames_of_another_kind_than_the_metadata_say_are_told(tmp_path, biofuse):
    genotypes = random_genotypes(60, 40)
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(20, 40))
    other = make_store(tmp_path / "y.vcz", genotypes, chunks=(20, 40), encoding="v2-blosc-lz4-bit")
    for mine, its in zip(chunk_files(store), chunk_files(other), strict=True):
        mine.write_bytes(its.read_bytes())
    text = "call_genotype has chunks that are not what its metadata says"
    with biofuse.mount(store, "--format", "plink") as mount:
        mount.expect_log(text)
        mount.bed.read_bytes()
        wait_until(lambda: text in mount.log_text(), "the log has it")
        assert mount.log_text().count(text) == 1


def test_one_lock_for_every_field(tmp_path):
    store = make_store(tmp_path / "x.vcz", random_genotypes(20, 9), encoding="v2-gzip")
    add_field(store, "call_genotype_phased", np.ones((20, 9), bool), encoding="v2-gzip")
    plan = plan_view(store, tmp_path / "plan", "--format", "bgen", "--phased")
    encoder = open_encoder(plan, tmp_path / "plan", MIB)
    readers = encoder._readers.values()
    assert len(readers) == 2
    assert len({id(reader._packed._whole) for reader in readers}) == 1
