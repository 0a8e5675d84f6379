"""One thing that is broken, and what a mount must make of it."""

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from support.odd_metadata import check_said

# Seconds after which a case is stuck: all take a fraction of one.
STUCK = 30


@dataclass(frozen=True)
class Case:
    """Something that is broken.

    Attributes
    ----------
    name : str
        What was done to it; names it among those of its kind and seed.
    expects : str
        What it must give.
    check : callable
        Called with a folder of the case's own, which is empty. Raises AssertionError if it gives
        something else.
    """

    name: str
    expects: str
    check: Callable[[Path], None]


# Makes the cases of a kind, in a folder that all of them share.
Maker = Callable[[Path, np.random.Generator], Sequence[Case]]


@contextlib.contextmanager
def not_stuck(name: str, seconds: int = STUCK) -> Iterator[None]:
    """Raise AssertionError if a block takes very long."""

    def stop(*_: object) -> None:
        raise AssertionError(f"stuck: {name}")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def check_refused(error: Exception, *names: str) -> None:
    """Raise AssertionError unless an error is one line that has one of these names in it."""
    text = str(error)
    check_said(text)
    assert not names or any(name in text for name in names), text


def flipped(data: bytes, rng: np.random.Generator, places: Sequence[int] | None = None) -> bytes:
    """Bytes of which one to four are others."""
    changed = bytearray(data)
    where = range(len(data)) if places is None else places
    for _ in range(int(rng.integers(1, 5))):
        changed[where[int(rng.integers(len(where)))]] ^= int(rng.integers(1, 256))
    return bytes(changed)
