"""A mount on a machine that has much else to do, and mounts one after another."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.program import mounts_below, wait_until

from fs_tests.conftest import ALL_FORMATS, PLACES, STREAMED
from fs_tests.readers import readers

DROP = Path("/proc/sys/vm/drop_caches")


@contextmanager
def stress(folder: Path, mount: Path, seconds: float, *options: str) -> Iterator[None]:
    """Have stress-ng's stressors go on beside a block; none of them may fail.

    Parameters
    ----------
    folder : Path
        For its own files.
    mount : Path
    seconds : float
    *options : str
        Which stressors; MOUNT is the mount's folder.
    """
    assert shutil.which("stress-ng"), "stress-ng is not installed"
    words = [option.replace("MOUNT", str(mount)) for option in options]
    with subprocess.Popen(
        ["stress-ng", *words, "--temp-path", folder, "--timeout", f"{seconds}s", "--oomable"],
        # getdent reads the folder that it is called in, too.
        cwd=mount,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield
            out, _ = process.communicate(timeout=seconds + 120)
        finally:
            process.terminate()
    assert process.returncode == 0, out


STRESSORS = {
    # Processors, memory, and the system's own writing out.
    "machine": "--cpu 2 --vm 1 --vm-bytes 256M --io 1",
    # What looks at file systems, at this one among them, without writing to it.
    "files": "--fstat 2 --fstat-dir MOUNT --getdent 1 --sysinfo 1",
    # Mappings, pipes, and processes that take turns.
    "pages": "--mmap 1 --mmap-bytes 64M --splice 1 --sendfile 1 --switch 1",
}


def test_beside_stress_ng(mount, copies, seed, is_long, tmp_path, tell):
    """Beside each kind in turn; in the short form beside all of them at once."""
    seconds = 12 if is_long else 1
    turns = STRESSORS if is_long else {"all": " ".join(STRESSORS.values())}
    for name, options in turns.items():
        with (
            readers(mount.dir, copies, [seed, seed + 1], seconds) as counts,
            stress(tmp_path, mount.dir, seconds, *options.split()),
        ):
            pass
        tell(f"stress-ng, {name}: {counts.total():,} operations that were compared")


def drop_caches(mount: Path) -> None:
    """Have the kernel forget pages, names and attributes, or the pages only if not root."""
    try:
        DROP.write_text("3")
    except PermissionError:
        assert os.geteuid() or not os.access(DROP, os.W_OK)
    for path in mount.iterdir():
        fd = os.open(path, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def test_caches_are_dropped_all_the_time(mount, copies, seed, is_long, tell):
    seconds, pause = (15, 0.5) if is_long else (1, 0.3)
    stop = threading.Event()
    drops = 0
    with readers(mount.dir, copies, range(seed, seed + 3), seconds) as counts:
        end = time.monotonic() + seconds
        while not stop.wait(pause) and time.monotonic() < end:
            drop_caches(mount.dir)
            drops += 1
    assert drops
    tell(f"caches dropped {drops} times: {counts.total():,} operations that were compared")


def left_by(program) -> dict[str, object]:
    """What there is of a program that no longer has a mount."""
    shared = Path("/dev/shm")
    return {
        "mounts": mounts_below(program.home),
        "processes": program.processes(),
        "files": sorted(str(path) for path in program.home.rglob("*")),
        "shared memory": sorted(p.name for p in shared.iterdir() if "biofuse" in p.name),
        "size": sum(p.lstat().st_size for p in program.home.rglob("*") if p.is_file()),
    }


@pytest.mark.parametrize("kind", PLACES)
def test_mounts_one_after_another(placed, kind, oracle, biofuse, is_long, tell):
    """Nothing is left of any, and the last leaves no more than the second."""
    count, formats = (50, ALL_FORMATS) if is_long else (3, ALL_FORMATS[:2])
    directory = biofuse.new_directory()
    first = None
    log = biofuse.home / f"{directory.name}.log"
    for number in range(count):
        with placed(kind).mount(biofuse, *formats, directory=directory) as mount:
            name = STREAMED[number % 4] if is_long else "x.bed"
            assert (mount.dir / name).read_bytes() == (oracle / name).read_bytes()
            [serve] = [p.pid for p in biofuse.processes() if p.role == "serve"]
            descriptors = len(os.listdir(f"/proc/{serve}/fd"))
        wait_until(lambda: not biofuse.processes(), "all processes have ended")
        assert log.read_text() == ""
        found = {**left_by(biofuse), "descriptors": descriptors}
        if number == 1:
            first = found
        assert number < 2 or found == first
    tell(f"{count} mounts of {kind}, one after another")
