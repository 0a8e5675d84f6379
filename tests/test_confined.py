"""What the process may do that decodes a store: it opens no file for writing, and runs nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.program import wait_until
from support.stores import make_store, random_genotypes

GENOTYPES = random_genotypes(60, 23, seed=8)

_TRIES = """
import os, subprocess, sys
from pathlib import Path
from biofuse import native

assert native.confine(), "this kernel has no Landlock"
home = Path(sys.argv[1])
done = []
def attempt(name, act):
    try:
        act()
    except PermissionError:
        return
    done.append(name)

attempt("write", lambda: open(home / "there", "r+b"))
attempt("append", lambda: open(home / "there", "ab"))
attempt("truncate", lambda: os.truncate(home / "there", 1))
attempt("create", lambda: open(home / "new", "wb"))
attempt("mkdir", lambda: os.mkdir(home / "folder"))
attempt("unlink", lambda: os.unlink(home / "there"))
attempt("rename", lambda: os.rename(home / "there", home / "other"))
attempt("symlink", lambda: os.symlink("there", home / "link"))
attempt("mkfifo", lambda: os.mkfifo(home / "fifo"))
attempt("run", lambda: subprocess.run(["true"]))
assert open(home / "there").read() == "text"
print(done)
"""


def test_what_cannot_be_done(tmp_path):
    (tmp_path / "there").write_text("text")
    done = subprocess.run(
        [sys.executable, "-c", _TRIES, tmp_path], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize("encoding", ["v2-blosc-zstd-bit", "v3-sharded", "v2-fortran"])
def test_the_worker_of_a_local_store(encoding, biofuse, tmp_path):
    """It gains no rights by what it runs, which goes with the rest; and reads all that it needs."""
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 9), encoding=encoding)
    with biofuse.mount(store) as mount:
        assert len(mount.bed.read_bytes()) == os.stat(mount.bed).st_size
        pid = wait_until(lambda: mount.pid("encode"), "the worker has begun")
        status = Path(f"/proc/{pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status
