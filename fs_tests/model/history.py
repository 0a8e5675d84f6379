"""Faults as they happened."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Happened:
    """A fault.

    Attributes
    ----------
    kind : str
        See `rules.RULES`.
    begin : float
        By the monotonic clock: nothing of it was before.
    end : float or None
        Nothing of it is since; None of what is not lifted.
    rows : frozenset of int or None
        The chunk rows that it is about; None of all.
    face : str or None
        Of one face alone.
    """

    kind: str
    begin: float
    end: float | None = None
    rows: frozenset[int] | None = None
    face: str | None = None

    def overlaps(self, began: float, ended: float) -> bool:
        """Whether it was in force at some time of these."""
        return self.begin <= ended and (self.end is None or began <= self.end)


class History:
    """All faults of an episode. Thread-safe."""

    def __init__(self) -> None:
        self.faults: list[Happened] = []
        self._lock = threading.Lock()

    def began(self, kind: str, rows: frozenset[int] | None = None) -> Happened:
        """Note a fault, before anything of it is done."""
        fault = Happened(kind, time.monotonic(), None, rows)
        with self._lock:
            self.faults.append(fault)
        return fault

    @contextmanager
    def during(self, kind: str, rows: frozenset[int] | None = None) -> Iterator[Happened]:
        """Note a fault that lasts as long as a block."""
        fault = self.began(kind, rows)
        try:
            yield fault
        finally:
            fault.end = time.monotonic()

    def kinds(self) -> set[str]:
        return {fault.kind for fault in self.faults}
