"""Blocks: runs of records in the window, and which of them are there."""

import errno
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

import trio

from biofuse.serve.window import Window


class State(Enum):
    """Where a block is in its life."""

    QUEUED = "queued"
    SENT = "sent"
    READY = "ready"
    FAILED = "failed"


@dataclass(eq=False)
class Block:
    """Consecutive records of a streamed file, being encoded or in the window.

    Attributes
    ----------
    file : int
        Index of the streamed file.
    first, last : int
        Its records, last exclusive.
    start, stop : int
        Its bytes in the file.
    run : bool
        Whether it takes a slot for runs, or one for lone reads.
    demanded : bool
        Whether a read waits for it, or did; else it is read ahead.
    slot : int or None
        Its offset in the window.
    waiters : int
        Reads that wait for it or are copying from it; it is not evicted before they end.
    attempts : int
        Times it was sent to a worker.
    data_error : bool
        Whether it failed for what is in the store: a smaller block may do better.
    """

    file: int
    first: int
    last: int
    start: int
    stop: int
    run: bool
    demanded: bool
    created: float
    state: State = State.QUEUED
    slot: int | None = None
    waiters: int = 0
    attempts: int = 0
    sent_at: float = 0.0
    used_at: int = 0
    spent: bool = False
    errno: int = errno.EIO
    message: str = ""
    data_error: bool = False
    done: trio.Event = field(default_factory=trio.Event)

    @property
    def size(self) -> int:
        return self.stop - self.start


class BlockTable:
    """The blocks of all files, and the slots they take.

    Parameters
    ----------
    window : Window
    """

    def __init__(self, window: Window):
        self._window = window
        self._blocks: list[Block] = []
        self._clock = 0

    def __iter__(self) -> Iterator[Block]:
        return iter(self._blocks)

    def find(self, file: int, offset: int, run: bool | None = None) -> Block | None:
        """The block that has a file's byte, or will have it; if `run` is given, of that kind."""
        for block in self._blocks:
            if (
                block.file == file
                and block.start <= offset < block.stop
                and run in (None, block.run)
            ):
                return block
        return None

    def add(self, block: Block) -> None:
        self._blocks.append(block)
        self.touch(block)

    def touch(self, block: Block) -> None:
        """Take note that a block was used now."""
        self._clock += 1
        block.used_at = self._clock

    def place(self, block: Block) -> bool:
        """Find a slot for a block, evicting another if need be. False if none is free."""
        slot = self._window.take(block.run)
        if slot is None:
            victim = self._victim(block.run)
            if victim is None:
                return False
            self.remove(victim)
            slot = self._window.take(block.run)
        block.slot = slot
        return True

    def _victim(self, run: bool) -> Block | None:
        """The block to evict: one that was read to its end, else the least recently used."""
        candidates = [
            b for b in self._blocks if b.run == run and b.state is State.READY and b.waiters == 0
        ]
        return min(candidates, key=lambda b: (not b.spent, b.used_at), default=None)

    def remove(self, block: Block) -> None:
        """Forget a block and free its slot."""
        self._blocks.remove(block)
        if block.slot is not None:
            self._window.give(block.run, block.slot)
            block.slot = None

    def clear(self) -> None:
        """Forget every block."""
        for block in list(self._blocks):
            self.remove(block)
