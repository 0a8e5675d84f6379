"""Many reads that wait for the store: whatever does not need it is answered meanwhile."""

import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from support import reference
from support.program import wait_until
from support.stores import make_store
from support.users import NOBODY, command_as, program_of

# Far apart in the .bed even where each is read 128 KiB ahead, and 64 times as much in all.
GENOTYPES = np.zeros((900, 44_000, 2), np.int8)
GENOTYPES[::7, ::3, 1] = 1
GENOTYPES[::5, ::2] = 1
READERS = 64
# Seconds: of reads, and what is granted to all that is not to wait for them.
DEADLINE = "250"
HANG = 100


@pytest.fixture(scope="module")
def store(made):
    return made("stuck", lambda folder: make_store(folder / "x.vcz", GENOTYPES, chunks=(100, 8000)))


@contextmanager
def stopped(pid: int):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


BED = reference.bed(GENOTYPES)
PART = -(-len(BED) // READERS)
USERS = {
    "root": (0, 0, []),
    "an-ordinary-user": (NOBODY, NOBODY, []),
    "others": (0, NOBODY, ["--allow-other"]),
}


def read_part(uid: int, bed: Path, number: int) -> subprocess.Popen:
    """A reader of a 64th of the file."""
    command = ["dd", f"if={bed}", "status=none", f"bs={PART}", f"skip={number}", "count=1"]
    return subprocess.Popen(command_as(uid, [*command, "iflag=fullblock"]), stdout=subprocess.PIPE)


def waits_for_a_page(pid: int) -> bool:
    """Whether a process sleeps in the kernel as only who waits for a file's bytes does."""
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"D"


@pytest.mark.slow
@pytest.mark.parametrize("case", USERS)
def test_what_is_answered_while_many_reads_wait(case, store):
    owner, reader, options = USERS[case]
    with (
        program_of(owner) as biofuse,
        biofuse.mount(store, "--timeout", DEADLINE, *options) as mount,
    ):
        wait_until(lambda: mount.pid("encode"), "the worker has begun")
        with stopped(mount.pid("encode")):
            readers = [read_part(reader, mount.bed, i) for i in range(READERS)]
            for each in readers:
                wait_until(lambda each=each: waits_for_a_page(each.pid), "it waits")
            for command in (
                ["cat", mount.fam],
                ["cat", mount.bim],
                ["ls", "-l", mount.dir],
                ["stat", f"{mount.stem}.bgen.bgi", mount.bed],
                ["head", "-c", "100000", f"{mount.stem}.sample"],
            ):
                done = subprocess.run(
                    command_as(reader, command), capture_output=True, timeout=HANG
                )
                assert done.returncode == 0, done.stderr
                assert done.stdout
            assert biofuse("status", mount.dir, "--json").stdout
            assert [each.poll() for each in readers] == [None] * READERS
        assert b"".join(each.communicate()[0] for each in readers) == BED
