"""Processes that read a mount at random and compare (support/fsx.py)."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support import fsx

COMMAND = (sys.executable, "-S", fsx.__file__)


@contextmanager
def readers(
    mount: Path,
    copies: Path,
    seeds: Sequence[int],
    seconds: float,
    only: Sequence[str] = (),
) -> Iterator[Counter]:
    """Have processes read for a time, beside whatever a block does, and wait for them.

    Parameters
    ----------
    mount, copies : Path
        Folders of the same files.
    seeds : sequence of int
        One a process.
    seconds : float
    only : sequence of str
        Operations, by default all.

    Yields
    ------
    Counter
        How many operations of each kind there were, once they are done.

    Raises
    ------
    AssertionError
        If one of them has found a difference; it says which.
    """
    options = ["--seconds", str(seconds), *(["--only", *only] if only else [])]
    running = [
        subprocess.Popen(
            [*COMMAND, mount, copies, *options, "--seed", str(seed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in seeds
    ]
    counts: Counter = Counter()
    try:
        yield counts
        for process in running:
            out, err = process.communicate(timeout=seconds + 120)
            assert process.returncode == 0, err
            counts.update(json.loads(out))
    finally:
        for process in running:
            process.kill()
            process.wait()
