"""The memory limit of control groups, from folders as Linux shows them."""

from pathlib import Path

import pytest

from biofuse import memory
from biofuse.cgroup import memory_limit

V2_MOUNT = "30 23 0:26 {root} {at} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNT = "31 23 0:27 {root} {at} rw,nosuid shared:9 - cgroup cgroup rw,memory\n"
CPU_MOUNT = "32 23 0:28 / {at} rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
MIB = 1 << 20


class Machine:
    """A folder with what memory_limit looks at."""

    def __init__(self, directory: Path):
        self.proc = directory / "proc"
        self.proc.mkdir()
        self.fs = directory / "fs cgroup"

    def write(self, groups: str, mount: str, root: str = "/", **limits: str) -> int | None:
        (self.proc / "cgroup").write_text(groups)
        at = str(self.fs).replace(" ", "\\040")
        mounts = CPU_MOUNT.format(at="/elsewhere") + mount.format(root=root, at=at)
        (self.proc / "mountinfo").write_text(mounts)
        for path, text in limits.items():
            path, _, name = path.partition(":")
            name = name or ("memory.max" if "cgroup2" in mount else "memory.limit_in_bytes")
            folder = self.fs / path.strip("_").replace("__", "/")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text + "\n")
        return memory_limit(str(self.proc))


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_v2(machine):
    assert machine.write("0::/job\n", V2_MOUNT, job=str(512 * MIB)) == 512 * MIB


def test_the_least_of_the_groups_above_counts(machine):
    limits = {"slurm": str(256 * MIB), "slurm__job": "max", "slurm__job__step": str(512 * MIB)}
    assert machine.write("0::/slurm/job/step\n", V2_MOUNT, **limits) == 256 * MIB


def test_v2_slows_a_group_down_before_it_is_full(machine):
    limits = {"job": str(512 * MIB), "job:memory.high": str(300 * MIB)}
    assert machine.write("0::/job\n", V2_MOUNT, **limits) == 300 * MIB


def test_another_group_does_not_count(machine):
    assert machine.write("0::/a\n", V2_MOUNT, a="max", b=str(MIB)) is None


def test_a_container_with_a_namespace_of_its_own(machine):
    assert machine.write("0::/\n", V2_MOUNT, _=str(64 * MIB)) == 64 * MIB


def test_a_container_that_sees_its_folder_only(machine):
    found = machine.write("0::/docker/x/sub\n", V2_MOUNT, "/docker/x", _="max", sub=str(7 * MIB))
    assert found == 7 * MIB


def test_v1(machine):
    groups = "5:cpu,cpuacct:/other\n4:memory:/job\n1:name=systemd:/init\n"
    limits = {"job": str(300 * MIB), "_": "9223372036854771712"}
    assert machine.write(groups, V1_MOUNT, **limits) == 300 * MIB


def test_v1_without_a_limit(machine):
    assert machine.write("4:memory:/\n", V1_MOUNT, _="9223372036854771712") is None


def test_both_versions(machine):
    groups = "4:memory:/job\n0::/job\n"
    assert machine.write(groups, V1_MOUNT, job=str(9 * MIB)) == 9 * MIB


def test_no_folders(tmp_path):
    assert memory_limit(str(tmp_path)) is None


@pytest.mark.parametrize(
    ("limit", "budget"), [(None, 128), (8192, 128), (512, 128), (511, 127.75), (100, 25), (8, 4)]
)
def test_the_default_budget(limit, budget, monkeypatch):
    monkeypatch.setattr(memory, "memory_limit", lambda: None if limit is None else limit * MIB)
    assert memory.default_budget() == budget * MIB
