"""The serving process ended in every way and at any moment: what is left, and who clears it away.

After each trial nothing may be left: no process, mount, socket, record, folder or log.
"""

import contextlib
import errno
import os
import pty
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.program import Mount, Program, mounts_below, wait_until
from support.users import NOBODY, can_become_others, give, program_of

from biofuse.mounts import is_dead

# What each signal does to a mount. Those that are in neither list end the process as they end any.
ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
HARMLESS = {
    *(signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH),
    # Python ignores them.
    *(signal.SIGPIPE, signal.SIGXFSZ),
    # It shows where the process is.
    signal.SIGUSR1,
}
STOPPING = {signal.SIGSTOP}
# Of a shell's job control: without a shell they do nothing.
OF_SHELLS = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
FATAL = set(signal.valid_signals()) - ENDING - HARMLESS - STOPPING - OF_SHELLS
CLEARED = "was left by a mount that was killed"


def chosen(seed: int, is_long: bool, numbers: set[int], short: int) -> list[int]:
    """All of them, or in the short form a few."""
    ordered = sorted(numbers)
    return ordered if is_long else random.Random(seed).sample(ordered, min(short, len(ordered)))


@contextlib.contextmanager
def in_foreground(
    biofuse: Program, store: Path, *options: object, **more: object
) -> Iterator[tuple[subprocess.Popen, Mount]]:
    """A mount whose process is the command's own."""
    directory = biofuse.new_directory()
    log = biofuse.home / f"{directory.name}.log"
    process = biofuse.popen("mount", store, directory, "--foreground", *options, **more)
    try:
        wait_until(lambda: (directory / "x.bed").exists() or process.poll() is not None, "ready")
        assert process.poll() is None, process.communicate()
        yield process, Mount(biofuse, directory, "x", log)
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def uncached(path: Path) -> Iterator[int]:
    """A descriptor of a file of which the kernel reads nothing ahead."""
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    try:
        yield fd
    finally:
        # A file of a dead mount says so when it is closed.
        with contextlib.suppress(OSError):
            os.close(fd)


def is_mounted(mount: Mount) -> bool:
    return str(mount.dir) in mounts_below(mount.dir.parent)


def read_some(mount: Mount, oracle: Path) -> None:
    """Bytes of a streamed file and of a sidecar, of which the kernel has none."""
    for name in ("x.bed", "x.bim"):
        with open(mount.dir / name, "rb") as file, open(oracle / name, "rb") as real:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            assert os.pread(file.fileno(), 5000, 3000) == os.pread(real.fileno(), 5000, 3000)


def test_signals_that_end_it(seed, is_long, store, biofuse):
    """All in order: the files go, the process's exit code is 0, nothing is said."""
    for number in chosen(seed, is_long, ENDING, 2):
        with in_foreground(biofuse, store) as (process, mount):
            with uncached(mount.bed) as file:
                os.pread(file, 10, 0)
                process.send_signal(number)
                assert process.wait(20) == 0, number
                assert not is_mounted(mount)
                with pytest.raises(OSError):
                    os.pread(file, 10, 200_000)
            said = process.communicate()[1].splitlines()
            assert [line for line in said if "haploid" not in line] == [f"mounted at {mount.dir}"]


def test_signals_that_are_nothing_to_it(store, oracle, biofuse):
    with in_foreground(biofuse, store) as (process, mount):
        for number in sorted(HARMLESS):
            process.send_signal(number)
            read_some(mount, oracle)
            assert process.poll() is None, number
        mount.umount()
        assert process.wait(20) == 0


def test_signals_that_stop_it(seed, is_long, store, oracle, biofuse):
    """What is asked meanwhile waits, and is right when it goes on."""
    for number in chosen(seed, is_long, STOPPING, 1):
        with in_foreground(biofuse, store, start_new_session=True) as (process, mount):
            process.send_signal(number)
            reader = subprocess.Popen(["cmp", mount.dir / "x.bgen", oracle / "x.bgen"])
            with pytest.raises(subprocess.TimeoutExpired):
                reader.wait(0.5)
            process.send_signal(signal.SIGCONT)
            assert reader.wait(60) == 0
            mount.umount()
            assert process.wait(20) == 0


def test_signals_that_kill_it(seed, is_long, store, biofuse):
    """Readers have an error at once, and the next command clears the mount away, and says so."""
    for number in chosen(seed, is_long, FATAL, 4):
        with in_foreground(biofuse, store) as (process, mount):
            with uncached(mount.bed) as file:
                os.pread(file, 10, 0)
                process.send_signal(number)
                assert process.wait(20) == -number
                wait_until(lambda: is_dead(str(mount.dir)), "the worker has ended too")
                with pytest.raises(OSError) as caught:
                    os.pread(file, 10, 200_000)
                assert caught.value.errno in (errno.ENOTCONN, errno.ECONNABORTED)
            said = biofuse("status").stderr
            assert said == f"biofuse: {mount.dir} {CLEARED}: it is unmounted now\n", number
            assert not is_mounted(mount)
        biofuse.check_nothing_left()


def answers(directory: Path) -> bool:
    mounted = str(directory) in mounts_below(directory.parent)
    return mounted and not is_dead(str(directory)) and (directory / "x.bed").exists()


def test_killed_at_any_moment(seed, is_long, store, oracle, biofuse):
    """The command, its plan, serving process and worker, each or all, and mounted again there."""
    chooser = random.Random(seed)
    directory = biofuse.new_directory()
    for trial in range(60 if is_long else 3):
        options = chooser.choice([[], ["--no-cache"], ["--auto-unmount"]])
        process = biofuse.popen("mount", store, directory, *options)
        time.sleep(chooser.random() * 1.5)
        running = biofuse.processes()
        victims = running if trial % 3 == 0 else chooser.sample(running, min(1, len(running)))
        for victim in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim.pid, signal.SIGKILL)
        said = process.communicate(timeout=60)[1]
        assert "Traceback" not in said, (seed, trial, said)
        # Where the command alone was killed, or nothing, the mount comes about.
        wait_until(lambda: not biofuse.processes() or answers(directory), "it has settled")
        if biofuse.processes():
            biofuse("umount", directory)
        with biofuse.mount(store, directory=directory, stem="x") as mount:
            read_some(mount, oracle)
        wait_until(lambda: not biofuse.processes(), "all processes have ended")
        biofuse("status")
        assert list(biofuse.temporary.iterdir()) == [], (seed, trial, victims)
    for log in biofuse.runtime.glob("*.log"):
        # One that tells of a worker's death is kept for who wants to know.
        log.unlink()


def test_what_killed_commands_leave_is_told_and_removed(store, biofuse, tmp_path):
    for command in (
        ["export", store, tmp_path / "y", "--no-cache"],
        ["run", store, "--without-fuse", "--", "sleep", "100"],
    ):
        process = biofuse.popen(*command)
        [left] = wait_until(lambda: list(biofuse.temporary.iterdir()), "a folder is made")
        for each in biofuse.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGKILL)
        process.communicate()
        said = biofuse("status").stderr
        assert said == f"biofuse: removed what was left by commands that were killed: {left}\n"
        assert list(biofuse.temporary.iterdir()) == []


def test_folders_that_are_in_use_stay(store, biofuse):
    process = biofuse.popen("run", store, "--without-fuse", "--", "sleep", "100")
    wait_until(lambda: any(biofuse.temporary.glob("*/files/x.fam")), "the files are there")
    assert biofuse("status").stderr == ""
    assert list(biofuse.temporary.glob("*/files/x.fam"))
    process.terminate()
    process.communicate()


def test_a_mount_over_ones_own_dead_one(store, oracle, biofuse):
    directory = biofuse.new_directory()
    biofuse("mount", store, directory)
    for process in biofuse.processes():
        os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not biofuse.processes(), "they are gone")
    said = biofuse("mount", store, directory).stderr
    assert f"biofuse: {directory} {CLEARED}: it is unmounted now" in said
    assert mounts_below(directory.parent).count(str(directory)) == 1
    read_some(Mount(biofuse, directory, "x", biofuse.home / "log"), oracle)
    biofuse("umount", directory)


def test_the_dead_mount_of_another_user_is_left_alone(store, biofuse):
    assert can_become_others(), "root runs these tests"
    with program_of(NOBODY) as theirs:
        copy = theirs.home / "x.vcz"
        subprocess.run(["cp", "-r", store, copy], check=True)
        give(copy, NOBODY)
        directory = theirs.new_directory()
        theirs("mount", copy, directory)
        for process in theirs.processes():
            os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: not theirs.processes(), "they are gone")
        assert biofuse("status").stderr == ""
        assert str(directory) in mounts_below(directory.parent)
        assert CLEARED in theirs("status").stderr


def test_auto_unmount(store, biofuse):
    """Without another command, and without anything of a later mount there."""
    directory = biofuse.new_directory()
    for _ in range(3):
        biofuse("mount", store, directory, "--auto-unmount")
        serve = Mount(biofuse, directory, "x", biofuse.home / "log").pid("serve")
        os.kill(serve, signal.SIGKILL)
        wait_until(lambda: not mounts_below(directory.parent), "it is unmounted")
        wait_until(lambda: not biofuse.processes(), "all processes have ended")
    with biofuse.mount(store, "--auto-unmount", directory=directory, stem="x") as mount:
        assert mount.bed.exists()
    wait_until(lambda: not biofuse.processes(), "all processes have ended")
    assert biofuse("status").stderr == ""


def test_a_lazy_end_with_open_files(store, oracle, biofuse):
    """Who has a file open reads on; the process ends when that is closed."""
    with in_foreground(biofuse, store) as (process, mount):
        with open(mount.bed, "rb") as file:
            biofuse("umount", "--lazy", mount.dir)
            assert not is_mounted(mount)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
            assert file.read() == (oracle / "x.bed").read_bytes()
        assert process.wait(20) == 0


def test_a_terminal_that_is_closed(store, biofuse):
    """SIGHUP ends it; one that was told to ignore that (nohup) stays."""
    for ignoring in (False, True):
        ours, theirs = pty.openpty()
        with in_foreground(
            biofuse,
            store,
            preexec_fn=lambda tty=theirs, ignoring=ignoring: take_terminal(tty, ignoring),
        ) as (process, mount):
            os.close(theirs)
            os.close(ours)
            if ignoring:
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(1)
                assert mount.bed.exists()
                mount.umount()
            assert process.wait(20) == 0
            assert not is_mounted(mount)


def take_terminal(tty: int, ignoring: bool) -> None:
    """Have a terminal for one's own, as what a shell starts has."""
    os.login_tty(os.dup(tty))
    if ignoring:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def test_a_parent_that_is_gone(store, oracle, biofuse):
    """A mount stays when the shell ends that began it."""
    directory = biofuse.new_directory()
    words = " ".join(biofuse.command("mount", store, directory))
    subprocess.run(["sh", "-c", f"{words} 2>/dev/null & wait"], env=biofuse.env, check=True)
    mount = Mount(biofuse, directory, "x", biofuse.home / "log")
    read_some(mount, oracle)
    mount.umount()


def test_a_supervisor_is_told(store, biofuse, tmp_path):
    """As systemd has it for services of Type=notify: ready when the files are there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(biofuse.home / "notify"))
        supervisor.settimeout(30)
        biofuse.env["NOTIFY_SOCKET"] = str(biofuse.home / "notify")
        directory = biofuse.new_directory()
        process = biofuse.popen("mount", store, directory, "--foreground")
        assert supervisor.recv(1000).decode() == f"READY=1\nSTATUS=mounted at {directory}"
        assert (directory / "x.bed").exists()
        process.terminate()
        assert supervisor.recv(1000).decode() == "STOPPING=1"
        assert process.wait(20) == 0
        process.communicate()
    del biofuse.env["NOTIFY_SOCKET"]


def test_exit_codes_of_a_mount_in_the_foreground(store, biofuse):
    process = biofuse.popen("mount", store, biofuse.home, "--foreground")
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "is not empty" in said
