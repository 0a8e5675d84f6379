"""How often object stores are asked, and how many round trips come one after another."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zarr
from support import reference
from support.damage import read_uncached
from support.layouts import key_at, lose
from support.places import PLAIN, consolidated
from support.program import wait_until
from support.regions import CONTIGS, make_stores
from support.stores import chunk_files, copy_store, make_store, random_genotypes

# Twenty chunks of variants, sixty of calls; round trips long enough for requests to overlap.
GENOTYPES = random_genotypes(400, 120, seed=3)
BED = reference.bed(GENOTYPES)
CHUNKS = (20, 40)
DELAY = 0.3
FIELDS = ("contig_id", "sample_id", "variant_contig", "variant_position", "variant_id")
ALL_FIELDS = (*FIELDS, "variant_allele")
CALLS = "*/call_genotype/*"


def make(encoding: str):
    def make_it(folder: Path) -> Path:
        path = make_store(
            folder / "x.vcz", GENOTYPES, chunks=CHUNKS, variant_chunk=20, encoding=encoding
        )
        return consolidated(path)

    return make_it


@pytest.fixture(params=["v2-blosc-zstd-bit", "v3-blosc-zstd-bit"])
def store(request, made):
    return made(f"counted-{request.param}", make(request.param))


def chunk_requests(there, store: Path) -> dict[str, int]:
    """How often each chunk of calls was asked for, by its key."""
    paths = there.proxy.traffic.paths()
    keys = [str(file.relative_to(store)) for file in chunk_files(store)]
    return {key: paths[there.path(key)] for key in keys}


def settle(there) -> None:
    """Wait for requests that are under way."""
    wait_until(lambda: all(r.ended for r in there.proxy.traffic), "all requests have ended")


@pytest.mark.parametrize("place", PLAIN)
def test_mounting(place, store, placer, biofuse):
    there = placer.put(place, store, delay=DELAY)
    with there.mount(biofuse):
        settle(there)
        traffic = there.proxy.traffic
        looked_at = {r.path for r in traffic.of(CALLS, status=200)}
        looked_at |= {r.path for r in traffic.of(CALLS, status=206)}
        # One document of metadata, a list of what there is, the chunks; where there is no list,
        # those of variant_contig that are not stored, since all in them is on the first contig.
        stored = {name: len(chunk_files(store, name)) for name in ALL_FIELDS}
        absent = 20 - stored["variant_contig"] if place == "http" else 0
        needed = 2 + sum(stored.values()) + absent + len(looked_at)
        assert len(looked_at) <= 12, str(traffic)
        assert len(traffic) <= 1.2 * needed, str(traffic)
        assert traffic.rounds() <= 6, str(traffic)
        assert traffic.of(method="HEAD").requests == []
        # What is asked for twice is metadata at most.
        twice = [path for path, times in traffic.paths().items() if times > 1]
        assert [path for path in twice if "variant_" in path] == []
    there.proxy.clear()
    with there.mount(biofuse):
        settle(there)
        assert there.proxy.traffic.rounds() <= 3, str(there.proxy.traffic)
        assert len(there.proxy.traffic) <= 12, str(there.proxy.traffic)
        # Where there is no list, some objects are looked at.
        read = there.proxy.traffic.of("*/variant_*", method="GET" if place == "http" else None)
        assert read.requests == []


@pytest.mark.parametrize("place", PLAIN)
def test_reading_the_whole_bed(place, store, placer, biofuse):
    there = placer.put(place, store, delay=DELAY)
    with there.mount(biofuse, "--format", "plink", "--idle-timeout", "0.5") as mount:
        # Of what was looked at for the plan, nobody has anything any more.
        wait_until(lambda: mount.pid("encode") is None, "the worker has ended")
        there.proxy.clear()
        assert mount.bed.read_bytes() == BED
        settle(there)
        traffic = there.proxy.traffic
        assert set(chunk_requests(there, store).values()) == {1}
        assert traffic.of(method="HEAD").requests == []
        stored = sum(file.stat().st_size for file in chunk_files(store))
        assert traffic.of(CALLS).sizes() <= 1.05 * stored
        # A worker's own look at the store, and then all objects, many at a time.
        assert len(traffic) <= 60 + 6, str(traffic)
        assert traffic.most_at_once() >= 20
        assert traffic.rounds() <= 8, str(traffic)


@pytest.mark.slow
@pytest.mark.parametrize("readers", [4, 16])
def test_many_readers_ask_once(readers, store, placer, biofuse):
    """A chunk that several ask for is fetched once."""
    there = placer.put("s3", store, delay=0.1)
    part = -(-len(BED) // readers)
    with there.mount(biofuse, "--format", "plink") as mount:
        settle(there)
        there.proxy.clear()

        def read(number):
            with open(mount.bed, "rb", buffering=0) as file:
                file.seek(number * part)
                return file.read(part)

        with ThreadPoolExecutor(readers) as pool:
            assert b"".join(pool.map(read, range(readers))) == BED
        settle(there)
        assert max(chunk_requests(there, store).values()) <= 1, str(there.proxy.traffic)


@pytest.mark.parametrize("place", PLAIN)
def test_chunks_that_are_not_stored(place, store, tmp_path, placer, biofuse):
    """Each costs one 404 at most, however often it is read."""
    store = copy_store(store, tmp_path / "x.vcz")
    absent = [key_at(store, "call_genotype", 7, column, 0) for column in range(3)]
    for key in absent:
        lose(store, key)
    genotypes = GENOTYPES.copy()
    genotypes[140:160] = 0
    there = placer.put(place, store)
    # A web server cannot tell before that it lacks them.
    options = ["--missing-chunks", "fill"] if place.startswith("http") else []
    with there.mount(biofuse, "--format", "plink", "--memory", "8MiB", *options) as mount:
        for _ in range(2):
            assert mount.bed.read_bytes() == reference.bed(genotypes)
            for offset in range(3, len(BED), 600):
                read_uncached(mount.bed, offset, 10)
        paths = there.proxy.traffic.paths()
        assert max(paths[there.path(key)] for key in absent) <= 1
        assert len(there.proxy.traffic.of(CALLS, status=404)) <= 3


def test_a_lone_read_of_a_large_object(made, placer, biofuse):
    """Two round trips at most, and little of it, though another read was there before."""

    def make_large(folder):
        genotypes = random_genotypes(2000, 12_000, seed=8)
        return consolidated(make_store(folder / "x.vcz", genotypes, chunks=(1000, 12_000)))

    store = made("counted-large", make_large)
    expected = reference.bed(reference.genotypes_of(store))
    there = placer.put("http", store, delay=DELAY, bandwidth=4e6)
    with there.mount(biofuse, "--format", "plink") as mount:
        # The first one finds out how far away the store is.
        for number, rounds in ((300, None), (1300, 2), (1700, 2)):
            settle(there)
            there.proxy.clear()
            offset = 3 + number * 3000
            assert read_uncached(mount.bed, offset, 3000) == expected[offset : offset + 3000]
            settle(there)
            traffic = there.proxy.traffic
            if rounds:
                assert traffic.rounds() <= rounds, str(traffic)
                assert traffic.of(CALLS).sizes() < 200_000, str(traffic)


def test_a_region_reads_what_the_index_points_to(made, placer, biofuse):
    store = made("regions", make_stores)["whole"]
    there = placer.put("http", store)
    with there.mount(biofuse, "-r", "chr2:100040-100050", "--format", "plink"):
        traffic = there.proxy.traffic
        index = zarr.open_group(store, mode="r")["region_index"][:]
        on_contig = index[index[:, 1] == CONTIGS.index("chr2")]
        wanted = on_contig[(on_contig[:, 2] <= 100050) & (on_contig[:, 4] >= 100040)][:, 0]
        pattern = f"{there.base}/variant_position/[0-9c]*"
        read = {path for path in traffic.of(pattern, status=200).paths()}
        # And where the first sites are whose IDs are not stored, which is told.
        assert len(read) <= len(set(wanted.tolist())) + 1, sorted(read)


@pytest.mark.slow
def test_a_shared_plan(store, placer, biofuse, tmp_path):
    """What a job of a thousand asks for: not the variants, and few requests."""
    there = placer.put("s3", store)
    biofuse.env.update(there.env)
    plan = tmp_path / "x.plan"
    biofuse("plan", there.url, "-o", plan)
    for options, first, last in (
        ([], 0, 400),
        (["-r", "1:700-840"], 99, 120),
        (["-r", "2"], 266, 400),
    ):
        there.proxy.clear()
        with there.mount(biofuse, "--plan", plan, "--no-cache", *options) as mount:
            found = mount.bed.read_bytes()
            assert found == reference.bed(GENOTYPES[first:last])
            settle(there)
            traffic = there.proxy.traffic
            assert traffic.of("*/variant_*").requests == [], str(traffic)
            rows = len({first // 20, (last - 1) // 20}) if last - first < 40 else 20
            assert len(traffic) <= 3 * rows + 10, str(traffic)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["s3-zip", "http-zip"])
def test_a_zip(place, made, placer, biofuse):
    """Its directory once, each member by one range, and nothing twice."""
    store = made("counted-v2-blosc-zstd-bit", make("v2-blosc-zstd-bit"))
    there = placer.put(place, store, delay=0.1)
    stored = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    with there.mount(biofuse, "--format", "plink", "--idle-timeout", "0.5") as mount:
        wait_until(lambda: mount.pid("encode") is None, "the worker has ended")
        traffic = there.proxy.traffic
        assert traffic.rounds() <= 8, str(traffic)
        # The end of a zip, with its directory, is all of a small one; and there are two processes.
        assert traffic.sizes() <= 5 * stored
        there.proxy.clear()
        assert mount.bed.read_bytes() == BED
        settle(there)
        traffic = there.proxy.traffic
        assert len(traffic) <= 60 + 8, str(traffic)
        assert traffic.sizes() <= 5 * stored


@pytest.mark.slow
def test_what_status_and_info_tell(store, placer, biofuse):
    """Requests and bytes, as the server has counted them."""
    there = placer.put("s3", store)
    with there.mount(biofuse, "--format", "plink", "--idle-timeout", "60") as mount:
        settle(there)
        before = len(there.proxy.traffic)
        there.proxy.fault("answer", CALLS, status=503, times=2)
        assert mount.bed.read_bytes() == BED
        settle(there)
        # By whatever names: the numbers are there.
        told = json.dumps(mount.status())
        assert "requests" in told
        assert "retries" in told
        assert len(there.proxy.traffic) > before
