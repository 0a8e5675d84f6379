"""However large a store says that its chunks are, a worker takes what it may and what was told."""

import errno
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support import reference
from support.damage import DAMAGE, error_of, read_uncached
from support.stores import chunk_files, make_store, random_genotypes
from test_declared_sizes import zstd_without_size

from biofuse.memory import format_size, process_memory

MIB = 1 << 20
BUDGET = 8 * MIB
WITH_LITTLE = ("--format", "plink", "--memory", "8MiB", "--threads", "4")
# What a worker holds beside its budget, as docs/memory.md has it.
BESIDE = 50 * MIB
# Two chunks, each of 64 MiB, which are read at once.
ROWS, VARIANTS, SAMPLES = 2, 512, 65_536
CHUNK = VARIANTS * SAMPLES * 2
# How often a chunk is in memory while it is decoded; where it is decoded in blocks, it never is.
COPIES = {"v2-blosc-zstd-bit": 0, "v2-zstd": 1, "v2-gzip": 2}


def peak_of_worker(mount) -> int:
    return process_memory(mount.pid("encode")).peak


def calls_of_ref() -> tuple[np.ndarray, bytes]:
    """Of REF, but for one sample's at each variant; and their `.bed`."""
    rows = np.arange(ROWS * VARIANTS)
    samples = 37 * rows
    calls = np.zeros((len(rows), SAMPLES, 2), dtype=np.int8)
    calls[rows, samples, 1] = 1
    # 3 for two copies of REF, 2 for one.
    records = np.full((len(rows), SAMPLES // 4), 0xFF, dtype=np.uint8)
    records[rows, samples // 4] ^= (1 << 2 * (samples % 4)).astype(np.uint8)
    return calls, reference.MAGIC + records.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("encoding", COPIES)
def test_chunks_that_are_larger_than_the_budget(encoding, biofuse, tmp_path):
    calls, expected = calls_of_ref()
    store = make_store(tmp_path / "x.vcz", calls, chunks=(VARIANTS, SAMPLES), encoding=encoding)
    del calls
    more = COPIES[encoding] * CHUNK
    told = f"chunks are decoded whole here, which takes {format_size(more)} and does not fit"
    with biofuse.mount(store, *WITH_LITTLE) as mount:
        if more:
            mount.expect_log(told)

        def is_right(offset: int) -> bool:
            return read_uncached(mount.bed, offset, MIB) == expected[offset : offset + MIB]

        with ThreadPoolExecutor(ROWS) as pool:
            row = len(expected) // ROWS
            assert all(
                pool.map(is_right, [n * row + m * MIB for m in range(2) for n in range(ROWS)])
            )
        assert (told in mount.log_text()) == (more > 0)
        assert more <= peak_of_worker(mount) < BUDGET + BESIDE + more


# Chunks of 200 KiB that stand for as much as 256 MiB, or a GiB.
def gzip_of_zeros() -> bytes:
    stream = zlib.compressobj(1, zlib.DEFLATED, 31)
    parts = [stream.compress(bytes(MIB)) for _ in range(256)]
    return b"".join([*parts, stream.flush()])


HOSTILE = {
    "v2-blosc-zstd-bit": DAMAGE["raw-size"],
    "v2-zstd": lambda chunk: chunk.write_bytes(zstd_without_size([(1 << 17, 0)] * 8192)),
    "v2-gzip": lambda chunk: chunk.write_bytes(gzip_of_zeros()),
    "v2-lz4": lambda chunk: chunk.write_bytes(b"\0\0\0\x40" + chunk.read_bytes()[4:]),
}


@pytest.mark.slow
@pytest.mark.parametrize("encoding", HOSTILE)
def test_chunks_that_stand_for_more_than_they_may(encoding, biofuse, tmp_path):
    calls = random_genotypes(600, 1003, seed=21)
    store = make_store(tmp_path / "x.vcz", calls, chunks=(200, 502), encoding=encoding)
    for chunk in chunk_files(store):
        HOSTILE[encoding](chunk)
    with biofuse.mount(store, *WITH_LITTLE) as mount:
        mount.expect_log("call_genotype")
        for offset in range(0, mount.bed.stat().st_size, 10_000):
            assert error_of(mount.bed, offset, 100) == errno.EIO
        assert peak_of_worker(mount) < BUDGET + BESIDE
        assert mount.status()["counters"]["worker_deaths"] == 0
