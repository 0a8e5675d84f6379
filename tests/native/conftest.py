"""Programs that several modules run."""

import pytest

from . import build


@pytest.fixture(scope="session")
def sanitized():
    """The harness with address and undefined-behaviour sanitizers."""
    return build.compile_program(
        "clang",
        ["harness.c", *build.CASE],
        *build.SANITIZE,
        "-fsanitize=address,undefined",
    )
