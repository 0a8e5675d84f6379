"""How many threads encode, as options and the kind of store say."""

import os

import click
import pytest

from biofuse.cli import options
from biofuse.cli.params import Command


def threads(monkeypatch, cores: int, *words: str) -> int:
    """Threads that a command line gives on a machine of so many cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)))
    command = options.store_options(options.serving_options(lambda **given: given))
    given = click.command(cls=Command)(command).main([*words], standalone_mode=False)
    return given["serving"].num_threads(given["source"].backend_storage is None)


REMOTE = ["--backend-storage", "fsspec"]


@pytest.mark.parametrize(
    ("cores", "words", "expected"),
    [
        (1, [], 1),
        (2, [], 2),
        (64, [], 4),
        (1, REMOTE, 8),
        (64, REMOTE, 8),
        (2, ["--threads", "32"], 32),
        (2, [*REMOTE, "--threads", "1"], 1),
        (2, ["--readahead-workers", "32"], 2),
        (2, ["--readahead-workers", "0"], 1),
        (2, [*REMOTE, "--readahead-workers", "32"], 32),
        (2, [*REMOTE, "--readahead-workers", "1000"], 64),
        (2, [*REMOTE, "--readahead-workers", "0"], 1),
        (2, ["--readahead-workers", "32", "--threads", "3"], 3),
    ],
)
def test_threads(cores, words, expected, monkeypatch):
    assert threads(monkeypatch, cores, *words) == expected
