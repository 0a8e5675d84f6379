"""Names that are not UTF-8, wherever bytes of the system's come from: none ends a command."""

import json
import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import reference
from support.program import mounts_below
from support.stores import make_store, random_genotypes

from biofuse.cgroup import memory_limit

GENOTYPES = random_genotypes(60, 23, seed=8)
BED = reference.bed(GENOTYPES)
ODD = os.fsdecode(b"caf\xe9 \xff")


@contextmanager
def odd_mount(directory: Path):
    """Something of others mounted at a place whose name is not text."""
    place = directory / ODD
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", ODD, place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.fixture
def store(tmp_path) -> Path:
    return make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 9))


def test_commands_beside_a_mount_point_that_is_not_text(store, biofuse):
    seen = biofuse.home / "seen"
    with odd_mount(biofuse.home):
        with biofuse.mount(store) as mount:
            assert mount.bed.read_bytes() == BED
            assert str(mount.dir) in biofuse("status").stdout
        biofuse("run", store, "--", "cp", "{bed}", seen)
        biofuse("info", store)
    assert seen.read_bytes() == BED


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
def test_a_mount_whose_own_names_are_not_text(locale, store, biofuse):
    directory = biofuse.home / ODD
    directory.mkdir()
    env = {"LC_ALL": locale, "ODD": ODD, "PYTHONCOERCECLOCALE": "0"}
    biofuse("mount", store, directory, "--basename", ODD, env=env)
    assert (directory / f"{ODD}.bed").read_bytes() == BED
    shown = subprocess.run(
        biofuse.command("status", directory), env={**biofuse.env, **env}, capture_output=True
    )
    assert shown.returncode == 0, shown.stderr
    assert os.fsencode(ODD) in shown.stdout or b"caf\\udce9" in shown.stdout
    status = json.loads(biofuse("status", directory, "--json", env=env).stdout)
    assert status["mountpoint"] == str(directory)
    os.kill(status["processes"][0]["pid"], signal.SIGKILL)
    done = subprocess.run(
        biofuse.command("status"), env={**biofuse.env, **env}, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert b"was left by a mount that was killed: it is unmounted now" in done.stderr
    assert mounts_below(biofuse.home) == []
    assert not [path for path in mounts_below(biofuse.home) if "caf" in path]
    done = subprocess.run(
        biofuse.command("umount", directory), env={**biofuse.env, **env}, capture_output=True
    )
    assert done.returncode == 1
    assert b"nothing is mounted" in done.stderr
    assert b"Traceback" not in done.stderr


def test_files_of_a_selection_whose_names_are_not_text(store, biofuse):
    seen = biofuse.home / "seen"
    samples = biofuse.home / f"{ODD}.txt"
    samples.write_text("S0003\nS0001\n")
    biofuse("run", store, "-S", samples, "--", "cp", "{bed}", seen)
    assert seen.read_bytes() == reference.bed(GENOTYPES[:, [3, 1]])


def test_a_file_in_the_store_whose_name_is_not_text(store, biofuse):
    (store / ODD).write_text("not ours")
    (store / "call_genotype" / ODD).write_text("not ours")
    for _ in range(2):
        with biofuse.mount(store) as mount:
            assert mount.bed.read_bytes() == BED


def test_groups_and_mount_points_that_are_not_text(tmp_path):
    proc = tmp_path / "proc"
    proc.mkdir()
    group = tmp_path / "cgroup" / ODD
    group.mkdir(parents=True)
    (group / "memory.max").write_text("1048576\n")
    place = os.fsencode(tmp_path / "cgroup").replace(b" ", b"\\040")
    (proc / "cgroup").write_bytes(b"0::/" + os.fsencode(ODD) + b"\n")
    (proc / "mountinfo").write_bytes(
        b"20 1 0:18 / /mnt/caf\xe9 rw - tmpfs caf\xe9 rw\n"
        b"21 1 0:19 / " + place + b" rw - cgroup2 cgroup rw\n"
    )
    assert memory_limit(str(proc)) == 1048576
