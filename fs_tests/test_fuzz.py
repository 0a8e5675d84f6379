"""Fuzz targets in Python: what they start from, some changes of it, and a moment of each.

Those in C have tests of their own (`tests/native/test_fuzz.py`).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .corpus.case import flipped
from .fuzz import __main__ as fuzz
from .fuzz import plans
from .fuzz.targets import TARGETS

ROOT = Path(__file__).parents[1]
# Inputs that are changed at random: of each target, and runs or seconds of each under atheris.
CHANGED_SHORT, CHANGED_LONG, RUNS, SECONDS = 15, 300, 200, 3


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
    """Under atheris; in the short form some runs of each, by processes that import together."""
    names = [f"py/{name}" for name in TARGETS]
    most = ["--seconds", str(SECONDS)] if is_long else ["--together", "--runs", str(RUNS)]
    paths = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH")]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "fs_tests.fuzz", *most, "--folder", str(tmp_path), *names],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == names
    assert all(int(line.split()[2]) >= (1 if is_long else RUNS) for line in lines), lines


def test_what_one_of_several_finds_is_told(tmp_path, monkeypatch):
    """By a process that ends before the second one of them."""
    log = tmp_path / "py/regions/log"
    program = f"""cat > {tmp_path}/tasks; touch {log}; echo '{{"name": "regions", "code": 77}}'"""
    monkeypatch.setattr(fuzz, "PYTHON", ("sh", "-c", program))
    found = [*fuzz.run_together(["py/regions", "py/wire"], tmp_path, ["-runs=5"], 2)]
    assert [each.findings[0].split(":")[0] for each in found] == ["exit code 77", "exit code -1"]
    tasks = [json.loads(line) for line in (tmp_path / "tasks").read_text().splitlines()]
    assert [each["words"][0] for each in tasks] == ["regions", "wire"]
    assert all("-runs=5" in each["words"] for each in tasks)


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


def test_a_manifest_that_was_changed_is_a_finding(monkeypatch):
    [seed, *_] = TARGETS["manifest"].seeds()
    TARGETS["manifest"].run(seed)
    value = json.loads(seed[1:])["checksum"]
    monkeypatch.setattr("biofuse.manifest.checksum_of", lambda _: value)
    with pytest.raises(AssertionError, match="that was changed is taken"):
        TARGETS["manifest"].run(seed)


@pytest.mark.parametrize(("name", "new"), [("static/0/size", 2**31), ("modified_ns", "x")])
def test_a_lie_of_a_manifest_is_a_finding(name, new, monkeypatch):
    """One that has the right checksum, where nothing looks at what it says."""
    data = plans.edits({name: new})
    TARGETS["manifest"].run(data)
    monkeypatch.setattr("biofuse.manifest.check_plan", lambda plan, sizes: None)
    with pytest.raises((AssertionError, TypeError)):
        TARGETS["manifest"].run(data)


def test_wrong_bytes_of_a_sound_plan_are_a_finding(monkeypatch):
    TARGETS["manifest"].run(b"\2")
    monkeypatch.setattr("biofuse.encode.maker.Maker.read_into", lambda *_: None)
    with pytest.raises(AssertionError):
        TARGETS["manifest"].run(b"\2")
