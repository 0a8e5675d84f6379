"""Recipes of containers: they name what is there, and their steps are those of the tests."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "containers" / "Dockerfile").read_text()
DEFINITION = (ROOT / "containers" / "biofuse.def").read_text()


def test_both_do_the_same():
    for step in ("fuse3", "python:3.13-slim", "[s3,gcs,azure,http,icechunk]", "--no-cache-dir"):
        assert step in DOCKERFILE and step in DEFINITION


def test_it_runs_as_an_ordinary_user():
    lines = DOCKERFILE.splitlines()
    assert "USER user" in lines
    assert lines.index("USER user") > max(i for i, line in enumerate(lines) if "pip" in line)


def test_extras_are_those_of_the_package():
    pyproject = (ROOT / "pyproject.toml").read_text()
    for name in re.findall(r"\[([\w,]+)\]\"", DOCKERFILE)[0].split(","):
        assert re.search(rf"^{name} = \[", pyproject, re.MULTILINE), name
