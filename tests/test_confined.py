"""What a mount's processes may not do: change files, run programs, gain rights by one."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import icechunk
import pytest
from support.places import write_icechunk
from support.program import wait_until
from support.stores import make_store, random_genotypes, zip_store

GENOTYPES = random_genotypes(60, 23, seed=8)
CONFINED = "confined: this process changes no files and runs no programs"

_TRIES = """
import os, signal, subprocess, sys

def tried(home):
    done = []
    def attempt(name, act):
        try:
            act()
        except PermissionError:
            return
        done.append(name)

    attempt("write", lambda: open(f"{home}/there", "r+b"))
    attempt("append", lambda: open(f"{home}/there", "ab"))
    attempt("truncate", lambda: os.truncate(f"{home}/there", 1))
    attempt("create", lambda: open(f"{home}/new", "wb"))
    attempt("mkdir", lambda: os.mkdir(f"{home}/folder"))
    attempt("unlink", lambda: os.unlink(f"{home}/there"))
    attempt("rename", lambda: os.rename(f"{home}/there", f"{home}/other"))
    attempt("symlink", lambda: os.symlink("there", f"{home}/link"))
    attempt("mkfifo", lambda: os.mkfifo(f"{home}/fifo"))
    attempt("run", lambda: subprocess.run(["true"]))
    assert open(f"{home}/there").read() == "text"
    return done
"""
_ALONE = f"""{_TRIES}
from biofuse import native
assert native.confine(), "this kernel has no Landlock"
print(tried(sys.argv[1]))
"""
# Code of the worker's own, which a signal has it do; where it writes was open before.
_IN_THE_WORKER = f"""{_TRIES}
if "biofuse.encode.worker" in sys.orig_argv:
    home = os.environ["TRIES"]
    told = os.open(f"{{home}}/../told", os.O_WRONLY | os.O_CREAT)
    signal.signal(signal.SIGUSR2, lambda *_: os.write(told, f"{{tried(home)}}\\n".encode()))
"""
# As in a container that forbids it; who is not root must have given up rights for that.
_WITHOUT_LANDLOCK = """
import ctypes, struct, sys
if "biofuse.encode.worker" in sys.orig_argv:
    create_ruleset, no_such_call = 444, 0x50000 | 38
    steps = ((0x20, 0, 0, 0), (0x15, 0, 1, create_ruleset), (6, 0, 0, no_such_call))
    program = b"".join(struct.pack("HBBI", *step) for step in (*steps, (6, 0, 0, 0x7FFF0000)))
    code = ctypes.create_string_buffer(program)
    filter = ctypes.create_string_buffer(struct.pack("HP", 4, ctypes.addressof(code)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(22, 2, filter) != 0:
        prctl(38, 1, 0, 0, 0)
        assert prctl(22, 2, filter) == 0
"""
# The process that plans tells its rights when it begins to read the store.
_IN_THE_PLANNER = """
import os, sys
if "biofuse.plan" in sys.orig_argv:
    def hook(event, arguments):
        if event == "import" and arguments[0] == "biofuse.plan.build":
            with open("/proc/self/status") as f, open(os.environ["TRIES"] + "/told", "w") as told:
                told.write(f.read())
    sys.addaudithook(hook)
"""


@pytest.fixture
def store(tmp_path) -> Path:
    return make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 9))


@pytest.fixture
def with_code(biofuse, tmp_path):
    """`with_code(text)`: what each process runs first. Returns the folder that it is told of."""

    def get(text: str) -> Path:
        (tmp_path / "code").mkdir()
        (tmp_path / "code" / "sitecustomize.py").write_text(text)
        home = tmp_path / "home"
        home.mkdir()
        biofuse.env |= {"PYTHONPATH": str(tmp_path / "code"), "TRIES": str(home)}
        return home

    return get


def gains_no_rights(status: str) -> bool:
    return re.search(r"^NoNewPrivs:\t(\d)$", status, re.MULTILINE).group(1) == "1"


def status_of(pid: int | str) -> str:
    return Path(f"/proc/{pid}/status").read_text()


def worker_of(mount) -> int:
    return wait_until(lambda: mount.pid("encode"), "the worker has begun")


def test_what_cannot_be_done(tmp_path):
    (tmp_path / "there").write_text("text")
    done = subprocess.run(
        [sys.executable, "-c", _ALONE, tmp_path], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_what_a_worker_cannot_do(store, biofuse, with_code, tmp_path):
    """A real one, of a mount, whose first thread has begun all others."""
    home = with_code(_IN_THE_WORKER)
    (home / "there").write_text("text")
    with biofuse.mount(store, "--log-level", "debug") as mount:
        mount.expect_log("DEBUG")
        mount.bed.read_bytes()
        os.kill(worker_of(mount), signal.SIGUSR2)
        assert wait_until((tmp_path / "told").read_text, "it has tried") == "[]\n"
        assert CONFINED in mount.log_text()
    assert [path.name for path in home.iterdir()] == ["there"]


@pytest.mark.parametrize(
    "encoding", ["v2-blosc-zstd-bit", "v3-sharded", "v2-fortran", "icechunk", "zip"]
)
def test_the_worker_of_a_local_store(encoding, biofuse, tmp_path):
    """It reads all that it needs."""
    path = tmp_path / "x.vcz"
    if encoding == "icechunk":
        store = make_store(tmp_path / "y.vcz", GENOTYPES, chunks=(20, 9), encoding="v3-zstd")
        write_icechunk(store, icechunk.local_filesystem_storage(str(path)))
    elif encoding == "zip":
        path = zip_store(make_store(path, GENOTYPES, chunks=(20, 9)))
    else:
        make_store(path, GENOTYPES, chunks=(20, 9), encoding=encoding)
    with biofuse.mount(path, "--log-level", "debug") as mount:
        mount.expect_log("DEBUG")
        assert len(mount.bed.read_bytes()) == os.stat(mount.bed).st_size
        assert gains_no_rights(status_of(worker_of(mount)))
        assert CONFINED in mount.log_text()


def test_where_landlock_is_refused(store, biofuse, with_code):
    with_code(_WITHOUT_LANDLOCK)
    with biofuse.mount(store, "--log-level", "debug") as mount:
        mount.expect_log("DEBUG")
        assert len(mount.bed.read_bytes()) == os.stat(mount.bed).st_size
        assert gains_no_rights(status_of(worker_of(mount)))
        log = mount.log_text()
    assert "not confined: this kernel has no Landlock, or not here" in log
    assert CONFINED not in log


@pytest.mark.parametrize("place", ["here", "zip", "http", "fsspec"])
def test_which_process_gains_no_rights(place, store, placer, biofuse, with_code):
    """Serve runs fusermount3; whoever asks for objects may run a program for credentials."""
    home = with_code(_IN_THE_PLANNER)
    before = gains_no_rights(status_of("self"))
    is_here = place in ("here", "zip")
    expected = before or is_here
    options = ("--log-level", "debug")
    if place == "zip":
        store = zip_store(store)
    if place == "fsspec":
        options += ("--backend-storage", "fsspec")
    if place != "http":
        mounting = biofuse.mount(store, *options)
    else:
        mounting = placer.put(place, store).mount(biofuse, *options)
    with mounting as mount:
        mount.expect_log("DEBUG")
        mount.bed.read_bytes()
        assert gains_no_rights(status_of(worker_of(mount))) == expected
        assert gains_no_rights((home / "told").read_text()) == expected
        assert gains_no_rights(status_of(mount.pid("serve"))) == before
        assert (CONFINED in mount.log_text()) == is_here
