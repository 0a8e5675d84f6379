"""The session of a mount: who makes it, who holds it, what is left when its processes end."""

import errno
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import reference
from support.commands import finish
from support.program import mounts_below, wait_until
from support.stores import make_store, random_genotypes
from support.users import (
    NOBODY,
    SOMEBODY,
    ProgramOf,
    can_become_others,
    command_as,
    give,
    program_of,
)

GENOTYPES = random_genotypes(2400, 1003, seed=31)
BED = reference.bed(GENOTYPES)


@pytest.fixture(scope="module")
def store(made):
    return made(
        "sessions", lambda folder: make_store(folder / "x.vcz", GENOTYPES, chunks=(200, 502))
    )


@pytest.fixture(scope="module")
def mount(store, module_biofuse):
    with module_biofuse.mount(store, "--format", "plink", "--memory", "8MiB") as mount:
        yield mount


@contextmanager
def stopped(mount):
    """The worker, at work and then stopped, each of its threads."""
    pid = wait_until(lambda: mount.pid("encode"), "there is a worker")
    mount.bed.open("rb").read(10)
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")

    def states():
        return {(t / "stat").read_text().rpartition(")")[2].split()[0] for t in tasks.iterdir()}

    wait_until(lambda: states() == {"T"}, "it is stopped")
    drop_pages(mount.bed)
    try:
        yield pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def drop_pages(path: Path) -> None:
    with open(path, "rb") as f:
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_at(path: Path, offset: int, size: int, flags: int = 0) -> bytes | int:
    """Bytes, or the errno."""
    try:
        fd = os.open(path, os.O_RDONLY | flags)
    except OSError as error:
        return error.errno
    try:
        return os.pread(fd, size, offset)
    except OSError as error:
        return error.errno
    finally:
        os.close(fd)


@given(st.integers(0, len(BED) + 9), st.sampled_from([1, 251, 4096, 5000, 131_072, 1_000_003]))
def test_any_bytes(mount, offset, size):
    drop_pages(mount.bed)
    assert read_at(mount.bed, offset, size) == BED[offset : offset + size]


@given(st.integers(0, len(BED) // 4096), st.sampled_from([4096, 65_536, 1 << 20, 3 << 20]))
def test_any_bytes_past_the_page_cache(mount, page, size):
    offset = 4096 * page
    assert read_at(mount.bed, offset, size, os.O_DIRECT) == BED[offset : offset + size]


def test_sixty_four_readers_at_places_of_their_own(store, biofuse):
    part = -(-len(BED) // 64)

    def read(mount, number):
        found = b""
        with open(mount.bed, "rb", 0) as f:
            f.seek(number * part)
            while len(found) < part and (more := f.read(min(7001, part - len(found)))):
                found += more
        return found

    with (
        biofuse.mount(store, "--memory", "8MiB") as mount,
        ThreadPoolExecutor(64) as pool,
    ):
        assert b"".join(pool.map(lambda n: read(mount, n), range(64))) == BED
        status = mount.status()
        assert status["under_way"] == 0
        assert status["counters"]["errors"] == 0
        assert status["counters"]["bytes_served"] >= len(BED)


@pytest.mark.parametrize("flags", [0, os.O_DIRECT], ids=["cached", "direct"])
def test_serve_is_killed_with_reads_under_way(flags, store, biofuse):
    """Readers get an error at once, and the worker, stopped as it is, is gone."""
    with biofuse.mount(store, "--format", "plink", "--timeout", "500") as mount:
        serve = mount.pid("serve")
        with stopped(mount), ThreadPoolExecutor(8) as pool:
            reads = [pool.submit(read_at, mount.bed, (n + 1) << 16, 4096, flags) for n in range(8)]
            wait_until(lambda: mount.status()["under_way"] >= 8, "they wait")
            os.kill(serve, signal.SIGKILL)
            results = {read.result(60) for read in reads}
        # Which of them depends on when the kernel looks.
        assert results <= {errno.ENOTCONN, errno.ECONNABORTED}
        assert results
        wait_until(lambda: not biofuse.processes(), "no process is left")
        assert read_at(mount.bed, 0, 9) == errno.ENOTCONN
        biofuse("umount", mount.dir)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_mount_that_ends_with_reads_under_way(number, store, biofuse):
    with biofuse.mount(store, "--format", "plink", "--timeout", "500") as mount:
        mount.expect_log("the mount is ending")
        serve = mount.pid("serve")
        with stopped(mount), ThreadPoolExecutor(8) as pool:
            reads = [pool.submit(read_at, mount.bed, (n + 1) << 16, 4096) for n in range(8)]
            wait_until(lambda: mount.status()["under_way"] >= 8, "they wait")
            os.kill(serve, number)
            results = {read.result(60) for read in reads}
        assert results <= {errno.EIO, errno.ENOTCONN, errno.ECONNABORTED}
        wait_until(lambda: not biofuse.processes(), "no process is left")
        assert mounts_below(mount.dir.parent) == []


READ = (
    "import os, sys; fd = os.open(sys.argv[1], os.O_RDONLY); print(flush=True); "
    "os.pread(fd, 4096, 1 << 19)"
)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_reader_that_is_killed_goes_at_once(number, store, biofuse):
    with biofuse.mount(store, "--format", "plink", "--timeout", "500") as mount:
        with stopped(mount):
            command = ["python3", "-c", READ, mount.bed]
            reader = subprocess.Popen(command, stdout=subprocess.PIPE)
            assert reader.stdout.readline()
            wait_until(lambda: mount.status()["under_way"] > 0, "it waits")
            reader.send_signal(number)
            reader.communicate(timeout=60)
            assert reader.returncode == -number
        assert read_at(mount.bed, 1 << 19, 4096) == BED[1 << 19 :][:4096]
        assert mount.status()["counters"]["errors"] == 0


def test_a_direct_reader_that_is_killed_goes_when_it_is_answered(store, biofuse):
    """The signal has come, and the kernel waits, not to be interrupted."""
    with biofuse.mount(store, "--format", "plink", "--timeout", "500") as mount:
        command = ["python3", "-c", READ.replace("RDONLY", "RDONLY | os.O_DIRECT"), mount.bed]
        with stopped(mount) as pid, subprocess.Popen(command, stdout=subprocess.PIPE) as reader:
            assert reader.stdout.readline()
            wait_until(lambda: cannot_be_interrupted(reader.pid), "it waits")
            reader.kill()
            wait_until(lambda: has_yet_to_take(reader.pid, signal.SIGKILL), "the signal has come")
            with pytest.raises(subprocess.TimeoutExpired):
                reader.wait(0.5)
            assert cannot_be_interrupted(reader.pid)
            os.kill(pid, signal.SIGCONT)
            assert reader.wait(60) == -signal.SIGKILL
        assert mount.status()["counters"]["errors"] == 0


def told_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def cannot_be_interrupted(pid: int) -> bool:
    return told_of(pid)["State"].startswith("D")


def has_yet_to_take(pid: int, number: int) -> bool:
    told = told_of(pid)
    return bool((int(told["SigPnd"], 16) | int(told["ShdPnd"], 16)) >> (number - 1) & 1)


def test_a_signal_that_is_handled_does_not_disturb_a_read(store, biofuse):
    """The read goes on, and has its bytes."""
    with biofuse.mount(store, "--format", "plink", "--timeout", "500") as mount:
        handled = []
        before = signal.signal(signal.SIGUSR2, lambda *_: handled.append(None))
        try:
            with stopped(mount) as pid, ThreadPoolExecutor(1) as pool:

                def go_on():
                    wait_until(lambda: mount.status()["under_way"] > 0, "it waits")
                    signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR2)
                    os.kill(pid, signal.SIGCONT)

                future = pool.submit(go_on)
                assert read_at(mount.bed, 1 << 19, 4096) == BED[1 << 19 :][:4096]
                future.result()
        finally:
            signal.signal(signal.SIGUSR2, before)
        assert handled == [None]


def test_who_holds_the_session(store, biofuse):
    """serve and its worker, and what serve starts later does not inherit it."""
    with biofuse.mount(store) as mount:
        for role in ("serve", "encode"):
            folder = Path(f"/proc/{mount.pid(role)}")
            held = [fd.name for fd in (folder / "fd").iterdir() if os.readlink(fd) == "/dev/fuse"]
            assert len(held) == 1
            flags = (folder / "fdinfo" / held[0]).read_text().split("flags:")[1].split()[0]
            if role == "serve":
                assert int(flags, 8) & os.O_CLOEXEC
        assert int(flags, 8) & os.O_NONBLOCK


def test_the_kernel_s_options(store, biofuse):
    with biofuse.mount(store) as mount:
        [line] = [
            line
            for line in Path("/proc/self/mountinfo").read_text().splitlines()
            if f" {mount.dir} " in line
        ]
        before, _, after = line.partition(" - ")
        assert {"ro", "nosuid", "nodev"} <= set(before.split()[5].split(","))
        kind, source, options = after.split()
        assert (kind, source) == ("fuse.biofuse", "biofuse:x")
        assert {"default_permissions", "max_read=1048576"} <= set(options.split(","))
        assert "allow_other" not in options


VERSION_2 = """#!/bin/sh
# fusermount of libfuse 2.9 has these options, and ends where it gets another.
echo "$*" >> {log}
while getopts hVo:uzqd option; do
    [ "$option" = "?" ] && exit 1
done
exec {real} "$@"
"""


@pytest.fixture
def path_of(tmp_path):
    """A folder that stands for the PATH, with what the program needs beside FUSE's helper."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("setpriv", "unshare", "cp", "sh"):
        (folder / name).symlink_to(shutil.which(name))
    return folder


def test_fusermount_of_version_2_alone(store, biofuse, path_of, tmp_path):
    log = tmp_path / "calls"
    script = path_of / "fusermount"
    script.write_text(VERSION_2.format(log=log, real=shutil.which("fusermount3")))
    script.chmod(0o755)
    env = {"PATH": str(path_of)}
    directory = biofuse.new_directory()
    biofuse("mount", store, directory, env=env)
    assert (directory / "x.bed").read_bytes() == BED
    biofuse("umount", directory, env=env)
    mounting, unmounting = log.read_text().splitlines()
    assert mounting.endswith(f"-- {directory}")
    assert unmounting == f"-u -- {directory}"
    # A run that ends unmounts by it as well.
    biofuse("run", store, "--", "cp", "{bed}", tmp_path / "seen", env=env)
    assert (tmp_path / "seen").read_bytes() == BED


def test_the_helper_is_told_no_secrets(store, biofuse, path_of, tmp_path):
    """Credentials are in variables of the serving process."""
    script = path_of / "fusermount3"
    real = shutil.which("fusermount3")
    script.write_text(f'#!/bin/sh\nexport -p >> {tmp_path}/told\nexec {real} "$@"\n')
    script.chmod(0o755)
    directory = biofuse.new_directory()
    env = {"PATH": str(path_of), "AWS_SECRET_ACCESS_KEY": "hidden"}
    biofuse("mount", store, directory, env=env)
    biofuse("umount", directory, env=env)
    told = (tmp_path / "told").read_text()
    assert "_FUSE_COMMFD" in told
    assert "hidden" not in told


def test_root_needs_no_helper(store, biofuse, path_of):
    env = {"PATH": str(path_of)}
    directory = biofuse.new_directory()
    biofuse("mount", store, directory, env=env)
    assert (directory / "x.bed").read_bytes() == BED
    with (directory / "x.bed").open("rb"):
        assert "is busy" in biofuse("umount", directory, env=env, code=1).stderr
    biofuse("umount", directory, env=env)
    assert mounts_below(biofuse.home) == []


FAILURES = {
    "says-why": (
        "echo 'fusermount3: mount failed: Operation not permitted' >&2; exit 1",
        "not perm",
    ),
    "says-nothing": ("exit 3", "exit code 3"),
    "sends-nothing": ("exit 0", "no descriptor"),
    "no-device": (
        "echo \"fusermount3: fuse device not found, try 'modprobe fuse' first\" >&2; exit 1",
        "--device /dev/fuse",
    ),
    "no-others": (
        "echo \"fusermount3: option allow_other only allowed if 'user_allow_other' is set in "
        '/etc/fuse.conf" >&2; exit 1',
        "ask the administrator for that line",
    ),
    "is-no-program": (None, "cannot run"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_helper_that_fails_is_one_line(name, store, biofuse, path_of):
    text, said = FAILURES[name]
    script = path_of / "fusermount3"
    script.write_text("no program" if text is None else f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    env = {"PATH": str(path_of)}
    line = biofuse.fails("mount", store, biofuse.new_directory(), env=env)
    assert line.startswith("cannot mount: ")
    assert said in line


LOOK_AROUND = """
import errno, os, sys
folder = sys.argv[1]
path = folder + "/x.bed"
for call in (
    lambda: os.listdir(folder),
    lambda: os.stat(folder),
    lambda: os.stat(path),
    lambda: os.close(os.open(folder, os.O_RDONLY)),
    lambda: os.close(os.open(path, os.O_RDONLY)),
    lambda: os.close(os.open(path, os.O_RDONLY | os.O_DIRECT)),
    lambda: os.chdir(folder),
    lambda: os.readlink(path),
):
    try:
        call()
    except OSError as error:
        print(errno.errorcode[error.errno], end=" ")
    else:
        print("OK", end=" ")
print(os.statvfs(folder).f_blocks)
"""


def as_user(uid: int, *command: object) -> bytes:
    """What a command prints that a user runs."""
    words = command_as(uid, command)
    return subprocess.run(words, capture_output=True, check=True, cwd="/").stdout


@pytest.fixture
def copy_of(store) -> Callable[[ProgramOf], Path]:
    """Makes a copy of the store for a user."""
    return lambda biofuse: give(shutil.copytree(store, biofuse.home / "x.vcz"), biofuse.uid)


ROOT = 0


@pytest.mark.parametrize(
    ("owner", "other"),
    [(ROOT, SOMEBODY), (ROOT, NOBODY), (NOBODY, SOMEBODY), (NOBODY, ROOT)],
    ids=["root's-somebody", "root's-nobody", "nobody's-somebody", "nobody's-root"],
)
def test_other_users_are_kept_out(owner, other, copy_of):
    """Of whatever they try, but that there is a file system; and the one whose it is goes on."""
    assert can_become_others(), "root runs these tests"
    with program_of(owner) as biofuse, biofuse.mount(copy_of(biofuse)) as mount:
        tried = as_user(other, sys.executable, "-S", "-c", LOOK_AROUND, mount.dir).split()
        assert tried == [*[b"EACCES"] * 8, b"0"]
        assert as_user(owner, "cat", mount.bed) == BED


def test_root_lets_others_in(copy_of):
    assert can_become_others(), "root runs these tests"
    with program_of(ROOT) as biofuse, biofuse.mount(copy_of(biofuse), "--allow-other") as mount:
        for uid in (SOMEBODY, NOBODY, ROOT):
            assert as_user(uid, "cat", mount.bed) == BED
            assert b"EACCES" not in as_user(uid, sys.executable, "-S", "-c", LOOK_AROUND, mount.dir)


# In a mount namespace with a configuration of its own, as a user; and then others read.
MOUNT_FOR_OTHERS = """
set -e
mount --bind "$1" /etc/fuse.conf
shift
"$@"
"""


@pytest.mark.parametrize("allowed", [True, False])
def test_others_are_let_in_only_where_that_is_allowed(allowed, copy_of, tmp_path):
    """To users who are not root by the administrator's line, and else not at all."""
    assert can_become_others(), "root runs these tests"
    conf = tmp_path / "fuse.conf"
    conf.write_text("user_allow_other\n" if allowed else "# user_allow_other\n")
    with program_of(NOBODY) as biofuse:
        copy, directory = copy_of(biofuse), biofuse.new_directory()

        def shell(*lines: list[str]) -> subprocess.CompletedProcess[bytes]:
            text = "\n".join(shlex.join(line) for line in lines)
            command = ["unshare", "-m", "sh", "-c", MOUNT_FOR_OTHERS, "sh", conf]
            return subprocess.run(
                [*command, "sh", "-ec", text], env=biofuse.env, capture_output=True, timeout=120
            )

        mount = biofuse.command("mount", copy, directory, "--allow-other")
        reads = [command_as(uid, ["cat", directory / "x.bed"]) for uid in (SOMEBODY, ROOT)]
        done = shell(mount, *reads, biofuse.command("umount", directory))
        if allowed:
            assert done.returncode == 0, done.stderr
            assert done.stdout == BED * 2
        else:
            assert done.returncode == 1
            assert b"user_allow_other" in done.stderr
            assert done.stdout == b""


def test_an_ordinary_user(copy_of):
    with program_of(NOBODY) as biofuse, biofuse.mount(copy_of(biofuse)) as mount:
        assert as_user(NOBODY, "cat", mount.bed) == BED


@pytest.mark.parametrize("helper", [True, False])
def test_in_a_namespace_of_its_own(helper, store, biofuse, path_of, tmp_path):
    """Whoever is root there alone may mount, with the helper and without."""
    env = {**biofuse.env} if helper else {**biofuse.env, "PATH": str(path_of)}
    words = [*biofuse.command("run", store, "--", "cp", "{bed}", tmp_path / "seen")]
    command = ["unshare", "-Urm", *words]
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    finish(process, 0)
    assert (tmp_path / "seen").read_bytes() == BED
