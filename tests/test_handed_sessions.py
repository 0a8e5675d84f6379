"""Sessions that another program mounts and hands on, as Apptainer's --fusemount does.

The tests do what that does (internal/pkg/runtime/engine/apptainer of its source): open /dev/fuse,
mount it with the least options, start the program with it as descriptor 3, as `/dev/fd/3 -f`, and
end it with SIGTERM.
"""

import ctypes
import errno
import os
import signal
import subprocess
from contextlib import contextmanager, suppress

import pytest
from support import reference
from support.commands import finish
from support.program import mounts_below, wait_until
from support.stores import make_store, random_genotypes

GENOTYPES = random_genotypes(900, 40, seed=19)
BED = reference.bed(GENOTYPES)
MS_NOSUID, MS_NODEV = 2, 4
LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture(scope="module")
def store(made):
    return made("handed", lambda folder: make_store(folder / "x.vcz", GENOTYPES))


@contextmanager
def mounted(directory):
    """A mount that nobody serves yet; yields the session's descriptor."""
    fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={fd},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
    done = LIBC.mount(
        b"fuse", os.fsencode(directory), b"fuse", MS_NOSUID | MS_NODEV, options.encode()
    )
    assert done == 0, os.strerror(ctypes.get_errno())
    try:
        yield fd
    finally:
        with suppress(OSError):
            os.close(fd)
        LIBC.umount2(os.fsencode(directory), 2)


def serve(biofuse, store, fd, *words):
    """The program, with a session as its descriptor 3, which nobody else holds then."""
    theirs = ["/dev/fd/3", "-f"]
    script = f'exec 3<&{fd} {fd}<&-; exec "$@"'
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", *biofuse.command("mount", store, *words, *theirs)],
        env=biofuse.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=[fd],
        text=True,
    )
    os.close(fd)
    return process


def test_it_is_served_and_left_to_who_mounted(store, biofuse):
    place = biofuse.new_directory()
    with mounted(place) as fd:
        process = serve(biofuse, store, fd, "--format", "plink")
        assert sorted(os.listdir(place)) == ["x.bed", "x.bim", "x.fam"]
        assert (place / "x.bed").read_bytes() == BED
        assert (place / "x.fam").read_text().startswith("S0000\tS0000\t")
        # It is mounted for writing, as far as the kernel knows.
        for change in (
            lambda: (place / "new").write_bytes(b"x"),
            lambda: (place / "x.bed").write_bytes(b"x"),
            lambda: (place / "x.bed").unlink(),
            lambda: (place / "folder").mkdir(),
            lambda: (place / "x.bed").chmod(0o777),
        ):
            with pytest.raises(OSError, match="Read-only"):
                change()
        # It is not biofuse's mount: nothing here knows of it.
        assert str(place) not in biofuse("status").stdout
        assert "is not a biofuse mount" in biofuse.fails("status", place)
        assert "not a biofuse one" in biofuse.fails("umount", place)
        process.send_signal(signal.SIGTERM)
        finish(process, 0)
        assert str(place) in mounts_below(biofuse.home)
        with pytest.raises(OSError) as caught:
            os.listdir(place)
        assert caught.value.errno == errno.ENOTCONN


def test_it_ends_with_the_session(store, biofuse):
    place = biofuse.new_directory()
    with mounted(place) as fd:
        process = serve(biofuse, store, fd)
        assert (place / "x.bed").read_bytes() == BED
        assert LIBC.umount2(os.fsencode(place), 0) == 0
        finish(process, 0)


def test_a_store_that_cannot_be_shown(biofuse, tmp_path):
    place = biofuse.new_directory()
    with mounted(place) as fd:
        said = finish(serve(biofuse, tmp_path / "no.vcz", fd), 1)
        assert "no such store" in said
        # Nobody waits for an answer that does not come.
        with pytest.raises(OSError, match="not connected"):
            os.listdir(place)


def test_mistakes(store, biofuse):
    mount = ("mount", store)
    assert "not open" in biofuse.fails(*mount, "/dev/fd/77", "--foreground")
    assert "is not /dev/fuse" in biofuse.fails(*mount, "/dev/fd/0", "--foreground")
    place = biofuse.new_directory()
    for words, said in (
        ([], "give --foreground"),
        (["--foreground", "--allow-other"], "--allow-other is for mounting"),
        (["--foreground", "--auto-unmount"], "--auto-unmount is for mounting"),
    ):
        with mounted(place) as fd:
            done = subprocess.run(
                biofuse.command(*mount, f"/dev/fd/{fd}", *words),
                env=biofuse.env,
                capture_output=True,
                pass_fds=[fd],
                text=True,
                check=False,
            )
            assert done.returncode == 1 and said in done.stderr
    wait_until(lambda: not biofuse.processes(), "nothing is left")
