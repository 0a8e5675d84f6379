"""What is timed: reads of a file, and programs that read it."""

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .environments import HERE

TIMEOUT_SECONDS = 600
MEMINFO = Path("/proc/meminfo")
# Beside what a read fills with page cache: for the processes that take part.
WARM_EXTRA = 300 << 20
WARM_PART = 0.6
DROP_CACHES = Path("/proc/sys/vm/drop_caches")


def drop_caches(*paths: Path) -> None:
    """Drop the page cache: all of it as root, else that of the files given.

    Parameters
    ----------
    *paths : Path
        Files and directories that the next measurement reads.
    """
    os.sync()
    if os.access(DROP_CACHES, os.W_OK):
        DROP_CACHES.write_text("3")
        return
    for path in paths:
        files = path.rglob("*") if path.is_dir() else [path]
        for file in files:
            if file.is_file():
                descriptor = os.open(file, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)


def warm_memory(nbytes: int) -> int:
    """Have the host back the memory that a read is about to take, as far as it may be virtual.

    Free pages of a virtual machine may have been given to its host, which takes up to
    milliseconds for each MiB that is touched again. Whoever reads first after the page cache
    was dropped would pay for that. It lasts but a short while, so this comes right before
    what is timed.

    Parameters
    ----------
    nbytes : int
        What the read will fill with page cache.

    Returns
    -------
    int
        Bytes that were touched, and are free again.
    """
    available = int(re.search(r"MemAvailable:\s+(\d+)", MEMINFO.read_text())[1]) << 10
    size = min(nbytes + WARM_EXTRA, int(available * WARM_PART))
    command = [sys.executable, "-I", "-S", str(HERE / "warm.py"), str(size)]
    subprocess.run(command, check=True, timeout=TIMEOUT_SECONDS)
    return size


def children_seconds() -> float:
    """Return the processor time of all programs that were run from here and have ended.

    Returns
    -------
    float
        Seconds, of user and system.
    """
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(command: Sequence[str | Path], keep: bool = True) -> float:
    """Run a program to its end.

    Parameters
    ----------
    command : sequence of str or Path
        The program and its arguments.
    keep : bool
        Whether to keep what it prints for an error's text; else only what it
        prints to standard error.

    Returns
    -------
    float
        Wall-clock seconds.

    Raises
    ------
    RuntimeError
        If it fails, with the end of what it said.
    """
    started = time.perf_counter()
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if keep else subprocess.DEVNULL,
        stderr=subprocess.STDOUT if keep else subprocess.PIPE,
        timeout=TIMEOUT_SECONDS,
    )
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        said = (done.stdout or done.stderr).decode(errors="replace").strip()[-2000:]
        raise RuntimeError(f"{command[0]} returned {done.returncode}: {said}")
    return seconds


def run_together(commands: Sequence[Sequence[str | Path]]) -> float:
    """Run programs at once, to the end of the last one.

    Parameters
    ----------
    commands : sequence of sequence of str or Path
        The programs and their arguments.

    Returns
    -------
    float
        Wall-clock seconds.

    Raises
    ------
    RuntimeError
        If one of them fails.
    """
    started = time.perf_counter()
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    programs = [subprocess.Popen([str(word) for word in words], **quiet) for words in commands]
    codes = [program.wait(TIMEOUT_SECONDS) for program in programs]
    seconds = time.perf_counter() - started
    for words, code in zip(commands, codes, strict=True):
        if code != 0:
            raise RuntimeError(f"{words[0]} returned {code}")
    return seconds


def read_file(path: Path, mebibytes: int | None = None, skip: int = 0) -> float:
    """Read a file in reads of 1 MiB, and throw it away.

    Parameters
    ----------
    path : Path
        The file.
    mebibytes : int, optional
        Stop after this many MiB.
    skip : int
        Start after this many MiB.

    Returns
    -------
    float
        Seconds.
    """
    command = ["dd", f"if={path}", "of=/dev/null", "bs=1M", f"skip={skip}", "status=none"]
    return run(command if mebibytes is None else [*command, f"count={mebibytes}"])


def random_reads(path: Path, seed: int, count: int, seconds: float) -> list[float]:
    """Read 25 KB at random offsets of a file, one read after the other.

    Parameters
    ----------
    path : Path
        The file.
    seed : int
        Of the offsets: the same seed gives the same ones.
    count : int
        How many reads.
    seconds : float
        No read starts after this time.

    Returns
    -------
    list of float
        Latencies in seconds, in order.
    """
    command = [sys.executable, str(HERE / "reader.py"), str(path), "--seed", str(seed)]
    limits = ["--count", str(count), "--seconds", str(seconds)]
    done = subprocess.run(
        [*command, *limits], check=True, stdout=subprocess.PIPE, timeout=TIMEOUT_SECONDS
    )
    return json.loads(done.stdout)
