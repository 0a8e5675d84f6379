"""Temporary folders of processes that are gone."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from biofuse import temporary

BEGIN = """
import os, sys
from biofuse import temporary
print(temporary.make_folder("plan", sys.argv[1]), end="", flush=True)
os._exit(1)
"""


def left_behind(parent: Path) -> Path:
    """A folder of a process that ended without removing it."""
    command = [sys.executable, "-c", BEGIN, parent]
    made = Path(subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout)
    assert made.parent == parent
    (made / "something").write_text("x")
    return made


def test_what_a_process_left_is_removed(tmp_path):
    left = left_behind(tmp_path)
    assert temporary.sweep(str(tmp_path)) == [str(left)]
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_use_stays(tmp_path):
    with temporary.folder("plan", str(tmp_path)) as path:
        assert temporary.sweep(str(tmp_path)) == []
        assert Path(path).exists()
    assert list(tmp_path.iterdir()) == []


def test_what_another_machine_left_stays(tmp_path):
    """On a shared disk: its locks may not be seen here."""
    left = left_behind(tmp_path)
    (left / "lock").write_text(f"not-{(left / 'lock').read_text()}")
    assert temporary.sweep(str(tmp_path)) == []
    assert (left / "something").exists()


def test_what_is_not_told_from_others_stays(tmp_path):
    """A folder with such a name and no lock, however old, and a link to one that was left."""
    other = tmp_path / ".biofuse-plan-0123abcd"
    other.mkdir()
    (other / "thesis.tex").write_text("mine")
    os.utime(other, (0, 0))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    left = left_behind(elsewhere)
    (tmp_path / ".biofuse-plan-4567abcd").symlink_to(left)
    assert temporary.sweep(str(tmp_path)) == []
    assert other.exists() and (left / "something").exists()


END = """
import fcntl, os, sys
from biofuse import temporary
where, name = {"flock": (fcntl, "flock")}.get(sys.argv[2], (os, sys.argv[2]))
setattr(where, name, lambda *_, **__: os._exit(1))
temporary.make_folder("plan", sys.argv[1])
"""


@pytest.mark.parametrize("call", ["open", "flock", "write", "rename"])
def test_a_process_that_was_killed_before_it_had_the_lock(call, tmp_path):
    """Its folder is removed, but not as long as it may be one that another is about to lock."""
    done = subprocess.run([sys.executable, "-c", END, tmp_path, call], check=False)
    assert done.returncode == 1
    [left] = tmp_path.iterdir()
    assert not (left / "lock").exists()
    assert temporary.sweep(str(tmp_path)) == []
    os.utime(left, (0, 0))
    new = left / "lock-new"
    if new.exists():
        with open(new) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert temporary.sweep(str(tmp_path)) == []
    assert temporary.sweep(str(tmp_path)) == [str(left)]
    assert list(tmp_path.iterdir()) == []


REMOVE = """
import os, sys
from biofuse import temporary
path = temporary.make_folder("copies", sys.argv[1])
os.mkdir(f"{path}/files")
for name in ("files/x.bed", "files/x.bim", "a", "z"):
    open(f"{path}/{name}", "w").close()
left = int(sys.argv[2])
def counted(call):
    def one(*words, **more):
        global left
        left -= 1
        if left < 0:
            os._exit(1)
        return call(*words, **more)
    return one
os.unlink, os.rmdir = counted(os.unlink), counted(os.rmdir)
temporary.remove_folder(path)
"""


@pytest.mark.parametrize("calls", range(8))
def test_a_process_that_was_killed_while_it_removed_its_folder(calls, tmp_path):
    """What is left of it is known for what it is, at once or, of an empty folder, soon."""
    done = subprocess.run([sys.executable, "-c", REMOVE, tmp_path, str(calls)], check=False)
    assert done.returncode == (1 if calls < 7 else 0)
    for left in tmp_path.iterdir():
        if not any(left.iterdir()):
            os.utime(left, (0, 0))
        assert temporary.sweep(str(tmp_path)) == [str(left)]
    assert list(tmp_path.iterdir()) == []
