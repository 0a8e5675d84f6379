"""fio's jobs: sequential, random, side by side, mapped, asynchronous, opening all the time.

fio verifies what fio has written. A byte of a .bed or of a .pgen is any four calls, so there is a
store for each whose file is one that fio wrote, but for the first block, in which the header is:
every other block bears its place and a checksum of all its bytes. The other files' bytes cannot be
chosen; beside fio's load on them, processes of our own compare (support/fsx.py).
"""

import errno
from pathlib import Path

import pytest
from support.fio import BLOCK, VERIFY, fio, reads, run_fio, store_of_blocks, write_blocks
from support.io_uring import refusal
from support.places import Placer
from support.program import Mount
from support.syscalls import events, inotify, watch

from fs_tests.conftest import PLACES, STREAMED, put
from fs_tests.readers import readers

MIB = 1 << 20
# fio's engine for mappings takes no file from an offset on; this is the same for random reads.
_ALL_BUT_THE_FIRST = "--norandommap --random_distribution=zoned_abs:0/4k:100/"
# Each is a job, of which one goes on beside the others.
JOBS: dict[str, tuple[str, ...]] = {
    "sequential": ("--ioengine=psync", "--rw=read", "--offset=4k"),
    "random": ("--ioengine=psync", "--rw=randread", "--offset=4k"),
    "larger": ("--ioengine=pvsync2", "--rw=randread", "--offset=16k", "--bs=16k"),
    "side by side": ("--ioengine=psync", "--rw=randread", "--offset=4k", "--numjobs=4"),
    "direct": ("--ioengine=psync", "--rw=read", "--offset=4k", "--direct=1"),
    "libaio": ("--ioengine=libaio", "--rw=randread", "--offset=4k", "--direct=1", "--iodepth=16"),
    "io_uring": ("--ioengine=io_uring", "--rw=randread", "--offset=4k", "--iodepth=16"),
    "mapped": ("--ioengine=mmap", "--rw=randread", "--norandommap"),
}


def jobs() -> dict[str, tuple[str, ...]]:
    """Those that this kernel has."""
    if (refused := refusal()) is None:
        return JOBS
    done = run_fio("--name=x", "--filename=/dev/zero", "--size=4k", *JOBS["io_uring"][:1])
    assert done.returncode != 0, errno.errorcode[refused]
    return {name: job for name, job in JOBS.items() if name != "io_uring"}


@pytest.fixture(scope="module")
def blocks(tmp_path_factory, is_long) -> bytes:
    """What fio has written."""
    return write_blocks(tmp_path_factory.mktemp("fio") / "written", (8 if is_long else 1) * MIB)


@pytest.fixture(scope="module", params=["x.bed", "x.pgen"])
def written(request, blocks, tmp_path_factory) -> tuple[str, Path]:
    """A view, and a store of which it is what fio has written."""
    folder = tmp_path_factory.mktemp("written")
    return request.param, store_of_blocks(folder / "x.vcz", request.param, blocks)


def verify(path: Path, size: int, loops: int = 1) -> int:
    """Have every job read a file's blocks, all at once. Returns the number of reads."""
    words = ["--group_reporting", f"--filename={path}", f"--loops={loops}", *VERIFY]
    for name, job in jobs().items():
        words += [f"--name={name}", f"--bs={BLOCK}", *job]
        begin = next((option for option in job if option.startswith("--offset=")), "--offset=0k")
        words.append(f"--size={size - int(begin[9:-1]) * 1024}")
        if name == "mapped":
            words.append(f"--random_distribution=zoned_abs:0/{BLOCK}:100/{size - BLOCK}")
    return reads(fio(*words))


@pytest.mark.parametrize("kind", PLACES)
def test_fio_finds_what_it_wrote(kind, written, blocks, s3, web, in_front, tmp_path, biofuse, tell):
    name, store = written
    assert kind in PLACES
    place = put(Placer(s3, web, in_front, tmp_path), kind, store)
    view = {"x.bed": "plink", "x.pgen": "plink2"}[name]
    with place.mount(biofuse, "--format", view) as mount:
        count = verify(mount.dir / name, len(blocks), 4 if len(blocks) > MIB else 1)
    tell(f"fio: {count:,} reads of {name} on {kind}, each block with its checksum")


def test_fio_finds_a_byte_that_it_did_not_write(blocks, tmp_path):
    """In every job's own reads: of a plain file, since a mount gives none."""
    path = tmp_path / "x"
    data = bytearray(blocks)
    for start in range(BLOCK, len(data), BLOCK):
        data[start + 1000] ^= 1
    path.write_bytes(data)
    for name, job in jobs().items():
        begin = next((option for option in job if option.startswith("--offset=")), "--offset=0k")
        size = len(data) - int(begin[9:-1]) * 1024
        done = run_fio(
            *(f"--name={name}", f"--filename={path}", f"--bs={BLOCK}", *job, f"--size={size}"),
            *(VERIFY, "--direct=0")[0],
        )
        assert done.returncode != 0, name


@pytest.fixture
def load(mount, copies, seed) -> tuple[Mount, Path, int]:
    return mount, copies, seed


def test_reads_beside_fio(mount, copies, seed, is_long, tell):
    """Its load on the streamed files, with readers beside it that compare."""
    seconds = 25 if is_long else 2
    common = ("--time_based", f"--runtime={seconds}", "--size=100%", "--group_reporting")
    words: list[object] = [*common]
    for name in STREAMED:
        for number, job in enumerate(jobs().values()):
            options = [option for option in job if not option.startswith("--offset")]
            words += [f"--name={name}-{number}", f"--filename={mount.dir / name}", *options]
    with readers(mount.dir, copies, [seed, seed + 1], seconds) as counts:
        report = fio(*words)
    tell(f"fio: {reads(report):,} reads, and {counts.total():,} that were compared")


def test_opening_all_the_time(mount, copies, seed, is_long, tell):
    """Every read by a handle of its own, with readers beside it that compare."""
    count = 20_000 if is_long else 2000
    told = inotify()
    watch(told, str(mount.dir).encode(), 0x20)
    files = ":".join(str(mount.dir / name) for name in sorted(copies.iterdir()) if name)
    with readers(mount.dir, copies, [seed], 1):
        report = fio(
            *("--name=opens", "--ioengine=psync", "--rw=randread", "--bs=512", "--openfiles=1"),
            *(f"--filename={files}", "--file_service_type=random:1", f"--number_ios={count}"),
        )
    tell(f"fio: {reads(report)} {len(events(told))}")
