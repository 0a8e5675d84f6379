"""Many readers of one file at once, each at a place of its own."""

import subprocess
import sys
import time
from pathlib import Path

from .compare import Comparison, default_read_ahead
from .measure import drop_caches, warm_memory
from .memory import sampling
from .mounts import NULL, TIMED_OPTIONS

READERS = (1, 4, 16, 64)
# Readers are told to begin when all of them are there.
_START = 1.0
_START_EACH = 0.02
# Rarely, since looking takes time that the readers would have.
_SAMPLE_SECONDS = 0.5
_HERE = Path(__file__).parent


def read_together(path: Path, readers: int, seconds: float) -> float:
    """Have so many processes read on from places that are evenly spread over a file.

    Parameters
    ----------
    path : Path
    readers : int
    seconds : float
        How long.

    Returns
    -------
    float
        Bytes a second, of all of them together.
    """
    size = path.stat().st_size
    begin = time.monotonic() + _START + _START_EACH * readers
    words = [sys.executable, "-S", _HERE / "read_on.py", path]
    started = [
        subprocess.Popen(
            [*words, str(size // readers * i), str(begin), str(begin + seconds)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(readers)
    ]
    done = [(process.communicate()[0].split(), process.returncode) for process in started]
    if any(code != 0 for _, code in done):
        raise RuntimeError("a reader has failed")
    last = max(float(words[1]) for words, _ in done)
    return sum(int(words[0]) for words, _ in done) / (last - begin)


def many_readers(comparison: Comparison) -> None:
    """One reader of `wide_bench`, and several at once, cold, for some seconds each.

    Of all of them together what they get, and the most that the mount's processes hold.
    """
    seconds = min(5.0, comparison.read_seconds)
    for view, name in comparison.chosen("wide_bench"):
        store = comparison.maker.store(name)
        for _ in range(comparison.repeats):
            for side in comparison.sides:
                for readers in READERS:
                    drop_caches(store)
                    window, options = default_read_ahead(side), TIMED_OPTIONS.get(side)
                    with comparison.mounter.mount(side, store, view, window, options) as mount:
                        warm_memory(0 if side != NULL else 1 << 30)
                        with sampling(mount, _SAMPLE_SECONDS) as peak:
                            found = read_together(mount.file, readers, seconds)
                    held = peak.memory.pss / 2**20
                    for measure, unit, value in (
                        (f"readers of {view.suffix}", "MB/s", found / 1e6),
                        (f"memory of readers of {view.suffix}, PSS", "MiB", held),
                    ):
                        comparison.results.add(
                            measure, name, side, f"{readers} at once", unit, value
                        )
