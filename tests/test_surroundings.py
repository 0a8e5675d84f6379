"""What surrounds a mount on real machines: closed streams, full disks, no home, stuck processes."""

import fcntl
import os
import signal
import subprocess
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support import reference
from support.commands import finish
from support.program import mounts_below, wait_until
from support.stores import make_store, random_genotypes

from biofuse.plan.cache import default_cache_dir

GENOTYPES = random_genotypes(60, 23, seed=8)
BED = reference.bed(GENOTYPES)


@pytest.fixture
def store(tmp_path) -> Path:
    return make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 9))


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_run_with_closed_streams(closed, store, biofuse):
    seen = biofuse.home / "seen"
    script = f'"$0" run "$1" -- sh -c \'cp "$BIOFUSE_BED" "$0"; exit 7\' "$2" {closed}'
    command = biofuse.command("x")[0]
    done = subprocess.run(["sh", "-c", script, command, store, seen], env=biofuse.env, check=False)
    assert done.returncode == 7
    assert seen.read_bytes() == BED


def test_what_a_command_has_in_their_place(store, biofuse):
    """No file of biofuse has their numbers, in which words would be written."""
    seen = biofuse.home / "seen"
    look = "for n in 0 1 2; do readlink /proc/$$/fd/$n; done >$0.new; mv $0.new $0"
    script = '"$0" run "$1" --without-fuse -- sh -c "$3" "$2" 0<&- 1>&- 2>&-'
    command = biofuse.command("x")[0]
    words = ["sh", "-c", script, command, store, seen, look]
    subprocess.run(words, env=biofuse.env, check=True)
    assert seen.read_text().split() == [os.devnull, f"{seen}.new", os.devnull]


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_mount_with_closed_streams(closed, store, biofuse):
    directory = biofuse.new_directory()
    script = f'"$0" mount "$1" "$2" {closed}'
    command = biofuse.command("x")[0]
    subprocess.run(["sh", "-c", script, command, store, directory], env=biofuse.env, check=True)
    assert (directory / "x.bed").read_bytes() == BED
    biofuse("umount", directory)


@contextmanager
def small_disk(directory: Path, size: str):
    """A file system of this size in a directory, seen by all processes."""
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)]
    subprocess.run(command, check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def test_a_plan_goes_elsewhere_where_the_cache_has_no_room(store, biofuse):
    with small_disk(biofuse.home / "full", "4k") as full:
        with biofuse.mount(store, "--cache-dir", full / "cache") as mount:
            assert mount.bed.read_bytes() == BED
        assert not list(full.rglob("plan.json"))


def test_no_room_anywhere_is_said(store, biofuse):
    with small_disk(biofuse.home / "full", "4k") as full:
        directory = biofuse.new_directory()
        env = {"TMPDIR": str(full)}
        said = biofuse.fails("mount", store, directory, "--no-cache", env=env)
        assert "no room for the plan" in said
        assert str(full) in said
        assert "TMPDIR" in said


def test_without_a_home_there_is_no_cache(monkeypatch):
    def no_home(*_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("platformdirs.user_cache_dir", no_home)
    assert default_cache_dir() is None


def locks(biofuse) -> set[Path]:
    """Files that say that a temporary folder is in use."""
    return set(biofuse.temporary.glob("*/lock"))


@pytest.mark.slow
def test_a_plan_that_nobody_waits_for_is_removed(store, biofuse):
    # Enough variants that the program is killed before the plan is made.
    many = make_store(biofuse.home / "many.vcz", random_genotypes(60_000, 1, seed=9))
    directory = biofuse.new_directory()
    process = biofuse.popen("mount", many, directory, "--no-cache")
    wait_until(
        lambda: set(biofuse.temporary.glob("biofuse-plan-*/*")) - locks(biofuse), "a plan is begun"
    )
    process.kill()
    process.communicate()
    wait_until(lambda: not biofuse.processes(), "all processes have ended")
    assert not list(biofuse.temporary.iterdir())
    assert not mounts_below(biofuse.home)
    assert not list(biofuse.runtime.iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_mount_that_waits_for_the_mountpoint_can_be_ended(number, store, biofuse):
    directory = biofuse.new_directory()
    fd = os.open(directory, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        process = biofuse.popen("mount", store, directory, "--format", "plink")
        wait_until(lambda: waits_for_a_lock(biofuse), "it waits")
        process.send_signal(number)
        said = finish(process, 128 + number)
    finally:
        os.close(fd)
    assert said.strip() in ("", "biofuse: interrupted")
    assert not mounts_below(biofuse.home)
    wait_until(lambda: not biofuse.processes(), "no process is left")


def waits_for_a_lock(biofuse) -> bool:
    """Whether a serving process does, by the kernel's table."""
    waiting = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    pids = {int(words[5]) for words in waiting if words[1] == "->"}
    return any(process.role == "serve" and process.pid in pids for process in biofuse.processes())


@pytest.mark.slow
def test_umount_tells_of_a_stopped_process(store, biofuse, monkeypatch):
    with biofuse.mount(store) as mount:
        pid = mount.pid("serve")
        os.kill(pid, signal.SIGSTOP)
        try:
            said = biofuse("umount", mount.dir).stderr
        finally:
            os.kill(pid, signal.SIGCONT)
    assert f"pid {pid}" in said
    assert "not ended" in said


def test_the_end_of_a_lazily_unmounted_process_leaves_the_next_mount(store, biofuse):
    directory = biofuse.new_directory()
    with biofuse.mount(store, directory=directory) as old:
        pid = old.pid("serve")
        held = os.open(old.bed, os.O_RDONLY)
        biofuse("umount", "--lazy", directory)
        with biofuse.mount(store, directory=directory) as new:
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: pid not in {p.pid for p in biofuse.processes()}, "it ends")
            assert new.bed.read_bytes() == BED
        with suppress(OSError):
            os.close(held)


def test_a_relative_runtime_folder(store, biofuse):
    env = {"BIOFUSE_RUNTIME_DIR": "here"}
    directory = biofuse.new_directory()
    biofuse("mount", store, directory, env=env, cwd=biofuse.home)
    assert (directory / "x.bed").read_bytes() == BED
    assert str(directory) in biofuse("status", directory, env=env, cwd=biofuse.home).stdout
    biofuse("umount", directory, env=env, cwd=biofuse.home)


def test_a_runtime_folder_that_is_too_long_for_sockets(store, biofuse):
    env = {"BIOFUSE_RUNTIME_DIR": str(biofuse.home / ("x" * 90))}
    said = biofuse.fails("mount", store, biofuse.new_directory(), env=env)
    assert "BIOFUSE_RUNTIME_DIR" in said
    assert "too long" in said


def test_names_that_are_empty(store, biofuse):
    directory = biofuse.new_directory()
    assert "the store's name is empty" in biofuse.fails("mount", "", directory)
    assert "the mountpoint's name is empty" in biofuse.fails("mount", store, "")
    assert "the mountpoint's name is empty" in biofuse.fails("umount", "")


def test_a_store_whose_name_is_not_text(biofuse):
    name = os.fsdecode(b"caf\xe9.vcz")
    store = make_store(biofuse.home / name, GENOTYPES, chunks=(20, 9))
    with biofuse.mount(store) as mount:
        assert (mount.dir / os.fsdecode(b"caf\xe9.bed")).read_bytes() == BED
        assert (mount.dir / os.fsdecode(b"caf\xe9.bgen.bgi")).stat().st_size > 0


def test_the_kernels_read_ahead(store, biofuse):
    """Tests run as root, who may set it."""

    def read_ahead(directory: Path) -> int:
        device = directory.stat().st_dev
        path = f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb"
        return int(Path(path).read_text())

    for options, expected in ((), 1024), (["--read-ahead-kb", "256"], 256):
        with biofuse.mount(store, *options) as mount:
            assert read_ahead(mount.dir) == expected
    with biofuse.mount(store, "--read-ahead-kb", "0") as mount:
        assert read_ahead(mount.dir) <= 128


@pytest.mark.slow
def test_progress_on_a_terminal(biofuse):
    many = make_store(biofuse.home / "many.vcz", random_genotypes(120_000, 1, seed=9))
    directory = biofuse.new_directory()
    master, terminal = os.openpty()
    said = bytearray()

    def listen() -> None:
        while True:
            try:
                data = os.read(master, 4096)
            except OSError:
                return
            if not data:
                return
            said.extend(data)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    env = {**biofuse.env, "TERM": "xterm"}
    subprocess.run(biofuse.command("mount", many, directory), env=env, stderr=terminal, check=True)
    os.close(terminal)
    biofuse("umount", directory)
    listener.join(5)
    os.close(master)
    assert b"reading variants" in said
    assert b"120000" in said
