"""A short run of each fuzz target, the same each time."""

import subprocess

import pytest

from . import build, fuzz

pytestmark = pytest.mark.slow

RUNS = {
    "answer": 10_000,
    "bcf": 20_000,
    "frame": 20_000,
    "block": 20_000,
    "calls": 15_000,
    "files": 10_000,
    "tail": 20_000,
    "texts": 15_000,
    "values": 20_000,
}


def test_every_target_is_run():
    assert set(RUNS) == set(fuzz.TARGETS)


@pytest.mark.parametrize("name", RUNS)
def test_fuzz_target(name, tmp_path):
    target = fuzz.make_target(name, tmp_path)
    options = (f"-runs={RUNS[name]}", "-seed=1", "-max_len=8192", "-timeout=60")
    done = subprocess.run(
        target.command(*options),
        capture_output=True,
        text=True,
        errors="replace",
        env=build.SANITIZE_RUN,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    assert f"Done {RUNS[name]} runs" in done.stderr
