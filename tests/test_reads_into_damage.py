"""Reads that reach from what is sound into what cannot be made, by each way to read."""

import errno
import hashlib
import mmap
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from support import reference
from support.damage import DAMAGE, chunk_of, key_of
from support.stores import make_store, random_genotypes

# Three rows of two chunks; 251 bytes a record.
GENOTYPES = random_genotypes(600, 1003, seed=21)
BED = reference.bed(GENOTYPES)
ROW = 200 * 251
# Bytes of the file that the damaged chunk is part of.
FIRST, LAST = 3 + ROW, 3 + 2 * ROW
PAGE = mmap.PAGESIZE
# Of whole pages that hold none of them, the end of the first ones and the start of the others.
SOUND, AGAIN = FIRST // PAGE * PAGE, -(-LAST // PAGE) * PAGE


@pytest.fixture(scope="module")
def mount(module_biofuse, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    store = make_store(folder / "x.vcz", GENOTYPES, chunks=(200, 502))
    chunk = chunk_of(store, 2)
    DAMAGE["ten-bytes"](chunk)
    with module_biofuse.mount(store, "--format", "plink") as mount:
        mount.expect_log(key_of(store, chunk))
        yield mount


@pytest.fixture
def direct(mount):
    fd = os.open(mount.bed, os.O_RDONLY | os.O_DIRECT)
    yield fd
    os.close(fd)


def error_of(fd: int, start: int, stop: int) -> int | None:
    """The errno of a read, None if it has what it asked for."""
    try:
        assert os.pread(fd, stop - start, start) == BED[start:stop]
    except OSError as error:
        return error.errno
    return None


def test_a_direct_read_fails_as_a_whole(direct):
    """Whatever of it could be made: one byte that cannot be is enough."""
    for start, stop in ((0, FIRST), (FIRST - 1, FIRST), (LAST, len(BED)), (LAST, LAST + 1)):
        assert error_of(direct, start, stop) is None, (start, stop)
    for start, stop in (
        *((0, FIRST + 1), (FIRST - 1, FIRST + 1), (SOUND - PAGE, SOUND + 2 * PAGE)),
        *((LAST - 1, LAST + 1), (LAST - 1, len(BED)), (0, len(BED)), (FIRST, LAST)),
    ):
        assert error_of(direct, start, stop) == errno.EIO, (start, stop)


def test_nothing_is_written_where_a_direct_read_fails(direct):
    """A program that does not look at what was answered has none of the bytes of its request."""
    with mmap.mmap(-1, 16 * PAGE) as memory:
        memory.write(b"x" * len(memory))
        with pytest.raises(OSError):
            os.preadv(direct, [memory], SOUND - PAGE)
        assert memory[:] == b"x" * len(memory)


def test_a_direct_read_of_several_requests_fails_as_a_whole(biofuse, tmp_path):
    """Each is of a mebibyte: whichever cannot be made, the read is not short."""
    request, rows = 1 << 20, 10_000
    order = np.arange(rows) % len(GENOTYPES)
    store = make_store(tmp_path / "x.vcz", GENOTYPES[order], chunks=(1000, 502))
    expected = BED[:3] + np.frombuffer(BED[3:], np.uint8).reshape(-1, 251)[order].tobytes()
    chunk = store / "call_genotype" / "6.0.0"
    DAMAGE["ten-bytes"](chunk)
    with biofuse.mount(store, "--format", "plink") as mount, mmap.mmap(-1, 3 * request) as memory:
        mount.expect_log(key_of(store, chunk))
        fd = os.open(mount.bed, os.O_RDONLY | os.O_DIRECT)
        try:
            with memoryview(memory)[:request] as first:
                assert os.preadv(fd, [first], 0) == request
            assert memory[:request] == expected[:request]
            for offset in (0, 1):
                with pytest.raises(OSError) as caught:
                    os.preadv(fd, [memory], offset)
                assert caught.value.errno == errno.EIO
        finally:
            os.close(fd)


@pytest.mark.parametrize("start", [0, 1, SOUND - PAGE - 7, SOUND - 1])
def test_a_read_through_the_page_cache_is_short_before_the_page_that_fails(start, mount):
    """And fails when it is gone on with; what is behind can be read again."""
    with open(mount.bed, "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        file.seek(start)
        assert file.read(len(BED)) == BED[start:SOUND]
        for _ in range(2):
            with pytest.raises(OSError) as caught:
                file.read(1)
            assert caught.value.errno == errno.EIO
            assert file.tell() == SOUND
        file.seek(AGAIN)
        assert file.read(len(BED)) == BED[AGAIN:]


MAPPED = """
import hashlib, mmap, os, sys
path, flags, sound, again = sys.argv[1], *map(int, sys.argv[2:])
file = os.open(path, os.O_RDONLY)
reader, writer = os.pipe()
with mmap.mmap(file, 0, flags=flags, prot=mmap.PROT_READ) as mapping:
    print(hashlib.sha256(mapping[:sound] + mapping[again:]).hexdigest())
    try:
        os.write(writer, memoryview(mapping)[sound : sound + 9])
    except OSError as error:
        print(error.errno, flush=True)
    mapping[sound]
    print("no signal")
"""


@pytest.mark.parametrize("flags", [mmap.MAP_SHARED, mmap.MAP_PRIVATE], ids=["shared", "private"])
def test_a_page_of_a_mapping_that_cannot_be_made(flags, mount):
    """SIGBUS where a program touches it, an error where the kernel does for it."""
    numbers = [str(number) for number in (flags, SOUND, AGAIN)]
    command = [sys.executable, "-S", "-c", MAPPED, mount.bed, *numbers]
    done = subprocess.run(command, capture_output=True, text=True)
    digest = hashlib.sha256(BED[:SOUND] + BED[AGAIN:]).hexdigest()
    assert done.stdout.split() == [digest, str(errno.EFAULT)], done.stderr
    assert done.returncode == -signal.SIGBUS
