"""Messages that are none: to serve from its worker and from the kernel, and to the worker.

Each comes between sound ones. It is ignored, with a line in the log at most, or answered with an
error of the kernel's; the sound ones are answered as if it had not been there.
"""

import contextlib
import errno
import logging
import os
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from support import kernel as k
from support import reference
from support.stores import make_store, random_genotypes
from support.views import open_fast_path, plan_view

from biofuse.encode.fast import FastPath
from biofuse.fuse.directory import Directory
from biofuse.fuse.session import OldKernelError, Session
from biofuse.protocol import NO_RECORD, Failure, Request
from biofuse.serve.counters import Counters
from biofuse.serve.router import Router, Wanted
from biofuse.table import ANSWERED, ASKED, SLOTS, Table

from .case import Case, flipped

GENOTYPES = random_genotypes(60, 23, seed=3)
U32, U64 = 2**32 - 1, 2**64 - 1
# What may be in place of a number.
ODD32 = (0, 1, 2, 3, 511, 512, SLOTS - 1, SLOTS, 2**31 - 1, 2**31, U32)
ODD64 = (0, 1, 2, 99, 2**32, 2**63 - 1, 2**63, U64 - 1, U64)


class Log(logging.Handler):
    """Lines that were logged: none of them may have a traceback."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Raise AssertionError if more is logged than a line or two."""
    log = Log()
    root = logging.getLogger("biofuse")
    root.addHandler(log)
    root.propagate = False
    try:
        yield
    finally:
        root.removeHandler(log)
        root.propagate = True
    assert all(record.exc_info is None for record in log.records), log.records
    assert len(log.records) <= 2, log.records


class DeadLink:
    """A worker to which everything can be sent."""

    pid = 77

    def __init__(self) -> None:
        self.sent: list[Request] = []

    def start(self) -> None: ...
    def kill(self) -> None: ...
    def stop(self) -> None: ...

    def send(self, message: bytes) -> bool:
        self.sent.append(Request.unpack(message))
        return True


def check_router(message: bytes, _: Path) -> None:
    """Have the message come while two reads are under way, of which it may answer one."""
    table, failed = Table(), []
    theirs = Table(table.fd)
    router = Router(
        table, Counters(), lambda u, code: failed.append((u, code)) or True, 60, 10, lambda *_: None
    )
    router.link = link = DeadLink()
    try:
        for unique in (2, 4):
            router.read(Wanted(unique, 0, 1, 0, 4096, 0))
        with quiet():
            router.on_message(message)
            router.on_message(message)
        for request in link.sent:
            theirs.mark(request.slot, request.unique, 4096, time.monotonic_ns())
        assert router.under_way == 0
        # What was refused was refused once, and what is not named was not.
        assert len(failed) == len(dict(failed)) <= 1
        assert set(dict(failed)) <= {2, 4}
    finally:
        os.close(table.fd)


def to_serve(folder: Path, rng: np.random.Generator) -> Sequence[Case]:
    """A worker's messages."""
    sound = Failure(SLOTS - 1, errno.EIO, 2, NO_RECORD, "bad chunk").pack()
    slot = SLOTS - 1
    made = {f"{size} bytes": sound[:size] for size in range(25)}
    made |= {f"slot {n}": Failure(n, 5, 2, 0, "x").pack() for n in ODD32}
    made |= {f"unique {n}": Failure(slot, 5, n, 0, "x").pack() for n in ODD64}
    made |= {f"errno {n}": Failure(slot, n, 2, 0, "x").pack() for n in ODD32}
    made |= {f"record {n}": Failure(slot, 5, 2, n, "x").pack() for n in ODD64}
    made |= {f"flipped {n}": flipped(sound, rng) for n in range(60)}
    made |= {f"noise {n}": rng.bytes(int(rng.integers(0, 4096))) for n in range(40)}
    made |= {"much text": sound + b"\n" * 4000, "no text": sound[:24], "nuls": sound + bytes(99)}
    made |= {"lines": sound + b"Traceback\n  x\n", "not text": sound + b"\xff\xfe\xc0" * 9}
    return [
        Case(
            f"to serve: {what}",
            "ignored, or the read that it names fails once",
            partial(check_router, message),
        )
        for what, message in made.items()
    ]


class Door:
    """The engine of a plan, which takes requests off a socket, as in a worker.

    Parameters
    ----------
    folder : Path
        Where a store and its plan are made.
    checks : int
        How many an engine is for, before it is opened anew.
    """

    def __init__(self, folder: Path, checks: int = 1):
        store = make_store(folder / "x.vcz", GENOTYPES, chunks=(20, 9))
        options = ("--format", "plink", "--format", "bcf")
        self.plan = plan_view(store, folder / "plan", *options)
        self.folder = folder / "plan"
        self.bed = reference.bed(GENOTYPES)
        names = [each.name for each in self.plan.streamed]
        self.number = next(n for n, name in enumerate(names) if name.endswith(".bed"))
        self._checks = checks
        self._fast: FastPath | None = None
        self.came: list[bytes] = []

    def _opened(self, message: bytes) -> FastPath:
        """An engine. What came to it is known, the message among it."""
        if self._fast is None or len(self.came) >= self._checks:
            self._fast = open_fast_path(self.plan, self.folder, 64 << 20)
            self.came = []
        self.came.append(message)
        return self._fast

    def check(self, message: bytes, _: Path) -> None:
        """Have the message come, then a sound request, which is answered if anything is."""
        fast = self._opened(message)
        requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        kernel, fuse = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        table = Table()
        before = bytes(table.memory)
        with requests, theirs, kernel, fuse:
            kernel.setblocking(False)
            theirs.setblocking(False)
            fast.engine.connect(theirs.fileno(), fuse.fileno(), table.memory)
            table.ask(5, 1, 4, 10, 90, self.number, 0, 1)
            requests.send(message)
            requests.send(Request(5, self.number, 4, 10, 90).pack())
            answers = {}
            for _ in range(12):
                wanted = fast.engine.serve()
                if wanted is None:
                    # It is no request: the worker ends, and another is asked.
                    assert len(message) != 32
                    break
                if not isinstance(wanted, bool) and not wanted.is_request:
                    fast.give(wanted)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        data = kernel.recv(2 << 20)
                        size, error, unique = k.REPLY.unpack_from(data)
                        assert (size, error) == (len(data), 0)
                        answers.setdefault(unique, []).append(data[k.REPLY.size :])
                if 4 in answers:
                    break
            else:
                raise AssertionError("a sound request is not answered")
            for unique, found in answers.items():
                if unique == 4 and self.bed[10:100] in found:
                    continue
                self._check_odd(message, unique, found)
        self._check_table(table, before, 4 in answers, message)
        os.close(table.fd)

    def _check_odd(self, message: bytes, unique: int, found: list[bytes]) -> None:
        _, file, named, offset, size, _ = struct.unpack("<IIQQII", message)
        assert named == unique
        if file == self.number:
            assert found[0] == self.bed[offset : offset + size], "other bytes are told"

    def _check_table(self, table: Table, before: bytes, answered: bool, message: bytes) -> None:
        """Only counters, and slots of requests that were asked, are others than they were."""
        slot = struct.unpack_from("<I", message)[0] if len(message) == 32 else 5
        after = bytearray(table.memory)
        for number in {each for each in (5, slot) if each < SLOTS}:
            start = 4096 + 64 * number
            after[start : start + 64] = before[start : start + 64]
        assert after[4096:] == before[4096:], "a slot of another request is touched"
        assert table.state(5) == (ANSWERED if answered else ASKED)
        if slot != 5 and slot < SLOTS and len(message) == 32:
            # It was not asked, and is marked only if its number happens to be the one there, 0.
            assert table.state(slot) in (0, ANSWERED)


def to_worker(folder: Path, rng: np.random.Generator) -> Sequence[Case]:
    """serve's requests."""
    door = Door(folder)
    sound = Request(7, door.number, 6, 40, 50)
    made = {f"{size} bytes": sound.pack()[:size] for size in range(1, 32)}
    made |= {f"{size} bytes more": sound.pack() + bytes(size) for size in (1, 32, 4000)}
    made |= {f"slot {n}": sound._replace(slot=n).pack() for n in ODD32}
    made |= {f"file {n}": sound._replace(file=n).pack() for n in ODD32 if n > 1}
    made |= {f"offset {n}": sound._replace(offset=n).pack() for n in ODD64}
    made |= {f"size {n}": sound._replace(size=n).pack() for n in ODD32}
    made |= {
        f"offset {n} and size {m}": sound._replace(offset=n, size=m).pack()
        for n in (len(door.bed) - 1, len(door.bed), 2**63, U64)
        for m in (1, U32)
    }
    made |= {f"unique {n}": sound._replace(unique=n).pack() for n in ODD64}
    made |= {f"flipped {n}": flipped(sound.pack(), rng) for n in range(80)}
    made |= {f"noise {n}": rng.bytes(32) for n in range(40)}
    return [
        Case(
            f"to the worker: {what}",
            "ignored, answered with what there is, or the worker ends",
            partial(door.check, message),
        )
        for what, message in made.items()
    ]


FILES = [(b"x.bed", 1000), (b"x.bim", 0), (b"x.fam", 1 << 40)]
OPERATIONS = range(60)
# Those that are answered by nothing, if they are understood.
SILENT = (k.FORGET, k.INTERRUPT, k.BATCH_FORGET)


def check_session(packet: bytes, _: Path) -> None:
    """Have a packet come from the kernel, then ask for attributes."""
    kernel = k.FakeKernel()
    session = Session(
        kernel.device, Directory(FILES, 1, lambda read: bytes(min(read.size, 1000))).handlers
    )
    try:
        kernel.send_init()
        session.pump()
        assert kernel.receive().error == 0
        with quiet():
            kernel._socket.send(packet)
            try:
                session.pump()
            except OldKernelError:
                # It is INIT, of a kernel that mounts nothing.
                return
            if session.ended:
                return
            unique = kernel.send(k.GETATTR, 2, bytes(16))
            session.pump()
        replies = []
        while not kernel.silent():
            replies.append(kernel.receive())
        assert replies, "attributes are not told"
        assert (replies[-1].unique, replies[-1].error) == (unique, 0)
        assert k.attributes(replies[-1].data[16:])["size"] == 1000
        for reply in replies[:-1]:
            assert -512 < reply.error <= 0
            assert reply.unique == struct.unpack_from("=8xQ", packet)[0]
        assert len(replies) <= 2, "answered twice"
        asked = struct.unpack_from("=4xI", packet)[0] if len(packet) >= 40 else None
        if asked is not None and asked not in SILENT:
            assert len(replies) == 2, "a request is not answered, and whoever asks waits"
    finally:
        kernel.close()


def to_session(folder: Path, rng: np.random.Generator) -> Sequence[Case]:
    """The kernel's requests: each operation with bodies of any size, odd nodes and lengths."""

    def packet(
        operation: int, node: int = 2, body: bytes = b"", length: int | None = None
    ) -> bytes:
        size = k.HEADER.size + len(body) if length is None else length
        return k.HEADER.pack(size, operation, 88, node, 0, 0, 9, 0, 0) + body

    made = {f"{size} bytes": packet(k.READ)[:size] for size in range(1, 40)}
    for operation in OPERATIONS:
        for size in (0, 1, 7, 15, 39, 40, 48, 200):
            made[f"operation {operation} of {size} bytes"] = packet(operation, 2, bytes(size))
        body = rng.bytes(64)
        made[f"operation {operation} of noise"] = packet(operation, 1, body)
        for node in (0, 5, U64):
            made[f"operation {operation} of node {node}"] = packet(operation, node, body)
    made |= {f"operation {n}": packet(n) for n in (99, 4095, 2**31, U32)}
    for length in (0, 1, 39, 41, 100, 2**31, U32):
        made[f"length {length}"] = packet(k.READ, 2, bytes(40), length)
    made |= {
        f"a read at {n}": packet(
            k.READ, 2, struct.pack("=QQIIQII", 1 << 32 | 2, n, U32, 0, 0, 0, 0)
        )
        for n in ODD64
    }
    made |= {
        f"a read of handle {n}": packet(k.READ, 2, struct.pack("=QQIIQII", n, 0, 9, 0, 0, 0, 0))
        for n in ODD64
    }
    made |= {
        f"entries from {n}": packet(44, 1, struct.pack("=QQIIQII", 0, n, U32, 0, 0, 0, 0))
        for n in ODD64
    }
    made |= {
        f"name {name!r}": packet(k.LOOKUP, 1, name)
        for name in (b"", b"\0", b"x.bed", b"x.bed\0y\0", b"\xff" * 300, b"../x\0", b"/" * 5000)
    }
    return [
        Case(
            f"from the kernel: {what}",
            "answered once, with an error or not; others go on",
            partial(check_session, packet),
        )
        for what, packet in made.items()
    ]
