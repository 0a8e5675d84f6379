"""Targets of what processes say to each other: the kernel's requests, the table, messages."""

import functools
import os
import struct
import tempfile
from pathlib import Path

from support import kernel as k
from support.links import FakeLink

from biofuse.protocol import NO_RECORD, Failure, Request
from biofuse.serve.counters import Counters
from biofuse.serve.router import Router, Wanted
from biofuse.table import _SLOT, ANSWERED, SLOTS, Table

from ..corpus.messages import Door, check_session

SECOND = 10**9
TIMEOUT, IDLE = 60, 10
# To a worker, before it is another one: opening a plan takes longer than they do.
MESSAGES = 32


def wire(data: bytes) -> None:
    """A packet of the kernel's: as it is, or with its length set right."""
    if not data:
        return
    packet = data[1:]
    if data[0] & 1 and len(packet) >= k.HEADER.size:
        packet = len(packet).to_bytes(4, "little") + packet[4:]
    if data[0] & 2 and len(packet) >= k.HEADER.size:
        packet = packet[:4] + struct.pack("=IQ", data[0] >> 2, 88) + packet[16:]
    if packet:
        check_session(packet, Path())


def wire_seeds() -> list[bytes]:
    seeds = []
    for operation in range(53):
        body = struct.pack("=QQIIQII", 1 << 32 | 2, 5, 900, 0, 0, 0, 0) + b"x.bed\0"
        header = k.HEADER.pack(40 + len(body), operation, 88, 1 + operation % 3, 0, 0, 9, 0, 0)
        seeds.append(b"\1" + header + body)
    return seeds


class Routes:
    """A router, its worker and its kernel; every read is to be answered, once."""

    def __init__(self) -> None:
        self.now = 1000 * SECOND
        self.table, self.link = Table(), FakeLink(room=3)
        self.theirs = Table(self.table.fd)
        self.asked: set[int] = set()
        self.answered: set[int] = set()
        self.router = Router(
            self.table,
            Counters(),
            self._fail,
            TIMEOUT,
            IDLE,
            lambda file, error: None,
            clock=lambda: self.now,
        )
        self.router.link = self.link

    def _fail(self, unique: int, code: int) -> bool:
        assert unique in self.asked, "a read that nobody has asked for is answered"
        if unique in self.answered:
            return False
        self.answered.add(unique)
        return True

    def step(self, what: int, number: int, rest: bytes) -> None:
        sent = self.link.sent[number % len(self.link.sent)] if self.link.sent else None
        if what == 0:
            unique = 2 * len(self.asked) + 2
            self.asked.add(unique)
            self.router.read(Wanted(unique, number % 3, 1, number, 4096, 0))
        elif what == 1 and sent is not None:
            # The kernel takes the first answer; the slot is marked in any case.
            self.answered.add(sent.unique)
            self.theirs.mark(sent.slot, sent.unique, sent.size, self.now)
        elif what == 2 and sent is not None:
            failure = Failure(sent.slot, number, sent.unique, NO_RECORD, "x").pack()
            self.router.on_message(failure)
        elif what == 3:
            self.router.on_message(rest[:number])
        elif what == 4:
            self.link.pid = None
            self.router.on_death("killed")
        elif what == 5:
            self.now += number * SECOND
            self.router.tick()
        elif what == 6:
            self.link.room += number % 8
            self.router.send()
        elif what == 7:
            # Anything, anywhere in a slot, but that it is answered.
            at = self.theirs._at(SLOTS - 1 - number % 8)
            for place, byte in enumerate(rest[: _SLOT.size]):
                self.theirs._bytes[at + place] = byte | 4 * (place == 0)
        elif what == 8:
            self.router.interrupt(2 * number)
        else:
            self.router.look()

    def end(self) -> None:
        """Everything is answered, in the end, and every slot is free again."""
        for _ in range(3):
            self.now += (TIMEOUT + 1) * SECOND
            self.router.tick()
            self.link.room = SLOTS
            self.link.pid = None
            self.router.on_death("killed")
        self.now += (TIMEOUT + 1) * SECOND
        self.router.tick()
        assert self.answered == self.asked, "a read is never answered"
        assert self.router.under_way == 0
        self.router.on_death("killed")
        assert sorted(self.router._free) == list(range(SLOTS))
        assert all(self.table.state(slot) != ANSWERED for slot in range(SLOTS - 16, SLOTS))


def router(data: bytes) -> None:
    """Two bytes a step: what happens, and a number."""
    routes = Routes()
    try:
        for at in range(0, min(len(data), 400) - 1, 2):
            routes.step(data[at] % 10, data[at + 1], data[at + 2 :])
        routes.end()
    finally:
        os.close(routes.table.fd)


def router_seeds() -> list[bytes]:
    return [
        bytes([0, 1, 0, 2, 1, 0, 9, 0, 1, 1, 9, 0]),
        bytes([0, 1, 2, 5, 4, 0, 0, 9, 4, 0, 1, 0]),
        bytes([0, 1] * 9 + [6, 7, 1, 0, 5, 61, 4, 0]),
        bytes([0, 1, 7, 0, 5, 30, 5, 40, 3, 9]) + Failure(SLOTS - 1, 5, 2, 0, "x").pack(),
        bytes([8, 1, 0, 0, 8, 1, 5, 200]),
    ]


@functools.cache
def _door() -> Door:
    return Door(Path(tempfile.mkdtemp(prefix="biofuse-fuzz-")), MESSAGES)


def worker(data: bytes) -> None:
    """A message of serve's to the engine that answers, before a sound one.

    Others have come to the engine before it, which a finding tells.
    """
    if not data:
        return
    door = _door()
    try:
        door.check(data[:64], Path())
    except Exception as error:
        raise AssertionError(f"{error!r}, when these have come: {door.came}") from error


def worker_seeds() -> list[bytes]:
    return [
        Request(slot, file, 6, offset, size).pack()
        for slot, file, offset, size in (
            (7, 0, 0, 900),
            (SLOTS, 1, 5, 100),
            (1, 0, 2**63, 1),
            (5, 1, 0, 2**32 - 1),
        )
    ]
