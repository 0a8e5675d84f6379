"""Rows that the garbage collector takes, together with the cache whose blocks they use."""

import os
import subprocess
import sys

from . import build

PROGRAM = """
import gc
import numpy as np
from biofuse import native
from native import frames

gc.disable()
array = np.ones((8, 4096, 1), dtype=np.int8)
frame = frames.encode(array, blocksize=4096)


class Cycle:
    pass


for owner in ("rows", "both"):
    cache = native.Cache(1 << 20)
    rows = native.Rows(8, 4096, 1, np.array([4096], dtype=np.uint32), None, cache)
    rows.set_frame(0, frame, frame, 0, len(frame))
    # Row 1, so that the block is of use for others, and cached.
    assert rows.alleles(1) == array[1].tobytes()
    # Younger than the rows, so that it is cleared after them.
    cycle = Cycle()
    cycle.itself = cycle
    cycle.rows = rows
    if owner == "both":
        cycle.cache = cache
    del cache, rows, cycle
    assert gc.collect() > 0
print("done")
"""


def test_rows_are_freed_before_their_cache(tmp_path):
    """A cycle's objects are cleared in any order; blocks in use must outlive their users."""
    preloaded = tmp_path / "destroyed.so"
    source = build.HERE / "destroyed.c"
    command = ["gcc", "-O1", "-shared", "-fPIC", source, "-o", preloaded, "-ldl"]
    subprocess.run(command, check=True)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        cwd=build.HERE.parent,
        env={**os.environ, "LD_PRELOAD": str(preloaded)},
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
