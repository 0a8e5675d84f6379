"""The serving process ended in every way: what is left, and who clears it away.

After each trial nothing may be left: no process, mount, socket, record, folder, shared memory, nor
a line in a log that was not to be expected.
"""

import contextlib
import errno
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
from support.places import Place
from support.program import HAPLOID, Program, mounts_below, wait_until
from support.users import NOBODY, can_become_others, give, program_of

import biofuse as api
from biofuse.mounts import is_dead
from fs_tests.lives import (
    CLEARED,
    WORKER_DIED,
    answers,
    arguments,
    check_gone,
    in_foreground,
    is_mounted,
    logs,
    read_some,
    uncached,
    unexpected,
    without_leftovers,
)

# What each signal does to a mount. Those that are in neither list end the process as they end any.
ENDING_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
HARMLESS = {
    *(signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH),
    # Python ignores them.
    *(signal.SIGPIPE, signal.SIGXFSZ),
    # It shows where the process is.
    signal.SIGUSR1,
}
# Of a shell's job control: they stop what a shell can have go on, and are nothing to others.
OF_SHELLS = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
STOPPING = {signal.SIGSTOP, *OF_SHELLS}
FATAL = set(signal.valid_signals()) - ENDING_SIGNALS - HARMLESS - STOPPING
# Of SIGUSR1: a line for each thread, and one for each function that it is in.
STACK = ("Current thread", "Thread 0x", "  File ", "most recent call first")


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """No test leaves shared memory, of either kind, or a session."""
    with without_leftovers():
        yield


def chosen(seed: int, is_long: bool, numbers: set[int], short: int) -> list[int]:
    """All of them, or in the short form a few."""
    ordered = sorted(numbers)
    return ordered if is_long else random.Random(seed).sample(ordered, min(short, len(ordered)))


def test_signals_that_end_it(seed, is_long, place, biofuse):
    """All in order: the files go, the process's exit code is 0, nothing is said."""
    for number in chosen(seed, is_long, ENDING_SIGNALS, 2):
        with in_foreground(biofuse, place) as (process, mount), uncached(mount.bed) as file:
            os.pread(file, 10, 0)
            process.send_signal(number)
            assert process.wait(20) == 0, number
            assert not is_mounted(mount.dir)
            with pytest.raises(OSError):
                os.pread(file, 10, 200_000)


def test_signals_that_are_nothing_to_it(place, oracle, biofuse):
    with in_foreground(biofuse, place) as (process, mount):
        for line in STACK:
            mount.expect_log(line)
        for number in sorted(HARMLESS):
            process.send_signal(number)
            read_some(mount.dir, oracle)
            assert process.poll() is None, number
        mount.umount()
        assert process.wait(20) == 0


@pytest.mark.parametrize("whom", ["it", "group"])
def test_signals_that_stop_it(whom, seed, is_long, place, oracle, biofuse):
    """What is asked meanwhile waits, and is right when it goes on, as after Ctrl-Z and fg."""
    send = os.killpg if whom == "group" else os.kill
    for number in chosen(seed, is_long, STOPPING, 2):
        # A group of a session in which there is a shell, which is this process.
        with in_foreground(biofuse, place, process_group=0) as (process, mount):
            send(process.pid, number)
            reader = subprocess.Popen(["cmp", mount.dir / "x.bgen", oracle / "x.bgen"])
            with pytest.raises(subprocess.TimeoutExpired):
                reader.wait(0.5)
            send(process.pid, signal.SIGCONT)
            assert reader.wait(60) == 0
            mount.umount()
            assert process.wait(20) == 0


def test_signals_of_shells_where_there_is_none(local, oracle, biofuse):
    """They do nothing to a session of its own, which nobody could have go on."""
    with in_foreground(biofuse, local, start_new_session=True) as (process, mount):
        for number in sorted(OF_SHELLS):
            os.killpg(process.pid, number)
            read_some(mount.dir, oracle)
        mount.umount()
        assert process.wait(20) == 0


def test_signals_that_kill_it(seed, is_long, place, biofuse):
    """Readers have an error at once, and the next command clears the mount away, and says so."""
    for number in chosen(seed, is_long, FATAL, 4):
        with in_foreground(biofuse, place) as (process, mount):
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
            assert not is_mounted(mount.dir)
        check_gone(biofuse)


# What a command says of which a process was killed, with its exit code.
KILLED = {
    0: (HAPLOID,),
    1: (
        HAPLOID,
        "biofuse: cannot mount: the serving process ended",
        "biofuse: the process that makes the plan ended unexpectedly (signal 9; out of memory?)",
    ),
    -signal.SIGKILL: (HAPLOID,),
}


def test_killed_at_any_moment(seed, is_long, place, oracle, biofuse):
    """The command, its plan, serving process and worker, each or all, and mounted again there."""
    chooser = random.Random(seed)
    directory = biofuse.new_directory()
    for trial in range(20 if is_long else 2):
        options = chooser.choice([[], ["--no-cache"], ["--auto-unmount"]])
        process = biofuse.popen("mount", *arguments(place, directory, *options))
        time.sleep(chooser.random() * 1.5)
        running = biofuse.processes()
        victims = running if trial % 3 == 0 else chooser.sample(running, min(1, len(running)))
        for victim in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim.pid, signal.SIGKILL)
        said = process.communicate(timeout=60)[1]
        context = (seed, trial, victims, process.returncode, said)
        assert unexpected(said, *KILLED[process.returncode]) == [], context
        # Where the command alone was killed, or nothing, the mount comes about.
        wait_until(lambda: not biofuse.processes() or answers(directory), "it has settled")
        if biofuse.processes():
            biofuse("umount", directory)
        with biofuse.mount(place.url, directory=directory, stem="x") as mount:
            read_some(mount.dir, oracle)
        wait_until(lambda: not biofuse.processes(), "all processes have ended")
        biofuse("status")
        assert list(biofuse.temporary.iterdir()) == [], context
        # One that tells of a worker's death is kept for who wants to know.
        worker_killed = any(victim.role == "encode" for victim in victims)
        assert unexpected(logs(biofuse), *[WORKER_DIED][: int(worker_killed)]) == [], context


def test_what_killed_commands_leave_is_told_and_removed(store, biofuse, tmp_path):
    for command in (
        ["export", store, tmp_path / "y", "--no-cache"],
        ["run", store, "--without-fuse", "--", "sleep", "100"],
    ):
        process = biofuse.popen(*command)
        # It is known for what it is once it has that.
        [lock] = wait_until(lambda: list(biofuse.temporary.glob("*/lock")), "a folder is made")
        left, victims = lock.parent, [each.pid for each in biofuse.processes()]
        # The command first: one whose planning fails takes its folder away.
        for pid in sorted(victims, key=lambda pid: pid != process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()
        wait_until(lambda: not biofuse.processes(), "they are gone")
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


def test_a_mount_over_ones_own_dead_one(place, oracle, biofuse):
    directory = biofuse.new_directory()
    biofuse("mount", *arguments(place, directory))
    for process in biofuse.processes():
        os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not biofuse.processes(), "they are gone")
    said = biofuse("mount", *arguments(place, directory)).stderr
    assert f"biofuse: {directory} {CLEARED}: it is unmounted now" in said
    assert mounts_below(directory.parent).count(str(directory)) == 1
    read_some(directory, oracle)
    biofuse("umount", directory)
    # The worker may have been the first that was killed.
    check_gone(biofuse, WORKER_DIED)


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


def test_auto_unmount(place, biofuse):
    """Without another command, and without anything of a later mount there."""
    directory = biofuse.new_directory()
    for _ in range(3):
        biofuse("mount", *arguments(place, directory), "--auto-unmount")
        [serve] = [each.pid for each in biofuse.processes() if each.role == "serve"][:1]
        os.kill(serve, signal.SIGKILL)
        wait_until(lambda: not mounts_below(directory.parent), "it is unmounted")
        wait_until(lambda: not biofuse.processes(), "all processes have ended")
    with place.mount(biofuse, "--auto-unmount", directory=directory) as mount:
        assert mount.bed.exists()
    wait_until(lambda: not biofuse.processes(), "all processes have ended")
    assert biofuse("status").stderr == ""
    check_gone(biofuse)


def test_a_lazy_end_with_open_files(place, oracle, biofuse):
    """Who has a file open reads on; the process ends when that is closed."""
    with in_foreground(biofuse, place) as (process, mount):
        with open(mount.bed, "rb") as file:
            biofuse("umount", "--lazy", mount.dir)
            assert not is_mounted(mount.dir)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
            assert file.read() == (oracle / "x.bed").read_bytes()
        assert process.wait(20) == 0


def test_descriptors_of_a_program_whose_mounts_are_killed(store, biofuse, monkeypatch):
    """Python's `mounted` holds none of a mount that is over, however that ended."""
    for name in ("TMPDIR", "XDG_CACHE_HOME", "BIOFUSE_RUNTIME_DIR"):
        monkeypatch.setenv(name, biofuse.env[name])
    counts = []
    for number in (None, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
        directory = biofuse.new_directory()
        with contextlib.suppress(api.BiofuseError), api.mounted(store, directory) as mount:
            if number is not None:
                [serve] = [p["pid"] for p in mount.status()["processes"] if p["role"] == "serve"]
                os.kill(serve, number)
                os.waitpid(serve, 0)
        assert not is_mounted(directory)
        counts.append(len(os.listdir("/proc/self/fd")))
    assert len(set(counts)) == 1, counts
    biofuse("status")
    check_gone(biofuse)


@contextlib.contextmanager
def supervised(biofuse, address: str) -> Iterator[socket.socket]:
    """What a supervisor listens at, of which commands are told: a path, or @ and a name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(address.replace("@", "\0"))
        supervisor.settimeout(30)
        biofuse.env["NOTIFY_SOCKET"] = address
        try:
            yield supervisor
        finally:
            del biofuse.env["NOTIFY_SOCKET"]


def told_nothing(supervisor: socket.socket) -> bool:
    """Whether nothing has come that was not received."""
    supervisor.setblocking(False)
    try:
        supervisor.recv(1000)
    except BlockingIOError:
        return True
    return False


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_a_supervisor_is_told(kind, place, biofuse):
    """As systemd has it for services of Type=notify: ready when the files are there."""
    path = biofuse.home / "notify"
    with supervised(biofuse, str(path) if kind == "path" else f"@{path}") as supervisor:
        directory = biofuse.new_directory()
        process = biofuse.popen("mount", *arguments(place, directory, "--foreground"))
        assert supervisor.recv(1000).decode() == f"READY=1\nSTATUS=mounted at {directory}"
        assert (directory / "x.bed").exists()
        process.terminate()
        assert supervisor.recv(1000).decode() == "STOPPING=1"
        said = process.communicate(timeout=20)[1]
        assert process.returncode == 0
        assert unexpected(said, f"mounted at {directory}", HAPLOID) == []
        assert told_nothing(supervisor)


@contextlib.contextmanager
def mounts_that_fail(place: Place, biofuse: Program) -> Iterator[list[tuple[list[object], str]]]:
    """Arguments of `mount`, and what it says of them."""
    garbled = biofuse.home / "garbled.vcz"
    garbled.mkdir()
    (garbled / "zarr.json").write_text("{")
    url, *options = arguments(place)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        yield [
            # Before there is a serving process.
            ([url, biofuse.home, *options], "is not empty"),
            ([f"{url}.none", biofuse.new_directory(), *options], f"{url}.none"),
            ([garbled, biofuse.new_directory()], "zarr.json"),
            # In that one.
            ([url, biofuse.new_directory(), *options, "--metrics", port], "cannot listen on"),
        ]


def fails(biofuse: Program, words: list[object], why: str) -> None:
    """Have a mount in the foreground fail, of which a line says why."""
    process = biofuse.popen("mount", *words, "--foreground")
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 1, (words, said)
    [line] = unexpected(said, HAPLOID)
    assert why in line


def test_a_supervisor_is_told_of_no_mount_that_fails(place, biofuse):
    """Nothing but an exit code that is not 0, from which it knows."""
    with (
        supervised(biofuse, str(biofuse.home / "notify")) as supervisor,
        mounts_that_fail(place, biofuse) as (first, *_, last),
    ):
        for words, why in (first, last):
            fails(biofuse, words, why)
            assert told_nothing(supervisor)


def test_a_supervised_mount_that_is_killed(place, biofuse):
    """The signal is what its supervisor learns of it; there is no word that it stops."""
    with supervised(biofuse, str(biofuse.home / "notify")) as supervisor:
        with in_foreground(biofuse, place) as (process, _):
            assert supervisor.recv(1000).startswith(b"READY=1\n")
            process.send_signal(signal.SIGKILL)
            assert process.wait(20) == -signal.SIGKILL
        wait_until(lambda: not biofuse.processes(), "the worker has ended too")
        assert told_nothing(supervisor)
        # As a supervisor does with Restart=on-failure.
        with in_foreground(biofuse, place) as (_, mount):
            mount.expect_log(CLEARED)
            assert supervisor.recv(1000).startswith(b"READY=1\n")
    biofuse("status")
    check_gone(biofuse)


def test_exit_codes_of_a_mount_in_the_foreground(place, biofuse):
    """1 if it cannot be made, whatever the reason; `test_signals_that_end_it` has the others."""
    with mounts_that_fail(place, biofuse) as failing:
        for words, why in failing:
            fails(biofuse, words, why)
    check_gone(biofuse)
