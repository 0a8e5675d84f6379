"""Run the benchmarks from any directory: ``python benchmarks/run.py``."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    # In place of this directory, whose modules belong to the package.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    runpy.run_module("benchmarks", run_name="__main__")
