"""Programs that are killed or stopped, and stores that never answer: what is left and said."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.program import mounts_below, wait_until
from support.stores import make_store, random_genotypes
from test_surroundings import locks, small_disk

from biofuse.plan.progress import Progress

GENOTYPES = random_genotypes(60, 23, seed=8)


@pytest.fixture
def store(tmp_path) -> Path:
    return make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 9))


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["sleep", "1000"],
        ["sh", "-c", "sleep 1000 & sleep 1000; true"],
        ["sh", "-c", "trap '' TERM; sleep 1000 & exec 3<$BIOFUSE_BED; while :; do sleep 1; done"],
        ["setsid", "sh", "-c", "sleep 1000; true"],
        ["env", "-i", "sleep", "1000"],
    ],
)
def test_a_killed_run_ends_its_command_and_leaves_nothing(command, store, biofuse):
    before = sleeping()
    run = biofuse.popen("run", store, "--", *command)
    wait_until(lambda: sleeping() - before, "the command runs")
    run.kill()
    run.communicate()
    wait_until(lambda: not sleeping() - before, "the command has ended")
    wait_until(lambda: not biofuse.processes(), "all processes have ended")
    assert list(biofuse.temporary.iterdir()) == []
    assert mounts_below(biofuse.home) == []


def sleeping() -> set[int]:
    """Processes that sleep for a command of a test."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "cmdline").read_bytes() == b"sleep\x001000\0":
                found.add(int(path.name))
        except OSError:
            continue
    return found


def test_a_run_that_ends_leaves_what_its_command_has_started(store, biofuse):
    before = sleeping()
    biofuse("run", store, "--", "sh", "-c", "sleep 1000 >/dev/null 2>&1 &")
    [left] = sleeping() - before
    os.kill(left, signal.SIGKILL)


@pytest.mark.slow
def test_a_run_that_is_killed_while_its_plan_is_made(biofuse):
    many = make_store(biofuse.home / "many.vcz", random_genotypes(60_000, 1, seed=9))
    run = biofuse.popen("run", many, "--no-cache", "--", "true")
    wait_until(
        lambda: set(biofuse.temporary.glob("biofuse-plan-*/*")) - locks(biofuse), "a plan is begun"
    )
    run.kill()
    run.communicate()
    wait_until(lambda: not biofuse.processes(), "all processes have ended")
    assert list(biofuse.temporary.iterdir()) == []


def test_what_a_killed_mount_leaves_is_cleared_away(store, biofuse):
    directory = biofuse.new_directory()
    biofuse("mount", store, directory)
    status = json.loads(biofuse("status", directory, "--json").stdout)
    pids = [process["pid"] for process in status["processes"]]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not biofuse.processes(), "they are gone")
    # Who asks for it is told what it was; the next command clears it away.
    assert "is gone" in biofuse.fails("status", directory)
    done = biofuse("status")
    assert f"{directory} was left by a mount that was killed" in done.stderr
    assert str(directory) not in done.stdout
    assert list(biofuse.runtime.iterdir()) == []


def test_a_dead_mount_that_was_unmounted_by_hand(store, biofuse):
    directory = biofuse.new_directory()
    biofuse("mount", store, directory)
    for process in biofuse.processes():
        os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not biofuse.processes(), "they are gone")
    subprocess.run(["fusermount3", "-u", directory], check=True)
    assert list(biofuse.runtime.iterdir())
    assert biofuse("status").stderr == ""
    assert list(biofuse.runtime.iterdir()) == []


def test_a_store_that_does_not_answer_while_the_plan_is_made(store, biofuse):
    """A process that was stopped stands for one that waits for a disk that is gone."""
    process = biofuse.popen("mount", store, biofuse.new_directory(), "--timeout", "2", "--no-cache")
    plan = wait_until(lambda: role(biofuse, "plan"), "a plan is begun")
    os.kill(plan, signal.SIGSTOP)
    said = process.communicate(timeout=100)[1]
    assert process.returncode == 1
    [line] = said.splitlines()
    assert f"the store {store} does not answer" in line
    assert "--timeout" in line
    wait_until(lambda: not biofuse.processes(), "no process is left")


def role(biofuse, name: str) -> int | None:
    found = [process.pid for process in biofuse.processes() if process.role == name]
    return found[0] if found else None


PROGRAMS = {
    "sleeps": ("import time; time.sleep(1000)", False),
    "wakes-up": ("import time\nwhile True: time.sleep(0.5)", False),
    "computes": ("while True: pass", True),
    "reads": ("import time\nwhile True: open('/dev/zero','rb').read(1); time.sleep(0.1)", True),
    "has-a-child-that-computes": (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])",
        True,
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_whether_a_process_gets_on(name):
    text, works = PROGRAMS[name]
    command = [sys.executable, "-c", f"print(flush=True)\n{text}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    try:
        process.stdout.readline()
        if works:
            done = Progress(process.pid)
            wait_until(lambda: done.made_in(1.0), "it has done something")
        else:
            wait_until(lambda: not has_moved(process.pid), "nothing is seen of it")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def has_moved(pid: int) -> bool:
    done = Progress(pid)
    try:
        subprocess.run(["sleep", "2"], check=True)
        return done.made_in(20.0)
    finally:
        del done


def test_a_full_runtime_folder_is_named(store, biofuse):
    with small_disk(biofuse.home / "full", "8k") as full:
        (full / "run").mkdir()
        (full / "run").chmod(0o700)
        with pytest.raises(OSError, match="No space"):
            (full / "more").write_bytes(bytes(100_000))
        env = {"BIOFUSE_RUNTIME_DIR": str(full / "run")}
        said = biofuse.fails("mount", store, biofuse.new_directory(), env=env)
    assert str(full / "run") in said
    assert "No space left" in said
    assert "BIOFUSE_RUNTIME_DIR" in said


def test_a_read_only_runtime_folder_is_named(store, biofuse):
    with small_disk(biofuse.home / "full", "64k") as full:
        (full / "run").mkdir(mode=0o700)
        subprocess.run(["mount", "-o", "remount,ro", full], check=True)
        env = {"BIOFUSE_RUNTIME_DIR": str(full / "run")}
        said = biofuse.fails("mount", store, biofuse.new_directory(), env=env)
    assert str(full / "run") in said
    assert "Read-only" in said
    assert "BIOFUSE_RUNTIME_DIR" in said


def test_a_mount_that_another_namespace_sees(store, biofuse):
    directory = biofuse.new_directory()
    biofuse("mount", store, directory)
    pid = json.loads(biofuse("status", directory, "--json").stdout)["processes"][0]["pid"]
    # Its namespace has a copy of every mount.
    other = subprocess.Popen(["unshare", "-m", "sh", "-c", "echo; exec sleep 1001"], stdout=-1)
    other.stdout.readline()
    said = biofuse("umount", directory).stderr
    assert "another mount namespace" in said
    assert f"pid {pid}" in said
    assert "stuck" not in said
    other.kill()
    other.communicate()
    wait_until(lambda: not biofuse.processes(), "it ends with the namespace")
    biofuse("status")


def catches_interrupts(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (signal.SIGINT - 1) & 1)


def wait_until_python_has_started(process: subprocess.Popen) -> None:
    """Until then a traceback is the interpreter's own: biofuse's first act is to let an
    interrupt end it, which Python's start does not."""
    for caught in (True, False):
        wait_until(
            lambda caught=caught: (
                process.poll() is not None or catches_interrupts(process.pid) is caught
            ),
            "Python has started",
        )


def test_an_interrupted_info_says_so_in_one_line(store, biofuse):
    """At any moment: none of them shows a traceback."""
    codes = set()
    for tenths in range(0, 12, 2):
        process = biofuse.popen("info", store)
        wait_until_python_has_started(process)
        try:
            process.wait(tenths / 10)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
        assert "Traceback" not in said, said
        assert said.strip() in ("", "biofuse: interrupted")
        codes.add(process.returncode)
    assert codes <= {0, 130, -signal.SIGINT}
    assert codes - {0}
    assert list(biofuse.temporary.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_plan_that_is_not_finished_leaves_nothing(store, biofuse, number):
    folder = biofuse.home / "plans"
    folder.mkdir()
    process = biofuse.popen("plan", store, "-o", folder / "x.plan")
    wait_until(lambda: list(folder.glob(".biofuse-plan-*/plan.zip")), "a plan is begun")
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode != 0
    assert "Traceback" not in said, said
    if number == signal.SIGKILL:
        [left] = folder.iterdir()
        told = biofuse("plan", store, "-o", folder / "x.plan").stderr
        assert f"removed what was left by commands that were killed: {left}" in told
        assert [path.name for path in folder.iterdir()] == ["x.plan"]
    else:
        assert list(folder.iterdir()) == []
