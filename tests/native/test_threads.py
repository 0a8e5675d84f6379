"""The cache of blocks under the sanitizers of threads and of addresses."""

import subprocess

import pytest

from . import build

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
def test_threads_share_a_cache(sanitizer):
    program = build.compile_program(
        "clang",
        ["threads.c", *build.CASE],
        *build.SANITIZE,
        f"-fsanitize={sanitizer}",
        "-pthread",
    )
    done = subprocess.run(
        [program], capture_output=True, text=True, env=build.SANITIZE_RUN, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-6000:]
