"""Names, attributes, locks and everything else of a file but its bytes."""

import errno
import fcntl
import mmap
import os
import select
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr
from support.mutations import LOOKED_AT_FIRST, MUTATIONS, OTHERWISE
from support.oracles import run
from support.stores import make_store, random_genotypes
from support.syscalls import (
    events,
    faccessat,
    getdents64,
    inotify,
    name_to_handle,
    open_by_handle,
    statx,
    watch,
)

from fs_tests.conftest import FILES

FUSE_SUPER_MAGIC = "65735546"
STATX_BASIC, STATX_ALL = 0x7FF, 0xFFF
AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_EACCESS = 0x1000, 0x800, 0x200
AT_SYMLINK_NOFOLLOW, AT_FORCE_SYNC, AT_DONT_SYNC = 0x100, 0x2000, 0x4000


@pytest.fixture
def fd(view) -> Iterator[int]:
    fd = os.open(view.path, os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.fixture
def directory(mount) -> Iterator[int]:
    """The mount's own directory, open."""
    fd = os.open(mount.dir, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def error_of(call: Callable[..., object], *arguments: object, **more: object) -> str | None:
    """The name of the error with which a call fails, None if it does not."""
    try:
        call(*arguments, **more)
    except OSError as error:
        return errno.errorcode[error.errno]
    return None


def open_error(path: Path | str, flags: int = os.O_RDONLY, **more: int) -> str | None:
    return error_of(lambda: os.close(os.open(path, flags, **more)))


# The directory.


@pytest.mark.parametrize("size", [24, 32, 40, 64, 100, 1000, 100_000])
def test_readdir_with_any_buffer(mount, directory, size):
    """Each name once, whatever goes into a buffer; or EINVAL where not one does."""
    found = []
    try:
        while some := getdents64(directory, size):
            found += some
    except OSError as error:
        assert error.errno == errno.EINVAL
        assert size <= 40
        return
    assert [entry.name for entry in found] == [".", "..", *FILES]
    for entry in found[2:]:
        assert entry.inode == (mount.dir / entry.name).stat().st_ino
        assert entry.kind == stat.S_IFREG >> 12


def test_seekdir(directory):
    """From where telldir says, an entry's successors follow; from 0 on, all of them."""
    entries = getdents64(directory, 100_000)
    assert getdents64(directory, 100_000) == []
    for number, entry in reversed(list(enumerate(entries, 1))):
        os.lseek(directory, entry.next, os.SEEK_SET)
        assert getdents64(directory, 64 if number % 2 else 100_000) in (
            entries[number : number + 1],
            entries[number : number + 2],
            entries[number:],
        )
    os.lseek(directory, 0, os.SEEK_SET)
    assert getdents64(directory, 100_000) == entries


def test_listings_side_by_side(mount):
    """Two who list do not disturb each other."""
    handles = [os.open(mount.dir, os.O_RDONLY) for _ in range(3)]
    try:
        found: list[list[str]] = [[] for _ in handles]
        for _ in range(len(FILES) + 2):
            for handle, names in zip(handles, found, strict=True):
                names += [entry.name for entry in getdents64(handle, 48)]
        assert found == [[".", "..", *FILES]] * 3
    finally:
        for handle in handles:
            os.close(handle)


@pytest.fixture(scope="module")
def wide(tmp_path_factory, module_biofuse):
    """A mount of some hundreds of files."""
    contigs = [f"contig_of_a_long_name_{i:04d}" for i in range(120)]
    genotypes = random_genotypes(240, 5, seed=3)
    store = make_store(tmp_path_factory.mktemp("wide") / "x.vcz", genotypes, contigs=contigs)
    zarr.open_group(store, mode="r+")["variant_contig"][:] = np.arange(240) // 2
    with module_biofuse.mount(store, "--format", "plink", "--per-contig") as mount:
        yield mount


def test_many_entries(wide):
    names = sorted(os.listdir(wide.dir))
    assert len(names) == len(set(names)) > 300
    assert sorted(run("ls", "-U", wide.dir).split()) == names
    listed = run("ls", "-l", wide.dir).splitlines()[1:]
    assert {line.split()[-1]: int(line.split()[4]) for line in listed} == {
        name: (wide.dir / name).stat().st_size for name in names
    }
    fd = os.open(wide.dir, os.O_RDONLY)
    try:
        found: list[str] = []
        while some := getdents64(fd, 300):
            found += [entry.name for entry in some]
        assert sorted(found) == sorted([".", "..", *names])
    finally:
        os.close(fd)


# Attributes.


@pytest.mark.parametrize("sync", [0, AT_FORCE_SYNC, AT_DONT_SYNC])
def test_statx(view, fd, sync):
    told = view.path.stat()
    by_path = statx(os.fsencode(view.path), sync | AT_NO_AUTOMOUNT, STATX_ALL)
    by_descriptor = statx(b"", sync | AT_EMPTY_PATH, STATX_BASIC, fd)
    for found in (by_path, by_descriptor):
        assert found["mask"] & STATX_BASIC == STATX_BASIC
        assert found["size"] == told.st_size == len(view.expected)
        assert (found["mode"], found["nlink"], found["ino"], found["blocks"]) == (
            (told.st_mode, told.st_nlink, told.st_ino, told.st_blocks)
        )
    assert statx(os.fsencode(view.path), sync, 0x200)["size"] == len(view.expected)


def test_stat_by_every_way(view, fd, directory):
    told = view.path.stat()
    path_only = os.open(view.path, os.O_PATH)
    try:
        for again in (
            os.fstat(fd),
            os.lstat(view.path),
            os.stat(view.path.name, dir_fd=directory),
            os.fstat(path_only),
        ):
            assert again == told
    finally:
        os.close(path_only)


def test_statfs(mount, view, fd, directory):
    def told(by: int | Path) -> tuple[int, ...]:
        return tuple(os.statvfs(by))

    assert told(mount.dir) == told(view.path) == told(fd) == told(directory)
    assert run("stat", "-f", "-c", "%t", view.path).strip() == FUSE_SUPER_MAGIC


@pytest.mark.parametrize("flags", [0, AT_EACCESS, AT_SYMLINK_NOFOLLOW])
def test_access(mount, view, directory, flags):
    name = os.fsencode(view.path)
    assert faccessat(name, os.F_OK, flags) == faccessat(name, os.R_OK, flags) == 0
    assert faccessat(os.fsencode(view.path.name), os.R_OK, flags, directory) == 0
    assert error_of(faccessat, name, os.W_OK, flags) == "EROFS"
    assert error_of(faccessat, name, os.R_OK | os.W_OK, flags) == "EROFS"
    assert error_of(faccessat, name, os.X_OK, flags) == "EACCES"
    folder = os.fsencode(mount.dir)
    assert faccessat(folder, os.R_OK | os.X_OK, flags) == 0
    assert error_of(faccessat, folder, os.W_OK, flags) == "EROFS"
    assert error_of(faccessat, name + b"x", os.F_OK, flags) == "ENOENT"


def test_there_are_no_extended_attributes(mount, view, fd):
    """And so it is told, in a way that does no harm to ls, cp -a and tar, which ask."""
    for path in (view.path, mount.dir, fd):
        assert error_of(os.listxattr, path) == "ENOTSUP"
        for name in ("user.x", "trusted.x", "security.selinux", "system.posix_acl_access"):
            assert error_of(os.getxattr, path, name) in ("ENOTSUP", "ENODATA")


def test_programs_that_ask_for_them(mount, view, tmp_path):
    assert run("ls", "-lZ", mount.dir).count("\n") == len(FILES) + 1
    run("cp", "--preserve=all", view.path, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == view.expected
    assert (tmp_path / "copy").stat().st_mtime_ns == view.path.stat().st_mtime_ns
    run("tar", "--xattrs", "-cf", tmp_path / "x.tar", "-C", mount.dir, view.path.name)
    run("tar", "-xf", tmp_path / "x.tar", "-C", tmp_path)
    assert (tmp_path / view.path.name).read_bytes() == view.expected


# Locks and what waits.

_TRY_LOCKS = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
for call, kinds in ((fcntl.flock, ("LOCK_SH", "LOCK_EX")), (fcntl.lockf, ("LOCK_SH",))):
    for kind in kinds:
        try:
            call(fd, getattr(fcntl, kind) | fcntl.LOCK_NB)
        except BlockingIOError:
            print("no", end=" ")
        else:
            print("yes", end=" ")
        call(fd, fcntl.LOCK_UN)
"""


def locks_of_another_process(path: Path) -> str:
    """Whether another process gets flock's two locks and a shared one of fcntl."""
    return run(sys.executable, "-S", "-c", _TRY_LOCKS, path).strip()


def test_locks_between_processes(view, fd):
    assert locks_of_another_process(view.path) == "yes yes yes"
    fcntl.flock(fd, fcntl.LOCK_SH)
    assert locks_of_another_process(view.path) == "yes no yes"
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert locks_of_another_process(view.path) == "no no yes"
    assert os.pread(fd, 10, 0) == view.expected[:10]
    fcntl.flock(fd, fcntl.LOCK_UN)
    fcntl.lockf(fd, fcntl.LOCK_SH, 100, 50)
    assert locks_of_another_process(view.path) == "yes yes yes"
    # As POSIX has it: what is not open for writing gets no lock to write.
    assert error_of(fcntl.lockf, fd, fcntl.LOCK_EX) == "EBADF"


def test_a_lock_goes_with_its_holder(view):
    code = (
        "import fcntl, os, sys; fd = os.open(sys.argv[1], 0); fcntl.flock(fd, fcntl.LOCK_EX); "
        "print(1, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-S", "-c", code, view.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert locks_of_another_process(view.path) == "no no yes"
        holder.kill()
        holder.wait()
    assert locks_of_another_process(view.path) == "yes yes yes"


def test_inotify(view):
    """Who reads is told of, and no change ever is."""
    access, opened, closed, all_events = 0x1, 0x20, 0x10, 0xFFF
    told = inotify()
    try:
        watch(told, os.fsencode(view.path.parent), all_events)
        watch(told, os.fsencode(view.path), all_events)
        assert view.path.read_bytes() == view.expected
        error_of(os.unlink, view.path)
        error_of(os.truncate, view.path, 1)
        found = events(told)
    finally:
        os.close(told)
    assert {event.mask & ~0x40000000 for event in found} == {access, opened, closed}
    assert {event.name for event in found} == {"", view.path.name}


def test_files_are_always_ready(fd):
    """As select and poll have it for any regular file."""
    assert select.select([fd], [], [], 0)[0] == [fd]
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    assert [event & select.POLLIN for _, event in poll.poll(0)] == [select.POLLIN]


def test_syncing_has_nothing_to_do(fd, directory):
    for each in (fd, directory):
        os.fsync(each)
        os.fdatasync(each)
    os.sync()


def test_ioctl(view, fd):
    """Those of files tell the truth or that there are none."""
    os.lseek(fd, 7, os.SEEK_SET)
    buffer = bytearray(4)
    fcntl.ioctl(fd, 0x541B, buffer)  # FIONREAD
    assert struct.unpack("=i", buffer)[0] == len(view.expected) - 7
    fiemap = bytearray(struct.pack("=QQIIII", 0, 2**63, 0, 0, 0, 0))
    for request, argument in ((0x80086601, bytearray(8)), (0xC020660B, fiemap)):
        assert error_of(fcntl.ioctl, fd, request, argument) in ("ENOTTY", "ENOTSUP")


# Opening and names.

FLAGS: dict[str, tuple[int, str | None]] = {
    "O_RDONLY": (os.O_RDONLY, None),
    "O_APPEND": (os.O_APPEND, None),
    "O_NOATIME": (os.O_NOATIME, None),
    "O_NOFOLLOW": (os.O_NOFOLLOW, None),
    "O_NONBLOCK": (os.O_NONBLOCK, None),
    "O_NOCTTY": (os.O_NOCTTY, None),
    "O_SYNC": (os.O_SYNC, None),
    "O_DSYNC": (os.O_DSYNC, None),
    "O_CREAT": (os.O_CREAT, None),
    "O_LARGEFILE": (0o100000, None),
    "O_ASYNC": (os.O_ASYNC, None),
    "O_PATH": (os.O_PATH, None),
    "O_DIRECT": (os.O_DIRECT, None),
    "O_DIRECTORY": (os.O_DIRECTORY, "ENOTDIR"),
    "O_CREAT-O_EXCL": (os.O_CREAT | os.O_EXCL, "EEXIST"),
    "O_WRONLY-O_RDWR": (os.O_WRONLY | os.O_RDWR, "EROFS"),
    "O_WRONLY-O_DIRECT": (os.O_WRONLY | os.O_DIRECT, "EROFS"),
    "O_RDWR-O_SYNC": (os.O_RDWR | os.O_SYNC, "EROFS"),
    "O_RDWR-O_APPEND": (os.O_RDWR | os.O_APPEND, "EROFS"),
    "O_RDWR-O_CREAT-O_EXCL": (os.O_RDWR | os.O_CREAT | os.O_EXCL, "EEXIST"),
}


@pytest.mark.parametrize("name", FLAGS)
def test_open_flags(view, name):
    """As on any file system that is mounted read-only."""
    flags, error = FLAGS[name]
    assert open_error(view.path, flags) == error
    if error is None and not flags & os.O_PATH:
        fd = os.open(view.path, flags)
        try:
            assert os.pread(fd, 5000, 3) == view.expected[3:5003]
            assert error_of(os.write, fd, b"x") == "EBADF"
            assert error_of(os.pwrite, fd, b"x", 0) == "EBADF"
            assert error_of(os.ftruncate, fd, 1) == "EINVAL"
            assert error_of(os.posix_fallocate, fd, 0, 10) == "EBADF"
        finally:
            os.close(fd)


def test_o_path(view):
    fd = os.open(view.path, os.O_PATH)
    try:
        assert error_of(os.read, fd, 1) == "EBADF"
        assert error_of(os.fchmod, fd, 0o777) == "EBADF"
        assert os.readlink(f"/proc/self/fd/{fd}") == str(view.path)
        with open(f"/proc/self/fd/{fd}", "rb") as again:
            assert again.read() == view.expected
    finally:
        os.close(fd)


def test_a_link_to_a_file(view, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(view.path)
    assert link.read_bytes() == view.expected
    assert open_error(link, os.O_NOFOLLOW) == "ELOOP"
    assert error_of(os.readlink, view.path) == "EINVAL"
    assert error_of(os.link, view.path, tmp_path / "hard") == "EXDEV"


def test_a_file_is_no_program(view):
    assert error_of(os.execv, view.path, ["x"]) == "EACCES"


ODD_NAMES: dict[str, tuple[str, str]] = {
    "absent": ("y", "ENOENT"),
    "other-case": ("X.BED", "ENOENT"),
    "a-start-of-one": ("x.be", "ENOENT"),
    "longer": ("x.bedx", "ENOENT"),
    "below-a-file": ("x.bed/y", "ENOTDIR"),
    "with-a-slash": ("x.bed/", "ENOTDIR"),
    "below-nothing": ("y/x.bed", "ENOENT"),
    "not-utf-8": ("x\udcff.bed", "ENOENT"),
    "new-line": ("x.bed\n", "ENOENT"),
    "longest": ("n" * 255, "ENOENT"),
    "too-long": ("n" * 256, "ENAMETOOLONG"),
    "longest-in-bytes": ("é" * 127, "ENOENT"),
    "too-long-in-bytes": ("é" * 128, "ENAMETOOLONG"),
    "twice-too-long": ("n" * 1000, "ENAMETOOLONG"),
    "far-too-long": ("n" * 2000, "ENAMETOOLONG"),
    "path-too-long": ("./" * 2100 + "x.bed", "ENAMETOOLONG"),
}


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_that_are_not_there(mount, directory, name):
    text, error = ODD_NAMES[name]
    for _ in range(2):
        assert error_of(os.stat, f"{mount.dir}/{text}") == error
        assert open_error(f"{mount.dir}/{text}") == error
        assert open_error(text, dir_fd=directory) == error
        assert error_of(os.getxattr, f"{mount.dir}/{text}", "user.x") == error


def test_dot_and_dot_dot(mount, view, directory):
    assert (mount.dir / "." / view.path.name).read_bytes() == view.expected
    assert os.path.samefile(f"{mount.dir}/..", mount.dir.parent)
    assert os.path.samefile(f"{mount.dir}/.", mount.dir)
    assert (mount.dir / ".." / mount.dir.name / view.path.name).read_bytes() == view.expected
    up = os.open("..", os.O_RDONLY, dir_fd=directory)
    try:
        assert os.fstat(up) == mount.dir.parent.stat()
    finally:
        os.close(up)


def test_fchdir_and_openat(mount, view, directory):
    before = os.open(".", os.O_PATH)
    try:
        os.fchdir(directory)
        assert os.getcwd() == str(mount.dir)
        assert Path(view.path.name).read_bytes() == view.expected
        assert sorted(os.listdir()) == list(FILES)
    finally:
        os.fchdir(before)
        os.close(before)
    fd = os.open(view.path.name, os.O_RDONLY, dir_fd=directory)
    try:
        assert os.pread(fd, 100, 0) == view.expected[:100]
        assert open_error("y", dir_fd=fd) == "ENOTDIR"
        assert error_of(os.fchdir, fd) == "ENOTDIR"
    finally:
        os.close(fd)


def test_handles(mount, view, directory):
    """name_to_handle_at and open_by_handle_at, as exports by NFS use them; the second is root's."""
    handle = name_to_handle(os.fsencode(view.path))
    if os.geteuid():
        assert error_of(open_by_handle, directory, handle) == "EPERM"
        return
    fd = open_by_handle(directory, handle)
    try:
        assert os.pread(fd, len(view.expected), 0) == view.expected
    finally:
        os.close(fd)
    # Of a file that there is not.
    kind, data = handle
    for other in (bytes(len(data)), b"\xff" * len(data)):
        assert error_of(open_by_handle, directory, (kind, other)) in ("ESTALE", "ENOENT")
    assert view.path.read_bytes() == view.expected


# What would change something.


def test_whatever_would_change_something_is_refused(mount, view):
    before = view.path.stat()
    for name, mutation in MUTATIONS.items():
        assert error_of(mutation, view.path) == "EROFS", name
        assert view.path.stat() == before, name
        assert sorted(os.listdir(mount.dir)) == list(FILES), name
    assert view.path.read_bytes() == view.expected


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_is_refused_for_another_reason(name, mount, view):
    mutation, error = OTHERWISE[name]
    before = view.path.stat()
    assert error_of(mutation, view.path) == error
    assert view.path.stat() == before
    assert sorted(os.listdir(mount.dir)) == list(FILES)
    assert mount.dir.is_mount()


def test_a_map_to_write_is_refused(fd):
    with pytest.raises(PermissionError):
        mmap.mmap(fd, 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_WRITE)


def test_mounted_again_for_writing(placed, biofuse):
    """Root may have the kernel forget that it is read-only; then serve refuses by itself."""
    with placed("local").mount(biofuse, "--format", "plink") as mount:
        command = ["mount", "-i", "-o", "remount,rw", mount.dir]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode == 0) == (os.geteuid() == 0), done.stderr
        expected = mount.bed.read_bytes()
        for name, mutation in MUTATIONS.items():
            error = LOOKED_AT_FIRST.get(name, "EROFS") if done.returncode == 0 else "EROFS"
            assert error_of(mutation, mount.bed) == error, name
        assert mount.bed.read_bytes() == expected
        assert sorted(os.listdir(mount.dir)) == ["x.bed", "x.bim", "x.fam"]
        assert mount.bed.stat().st_mtime < time.time()
