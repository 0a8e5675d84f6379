"""Plans whose files a crash of the machine may have damaged."""

import errno
import os
import time
from pathlib import Path

import pytest
from support import reference
from support.program import wait_until
from support.stores import make_store, random_genotypes
from support.views import plan_view

from biofuse.durable import is_intact, mark_unsettled, settle
from biofuse.plan.cache import PlanCache

GENOTYPES = random_genotypes(30, 9, seed=1)


@pytest.fixture
def directory(tmp_path):
    for name in ("plan.json", "0.fam"):
        (tmp_path / name).write_text(name)
    return tmp_path


def restart(directory):
    """Have a directory look as if the machine was started since it was made."""
    [mark] = [p for p in directory.iterdir() if p.name == "unsettled"]
    mark.write_text("9d0f43f3-7c2f-4a2c-8f1b-6c1a0b1d2e3f")


def test_until_the_machine_stops(directory):
    assert is_intact(directory)
    mark_unsettled(directory)
    assert is_intact(directory)
    restart(directory)
    assert not is_intact(directory)


def test_every_file_is_settled_before_it_is_said(directory, monkeypatch):
    mark_unsettled(directory)
    synced = []
    real = os.fsync

    def fsync(fd):
        assert (directory / "unsettled").exists()
        synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        real(fd)

    monkeypatch.setattr("os.fsync", fsync)
    settle(directory)
    assert sorted(synced) == sorted(["plan.json", "0.fam", "unsettled", directory.name])
    assert sorted(p.name for p in directory.iterdir()) == ["0.fam", "plan.json"]
    assert is_intact(directory)
    settle(directory)
    assert len(synced) == 4


def test_a_file_that_cannot_be_written(directory, monkeypatch):
    """The kernel says so once: nobody may use it, though a later sync succeeds."""
    mark_unsettled(directory)
    real = os.fsync

    def fsync(fd):
        if os.readlink(f"/proc/self/fd/{fd}").endswith("0.fam"):
            raise OSError(errno.EIO, "Input/output error")
        real(fd)

    monkeypatch.setattr("os.fsync", fsync)
    settle(directory)
    assert not is_intact(directory)


def test_folders_that_cannot_be_synced(directory, monkeypatch):
    mark_unsettled(directory)
    real = os.fsync

    def fsync(fd):
        if os.path.isdir(f"/proc/self/fd/{fd}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(fd)

    monkeypatch.setattr("os.fsync", fsync)
    settle(directory)
    assert not (directory / "unsettled").exists()


def test_a_machine_that_does_not_tell_when_it_was_started(directory, monkeypatch):
    monkeypatch.setattr("biofuse.durable._BOOT_ID", str(directory / "nowhere"))
    mark_unsettled(directory)
    assert not is_intact(directory)
    settle(directory)
    assert is_intact(directory)


@pytest.mark.parametrize(("age", "replaced"), [(0, False), (1000, True)])
def test_a_plan_that_another_machine_has_just_made(age, replaced, tmp_path):
    """It may be about to be opened there, which a shared file system does not shield."""
    store = make_store(tmp_path / "x.vcz", GENOTYPES)
    cache = PlanCache(str(tmp_path / "cache"))
    plans = []
    for _ in range(2):
        plan = tmp_path / f"plan{len(plans)}"
        plan_view(store, plan)
        new = Path(cache.new())
        new.rmdir()
        plans.append(plan.rename(new))
    entry = Path(cache.keep(str(plans[0]), "a" * 32))
    inode = entry.stat().st_ino
    restart(entry)
    then = time.time() - age
    os.utime(entry, (then, then))
    assert cache.find("a" * 32) is None
    kept = cache.keep(str(plans[1]), "a" * 32)
    assert kept == str(entry if replaced else plans[1])
    assert (entry.stat().st_ino != inode) == replaced


def test_a_directory_that_is_gone_is_no_error(tmp_path):
    settle(tmp_path / "gone")


def test_a_mount_settles_its_plan(biofuse, tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES)
    with biofuse.mount(store):
        [plan] = [p.parent for p in biofuse.cache.rglob("plan.json")]
        wait_until(lambda: not (plan / "unsettled").exists(), "the plan is on disk")
    inode = plan.stat().st_ino
    # Where that did not come about, the plan serves until the machine is started again.
    for unsettled, same in ((mark_unsettled, True), (restart, False)):
        mark_unsettled(plan)
        unsettled(plan)
        # Nobody must notice, whatever a crash made of it.
        if not same:
            names = [p for p in plan.iterdir() if p.suffix == ".fam"]
            for name in names:
                name.write_bytes(bytes(name.stat().st_size))
            os.utime(plan, (0, 0))
        with biofuse.mount(store) as mount:
            assert mount.bed.read_bytes() == reference.bed(GENOTYPES)
            assert mount.fam.read_text().startswith("S0000\tS0000")
            assert (plan.stat().st_ino == inode) == same
