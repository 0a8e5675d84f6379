"""Write a file of a view as it is: spans of it at a time, each to its place."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator

from biofuse.encode.maker import PIECE, Maker
from biofuse.export.journal import Journal, Span, missing_spans
from biofuse.export.team import Team

# Bytes that a thread writes before it takes others.
SPAN = 4 * PIECE
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
        What is written to; of that size at the end.
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
    os.ftruncate(fd, size)

    def write(span: Span) -> None:
        for at in range(span[0], span[1], PIECE):
            maker.write(file, at, min(PIECE, span[1] - at), fd, at)

    fresh: list[Span] = []
    synced = time.monotonic()
    goes_on = True
    with Team(missing_spans(size, done, SPAN), write, threads) as team:
        try:
            while goes_on:
                found, goes_on = team.take(_LOOK)
                fresh += found
                progress(sum(stop - start for start, stop in found))
                written = sum(stop - start for start, stop in fresh)
                late = time.monotonic() - synced > _SYNC_SECONDS
                if fresh and (not goes_on or late or written >= _SYNC_BYTES):
                    _note(fd, journal, name, fresh)
                    fresh, synced = [], time.monotonic()
        except BaseException:
            if fresh:
                with contextlib.suppress(OSError):
                    _note(fd, journal, name, fresh)
            raise


def _note(fd: int, journal: Journal, name: str, spans: list[Span]) -> None:
    journal.sync(fd)
    for start, stop in _joined(spans):
        journal.add({"file": name, "start": start, "stop": stop})


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
