"""How many threads encode, as options and the kind of store say."""

import os

import click
import pytest

from biofuse.cli import options, settings


def threads(monkeypatch, cores: int, *words: str) -> int:
    """Threads that a command line gives on a machine of so many cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)))
    command = options.store_options(options.serving_options(lambda **kwargs: kwargs))
    made = click.command(cls=options.GroupedCommand)(options.log_options(command))
    kwargs = made.main([*words], standalone_mode=False)
    return settings.serve_config_from("x.vcz", "/m", kwargs).threads


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
