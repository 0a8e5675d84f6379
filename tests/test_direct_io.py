"""Reads past the page cache, for programs that are named."""

import mmap
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import reference
from support.stores import make_store, random_genotypes

from biofuse.serve.direct import DirectPrograms

GENOTYPES = random_genotypes(900, 1003, seed=37)
BED = reference.bed(GENOTYPES)


@pytest.fixture(scope="module")
def store(made):
    return made("direct", lambda folder: make_store(folder / "x.vcz", GENOTYPES, chunks=(100, 502)))


@pytest.fixture(scope="module")
def mount(store, module_biofuse):
    with module_biofuse.mount(store, "--direct-io", "all") as mount:
        yield mount


def served(mount) -> int:
    return mount.status()["counters"]["bytes_served"]


@given(st.integers(0, len(BED) + 9), st.sampled_from([0, 1, 251, 4096, 131_073, 3_000_000]))
def test_any_bytes(mount, offset, size):
    fd = os.open(mount.bed, os.O_RDONLY)
    try:
        assert os.pread(fd, size, offset) == BED[offset : offset + size]
    finally:
        os.close(fd)


@pytest.mark.parametrize("flags", [mmap.MAP_SHARED, mmap.MAP_PRIVATE], ids=["shared", "private"])
def test_a_mapping(flags, mount):
    with (
        open(mount.bed, "rb") as f,
        mmap.mmap(f.fileno(), 0, flags=flags, prot=mmap.PROT_READ) as mapped,
    ):
        assert mapped[:] == BED
        assert mapped[70_001:70_010] == BED[70_001:70_010]
        # Beside it.
        assert os.pread(f.fileno(), 5000, 70_001) == BED[70_001:75_001]


def test_every_read_is_asked_for_again(mount):
    before = served(mount)
    for _ in range(3):
        assert mount.bed.read_bytes() == BED
    assert served(mount) - before >= 3 * len(BED)


def test_sidecars_stay_in_the_page_cache(store, biofuse, tmp_path):
    """bgenix and others map them or read a page at a time."""
    log = tmp_path / "log"
    with biofuse.mount(store, "--direct-io", "all", "--access-log", log) as mount:
        for _ in range(3):
            assert mount.fam.read_bytes().count(b"\n") == 1003
    assert sum(".fam" in line for line in log.read_text().splitlines()) == 1


def test_only_the_programs_that_are_named(store, biofuse, tmp_path):
    """A program of that name, or whose name begins so, and all of its threads."""
    for name in ("reader", "reader-avx2", "other"):
        shutil.copy(shutil.which("cat"), tmp_path / name)
    with biofuse.mount(store, "--direct-io", "reader") as mount:

        def read_by(name):
            before = served(mount)
            done = subprocess.run([tmp_path / name, mount.bed], capture_output=True, check=True)
            assert done.stdout == BED
            return served(mount) - before

        assert read_by("other") == len(BED)
        assert read_by("other") == 0
        for name in ("reader", "reader-avx2", "reader"):
            assert read_by(name) == len(BED)
        assert read_by("other") == 0


def test_programs_as_the_kernel_names_them():
    name = Path("/proc/self/comm").read_bytes().strip().decode()
    me = os.getpid()
    assert me in DirectPrograms([name])
    assert me in DirectPrograms(["nobody", name[:3]])
    assert me in DirectPrograms(["all"])
    assert me not in DirectPrograms([])
    assert me not in DirectPrograms(["x" + name])
    # Not to be seen from here: another namespace's, or gone.
    assert 0 not in DirectPrograms([name])
    assert 2**31 - 1 not in DirectPrograms([name])


def test_names_that_the_kernel_has_cut_off(tmp_path):
    program = tmp_path / "a-program-of-a-long-name"
    shutil.copy(shutil.which("sleep"), program)
    with subprocess.Popen([program, "60"]) as process:
        try:
            process.poll()
            comm = Path(f"/proc/{process.pid}/comm")
            while comm.read_text().strip() == Path(sys.executable).name[:15]:
                pass
            assert process.pid in DirectPrograms([program.name])
            assert process.pid not in DirectPrograms([program.name[1:]])
        finally:
            process.kill()


def test_a_thread_of_another_name(tmp_path):
    """Of a program whose threads have names of their own."""
    name = Path("/proc/self/comm").read_text().strip()
    found = []

    def look():
        Path("/proc/thread-self/comm").write_text("of-another-name")
        thread = threading.get_native_id()
        found.extend(thread in DirectPrograms([n]) for n in (name, "of-another", "nobody"))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [True, True, False]
