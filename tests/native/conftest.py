"""Programs that are compiled once a session."""

import pytest

from . import build


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """Where the tests' C programs are compiled to."""
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="session")
def sanitized(programs):
    """The harness with address and undefined-behaviour sanitizers."""
    return build.compile_program(
        "clang",
        programs / "sanitized",
        ["harness.c", *build.CASE],
        *build.SANITIZE,
        "-fsanitize=address,undefined",
    )
