"""Mounts, as the kernel lists them."""

import os

import pytest

from biofuse.mounts import Mount, list_mounts, resolve_mountpoint

TABLE = """\
22 28 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw
99 28 0:45 / /home/a/mnt ro,nosuid,nodev,relatime shared:50 - \
fuse.biofuse biofuse:cohort ro,user_id=0,group_id=7
100 28 0:46 / /home/a\\040b/m\\011n\\012o\\134p ro shared:1 master:2 propagate_from:3 - \
fuse.biofuse biofuse:x ro
101 28 0:47 / /with/no/optional/field rw - ext4 /dev/disk\\0401 rw
102 28 0:48 / /trick\\134040x rw - tmpfs tmpfs rw
103 28 0:49 / /home/a/mnt rw - tmpfs tmpfs rw
"""


def test_the_table():
    mounts = list_mounts(TABLE)
    assert mounts[0] == Mount("/sys", "sysfs", "sysfs", "0:20")
    assert mounts[1] == Mount("/home/a/mnt", "fuse.biofuse", "biofuse:cohort", "0:45", 0)
    assert mounts[2].path == "/home/a b/m\tn\no\\p"
    assert mounts[2].fs_type == "fuse.biofuse"
    assert mounts[3] == Mount("/with/no/optional/field", "ext4", "/dev/disk 1", "0:47")


def test_an_escaped_backslash_before_digits():
    """The kernel wrote a backslash, then 040: that is no space."""
    assert list_mounts(TABLE)[4].path == "/trick\\040x"


def test_the_table_of_this_machine():
    found = {mount.path: mount for mount in list_mounts()}
    assert found["/proc"].fs_type == "proc"


@pytest.mark.parametrize("text", ["a/b", "./a/b", "a//b", "a/b/", "a/../a/b", "link/b", "twice/b"])
def test_a_mountpoint_has_one_name(text, tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "twice").symlink_to(tmp_path / "link")
    monkeypatch.chdir(tmp_path)
    assert resolve_mountpoint(text) == os.path.realpath(tmp_path / "a" / "b")


@pytest.mark.parametrize("target", ["a/b", "../{name}/a/b", "link2"])
def test_a_link_to_a_mountpoint(target, tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link2").symlink_to(tmp_path / "a" / "b")
    (tmp_path / "link").symlink_to(target.format(name=tmp_path.name))
    assert resolve_mountpoint(str(tmp_path / "link")) == os.path.realpath(tmp_path / "a" / "b")


def test_links_in_a_circle_end(tmp_path):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    assert resolve_mountpoint(str(tmp_path / "one"))


def test_the_root_and_what_does_not_exist(tmp_path):
    assert resolve_mountpoint("/") == "/"
    assert resolve_mountpoint(str(tmp_path / "no")) == os.path.realpath(tmp_path) + "/no"
