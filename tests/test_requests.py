"""What the kernel asks for: how often, how much at once, and how many requests at a time.

Most are of a mount whose reads this process answers itself.
"""

import errno
import mmap
import os
import select
import shutil
import subprocess
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support.program import wait_until
from support.stores import make_store, random_genotypes
from support.users import NOBODY, can_become_others, give, program_of

from biofuse.fuse import mounting
from biofuse.fuse.directory import Directory, Read
from biofuse.fuse.session import MAX_BACKGROUND, MAX_READ, Session
from biofuse.mounts import find_mount

MIB = 1 << 20
PAGE = 4096
# Requests in the background that an ordinary user's mount may have.
LIMIT = Path("/sys/module/fuse/parameters/max_user_bgreq")


class Answers:
    """Zeros for every read but for those that are to fail; all are noted."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.failures = 0

    def __call__(self, read: Read) -> bytes:
        self.asked.append((read.offset, read.size))
        if len(self.asked) <= self.failures:
            raise OSError(errno.EIO, "it is to fail")
        return bytes(read.size)


@contextmanager
def opened(directory: Path, answers: Answers, flags: int = 0):
    """A descriptor of a file of 8 MiB."""
    fd = mounting.mount(str(directory), "biofuse:x", "biofuse", MAX_READ)
    session = Session(fd, Directory([(b"x", 8 * MIB)], 0, answers).handlers)

    def serve() -> None:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        while not session.ended:
            poll.poll()
            session.pump()

    thread = threading.Thread(target=serve)
    thread.start()
    file = os.open(directory / "x", os.O_RDONLY | flags)
    try:
        yield file
    finally:
        os.close(file)
        mounting.unmount(str(directory), lazy=True)
        thread.join()
        os.close(fd)


def test_what_fails_is_asked_for_once_more_page_by_page(tmp_path):
    answers = Answers()
    answers.failures = 1
    with opened(tmp_path, answers) as file:
        assert os.pread(file, 4 * PAGE, 0) == bytes(4 * PAGE)
    (start, size), *again = answers.asked
    assert start == 0
    assert size >= 4 * PAGE
    assert again[:4] == [(page * PAGE, PAGE) for page in range(4)]


def test_a_page_that_fails_again_is_the_program_s_error(tmp_path):
    answers = Answers()
    answers.failures = 2
    with opened(tmp_path, answers) as file:
        with pytest.raises(OSError) as caught:
            os.pread(file, 4 * PAGE, 0)
        assert caught.value.errno == errno.EIO
        assert [size for _, size in answers.asked[1:]] == [PAGE]


def test_what_fails_past_the_page_cache_is_asked_for_once(tmp_path):
    answers = Answers()
    answers.failures = 1
    with opened(tmp_path, answers, os.O_DIRECT) as file:
        with pytest.raises(OSError) as caught:
            os.pread(file, 4 * PAGE, 0)
        assert caught.value.errno == errno.EIO
        assert answers.asked == [(0, 4 * PAGE)]


@pytest.mark.parametrize(
    ("offset", "size", "start"),
    [(0, MIB, 0), (999, MIB, 0), (PAGE, 70_001, 0), (5, MIB - PAGE, 1), (5, MIB - 1, 1)],
)
def test_a_direct_read_is_one_request(offset, size, start, tmp_path):
    """As long as it touches no more than 256 pages of the program's memory."""
    answers = Answers()
    with mmap.mmap(-1, 2 * MIB) as memory, opened(tmp_path, answers, os.O_DIRECT) as file:
        with memoryview(memory)[start : start + size] as into:
            assert os.preadv(file, [into], offset) == size
        assert answers.asked == [(offset, size)]


def test_a_larger_direct_read_is_several(tmp_path):
    answers = Answers()
    with mmap.mmap(-1, 4 * MIB) as memory, opened(tmp_path, answers, os.O_DIRECT) as file:
        with memoryview(memory)[1 : 1 + MIB] as into:
            assert os.preadv(file, [into], 0) == MIB
        assert len(answers.asked) == 2
        answers.asked.clear()
        assert os.preadv(file, [memory], 0) == 4 * MIB
        assert sorted(answers.asked) == [(n * MIB, MIB) for n in range(4)]


@contextmanager
def limited_to(most: int):
    """What the kernel allows ordinary users is so much, where this user may say so."""
    before = LIMIT.read_text()
    with suppress(OSError):
        LIMIT.write_text(str(most))
    try:
        yield int(LIMIT.read_text())
    finally:
        with suppress(OSError):
            LIMIT.write_text(before)


@contextmanager
def connections(folder: Path):
    """Where the kernel tells of FUSE mounts."""
    usual = Path("/sys/fs/fuse/connections")
    if any(usual.iterdir()):
        yield usual
        return
    subprocess.run(["mount", "-t", "fusectl", "fusectl", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def background(directory: Path, folder: Path) -> int:
    """Requests in the background that a mount may have."""
    mount = find_mount(str(directory))
    with connections(folder) as told:
        return int((told / mount.device.split(":")[1] / "max_background").read_text())


def test_requests_in_the_background(biofuse, tmp_path):
    """Root gets what is asked for, and an ordinary user no more than the kernel's limit."""
    folder = tmp_path / "connections"
    folder.mkdir()
    store = make_store(tmp_path / "x.vcz", random_genotypes(30, 12))
    assert can_become_others(), "root runs these tests"
    assert MAX_BACKGROUND == 1024
    with biofuse.mount(store) as mount:
        assert background(mount.dir, folder) == MAX_BACKGROUND
    with limited_to(100) as most, program_of(NOBODY) as program:
        copy = give(shutil.copytree(store, program.home / "x.vcz"), NOBODY)
        with program.mount(copy) as mount:
            wait_until(lambda: mount.pid("serve"), "it is mounted")
            assert background(mount.dir, folder) == min(MAX_BACKGROUND, most)
