"""The stub `_native.pyi`, which type checkers read, says what the extension module has."""

import subprocess
import sys
from importlib.metadata import files

import pytest

# What Cython adds of its own.
CYTHON = ("__reduce_cython__", "__setstate_cython__", "__test__")


@pytest.mark.slow
def test_the_stub_is_true(tmp_path):
    names = tmp_path / "allowed"
    names.write_text("".join(f"biofuse.native._native.{name}\n" for name in CYTHON))
    command = [sys.executable, "-m", "mypy.stubtest", "--ignore-disjoint-bases"]
    done = subprocess.run(
        [*command, "--allowlist", names, "biofuse.native._native"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_stub_and_marker_are_installed():
    installed = {str(path) for path in files("biofuse") or ()}
    assert {"biofuse/py.typed", "biofuse/native/_native.pyi"} <= installed
