"""Every system call that brings bytes, on every file of every view."""

import ctypes
import errno
import mmap
import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import support
from support.io_uring import ASYNC, READ, READ_FIXED, Ring, refusal
from support.mapping import mapped
from support.reads import View
from support.syscalls import map_memory, read_into, readahead, unmap_memory

PAGE = mmap.PAGESIZE
# The largest read of a random span.
MOST = 200_000
WAYS = {"buffered": 0, "O_DIRECT": os.O_DIRECT}


@pytest.fixture(params=WAYS)
def way(request) -> int:
    """The flag to open a file with."""
    return WAYS[request.param]


@pytest.fixture
def spans(view, seed, is_long) -> list[tuple[int, int]]:
    """Offsets and sizes: some about the file's end, some random."""
    size = len(view.expected)
    rng = random.Random(f"{seed} {view.path.name}")
    ends = [(0, 1), (0, PAGE), (size - 1, 1), (size - 1, 2), (size, 1), (size + PAGE, PAGE)]
    middle = [(rng.randrange(size), rng.randrange(1, MOST)) for _ in range(60 if is_long else 4)]
    return [*ends, (max(0, size - PAGE), 3 * PAGE), *middle]


@pytest.fixture
def fd(view) -> Iterator[int]:
    """The file, with nothing of it in the page cache."""
    fd = os.open(view.path, os.O_RDONLY)
    forget(fd)
    yield fd
    os.close(fd)


def forget(fd: int) -> None:
    """Have the page cache drop a file."""
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def of(view: View, span: tuple[int, int]) -> bytes:
    offset, size = span
    return view.expected[offset : offset + size]


def aligned(size: int) -> mmap.mmap:
    """Memory that begins at a page, as direct reads may want it."""
    return mmap.mmap(-1, max(size, 1))


def read_all(fd: int, size: int) -> list[bytes]:
    return list(iter(lambda: os.read(fd, size), b""))


@pytest.mark.parametrize("size", [65_537, 8 << 20])
def test_read_to_the_end(view, way, size):
    """A read is short at the file's end only."""
    fd = os.open(view.path, os.O_RDONLY | way)
    try:
        forget(fd)
        pieces = read_all(fd, size)
        assert b"".join(pieces) == view.expected
        assert {len(piece) for piece in pieces[:-1]} <= {size}
        assert os.lseek(fd, 0, os.SEEK_CUR) == len(view.expected)
    finally:
        os.close(fd)


def test_pread(view, fd, spans):
    for offset, size in spans:
        assert os.pread(fd, size, offset) == of(view, (offset, size)), (offset, size)
    assert os.lseek(fd, 0, os.SEEK_CUR) == 0


def test_pread_far_behind_the_end(view, way):
    fd = os.open(view.path, os.O_RDONLY | way)
    try:
        for offset in (1 << 40, 2**62, 2**63 - PAGE - 1):
            assert os.pread(fd, PAGE, offset) == b""
        with pytest.raises(OSError) as caught:
            os.pread(fd, PAGE, -1)
        assert caught.value.errno == errno.EINVAL
        assert os.pread(fd, 0, 0) == b""
    finally:
        os.close(fd)


def scattered(total: int, rng: random.Random) -> list[bytearray]:
    """Buffers of odd sizes, of so many bytes together, empty ones among them."""
    sizes = []
    while total:
        sizes.append(min(total, rng.choice([0, 1, 3, 511, PAGE, PAGE + 1, 70_001])))
        total -= sizes[-1]
    return [bytearray(size) for size in [*sizes, 0][:1024]]


def test_readv_and_preadv(view, fd, spans, seed):
    rng = random.Random(seed)
    for offset, size in spans:
        for call in ("readv", "preadv"):
            buffers = scattered(size, rng)
            size = sum(map(len, buffers))
            if call == "readv":
                os.lseek(fd, offset, os.SEEK_SET)
                count = os.readv(fd, buffers)
            else:
                count = os.preadv(fd, buffers, offset)
            wanted = of(view, (offset, size))
            assert count == len(wanted)
            assert b"".join(buffers)[:count] == wanted, (call, offset, size)


def test_threads_with_one_descriptor(view, fd, spans):
    def read(span: tuple[int, int]) -> bool:
        return os.pread(fd, span[1], span[0]) == of(view, span)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, spans * 3))


def test_lseek(view, fd):
    size = len(view.expected)
    assert os.lseek(fd, 0, os.SEEK_END) == size
    assert os.read(fd, 1) == b""
    assert os.lseek(fd, -3, os.SEEK_END) == size - 3
    assert os.read(fd, 10) == view.expected[-3:]
    assert os.lseek(fd, -2, os.SEEK_CUR) == size - 2
    assert os.read(fd, 10) == view.expected[-2:]
    assert os.lseek(fd, size + 5, os.SEEK_SET) == size + 5
    assert os.read(fd, 10) == b""
    for offset, whence in ((-1, os.SEEK_SET), (-size - 1, os.SEEK_END), (0, 77)):
        with pytest.raises(OSError) as caught:
            os.lseek(fd, offset, whence)
        assert caught.value.errno == errno.EINVAL
    assert os.lseek(fd, 0, os.SEEK_CUR) == size + 5


def test_there_is_no_hole_but_the_end(view, fd):
    """SEEK_DATA and SEEK_HOLE, as cp, tar and qemu-img use them."""
    size = len(view.expected)
    for offset in (0, 1, size // 2, size - 1):
        assert os.lseek(fd, offset, os.SEEK_DATA) == offset
        assert os.read(fd, 2) == of(view, (offset, 2))
        assert os.lseek(fd, offset, os.SEEK_HOLE) == size
    for offset in (size, size + 1, 2**62, -1):
        for whence in (os.SEEK_DATA, os.SEEK_HOLE):
            with pytest.raises(OSError) as caught:
                os.lseek(fd, offset, whence)
            assert caught.value.errno == errno.ENXIO
    assert os.lseek(fd, 0, os.SEEK_CUR) == size


MAPPINGS = {
    "private": mmap.MAP_PRIVATE,
    "shared": mmap.MAP_SHARED,
    "private-populated": mmap.MAP_PRIVATE | mmap.MAP_POPULATE,
    "shared-populated": mmap.MAP_SHARED | mmap.MAP_POPULATE,
}


@pytest.mark.parametrize("name", MAPPINGS)
def test_mmap(view, fd, spans, name):
    with mapped(fd, len(view.expected), MAPPINGS[name]) as mapping:
        for offset, size in spans:
            assert mapping.read(offset, size) == of(view, (offset, size)), (offset, size)
        assert mapping.read(0, mapping.size) == view.expected


def test_mmap_of_a_part(view, fd):
    last = (len(view.expected) - 1) // PAGE * PAGE
    for offset in (0, last // PAGE // 2 * PAGE, last):
        size = min(3 * PAGE - 7, len(view.expected) - offset)
        with mapped(fd, size, offset=offset) as mapping:
            assert mapping.read(0, size) == of(view, (offset, size))


# Numbers of the kernel's, since Python has no name for the last three.
ADVICE = {
    **{"NORMAL": 0, "RANDOM": 1, "SEQUENTIAL": 2, "WILLNEED": 3, "DONTNEED": 4, "DONTFORK": 10},
    **{"HUGEPAGE": 14, "NOHUGEPAGE": 15, "COLD": 20, "PAGEOUT": 21, "POPULATE_READ": 22},
}


@pytest.mark.parametrize("name", ADVICE)
def test_madvise(view, fd, spans, name):
    """Advice changes no bytes, whether this kernel knows it or not (EINVAL)."""
    with mapped(fd, len(view.expected)) as mapping:
        for some in (spans[::2], spans[1::2]):
            try:
                mapping.advise(ADVICE[name])
            except OSError as error:
                assert error.errno == errno.EINVAL
            for offset, size in some:
                assert mapping.read(offset, size) == of(view, (offset, size)), (offset, size)


def test_a_private_mapping_is_written_without_the_file(view, fd):
    size = len(view.expected)
    with mapped(fd, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as mapping:
        mapping.write(0, b"x" * 9)
        mapping.write(size - 1, b"x")
        assert mapping.read(0, size) == b"x" * 9 + view.expected[9:-1] + b"x"
        assert os.pread(fd, 9, 0) == view.expected[:9]
    assert view.path.read_bytes() == view.expected


def test_a_mapping_outlives_the_descriptor(view):
    fd = os.open(view.path, os.O_RDONLY)
    forget(fd)
    with mapped(fd, len(view.expected)) as mapping:
        os.close(fd)
        assert mapping.read(0, mapping.size) == view.expected


_BEHIND_THE_END = """
import ctypes, mmap, os, sys
sys.path.insert(0, sys.argv[1])
from support.syscalls import map_memory
fd = os.open(sys.argv[2], os.O_RDONLY)
size = os.fstat(fd).st_size
whole = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
address = map_memory(fd, whole + mmap.PAGESIZE, mmap.PROT_READ, mmap.MAP_SHARED)
assert ctypes.string_at(address + size, whole - size) == bytes(whole - size)
print("zeros", flush=True)
ctypes.string_at(address + whole, 1)
"""


def test_mmap_behind_the_end(view):
    """Zeros up to the page's end, then SIGBUS, as for a file on a disk."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", _BEHIND_THE_END, Path(support.__file__).parents[1], view.path],
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.returncode) == ("zeros\n", -7), done.stderr


def test_sendfile(view, fd, spans, tmp_path):
    for offset, size in spans:
        with open(tmp_path / "out", "w+b") as out:
            left = size
            while sent := os.sendfile(out.fileno(), fd, offset + size - left, left):
                left -= sent
            out.seek(0)
            assert out.read() == of(view, (offset, size)), (offset, size)


def test_sendfile_to_a_socket(view, fd):
    """As a web server does it."""
    ours, theirs = socket.socketpair()
    with ours, theirs, ThreadPoolExecutor(1) as pool:
        got = pool.submit(lambda: b"".join(iter(lambda: theirs.recv(1 << 20), b"")))
        with open(view.path, "rb") as file:
            ours.sendfile(file)
        ours.shutdown(socket.SHUT_WR)
        assert got.result() == view.expected


def test_splice(view, fd, way, spans):
    source = os.open(view.path, os.O_RDONLY | way)
    reader, writer = os.pipe()
    try:
        for offset, size in spans:
            found = b""
            while len(found) < size:
                at = offset + len(found)
                count = os.splice(source, writer, size - len(found), offset_src=at)
                if not count:
                    break
                found += os.read(reader, count)
            assert found == of(view, (offset, size)), (offset, size)
    finally:
        for each in (reader, writer, source):
            os.close(each)


def test_copy_file_range(view, fd, tmp_path):
    """To another file system the kernel does it, or says so and programs read and write."""
    with open(tmp_path / "out", "wb") as out:
        try:
            while os.copy_file_range(fd, out.fileno(), 1 << 20):
                pass
        except OSError as error:
            assert error.errno == errno.EXDEV
            assert out.tell() == 0
            with open(fd, "rb", closefd=False) as source:
                shutil.copyfileobj(source, out)
    assert (tmp_path / "out").read_bytes() == view.expected


def test_copy_file_range_within_the_mount(view, fd):
    """Into a file that cannot be written."""
    other = os.open(view.path, os.O_RDONLY)
    try:
        with pytest.raises(OSError) as caught:
            os.copy_file_range(fd, other, 100)
        assert caught.value.errno == errno.EBADF
    finally:
        os.close(other)


@pytest.mark.parametrize("shift", [0, 1, 512, 777])
def test_o_direct_at_any_address(view, spans, shift):
    """Offsets, sizes and memory need no alignment."""
    fd = os.open(view.path, os.O_RDONLY | os.O_DIRECT)
    try:
        with aligned(MOST + 3 * PAGE + shift) as memory:
            for offset, size in [(o // PAGE * PAGE, -(-s // PAGE) * PAGE) for o, s in spans]:
                compare(view, fd, memory, shift, (offset, size))
            for span in spans:
                compare(view, fd, memory, shift, span)
    finally:
        os.close(fd)


def compare(view: View, fd: int, memory: mmap.mmap, shift: int, span: tuple[int, int]) -> None:
    """Read a span into memory from `shift` on, and compare."""
    offset, size = span
    with memoryview(memory) as whole, whole[shift : shift + size] as part:
        count = os.preadv(fd, [part], offset)
        assert bytes(part[:count]) == of(view, span), span


def test_direct_reads_beside_the_page_cache(view, spans):
    """The same bytes by both ways, in turn."""
    direct = os.open(view.path, os.O_RDONLY | os.O_DIRECT)
    cached = os.open(view.path, os.O_RDONLY)
    try:
        for offset, size in spans:
            for each in (direct, cached, direct):
                assert os.pread(each, size, offset) == of(view, (offset, size))
    finally:
        os.close(direct)
        os.close(cached)


@pytest.mark.parametrize("name", ["inline", "async", "fixed"])
def test_io_uring(view, spans, way, name):
    """Reads that are under way at once; or, where there is none, the kernel's refusal."""
    spans = spans[:16]
    if (refused := refusal()) is not None:
        with pytest.raises(OSError) as caught:
            Ring(len(spans))
        assert caught.value.errno == refused
        return
    ring = Ring(len(spans))
    fd = os.open(view.path, os.O_RDONLY | way)
    memory = aligned(len(spans) * MOST)
    place = ctypes.c_char.from_buffer(memory)
    start = ctypes.addressof(place)
    try:
        forget(fd)
        if name == "fixed":
            ring.register(start, len(memory))
        operation = READ_FIXED if name == "fixed" else READ
        reads = [(offset, start + MOST * i, size) for i, (offset, size) in enumerate(spans)]
        for _ in range(2):
            counts = ring.read(fd, reads, operation, ASYNC if name == "async" else 0)
            for span, count, (_, address, _) in zip(spans, counts, reads, strict=True):
                assert count >= 0, os.strerror(-count)
                assert ctypes.string_at(address, count) == of(view, span), span
    finally:
        ring.close()
        os.close(fd)
        del place
        memory.close()


def test_preadv2_without_waiting(view, fd, spans):
    """The bytes, the first ones of them, or that it would have to wait."""
    for _ in range(2):
        for offset, size in spans:
            buffer = bytearray(size)
            try:
                count = os.preadv(fd, [buffer], offset, os.RWF_NOWAIT)
            except OSError as error:
                assert error.errno in (errno.EAGAIN, errno.EOPNOTSUPP)
                count = 0
            assert buffer[:count] == of(view, (offset, size))[:count]
            assert os.pread(fd, size, offset) == of(view, (offset, size))


def test_preadv2_of_high_priority(view, way, spans):
    fd = os.open(view.path, os.O_RDONLY | way)
    try:
        for offset, size in spans:
            buffer = bytearray(size)
            count = os.preadv(fd, [buffer], offset, os.RWF_HIPRI)
            assert buffer[:count] == of(view, (offset, size))
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    "name", ["NORMAL", "SEQUENTIAL", "RANDOM", "NOREUSE", "WILLNEED", "DONTNEED"]
)
def test_posix_fadvise(view, fd, spans, name):
    for offset, size in spans:
        os.posix_fadvise(fd, offset, size, getattr(os, f"POSIX_FADV_{name}"))
        assert os.pread(fd, size, offset) == of(view, (offset, size)), (offset, size)


def test_readahead(view, fd, spans):
    for offset, size in spans:
        assert readahead(fd, offset, size) == 0
        assert os.pread(fd, size, offset) == of(view, (offset, size)), (offset, size)


def test_memory_that_is_not_there(view, way):
    """EFAULT, or what went into the page before; and nothing is wrong afterwards."""
    fd = os.open(view.path, os.O_RDONLY | way)
    size = min(2 * PAGE, len(view.expected))
    address = map_memory(-1, 2 * PAGE, mmap.PROT_READ | mmap.PROT_WRITE, _ANONYMOUS)
    unmap_memory(address + PAGE, PAGE)
    try:
        for _ in range(3):
            forget(fd)
            for at, room in ((address + PAGE, 0), (address + PAGE - 100, 100), (1, 0)):
                try:
                    count = read_into(fd, at, size, 0)
                except OSError as error:
                    assert error.errno == errno.EFAULT
                else:
                    assert 0 < count <= room
                    assert ctypes.string_at(at, count) == view.expected[:count]
            assert os.pread(fd, size, 0) == view.expected[:size]
    finally:
        unmap_memory(address, PAGE)
        os.close(fd)


_ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
