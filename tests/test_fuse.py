"""The FUSE protocol, spoken with a kernel that is made up of a socket pair."""

import errno
import os
import stat
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import kernel as k

from biofuse.fuse.directory import Directory
from biofuse.fuse.session import OldKernelError, Session

FILES = [(b"x.bed", 1000), (b"x.bim", 0), (b"x.fam", 1 << 40)]
MODIFIED = 1_500_000_000_123_456_789
ENTRY = 40 + k.ATTR.size


class Bench:
    """A session on a directory, and its kernel."""

    def __init__(self, minor: int = 45, major: int = 7):
        self.kernel = k.FakeKernel(minor, major)
        self.reads = []
        self.interrupts = []
        self.answer = lambda read: bytes(read.size)
        self.directs = set()
        self.directory = Directory(
            FILES,
            MODIFIED,
            self._read,
            lambda file, pid: file in self.directs,
            self.interrupts.append,
        )
        self.session = Session(self.kernel.device, self.directory.handlers)

    def _read(self, read):
        self.reads.append(read)
        return self.answer(read)

    def ask(self, operation, node=1, body=b"") -> k.Reply:
        unique = self.kernel.send(operation, node, body)
        self.session.pump()
        reply = self.kernel.receive()
        assert reply.unique == unique
        assert self.kernel.silent()
        return reply

    def open(self, node: int) -> tuple[int, int]:
        reply = self.ask(k.OPEN, node, struct.pack("=II", os.O_RDONLY | 0o100000, 0))
        assert reply.error == 0
        handle, flags, _ = struct.unpack("=QII", reply.data)
        return handle, flags

    def read(self, handle: int, offset: int, size: int) -> k.Reply:
        body = struct.pack("=QQIIQII", handle, offset, size, 0, 0, 0, 0)
        return self.ask(k.READ, 2, body)


@pytest.fixture
def bench():
    made = Bench()
    made.kernel.send_init()
    made.session.pump()
    assert made.kernel.receive().error == 0
    yield made
    made.kernel.close()


@pytest.mark.parametrize("minor", [31, 32, 36, 38, 45])
def test_the_older_of_two_versions_is_spoken(minor):
    bench = Bench(minor)
    bench.kernel.send_init(readahead=3 << 20)
    assert not bench.session.ready
    bench.session.pump()
    reply = bench.kernel.receive()
    found = k.init_out(reply.data)
    assert (reply.error, found["major"]) == (0, 7)
    assert found["minor"] == min(minor, 38) == bench.session.minor
    assert found["max_readahead"] == 3 << 20
    assert found["max_background"] == 1024
    assert found["congestion"] == 768
    # MAX_PAGES, without which the number of pages means nothing.
    assert found["flags"] & 1 << 22
    assert found["max_pages"] == 256
    assert found["flags"] & ~(k.OFFERED | 1 << 30) == 0
    assert bool(found["flags"] & 1 << 30) == (minor >= 36)
    # Whoever grants the flag for more flags is to look at those; ours is direct I/O with mmap.
    assert found["flags2"] == (1 << 4 if minor >= 36 else 0)
    # NO_OPEN_SUPPORT, CACHE_SYMLINKS, WRITEBACK_CACHE
    assert found["flags"] & (1 << 17 | 1 << 23 | 1 << 16) == 0
    assert bench.session.ready
    bench.kernel.close()


def test_nothing_is_agreed_on_that_was_not_offered():
    bench = Bench(31)
    bench.kernel.send_init(flags=1)
    bench.session.pump()
    assert k.init_out(bench.kernel.receive().data)["flags"] == 1
    bench.kernel.close()


@pytest.mark.parametrize(("major", "minor"), [(7, 30), (7, 9), (6, 99)])
def test_a_kernel_that_is_too_old(major, minor):
    bench = Bench(minor, major)
    bench.kernel.send_init()
    with pytest.raises(OldKernelError, match=rf"version {major}\.{minor} .* 7\.31 is the oldest"):
        bench.session.pump()
    assert bench.kernel.receive().error == -errno.EPROTO
    assert not bench.session.ready
    bench.kernel.close()


def test_a_kernel_of_a_later_major_version_asks_again():
    bench = Bench(2, 8)
    bench.kernel.send_init()
    bench.session.pump()
    found = k.init_out(bench.kernel.receive().data)
    assert (found["major"], found["minor"]) == (7, 38)
    assert not bench.session.ready
    bench.kernel.major, bench.kernel.minor = 7, 38
    bench.kernel.send_init()
    bench.session.pump()
    assert bench.session.ready
    bench.kernel.close()


def test_attributes(bench):
    reply = bench.ask(k.GETATTR, 1, bytes(16))
    assert struct.unpack_from("=QI", reply.data)[0] >= 3600
    root = k.attributes(reply.data[16:])
    assert stat.S_ISDIR(root["mode"])
    for node, (name, size) in enumerate(FILES, 2):
        entry = k.entry_out(bench.ask(k.LOOKUP, 1, name + b"\0").data)
        assert (entry["node"], entry["ino"], entry["size"]) == (node, node, size)
        assert entry["blocks"] * 512 - size in range(512)
        assert entry["mode"] == stat.S_IFREG | 0o444
        times = {entry[f"{t}time"] * 10**9 + entry[f"{t}timensec"] for t in "amc"}
        assert times == {MODIFIED}
        found = k.attributes(bench.ask(k.GETATTR, node, bytes(16)).data[16:])
        assert found == {key: entry[key] for key in found}


def test_lookups_of_dots_and_of_what_is_not_there(bench):
    for node, name, expected in ((1, b".", 1), (1, b"..", 1), (3, b".", 3), (3, b"..", 1)):
        assert k.entry_out(bench.ask(k.LOOKUP, node, name + b"\0").data)["node"] == expected
    assert bench.ask(k.LOOKUP, 1, b"y\0").error == -errno.ENOENT
    assert bench.ask(k.LOOKUP, 1, b"y" * 255 + b"\0").error == -errno.ENOENT
    assert bench.ask(k.LOOKUP, 1, b"y" * 256 + b"\0").error == -errno.ENAMETOOLONG
    assert bench.ask(k.LOOKUP, 2, b"x.bed\0").error == -errno.ENOTDIR
    for operation in (k.LOOKUP, k.GETATTR, k.OPEN, k.OPENDIR, k.ACCESS):
        assert bench.ask(operation, 99, b".\0" + bytes(30)).error == -errno.ENOENT


@pytest.mark.parametrize("plus", [False, True])
@pytest.mark.parametrize("size", [176, 200, 400, 1 << 16])
def test_the_directory_is_listed_in_pieces_of_any_size(size, plus, bench):
    assert bench.ask(k.OPENDIR, 1, bytes(8)).error == 0
    seen, offset = [], 0
    while True:
        body = struct.pack("=QQIIQII", 0, offset, size, 0, 0, 0, 0)
        reply = bench.ask(k.READDIRPLUS if plus else k.READDIR, 1, body)
        assert (reply.error, len(reply.data) <= size) == (0, True)
        found = k.entries(reply.data, plus)
        if not found:
            break
        seen += found
        offset = found[-1][2]
    names = [(b".", 1), (b"..", 1), *((name, node) for node, (name, _) in enumerate(FILES, 2))]
    assert [(name, inode) for name, inode, _, _ in seen] == names
    if plus:
        nodes = [k.entry_out(entry)["node"] for _, _, _, entry in seen]
        # A node of 0 counts as no lookup.
        assert nodes == [0, 0, 2, 3, 4]
    assert bench.ask(k.RELEASEDIR, 1, bytes(24)).error == 0
    assert bench.ask(k.OPENDIR, 2, bytes(8)).error == -errno.ENOTDIR


def test_openings_are_told_apart_and_pages_kept(bench):
    handles = {bench.open(node) for node in (2, 2, 3)}
    assert {flags for _, flags in handles} == {1 << 1}
    assert len(handles) == 3
    bench.answer = lambda read: b"a" * read.size
    for handle, _ in sorted(handles):
        bench.read(handle, 0, 10)
    assert [(read.file, read.opening) for read in bench.reads] == [(0, 1), (0, 2)]
    assert bench.ask(k.RELEASE, 2, bytes(24)).error == 0
    assert bench.ask(k.OPEN, 1, bytes(8)).error == -errno.EISDIR


def test_direct_io_is_the_directory_s_choice(bench):
    bench.directs = {1}
    assert [bench.open(node)[1] for node in (2, 3, 4)] == [2, 3, 2]


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_TRUNC])
def test_opening_for_writing(flags, bench):
    assert bench.ask(k.OPEN, 2, struct.pack("=II", flags, 0)).error == -errno.EROFS


def test_opening_to_append_but_not_to_write(bench):
    """Which POSIX allows, and which changes nothing."""
    assert bench.ask(k.OPEN, 2, struct.pack("=II", os.O_APPEND, 0)).error == 0


@given(st.integers(0, 1200), st.integers(0, 1200))
def test_reads_end_where_the_file_does(offset, size):
    bench = Bench()
    bench.answer = lambda read: bytes(i % 256 for i in range(read.offset, read.offset + read.size))
    handle, _ = bench.open(2)
    reply = bench.read(handle, offset, size)
    whole = bytes(i % 256 for i in range(1000))
    assert reply.data == whole[offset : offset + size]
    bench.kernel.close()


def test_a_read_that_another_answers(bench):
    bench.answer = lambda read: None
    handle, _ = bench.open(4)
    body = struct.pack("=QQIIQII", handle, 1 << 39, 4096, 0, 0, 0, 0)
    unique = bench.kernel.send(k.READ, 4, body, pid=77)
    bench.session.pump()
    assert bench.kernel.silent()
    [read] = bench.reads
    assert (read.unique, read.offset, read.size, read.pid) == (unique, 1 << 39, 4096, 77)
    # Meanwhile others are served.
    assert bench.ask(k.STATFS).error == 0
    assert bench.session.reply(unique, b"bytes")
    assert bench.kernel.receive() == k.Reply(0, unique, b"bytes")


def test_errors_of_a_read(bench, caplog):
    handle, _ = bench.open(2)

    def fail(error):
        def answer(read):
            raise error

        bench.answer = answer
        return bench.read(handle, 0, 1).error

    assert fail(OSError(errno.ESTALE, "changed")) == -errno.ESTALE
    assert "Traceback" not in caplog.text
    assert fail(ZeroDivisionError("oh")) == -errno.EIO
    assert "ZeroDivisionError: oh" in caplog.text
    bench.answer = lambda read: b"!"
    assert bench.read(handle, 0, 1).data == b"!"
    assert bench.read(9 << 32 | 9, 0, 1).error == -errno.EBADF


def test_statfs(bench):
    data = bench.ask(k.STATFS).data
    blocks, free, available, files, free_files, size, name, fragment = struct.unpack_from(
        "=QQQQQIII", data
    )
    assert len(data) == 80
    assert (free, available, free_files, files, name) == (0, 0, 0, 4, 255)
    assert blocks * fragment - sum(size for _, size in FILES) in range(fragment)
    assert size == 1 << 20


def test_access(bench):
    for mask, error in ((os.R_OK, 0), (os.W_OK, -errno.EROFS), (os.F_OK, 0)):
        assert bench.ask(k.ACCESS, 2, struct.pack("=II", mask, 0)).error == error


SILENT = {"forget": (k.FORGET, 8), "batch": (k.BATCH_FORGET, 24), "interrupt": (k.INTERRUPT, 8)}


@pytest.mark.parametrize("name", SILENT)
def test_what_the_kernel_waits_for_no_reply_to(name, bench):
    operation, size = SILENT[name]
    bench.kernel.send(operation, 2, bytes(size))
    bench.session.pump()
    assert bench.kernel.silent()
    assert bench.ask(k.STATFS).error == 0


def test_interrupts_are_told(bench):
    bench.kernel.send(k.INTERRUPT, 0, struct.pack("=Q", 4711))
    bench.session.pump()
    assert bench.interrupts == [4711]


@pytest.mark.parametrize("operation", [k.FLUSH, 20, 22, 23, k.LSEEK, 39, 40, 50, k.STATX, 999])
def test_what_is_not_there_the_kernel_need_not_ask_again(operation, bench):
    assert bench.ask(operation, 2, bytes(64)).error == -errno.ENOSYS


def test_a_batch_leaves_others_their_turn(bench):
    # As many as a socket pair holds.
    asked = [bench.kernel.send(k.STATFS) for _ in range(8)]
    bench.session.pump(most=5)
    assert [bench.kernel.receive().unique for _ in range(5)] == asked[:5]
    assert bench.kernel.silent()
    bench.session.pump()
    assert [bench.kernel.receive().unique for _ in range(3)] == asked[5:]


@pytest.mark.parametrize("how", ["destroy", "hang-up"])
def test_the_end(how, bench):
    if how == "destroy":
        assert bench.ask(k.DESTROY).error == 0
    else:
        bench.kernel.hang_up()
        bench.session.pump()
    assert bench.session.ended


class Device:
    """A device whose read() and writev() fail one after another as they are told to."""

    def __init__(self, monkeypatch, name: str, codes: list[int]):
        original = getattr(os, name)

        def call(*words):
            if codes:
                code = codes.pop(0)
                raise OSError(code, os.strerror(code))
            return original(*words)

        monkeypatch.setattr(os, name, call)


def test_reads_of_the_device_that_fail(bench, monkeypatch):
    # Interrupted by a signal; a request whose process was gone before it was read.
    unique = bench.kernel.send(k.STATFS)
    codes = [errno.EINTR, errno.ENOENT]
    Device(monkeypatch, "read", codes)
    bench.session.pump()
    assert bench.kernel.receive().unique == unique
    codes.append(errno.ENODEV)
    bench.session.pump()
    assert bench.session.ended
    codes.append(errno.EINVAL)
    with pytest.raises(OSError):
        bench.session.pump()


def test_replies_that_nobody_waits_for(bench, monkeypatch, caplog):
    codes = [errno.ENOENT, errno.ENODEV]
    Device(monkeypatch, "writev", codes)
    assert not bench.session.reply(4)
    assert not bench.session.fail(4, errno.EIO)
    assert caplog.text == ""
    codes.append(errno.EINVAL)
    assert not bench.session.reply(4)
    assert "a reply was not taken: " in caplog.text
    assert bench.ask(k.STATFS).error == 0


def test_a_request_that_is_too_short(bench, caplog):
    assert bench.ask(k.READ, 2, bytes(3)).error == -errno.EINVAL
    assert bench.ask(k.INIT, 0, bytes(3)).error == -errno.ENOSYS
    assert caplog.text == ""
    bench.kernel._socket.send(bytes(39))
    assert bench.ask(k.GETATTR, 2, bytes(16)).error == 0
    assert "a request of 39 bytes is none of the protocol's" in caplog.text


@pytest.mark.parametrize("code", [0, -5, 512, 99999])
def test_an_error_that_the_kernel_would_not_take(bench, code):
    """It would refuse the answer, and whoever asked would wait for ever."""
    unique = bench.kernel.send(k.READ, 2)
    assert bench.session.fail(unique, code)
    assert bench.kernel.receive().error == -errno.EIO
