"""Write a file of a view as it is: spans of it at a time, each to its place."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from biofuse.encode.maker import PIECE, Maker
from biofuse.export.cluster import Cluster, write_span
from biofuse.export.journal import Journal, Span, missing_spans
from biofuse.export.team import Team

# What is written is had on disk after so many bytes, or seconds, so that a kill costs no more.
_SYNC_BYTES, _SYNC_SECONDS = 1 << 30, 2.0
# Seconds between two looks.
_LOOK = 0.2


def write_spans(
    maker: Maker,
    file: int,
    size: int,
    fd: int,
    journal: Journal,
    name: str,
    threads: int,
    progress: Callable[[int], None],
) -> None:
    """Write what is not yet written of a streamed file.

    Parameters
    ----------
    maker : Maker
    file : int
        Its number in the plan.
    size : int
        In bytes.
    fd : int
        What is written to, of that size.
    journal : Journal
    name : str
        The file's.
    threads : int
    progress : callable
        Called with bytes that were written.

    Raises
    ------
    BiofuseError
        If bytes cannot be made.
    OSError
        If they cannot be written.
    """
    done = journal.spans(name)
    progress(sum(stop - start for start, stop in done))

    def write(span: Span) -> None:
        maker.write(file, span[0], span[1] - span[0], fd)

    notes = _Notes(fd, journal, name)
    with Team(missing_spans(size, done, PIECE), write, threads) as team, notes:
        goes_on = True
        while goes_on:
            found, goes_on = team.take(_LOOK)
            for span in found:
                notes.add(span)
                progress(span[1] - span[0])
            notes.look()


def write_spans_on(
    cluster: Cluster,
    package: Any,
    file: int,
    size: int,
    fd: int,
    path: str,
    journal: Journal,
    name: str,
    progress: Callable[[int], None],
) -> None:
    """The same, by the workers of a cluster.

    Parameters
    ----------
    cluster : Cluster
    package : object
        What it has given for the view.
    path : str
        What is written to, as workers see it too.

    Raises
    ------
    BiofuseError
        If a worker fails, and others with what it was to do.
    """
    done = journal.spans(name)
    progress(sum(stop - start for start, stop in done))
    # Its size is what workers on other machines are to see.
    os.fsync(fd)
    spans = missing_spans(size, done, cluster.span_size(size))
    # Those that were written are on disk, by their workers' word.
    with _Notes(fd, journal, name) as notes:
        for _, span in cluster.each(((package, file, each, path) for each in spans), write_span):
            notes.add(span)
            progress(span[1] - span[0])
            notes.look()


class _Notes:
    """Says in a journal what is written, once it is on disk."""

    def __init__(self, fd: int, journal: Journal, name: str):
        self._fd = fd
        self._journal = journal
        self._name = name
        self._spans: list[Span] = []
        self._size = 0
        self._noted = time.monotonic()

    def __enter__(self) -> "_Notes":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._note()
        else:
            with contextlib.suppress(OSError):
                self._note()

    def add(self, span: Span) -> None:
        self._spans.append(span)
        self._size += span[1] - span[0]

    def look(self) -> None:
        """Note what there is, if it is much or long ago."""
        if self._size >= _SYNC_BYTES or time.monotonic() - self._noted > _SYNC_SECONDS:
            self._note()

    def _note(self) -> None:
        self._noted = time.monotonic()
        if not self._spans:
            return
        # An error is told once: what could not be had on disk is not noted the next time either.
        spans, self._spans, self._size = self._spans, [], 0
        self._journal.sync(self._fd)
        for start, stop in _joined(spans):
            self._journal.add({"file": self._name, "start": start, "stop": stop})


def _joined(spans: list[Span]) -> Iterator[Span]:
    """The same with neighbours as one."""
    start = stop = -1
    for first, last in sorted(spans):
        if first != stop:
            if stop > start:
                yield start, stop
            start = first
        stop = last
    yield start, stop
