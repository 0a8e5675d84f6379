"""Mounts told to end, and left by their parents and terminals, at any moment: before they are ready
and after, with reads under way and without.
"""

import contextlib
import errno
import os
import pty
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.program import HAPLOID, wait_until

from biofuse.mounts import is_dead
from fs_tests.lives import (
    CLEARED,
    ENDING,
    SAID,
    answers,
    arguments,
    came_too_early,
    check_gone,
    in_foreground,
    is_mounted,
    read_some,
    reading,
    reading_on,
    seconds_to_mount,
    unexpected,
    without_leftovers,
)

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
INTERRUPTED = "biofuse: interrupted"


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """No test leaves shared memory, of either kind, or a session."""
    with without_leftovers():
        yield


def codes(number: int) -> set[int]:
    """What a command ends with that a signal has ended, before it caught signals and after."""
    return {-number, 128 + number}


@pytest.mark.parametrize("where", ["background", "foreground"])
def test_told_to_end_at_any_moment(where, seed, is_long, place, oracle, biofuse, tell):
    """Before it is ready there will be no mount; then one in the foreground ends in order.

    A command that has put its mount into the background is over, and nothing ends that.
    """
    chooser = random.Random(seed)
    directory = biofuse.new_directory()
    foreground = ["--foreground"] if where == "foreground" else []
    usual = seconds_to_mount(biofuse, place, "--no-cache")
    ended_early = answered = 0
    trials = 30 if is_long else 3
    for trial in range(trials):
        number = ENDING_SIGNALS[trial % 3]
        options = [*foreground, *chooser.choice([[], ["--no-cache"], ["--auto-unmount"]])]
        is_read = chooser.random() < 0.7
        with reading(directory, oracle) if is_read else contextlib.nullcontext([]) as done:
            process = biofuse.popen("mount", *arguments(place, directory, *options))
            if trial % 2:
                wait_until(lambda: answers(directory), "it is there")
            time.sleep(chooser.random() * usual)
            was_ready = is_mounted(directory)
            process.send_signal(number)
            said = process.communicate(timeout=60)[1]
            context = (seed, trial, options, number, process.returncode, was_ready, said)
            if where == "background" and process.returncode == 0:
                wait_until(lambda: answers(directory), "it stays")
                if is_read:
                    wait_until(lambda: done, "it is read")
        answered += len(done)
        if where == "background" and process.returncode == 0:
            biofuse("umount", directory)
            assert unexpected(said, HAPLOID) == [], context
        elif number == signal.SIGINT and came_too_early(process.returncode, said):
            ended_early += 1
        else:
            allowed = {0} if where == "foreground" and "mounted at" in said else codes(number)
            assert process.returncode in allowed, context
            expected = (*SAID, ENDING, *([INTERRUPTED] if number == signal.SIGINT else []))
            assert unexpected(said, *expected) == [], context
            ended_early += "mounted at" not in said
        check_gone(biofuse, ENDING)
    tell(f"told to end in the {where}: {ended_early} of {trials} too early; {answered} reads")


@pytest.mark.parametrize("where", ["background", "foreground"])
def test_a_parent_that_is_killed(where, seed, is_long, place, oracle, biofuse):
    """Whatever began it, at any moment, without a terminal: the mount comes about, and stays."""
    chooser = random.Random(seed)
    directory = biofuse.new_directory()
    options = ["--foreground"] if where == "foreground" else []
    words = biofuse.command("mount", *arguments(place, directory, "--no-cache", *options))
    usual = seconds_to_mount(biofuse, place, "--no-cache")
    for _ in range(8 if is_long else 1):
        with open(biofuse.home / "said", "wb") as said:
            shell = subprocess.Popen(
                ["sh", "-c", '"$@" & wait; read x', "sh", *words],
                env=biofuse.env,
                stdin=subprocess.PIPE,
                stderr=said,
                start_new_session=True,
            )
        wait_until(lambda: len(biofuse.processes()) > 1, "it has begun the command")
        time.sleep(chooser.random() * 1.3 * usual)
        shell.kill()
        shell.communicate()
        wait_until(lambda: answers(directory), "it is there")
        read_some(directory, oracle)
        biofuse("umount", directory)
        check_gone(biofuse)
        assert unexpected((biofuse.home / "said").read_text(), *SAID) == []


def take_terminal(tty: int, ignoring: bool) -> None:
    """Have a terminal for one's own, as what a shell starts has."""
    os.login_tty(os.dup(tty))
    if ignoring:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


@contextlib.contextmanager
def terminal(ignoring: bool) -> Iterator[tuple[int, dict[str, object]]]:
    """A terminal, for `os.close`, and what `Popen` is to be given for it."""
    ours, theirs = pty.openpty()
    try:
        yield ours, {"preexec_fn": lambda: take_terminal(theirs, ignoring)}
    finally:
        os.close(theirs)


@pytest.mark.parametrize("ignoring", [False, True], ids=["", "nohup"])
def test_a_terminal_that_is_closed(ignoring, place, biofuse):
    """SIGHUP ends it; one that was told to ignore that (nohup) stays."""
    with (
        terminal(ignoring) as (ours, options),
        in_foreground(biofuse, place, "--log-file", biofuse.home / "log", **options) as (
            process,
            mount,
        ),
    ):
        os.close(ours)
        if ignoring:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
            assert mount.bed.exists()
            mount.umount()
        assert process.wait(20) == 0
        assert not is_mounted(mount.dir)
    assert (biofuse.home / "log").read_text() == ""


@pytest.mark.parametrize("ignoring", [False, True], ids=["", "nohup"])
@pytest.mark.parametrize("where", ["background", "foreground"])
def test_a_terminal_that_is_closed_at_any_moment(
    where, ignoring, seed, is_long, place, oracle, biofuse
):
    """SIGHUP ends whatever is under way; where it is ignored the mount comes about, and stays."""
    chooser = random.Random(seed)
    directory = biofuse.new_directory()
    log = biofuse.home / "log"
    more = ["--foreground"] if where == "foreground" else []
    usual = seconds_to_mount(biofuse, place, "--no-cache")
    for _ in range(8 if is_long else 1):
        with terminal(ignoring) as (ours, options):
            words = arguments(place, directory, "--no-cache", "--log-file", log, *more)
            process = biofuse.popen("mount", *words, **options)
            time.sleep(chooser.random() * 1.2 * usual)
            os.close(ours)
        stays = ignoring
        if where == "background" or not ignoring:
            process.communicate(timeout=60)
            allowed = {0} if ignoring else {0, *codes(signal.SIGHUP)}
            assert process.returncode in allowed
            stays = where == "background" and process.returncode == 0
        if stays:
            wait_until(lambda: answers(directory), "it is there")
            read_some(directory, oracle)
            biofuse("umount", directory)
        assert process.wait(20) is not None
        process.communicate()
        check_gone(biofuse)
        assert (log.read_text() if log.exists() else "") == ""


def test_unmounted_lazily_at_any_moment(seed, is_long, place, oracle, biofuse, tell):
    """Who has a file open reads on, and opens it no more; the process ends when it is closed."""
    chooser = random.Random(seed)
    expected = (oracle / "x.bgen").read_bytes()
    before = after = 0
    for trial in range(4 if is_long else 1):
        with in_foreground(biofuse, place) as (process, mount), reading(mount.dir, oracle):
            file = os.open(mount.dir / "x.bgen", os.O_RDONLY | os.O_DIRECT)
            with reading_on(file, expected) as done:
                if trial % 2:
                    wait_until(lambda: done, "it is read")
                time.sleep(chooser.random())
                before += len(done)
                biofuse("umount", "--lazy", mount.dir)
                assert not is_mounted(mount.dir)
                count = len(done)
                time.sleep(chooser.random())
                wait_until(lambda: len(done) > count + 2, "it is read on")  # noqa: B023
                after += len(done) - count
                assert process.poll() is None
            os.close(file)
            assert process.wait(20) == 0
        check_gone(biofuse)
    tell(f"unmounted lazily: {before} reads before and {after} after")


def test_stopped_and_killed_at_any_moment(seed, is_long, place, oracle, biofuse, tell):
    """Who waits for a serving process that is stopped has an error at once when it is killed."""
    chooser = random.Random(seed)
    answered = 0
    for _ in range(5 if is_long else 1):
        with in_foreground(biofuse, place) as (process, mount):
            file = os.open(mount.bed, os.O_RDONLY | os.O_DIRECT)
            with reading(mount.dir, oracle) as done:
                time.sleep(chooser.random())
                process.send_signal(signal.SIGSTOP)
                with ThreadPoolExecutor(1) as pool:
                    # Nobody has asked for its rows.
                    waiting = pool.submit(os.pread, file, 65_536, 720_896)
                    time.sleep(chooser.random())
                    began = time.monotonic()
                    process.kill()
                    assert process.wait(20) == -signal.SIGKILL
                    error = waiting.exception(20)
                    assert time.monotonic() - began < 10
                answered += len(done)
            if error is None:
                # The worker had it before.
                assert waiting.result() == (oracle / "x.bed").read_bytes()[720_896:][:65_536]
            else:
                assert isinstance(error, OSError)
                assert error.errno in (errno.ENOTCONN, errno.ECONNABORTED)
            with contextlib.suppress(OSError):
                os.close(file)
            wait_until(lambda: is_dead(str(mount.dir)), "the worker has ended too")
            said = biofuse("status").stderr
            assert said == f"biofuse: {mount.dir} {CLEARED}: it is unmounted now\n"
        check_gone(biofuse)
    tell(f"stopped and killed: {answered} reads before")


# Of `biofuse run`: one that sleeps; and one that reads by others, which may outlive it and then
# find that the mount is gone.
COMMANDS = {
    "sleeps": ("sleep", "100"),
    "reads": ("sh", "-c", 'while :; do cat "$BIOFUSE_STEM.bed" > /dev/null 2>&1; done'),
}


def test_a_run_told_to_end_at_any_moment(seed, is_long, place, biofuse, tell):
    """Its command ends of the same signal, which its exit code tells, and all else is gone.

    Whoever sends it sends it to the run or, as a terminal does, to the command too.
    """
    chooser = random.Random(seed)
    began = time.monotonic()
    biofuse("run", *arguments(place, "--no-cache"), "--", "true")
    usual = time.monotonic() - began
    begun = 0
    trials = 12 if is_long else 1
    for trial in range(trials):
        number = ENDING_SIGNALS[trial % 3] if is_long else chooser.choice(ENDING_SIGNALS)
        name = chooser.choice(sorted(COMMANDS))
        options = chooser.choice([[], ["--no-cache"], ["--without-fuse"]])
        words = [*arguments(place, *options), "--", *COMMANDS[name]]
        process = biofuse.popen("run", *words, start_new_session=True)
        time.sleep(chooser.random() * 1.5 * usual)
        program = f"{COMMANDS[name][0]} "
        was_begun = any(each.command.startswith(program) for each in biofuse.processes())
        # It leaves an interrupt to the command, which a terminal interrupts too.
        is_alone = number != signal.SIGINT and chooser.random() < 0.5
        (os.kill if is_alone else os.killpg)(process.pid, number)
        said = process.communicate(timeout=60)[1]
        context = (seed, trial, number, words, is_alone, was_begun, process.returncode, said)
        if was_begun or not (number == signal.SIGINT and came_too_early(process.returncode, said)):
            assert process.returncode in ({128 + number} if was_begun else codes(number)), context
            assert unexpected(said, HAPLOID, INTERRUPTED) == [], context
        check_gone(biofuse)
        begun += was_begun
    tell(f"runs told to end: {begun} of {trials} when their commands had begun")
