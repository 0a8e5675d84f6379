"""Fuzz targets in Python: what they start from, some changes of it, and a moment of each.

Those in C have tests of their own (`tests/native/test_fuzz.py`).
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .corpus.case import flipped
from .fuzz import __main__ as fuzz
from .fuzz.targets import TARGETS

ROOT = Path(__file__).parents[1]
# Inputs that are changed at random: of each target, and seconds of each under atheris.
CHANGED_SHORT, CHANGED_LONG, SECONDS = 15, 300, 3


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_changes_of_them(name, seed, is_long):
    target = TARGETS[name]
    rng = np.random.default_rng(seed)
    seeds = target.seeds()
    assert seeds
    for each in seeds:
        target.run(each)
    for _ in range(CHANGED_LONG if is_long else CHANGED_SHORT):
        data = flipped(seeds[int(rng.integers(len(seeds)))], rng)
        try:
            target.run(data)
        except Exception as error:
            raise AssertionError(f"{name} finds something in {data!r}") from error


def test_a_moment_of_each(is_long, tmp_path):
    """In the short form of one of them, so that it is known to begin."""
    names = [f"py/{name}" for name in TARGETS] if is_long else ["py/manifest"]
    paths = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH")]
    words = ["--seconds", str(SECONDS if is_long else 1), "--folder", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "fs_tests.fuzz", *words, *names],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == names
    assert all(int(line.split()[2]) > 0 for line in lines)


def test_what_is_found_is_told(tmp_path, monkeypatch):
    """By a program that ends as a target that has found something, and leaves what it was."""

    def command(name: str, folder: Path) -> tuple[list[str], Path]:
        (folder / "findings").mkdir(parents=True)
        return ["sh", "-c", f"touch {folder}/findings/crash-1; exit 77"], folder / "findings"

    monkeypatch.setattr(fuzz, "command", command)
    result = fuzz.run("py/wire", tmp_path, [])
    assert result.findings == [str(tmp_path / "findings" / "crash-1")]
    monkeypatch.setattr(fuzz, "command", lambda name, folder: (["true"], folder / "findings"))
    assert fuzz.run("py/wire", tmp_path, []).findings[0].startswith("exit code 0")


def test_a_lie_is_a_finding(monkeypatch):
    [seed, *_] = TARGETS["manifest"].seeds()
    other = seed.replace(b'"num_samples": 23', b'"num_samples": 22')
    TARGETS["manifest"].run(other)
    monkeypatch.setattr("biofuse.manifest.checksum_of", lambda value: None)
    monkeypatch.setattr("biofuse.manifest.json.loads", _without_checksum)
    with pytest.raises(AssertionError, match="that was changed is taken"):
        TARGETS["manifest"].run(other)


def _without_checksum(text):
    import json

    value = json.JSONDecoder().decode(text.decode())
    return {key: each for key, each in value.items() if key != "checksum"}
