"""fio's jobs: sequential, random, side by side, direct, mapped, asynchronous.

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

from fs_tests.conftest import PLACES, STREAMED, put
from fs_tests.readers import readers

MIB = 1 << 20
# Each is a job, of which one goes on beside the others.
# With a number for all but the first block, by fio's --offset; its engine for mappings takes no
# file from an offset on.
JOBS: dict[str, tuple[int, str]] = {
    "sequential": (BLOCK, "--ioengine=psync --rw=read"),
    "random": (BLOCK, "--ioengine=psync --rw=randread"),
    "larger": (4 * BLOCK, "--ioengine=pvsync2 --rw=randread --bs=16k"),
    "side-by-side": (BLOCK, "--ioengine=psync --rw=randread --numjobs=4"),
    "direct": (BLOCK, "--ioengine=psync --rw=read --direct=1"),
    "libaio": (BLOCK, "--ioengine=libaio --rw=randread --direct=1 --iodepth=16"),
    "io_uring": (BLOCK, "--ioengine=io_uring --rw=randread --iodepth=16"),
    "mapped": (0, "--ioengine=mmap --rw=randread --norandommap"),
}


def jobs() -> dict[str, tuple[int, list[str]]]:
    """Those that this kernel has, with their words."""
    found = {name: (offset, words.split()) for name, (offset, words) in JOBS.items()}
    if (refused := refusal()) is not None:
        done = run_fio("--name=x", "--filename=/dev/zero", "--size=4k", "--ioengine=io_uring")
        assert done.returncode != 0, errno.errorcode[refused]
        del found["io_uring"]
    return found


def to_verify(name: str, size: int) -> list[str]:
    """The words of a job that reads so many bytes but for the first block."""
    offset, words = jobs()[name]
    if not offset:
        # The same, for random reads.
        words.append(f"--random_distribution=zoned_abs:0/{BLOCK}:100/{size - BLOCK}")
    return [
        f"--name={name}",
        f"--bs={BLOCK}",
        f"--offset={offset}",
        f"--size={size - offset}",
        *words,
    ]


@pytest.fixture(scope="module")
def blocks(tmp_path_factory, is_long) -> bytes:
    """What fio has written."""
    return write_blocks(tmp_path_factory.mktemp("fio") / "written", (8 if is_long else 1) * MIB)


@pytest.fixture(scope="module", params=["x.bed", "x.pgen"])
def written(request, blocks, tmp_path_factory) -> tuple[str, Path]:
    """A view, and a store of which it is what fio has written."""
    folder = tmp_path_factory.mktemp("written")
    return request.param, store_of_blocks(folder / "x.vcz", request.param, blocks)


@pytest.mark.parametrize("kind", PLACES)
def test_fio_finds_what_it_wrote(
    kind, written, blocks, s3, web, in_front, tmp_path, biofuse, is_long, tell
):
    name, store = written
    place = put(Placer(s3, web, in_front, tmp_path), kind, store)
    view = {"x.bed": "plink", "x.pgen": "plink2"}[name]
    loops = 4 if is_long else 1
    with place.mount(biofuse, "--format", view) as mount:
        common = [
            "--group_reporting",
            f"--filename={mount.dir / name}",
            f"--loops={loops}",
            *VERIFY,
        ]
        report = fio(*common, *(word for job in jobs() for word in to_verify(job, len(blocks))))
    tell(f"fio: {reads(report):,} reads of {name} on {kind}, each block with its checksum")


def test_fio_finds_bytes_that_it_did_not_write(blocks, tmp_path):
    """Each job does, so none reads without looking; of a plain file."""
    path = tmp_path / "x"
    data = bytearray(blocks)
    for start in range(0, len(data), BLOCK):
        data[start + 1000] ^= 1
    path.write_bytes(data)
    for name in jobs():
        done = run_fio(f"--filename={path}", *VERIFY, *to_verify(name, len(data)))
        assert done.returncode != 0, name
        assert "verify failed" in done.stderr, name


def test_reads_beside_fio(mount, copies, seed, is_long, tell):
    """Its load on the streamed files, with readers beside it that compare."""
    seconds = 12 if is_long else 1
    common = ("--time_based", f"--runtime={seconds}", "--size=100%", "--group_reporting")
    words = [
        word
        for name in STREAMED
        for job, (_, more) in jobs().items()
        for word in (f"--name={name}-{job}", f"--filename={mount.dir / name}", *more)
    ]
    with readers(mount.dir, copies, [seed, seed + 1], seconds) as counts:
        report = fio(*common, *words)
    tell(f"fio: {reads(report):,} reads, beside {counts.total():,} that were compared")
