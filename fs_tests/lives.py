"""Mounts that are to come to an end, and what is looked at when they have."""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from support.places import Place
from support.program import HAPLOID, Mount, Program, mounts_below, wait_until

import biofuse
from biofuse.mounts import is_dead

CLEARED = "was left by a mount that was killed"
WORKER_DIED = "the encoder process ended unexpectedly"
ENDING = "the mount is ending"
# What a mount in the foreground says, and any mount of a store with haploid calls.
SAID = ("mounted at ", HAPLOID)
SYSV = Path("/proc/sysvipc")


def unexpected(text: str, *expected: str) -> list[str]:
    """The lines in which nothing is that was expected."""
    lines = [line for line in text.splitlines() if line]
    return [line for line in lines if not any(part in line for part in expected)]


def came_too_early(code: int, said: str) -> bool:
    """Whether an interrupt has ended Python before biofuse had begun, of which it tells itself.

    With 1 in its first moments, and then of the signal.
    """
    frames = re.findall(r'File "([^"]+)"', said)
    package = os.path.dirname(biofuse.__file__)
    ours = {os.path.basename(name) for name in frames if name.startswith(f"{package}/")}
    is_python = "KeyboardInterrupt" in said and ours <= {"__init__.py", "__main__.py"}
    return is_python and code in (1, -signal.SIGINT)


def arguments(place: Place, *options: object) -> list[object]:
    """What a command is given for a store in a place, and more options."""
    return [place.url, *place.options, *options]


@contextlib.contextmanager
def in_foreground(
    biofuse: Program, place: Place, *options: object, **more: object
) -> Iterator[tuple[subprocess.Popen, Mount]]:
    """A mount whose process is the command's own.

    It has said nothing but that it was mounted, and what `Mount.expect_log` announced.
    """
    directory = biofuse.new_directory()
    log = biofuse.home / f"{directory.name}.log"
    words = arguments(place, directory, "--foreground", *options)
    process = biofuse.popen("mount", *words, **more)
    mount = Mount(biofuse, directory, "x", log)
    try:
        wait_until(lambda: mount.bed.exists() or process.poll() is not None, "ready")
        assert process.poll() is None, process.communicate()
        yield process, mount
    except BaseException:
        process.kill()
        process.communicate()
        raise
    process.kill()
    text = process.communicate()[1] + mount.log_text()
    left = unexpected(text, *SAID, *mount.expected_log)
    assert left == [], left


@contextlib.contextmanager
def uncached(path: Path) -> Iterator[int]:
    """A descriptor of a file of which the kernel reads nothing ahead."""
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    try:
        yield fd
    finally:
        # A file of a dead mount says so when it is closed.
        with contextlib.suppress(OSError):
            os.close(fd)


def is_mounted(directory: Path) -> bool:
    return str(directory) in mounts_below(directory.parent)


def answers(directory: Path) -> bool:
    return is_mounted(directory) and not is_dead(str(directory)) and (directory / "x.bed").exists()


def read_some(directory: Path, oracle: Path) -> None:
    """Bytes of a streamed file and of a sidecar, of which the kernel has none."""
    for name in ("x.bed", "x.bim"):
        with open(directory / name, "rb") as file, open(oracle / name, "rb") as real:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            assert os.pread(file.fileno(), 5000, 3000) == os.pread(real.fileno(), 5000, 3000)


@contextlib.contextmanager
def reading(directory: Path, oracle: Path) -> Iterator[list[int]]:
    """Have a file that may not be there yet, or no more, be read all the time past the cache.

    Yields
    ------
    list of int
        Where bytes were read; each of them was right.
    """
    expected = (oracle / "x.bed").read_bytes()
    ends = threading.Event()
    done: list[int] = []
    wrong: list[int] = []

    def read() -> None:
        offset = 0
        while not ends.wait(0.001):
            with contextlib.suppress(OSError):
                fd = os.open(directory / "x.bed", os.O_RDONLY | os.O_DIRECT)
                try:
                    data = os.pread(fd, 65_536, offset)
                finally:
                    with contextlib.suppress(OSError):
                        os.close(fd)
                (done if data == expected[offset : offset + 65_536] else wrong).append(offset)
                offset = (offset + 65_536) % (len(expected) - 4096) // 4096 * 4096

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield done
    finally:
        ends.set()
        thread.join()
    assert wrong == []


@contextlib.contextmanager
def reading_on(file: int, expected: bytes) -> Iterator[list[int]]:
    """Have an open file be read all the time past the cache, by two threads.

    Yields
    ------
    list of int
        Where bytes were read; each of them was right, and there was no error.
    """
    ends = threading.Event()
    done: list[int] = []
    wrong: list[object] = []

    def read(offset: int) -> None:
        while not ends.is_set():
            try:
                data = os.pread(file, 65_536, offset)
            except OSError as error:
                wrong.append(error)
                return
            (done if data == expected[offset : offset + 65_536] else wrong).append(offset)
            offset = (offset + 65_536) % (len(expected) - 4096) // 4096 * 4096

    threads = [threading.Thread(target=read, args=(4096 * turn * 5,)) for turn in range(2)]
    for each in threads:
        each.start()
    try:
        yield done
    finally:
        ends.set()
        for each in threads:
            each.join()
    assert wrong == []


def logs(biofuse: Program) -> str:
    """What is in the logs of all mounts, which are removed."""
    text = ""
    for log in sorted(biofuse.runtime.glob("*.log")):
        text += log.read_text()
        log.unlink()
    return text


def check_gone(biofuse: Program, *expected: str) -> None:
    """Nothing is there of a mount, but perhaps a log with lines that were expected."""
    wait_until(lambda: not biofuse.processes(), "all processes have ended")
    assert mounts_below(biofuse.home) == []
    assert unexpected(logs(biofuse), *expected) == []
    assert list(biofuse.temporary.iterdir()) == []
    assert [path.name for path in biofuse.runtime.iterdir()] == []
    # Of plans, whole ones alone.
    assert [path.name for path in biofuse.cache.rglob("new-*")] == []


def shared_memory() -> set[str]:
    """Whatever may outlive the processes that have made it, of the whole machine."""
    segments = (SYSV / "shm").read_text().splitlines()[1:]
    # As they are named where they are mapped. Semaphores of Python's multiprocessing, which
    # biofuse does not use, are of other programs.
    names = {path.name for path in Path("/dev/shm").iterdir()}
    return {f"/dev/shm/{name}" for name in names if not name.startswith("sem.mp-")} | {
        f"/SYSV{int(line.split()[0]) & 0xFFFFFFFF:08x}" for line in segments
    }


def in_use() -> str:
    """What the processes of the machine have mapped and open."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.append((process / "maps").read_text())
            found += [os.readlink(fd) for fd in (process / "fd").iterdir()]
    return "\n".join(found)


def connections() -> set[str]:
    """FUSE sessions that the kernel has, of the whole machine, by the numbers of their devices."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "fusectl", "none", folder], check=True)
        try:
            return set(os.listdir(folder))
        finally:
            subprocess.run(["umount", folder], check=True)


def unmounted_connections() -> set[str]:
    """Those of which nobody has a mount: it was given up, or somebody has a file of it open."""
    mounted = set()
    for table in Path("/proc").glob("[0-9]*/mountinfo"):
        with contextlib.suppress(OSError):
            mounted |= {line.split(b" ")[2].decode() for line in table.read_bytes().splitlines()}
    return {number for number in connections() if f"0:{number}" not in mounted}


@contextlib.contextmanager
def without_leftovers() -> Iterator[None]:
    """A block after which the kernel has nothing more for programs that are gone.

    Neither shared memory of either kind, nor a session; other programs may have theirs.
    """
    before, sessions = shared_memory(), connections()
    yield
    left, lost = shared_memory() - before, connections() - sessions

    def is_gone() -> bool:
        used = in_use() if left else ""
        return not {name for name in left & shared_memory() if name not in used}

    wait_until(is_gone, f"what was shared is gone: {left}")
    wait_until(
        lambda: not lost or not lost & unmounted_connections(), f"sessions have ended: {lost}"
    )


def seconds_to_mount(biofuse: Program, place: Place, *options: object) -> float:
    """How long a command takes until the files are there."""
    began = time.monotonic()
    with in_foreground(biofuse, place, *options) as (process, mount):
        taken = time.monotonic() - began
        mount.umount()
        process.wait(20)
    return taken
