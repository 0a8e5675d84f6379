"""Recipes of containers: they name what is there, and their steps are those of the tests."""

import re
from pathlib import Path

from support.docs import blocks

from biofuse.cli import mount

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "containers.md"
DOCKERFILE = (ROOT / "containers" / "Dockerfile").read_text()
DEFINITION = (ROOT / "containers" / "biofuse.def").read_text()


def test_both_do_the_same():
    for step in (
        "fuse3",
        "python:3.13-slim",
        "[s3,gcs,azure,http,icechunk,dask]",
        "--no-cache-dir",
    ):
        assert step in DOCKERFILE and step in DEFINITION


def test_it_runs_as_an_ordinary_user():
    lines = DOCKERFILE.splitlines()
    assert "USER user" in lines
    assert lines.index("USER user") > max(i for i, line in enumerate(lines) if "pip" in line)


def test_extras_are_those_of_the_package():
    pyproject = (ROOT / "pyproject.toml").read_text()
    for name in re.findall(r"\[([\w,]+)\]\"", DOCKERFILE)[0].split(","):
        assert re.search(rf"^{name} = \[", pyproject, re.MULTILINE), name


def test_what_apptainer_makes_of_the_command_for_its_fusemount():
    """It splits at spaces, leaves the mountpoint out, and adds what libfuse's programs take."""
    [spec] = re.findall(r'--fusemount "container:([^"]+)"', PAGE.read_text())
    program, command, *words, place = spec.split()
    assert (program, command) == ("biofuse", "mount") and place.startswith("/")
    parsed = mount.command.make_context("mount", [*words, "/dev/fd/3", "-f"]).params
    assert parsed["store"] == "/data/cohort.vcz" and parsed["directory"] == "/dev/fd/3"
    assert parsed["foreground"] and parsed["apply_filters"] is None
    # Elsewhere it is a filter's.
    parsed = mount.command.make_context("mount", ["x.vcz", "mnt", "-f", "PASS"]).params
    assert parsed["apply_filters"] == "PASS" and not parsed["foreground"]


def test_commands_take_what_there_is():
    """No image has a program of the field but what was put into it; who runs it owns its files."""
    for block in blocks(PAGE):
        for words in block.commands():
            if "plink2" in words:
                assert "biofuse-plink2" in words or "/plink2:/usr/local/bin/plink2" in " ".join(
                    words
                )
            if words[:2] == ["docker", "run"]:
                assert words[words.index("--user") + 1] == "$(id -u):$(id -g)"
