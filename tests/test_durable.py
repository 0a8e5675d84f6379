"""Plans whose files a crash of the machine may have damaged."""

import os

import pytest
from support import reference
from support.program import wait_until
from support.stores import make_store, random_genotypes

from biofuse.durable import is_intact, mark_unsettled, settle

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
        with biofuse.mount(store) as mount:
            assert mount.bed.read_bytes() == reference.bed(GENOTYPES)
            assert mount.fam.read_text().startswith("S0000\tS0000")
            assert (plan.stat().st_ino == inode) == same
