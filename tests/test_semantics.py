"""docs/semantics.md, a paragraph after the other."""

import ctypes
import errno
import json
import mmap
import os
import shutil
import signal
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import reference
from support.mutations import MUTATIONS
from support.oracles import run
from support.program import mounts_below, wait_until
from support.stores import make_store, random_genotypes

from biofuse.fuse import wire
from biofuse.fuse.directory import Directory
from biofuse.fuse.session import Request

GENOTYPES = random_genotypes(900, 1003, seed=11)
BED = reference.bed(GENOTYPES)
SUFFIXES = (".bed", ".bim", ".fam")


@pytest.fixture(scope="module")
def store(made):
    return made(
        "semantics", lambda folder: make_store(folder / "x.vcz", GENOTYPES, chunks=(170, 250))
    )


@pytest.fixture(scope="module")
def mount(store, module_biofuse):
    with module_biofuse.mount(store, "--format", "plink") as mount:
        yield mount


@pytest.fixture(scope="module")
def real(mount, tmp_path_factory):
    """The same files on a disk."""
    folder = tmp_path_factory.mktemp("real")
    for suffix in SUFFIXES:
        (folder / f"x{suffix}").write_bytes((mount.dir / f"x{suffix}").read_bytes())
    assert (folder / "x.bed").read_bytes() == BED
    return folder


def test_the_directory_is_flat_and_read_only(mount):
    assert os.listdir(mount.dir) == ["x.bed", "x.bim", "x.fam"]
    status = mount.dir.stat()
    assert stat.S_IMODE(status.st_mode) == 0o555
    assert os.statvfs(mount.dir).f_flag & os.ST_RDONLY
    for suffix in SUFFIXES:
        status = (mount.dir / f"x{suffix}").stat()
        assert stat.S_ISREG(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o444
        assert status.st_nlink == 1
        assert (status.st_uid, status.st_gid) == (os.getuid(), os.getgid())
    with pytest.raises(FileNotFoundError):
        (mount.dir / "y.bed").stat()
    with pytest.raises(NotADirectoryError):
        os.stat(mount.dir / "x.bed" / "y")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_sizes_are_the_same_whoever_tells_them(suffix, mount, real):
    path = mount.dir / f"x{suffix}"
    size = (real / path.name).stat().st_size
    assert path.stat().st_size == size
    assert len(path.read_bytes()) == size
    with os.scandir(mount.dir) as entries:
        assert {e.name: e.stat().st_size for e in entries}[path.name] == size
    with open(path, "rb") as f:
        assert f.seek(0, os.SEEK_END) == size
        assert os.fstat(f.fileno()).st_size == size
    assert run("ls", "-l", path).split()[4] == str(size)
    assert run("stat", "-c", "%s", path).strip() == str(size)
    assert run("du", "-b", path).split()[0] == str(size)
    assert int(run("du", "-B1", path).split()[0]) == path.stat().st_blocks * 512
    assert 0 <= path.stat().st_blocks * 512 - size < 4096
    assert run("find", mount.dir, "-size", f"{size}c", "-name", path.name).strip() == str(path)
    assert mount.status()["files"][path.name] == size


def test_times_and_inodes_are_the_same_in_every_mount(store, mount, biofuse):
    def facts(folder):
        entries = [folder, *sorted(folder.iterdir())]
        return [(s.st_ino, s.st_mtime_ns, s.st_ctime_ns, s.st_size) for s in map(os.stat, entries)]

    inside = [p.stat().st_mtime_ns for p in [store, *store.rglob("*")]]
    assert mount.bed.stat().st_mtime_ns in inside
    with biofuse.mount(store, "--no-cache", "--format", "plink") as again:
        assert facts(again.dir) == facts(mount.dir)
    with os.scandir(mount.dir) as entries:
        inodes = {e.name: e.inode() for e in entries}
    assert len(set(inodes.values())) == 3
    assert all((mount.dir / name).stat().st_ino == inode for name, inode in inodes.items())


def test_times_are_not_those_of_the_mount(store, biofuse, tmp_path):
    """A workflow tool sees an old store as old files."""
    old = shutil.copytree(store, tmp_path / "x.vcz")
    for path in [*old.rglob("*"), old]:
        os.utime(path, (1_500_000_000, 1_500_000_000))
    with biofuse.mount(old) as mount:
        assert mount.bed.stat().st_mtime == 1_500_000_000
        assert mount.fam.stat().st_mtime == 1_500_000_000


def test_a_hundred_handles(mount):
    handles = [os.open(mount.bed, os.O_RDONLY) for _ in range(100)]
    try:

        def check(i):
            offset = i * 2003
            assert os.pread(handles[i], 5000, offset) == BED[offset : offset + 5000]

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(check, range(100)))
    finally:
        for fd in handles:
            os.close(fd)
    assert mount.bed.read_bytes() == BED


def rows_up_to(log, end):
    """The rows of an access log, once one is of a read up to an end."""
    rows = [json.loads(line) for line in log.read_text().splitlines(keepends=True)]
    return rows if max((r["offset"] + r["size"] for r in rows), default=0) >= end else None


def test_pages_stay_in_the_cache_between_opens(store, biofuse, tmp_path):
    log = tmp_path / "reads"
    with biofuse.mount(store, "--access-log", log) as mount:
        assert mount.bed.read_bytes() == BED
        first = wait_until(lambda: rows_up_to(log, len(BED)), "all of it is told of")
        assert mount.bed.read_bytes() == BED
        assert mount.bed.read_bytes() == BED
        # What comes of a sidecar is told after all that was read before.
        mount.fam.read_bytes()
        [*again, last] = [json.loads(line) for line in log.read_text().splitlines()]
        assert last["path"] == "x.fam"
        assert again == first
    assert {row["path"] for row in first} >= {"x.bed"}
    covered = [(r["offset"], r["offset"] + r["size"]) for r in first if r["path"] == "x.bed"]
    assert min(start for start, _ in covered) == 0
    assert max(stop for _, stop in covered) >= len(BED)


def test_mmap(mount):
    with open(mount.bed, "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[150_000:150_100] == BED[150_000:150_100]
        assert mapped[-1] == BED[-1]
        assert mapped[:] == BED


def test_a_writable_map_is_refused(mount):
    with open(mount.bed, "rb") as f, pytest.raises(PermissionError):
        mmap.mmap(f.fileno(), 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_WRITE)


def test_sendfile(mount, tmp_path):
    with open(mount.bed, "rb") as source, open(tmp_path / "out", "wb") as out:
        offset = 0
        while sent := os.sendfile(out.fileno(), source.fileno(), offset, 1 << 20):
            offset += sent
    assert (tmp_path / "out").read_bytes() == BED


def test_splice(mount):
    reader, writer = os.pipe()
    source = os.open(mount.bed, os.O_RDONLY)
    try:
        count = os.splice(source, writer, 30_000, offset_src=77_001)
        assert count > 0
        assert os.read(reader, count) == BED[77_001 : 77_001 + count]
    finally:
        for fd in (reader, writer, source):
            os.close(fd)


def test_copy_file_range(mount, tmp_path):
    """Whether the kernel does it or refuses, no wrong bytes come out."""
    with open(mount.bed, "rb") as source, open(tmp_path / "out", "wb") as out:
        try:
            while os.copy_file_range(source.fileno(), out.fileno(), 1 << 20):
                pass
        except OSError as error:
            assert error.errno in (errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL)
            shutil.copyfileobj(source, out)
    assert (tmp_path / "out").read_bytes() == BED


COMMANDS = {
    "cp": "cp {file} {out}",
    "cp-preserving": "cp -a {file} {out}",
    "cat": "cat {file} > {out}",
    "dd": "dd if={file} of={out} bs=70001 status=none",
    "dd-direct": "dd if={file} of={out} bs=65536 iflag=direct status=none",
    "dd-skip": "dd if={file} of={out} bs=1000 count=3 status=none && "
    "dd if={file} of={out} bs=1000 skip=3 seek=3 conv=notrunc status=none",
    "head-and-tail": "head -c 5000 {file} > {out} && tail -c +5001 {file} >> {out}",
    "python": "python3 -c \"import shutil; shutil.copyfile('{file}', '{out}')\"",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_programs_that_copy(name, mount, real, tmp_path):
    out = tmp_path / "out"
    run("sh", "-c", COMMANDS[name].format(file=mount.bed, out=out))
    assert out.read_bytes() == BED
    run("cmp", mount.bed, out)
    run("cmp", mount.bed, real / "x.bed")


def test_cmp_tells_other_bytes(mount, tmp_path):
    (tmp_path / "other").write_bytes(BED[:-1] + bytes([BED[-1] ^ 1]))
    done = subprocess.run(["cmp", mount.bed, tmp_path / "other"], capture_output=True)
    assert done.returncode == 1


def test_copying_the_directory(mount, real, tmp_path):
    run("cp", "-r", mount.dir, tmp_path / "copy")
    run("diff", "-r", tmp_path / "copy", real)


def test_statfs_tells_the_total_and_no_free_space(mount):
    found = os.statvfs(mount.dir)
    total = sum(path.stat().st_size for path in mount.dir.iterdir())
    assert found.f_bfree == found.f_bavail == found.f_ffree == 0
    assert 0 <= found.f_blocks * found.f_frsize - total < found.f_frsize
    assert found.f_files == 4
    assert found.f_namemax == 255
    assert run("df", "-B1", "--output=avail", mount.dir).split()[-1] == "0"


def test_listing(mount):
    lines = run("ls", "-l", mount.dir).splitlines()[1:]
    assert [line.split()[-1] for line in lines] == ["x.bed", "x.bim", "x.fam"]
    assert all(line.startswith("-r--r--r--") for line in lines)
    again = os.open(mount.dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert sorted(os.listdir(again)) == sorted(os.listdir(again)) == os.listdir(mount.dir)
    finally:
        os.close(again)


@pytest.mark.parametrize("name", MUTATIONS)
def test_whatever_would_change_something_is_refused(name, mount):
    before = mount.bed.stat()
    with pytest.raises(OSError) as caught:
        MUTATIONS[name](mount.bed)
    assert caught.value.errno == errno.EROFS
    after = mount.bed.stat()
    assert (after.st_size, after.st_mode, after.st_mtime_ns, after.st_uid) == (
        (before.st_size, before.st_mode, before.st_mtime_ns, before.st_uid)
    )
    assert os.listdir(mount.dir) == ["x.bed", "x.bim", "x.fam"]


CHANGES = (
    "SETATTR MKNOD MKDIR UNLINK RMDIR SYMLINK RENAME RENAME2 LINK CREATE WRITE SETXATTR "
    "REMOVEXATTR FALLOCATE COPY_FILE_RANGE TMPFILE"
)


@pytest.mark.parametrize("name", CHANGES.split())
def test_the_file_system_itself_refuses_changes(name):
    """The kernel turns most of them down for a mount that is `ro`; so would serve."""
    handlers = Directory([(b"x", 5)], 0, lambda read: b"").handlers
    with pytest.raises(OSError) as caught:
        handlers[getattr(wire, name)](Request(1, wire.ROOT, 0, bytes(64)))
    assert caught.value.errno == errno.EROFS


def test_access(mount):
    assert os.access(mount.bed, os.R_OK)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.access(os.fsencode(mount.bed), os.W_OK) == -1
    assert ctypes.get_errno() == errno.EROFS
    assert not os.access(mount.bed, os.X_OK)


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "fusermount3", "fusermount", "umount"])
def test_every_way_to_end_a_mount(how, store, biofuse):
    with biofuse.mount(store) as mount:
        assert mount.bed.read_bytes()[:9] == BED[:9]
        if how.startswith("fusermount"):
            # Some systems have it by the longer name alone.
            run(shutil.which(how) or "fusermount3", "-u", mount.dir)
        elif how == "umount":
            mount.umount()
        else:
            os.kill(mount.pid("serve"), getattr(signal, how))
        wait_until(lambda: not mounts_below(mount.dir.parent), "nothing is mounted")
    wait_until(lambda: not biofuse.processes(), "no process is left")
    assert list(mount.dir.iterdir()) == []
