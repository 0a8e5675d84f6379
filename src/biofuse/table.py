"""The table of reads that are under way: memory that serve and the worker share.

A page of counters, which the worker adds to, then a slot a read. serve fills a slot and
tells the worker of it (`protocol`); the worker answers the kernel and marks the slot, which
serve sees when it looks.
"""

import mmap
import os
import struct
from typing import NamedTuple

# What the worker counts, in the order in which the page has it: unsigned, of 64 bits each. The
# engine knows the first ones by their places (`native/counters.h`).
COUNTERS = (
    "reads",
    "bytes_served",
    "records_encoded",
    "bytes_encoded",
    "plane_hits",
    "plane_misses",
    "planes_ahead",
    "chunk_hits",
    "chunk_misses",
    "cache_size",
    # Of a store at some distance; the last three are no totals.
    "store_requests",
    "store_bytes",
    "store_retries",
    "store_kept",
    "store_bytes_kept",
    "store_under_way",
    "store_delay_us",
    "store_bandwidth",
)
# What is no total, and nothing when there is no worker.
CACHE_SIZE = COUNTERS.index("cache_size")
UNDER_WAY = COUNTERS.index("store_under_way")

SLOTS = 4096
_FIRST_SLOT = 4096
# State, attempts, unique, offset, size, file, asked, answered, opening, bytes answered, spare.
_SLOT = struct.Struct("<IIQQIIQQQII")
_ANSWER = struct.Struct("<Q")
_ANSWERED_AT = 40
_BYTES = struct.Struct("<I")
_BYTES_AT = 56
_UNIQUE = struct.Struct("<Q")
_UNIQUE_AT = 8
_ALL_COUNTERS = struct.Struct(f"<{len(COUNTERS)}Q")
TABLE_SIZE = _FIRST_SLOT + SLOTS * _SLOT.size

# States of a slot.
FREE = 0
ASKED = 1
ANSWERED = 2


class Slot(NamedTuple):
    """A read that is under way, or was answered.

    Attributes
    ----------
    state : int
    attempts : int
        Workers that were asked.
    unique : int
        The kernel's name for it.
    offset, size : int
    file : int
        Index into the plan's streamed files.
    asked_ns, answered_ns : int
        By the monotonic clock.
    opening : int
        Which opening of a file it comes from.
    answered : int
        Bytes.
    spare : int
    """

    state: int
    attempts: int
    unique: int
    offset: int
    size: int
    file: int
    asked_ns: int
    answered_ns: int
    opening: int
    answered: int
    spare: int


class Table:
    """The table, mapped.

    Parameters
    ----------
    fd : int, optional
        Its memory; new memory unless it is given.

    Attributes
    ----------
    fd : int
    memory : mmap.mmap
        All of it.
    """

    def __init__(self, fd: int | None = None):
        if fd is None:
            fd = os.memfd_create("biofuse-table", os.MFD_CLOEXEC)
            os.ftruncate(fd, TABLE_SIZE)
        self.fd = fd
        self.memory = mmap.mmap(fd, TABLE_SIZE)
        self._bytes = memoryview(self.memory)
        # A state is written in one piece.
        self._words = self._bytes.cast("I")

    def _at(self, slot: int) -> int:
        return _FIRST_SLOT + slot * _SLOT.size

    def state(self, slot: int) -> int:
        """A slot's state."""
        return self._words[self._at(slot) // 4]

    def _set_state(self, slot: int, state: int) -> None:
        self._words[self._at(slot) // 4] = state

    def read(self, slot: int) -> Slot:
        """A slot."""
        return Slot._make(_SLOT.unpack_from(self._bytes, self._at(slot)))

    # serve's part.

    def ask(
        self,
        slot: int,
        attempts: int,
        unique: int,
        offset: int,
        size: int,
        file: int,
        asked_ns: int,
        opening: int,
    ) -> None:
        """Fill a slot; its state is ASKED."""
        _SLOT.pack_into(
            self._bytes,
            self._at(slot),
            FREE,
            attempts,
            unique,
            offset,
            size,
            file,
            asked_ns,
            0,
            opening,
            0,
            0,
        )
        self._set_state(slot, ASKED)

    def free(self, slot: int) -> None:
        """Give up a slot."""
        self._set_state(slot, FREE)

    def counters(self) -> dict[str, int]:
        """The counters by name."""
        return dict(zip(COUNTERS, _ALL_COUNTERS.unpack_from(self._bytes), strict=True))

    # The worker's part.

    def mark(self, slot: int, unique: int, size: int, now_ns: int) -> None:
        """Say that a read was answered with so many bytes, if the slot is still its own."""
        start = self._at(slot)
        if _UNIQUE.unpack_from(self._bytes, start + _UNIQUE_AT)[0] != unique:
            return
        _BYTES.pack_into(self._bytes, start + _BYTES_AT, size)
        _ANSWER.pack_into(self._bytes, start + _ANSWERED_AT, now_ns)
        self._set_state(slot, ANSWERED)

    def set_counter(self, number: int, value: int) -> None:
        """Write a counter."""
        _UNIQUE.pack_into(self._bytes, 8 * number, value)

    def add(self, number: int, value: int) -> None:
        """Add to a counter. Not to be called by two threads at once."""
        (before,) = _UNIQUE.unpack_from(self._bytes, 8 * number)
        self.set_counter(number, before + value)
