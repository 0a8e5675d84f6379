"""A process that does operations on a face, and tells what was not as the model has it.

    python -m fs_tests.model.reader CONFIG

It tells with lines of JSON: `ready`, then `counts` twice a second, and each answer that is no
right one, or took long. It ends when it is told `stop`, or has done what it was to do.
"""

import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fs_tests.model.faces import SLOW, ApiFace, Face, Got, Handle, MountFace
from fs_tests.model.operations import Operation, operations
from fs_tests.model.oracle import Oracle, ViewFile, index_tables
from fs_tests.model.plants import planted

# Small reads in a row, by which the kernel's and the engine's shortest ways are tried often; fewer
# where each of them goes to the worker.
BURST, FEWER = 10_000, 200
# They are done by so many, of which none is begun after as many seconds: where each read takes
# milliseconds, others are to be done, too.
_SLICE, _BURST_SECONDS = 100, 3.0
# Seconds that a thread waits after an answer that is no right one: all of them are told.
_PAUSE = 0.02


@dataclass
class Outcome:
    """An answer that rules have to judge.

    Attributes
    ----------
    face : str
        mount or api.
    what : str
        error; wrong: other bytes; short: fewer, all of them right; slow: right, but late; hang:
        none yet.
    kind : str
        The operation's.
    file : str
    first, last : int
        The bytes of the file that it is about: what was asked for and did not come, or was wrong.
    began, ended : float
        By the monotonic clock, which all processes share.
    errno : int or None
    text : str
    reader, thread, number : int
        Which process, which thread of it, and its how-many-th operation.
    direct : bool
        Whether the kernel's cache was passed by.
    asked : int
        How many bytes were asked for.
    """

    face: str
    what: str
    kind: str
    file: str
    first: int
    last: int
    began: float
    ended: float
    errno: int | None = None
    text: str = ""
    reader: int = 0
    thread: int = 0
    number: int = 0
    direct: bool = False
    asked: int = 0


class Teller:
    """Writes lines; counts operations of all threads."""

    def __init__(self, face: str):
        self.face = face
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0
        self._lock = threading.Lock()

    def tell(self, **message: Any) -> None:
        line = json.dumps(message) + "\n"
        with self._lock:
            os.write(1, line.encode())

    def outcome(self, outcome: Outcome) -> None:
        self.counts[f"not-right:{outcome.what}"] += 1
        self.tell(outcome=asdict(outcome))

    def tell_counts(self) -> None:
        self.tell(counts=dict(self.counts), slowest=self.slowest)


class Walker:
    """A thread's operations, one after another, each answer held against the model."""

    def __init__(
        self, face: Face, oracle: Oracle, teller: Teller, config: dict[str, Any], thread: int
    ):
        self._face = face
        self._oracle = oracle
        self._teller = teller
        self._reader, self._thread = config["reader"], thread
        self._operations = operations(config["seed"], config["reader"], thread, oracle.files)
        self._handles: dict[int, Handle] = {}
        self._positions: dict[int, int] = {}
        self._direct: set[int] = set()
        # Whether the mount takes all handles for such.
        self._all_direct = config.get("direct", False)
        self._number = 0
        self._stopped = threading.Event()
        # What is under way, and since when: for who looks whether it hangs.
        self.now: tuple[Operation, float] | None = None

    def walk(self, stopped: threading.Event, most: int | None) -> None:
        """Do operations until told to stop, or so many."""
        self._stopped = stopped
        for operation in self._operations:
            if stopped.is_set() or (most is not None and self._number >= most):
                break
            self._number += 1
            self.now = operation, time.monotonic()
            self._do(operation)
            self.now = None
        for handle in self._handles.values():
            handle.close()

    def _do(self, op: Operation) -> None:
        file = self._oracle.files[op.file]
        counts = self._teller.counts
        if op.kind != "burst":
            counts[op.kind] += 1
        if op.kind == "open":
            self._handles[op.handle] = self._asked(
                op, file, lambda: self._face.open(file.name, op.direct)
            )
            self._positions[op.handle] = 0
            self._direct.discard(op.handle)
            if op.direct or self._all_direct:
                self._direct.add(op.handle)
            return
        handle = self._handles[op.handle]
        if op.kind == "close":
            self._asked(op, file, handle.close)
            del self._handles[op.handle]
        elif op.kind == "forget":
            handle.forget()
        elif op.kind == "stat":
            self._same(op, file, self._asked(op, file, handle.size), file.size)
        elif op.kind == "listdir":
            self._same(op, file, self._asked(op, file, self._face.listdir), self._oracle.listed)
        elif op.kind == "seek":
            self._seek(op, file, handle)
        elif op.kind == "holes":
            self._holes(op, file, handle)
        elif op.kind == "burst":
            self._burst(op, file, handle)
        else:
            self._read(op, file, handle)

    def _asked(self, op: Operation, file: ViewFile, ask: Callable[[], Any]) -> Any:
        """Something that is to succeed, whatever has happened."""
        began = time.monotonic()
        try:
            return ask()
        except Exception as error:
            code = getattr(error, "errno", None)
            self._not_right(
                op, file, "error", 0, 0, began, code, f"{type(error).__name__}: {error}"
            )
            raise
        finally:
            self._look_at_time(op, file, 0, 0, began)

    def _same(self, op: Operation, file: ViewFile, found: Any, expected: Any) -> None:
        if found != expected:
            now = time.monotonic()
            self._not_right(op, file, "wrong", 0, 0, now, None, f"{found} in place of {expected}")

    def _seek(self, op: Operation, file: ViewFile, handle: Handle) -> None:
        (whence,) = op.sizes
        base = (0, self._positions[op.handle], file.size)[whence]
        expected = base + op.offset if base + op.offset >= 0 else None
        self._same(op, file, handle.seek(op.offset, whence), expected)
        if expected is not None:
            self._positions[op.handle] = expected

    def _holes(self, op: Operation, file: ViewFile, handle: Handle) -> None:
        """There is no hole but the end."""
        (whence,) = op.sizes
        expected = op.offset if whence == os.SEEK_DATA else file.size
        found = self._asked(op, file, lambda: handle.holes(op.offset, whence))
        self._same(op, file, found, expected if op.offset < file.size else None)
        if found is not None:
            self._positions[op.handle] = found

    def _burst(self, op: Operation, file: ViewFile, handle: Handle) -> None:
        seed, wide = op.sizes
        rng = random.Random(seed).random
        count = FEWER if op.handle in self._direct else BURST
        offsets = [op.offset + int(rng() * wide) for _ in range(count)]
        until = time.monotonic() + _BURST_SECONDS
        for first in range(0, count, _SLICE):
            self.now = op, time.monotonic()
            if self._stopped.is_set() or self.now[1] > until:
                return
            some = offsets[first : first + _SLICE]
            burst = handle.burst(op.size, some, file.data)
            self._teller.counts["burst"] += min(burst.done + 1, len(some))
            if burst.done < len(some):
                self._judge(op, file, some[burst.done], op.size, burst.got, burst.began)
                return

    def _read(self, op: Operation, file: ViewFile, handle: Handle) -> None:
        began = time.monotonic()
        offset = op.offset
        if op.kind in ("read", "readinto"):
            offset = self._positions[op.handle]
            got = handle.read(op.size) if op.kind == "read" else handle.readinto(op.size)
            self._positions[op.handle] += len(got.data)
        elif op.kind == "readv":
            got = handle.readv(op.sizes, offset)
        else:
            ways = {
                "pread": handle.pread,
                "mmap": handle.map,
                "sendfile": handle.sendfile,
                "splice": handle.splice,
                "copy": handle.copy,
            }
            got = ways[op.kind](op.size, offset)
        self._judge(op, file, offset, op.size, got, began)

    def _judge(
        self, op: Operation, file: ViewFile, offset: int, size: int, got: Got, began: float
    ) -> None:
        """Hold an answer against the model."""
        first = min(offset, file.size)
        expected = file.data[first : min(first + size, file.size)] if offset < file.size else b""
        count = len(got.data)
        if got.data != expected[:count]:
            at = next(
                (i for i, (a, b) in enumerate(zip(got.data, expected, strict=False)) if a != b),
                len(expected),
            )
            text = f"from byte {first + at}: {got.data[at : at + 8].hex()}"
            text += f" in place of {expected[at : at + 8].hex()}, {count} of {len(expected)}"
            self._not_right(op, file, "wrong", first, first + count, began, None, text)
        elif got.errno is not None:
            last = first + len(expected)
            self._not_right(op, file, "error", first + count, last, began, got.errno, got.text)
        elif count < len(expected):
            last = first + len(expected)
            self._not_right(op, file, "short", first + count, last, began)
        else:
            self._look_at_time(op, file, first, first + count, began)

    def _look_at_time(
        self, op: Operation, file: ViewFile, first: int, last: int, began: float
    ) -> None:
        took = time.monotonic() - began
        self._teller.slowest = max(self._teller.slowest, took)
        if took > SLOW:
            self._not_right(op, file, "slow", first, last, began)

    def _not_right(
        self,
        op: Operation,
        file: ViewFile,
        what: str,
        first: int,
        last: int,
        began: float,
        code: int | None = None,
        text: str = "",
    ) -> None:
        self._teller.outcome(
            Outcome(
                self._teller.face,
                what,
                op.kind,
                file.name,
                first,
                last,
                began,
                time.monotonic(),
                code,
                text,
                self._reader,
                self._thread,
                self._number,
                op.handle in self._direct,
                op.size,
            )
        )
        if what not in ("slow", "hang"):
            time.sleep(_PAUSE)

    def hanging(self, seconds: float) -> None:
        """Tell if what is under way has been so for as long."""
        now = self.now
        if now is not None and time.monotonic() - now[1] > seconds:
            op, began = now
            file = self._oracle.files[op.file]
            self._not_right(op, file, "hang", op.offset, op.offset + op.size, began)


def take_given(oracle: Oracle, face: Face) -> None:
    """Have files that have a time in them be what a face gives, if that is right but for it.

    Nothing has failed yet when this is asked.
    """
    for file in oracle.files:
        if not file.has_time:
            continue
        handle = face.open(file.name, False)
        got = handle.pread(oracle.listed[file.name], 0)
        handle.close()
        if index_tables(got.data) != index_tables(file.data[:]):
            raise AssertionError(f"{file.name} is another index: {got.text or len(got.data)}")
        file.data, file.size = got.data, len(got.data)


def main() -> None:
    """Read as a JSON object says, which is the one argument."""
    config = json.loads(sys.argv[1])
    oracle = Oracle.of(Path(config["oracle"]), *config["store_shape"])
    oracle.listed = config["listed"]
    oracle.files = [file for file in oracle.files if file.name in oracle.listed]
    face: Face
    if config["face"] == "api":
        face = ApiFace(config["place"], config["options"])
    else:
        face = MountFace(Path(config["place"]))
    take_given(oracle, face)
    face = planted(face, config.get("plant"))
    teller = Teller(config["face"])
    stopped = threading.Event()
    walkers = [Walker(face, oracle, teller, config, i) for i in range(config["threads"])]
    broken: list[str] = []

    def walk(walker: Walker) -> None:
        try:
            walker.walk(stopped, config["operations"])
        except Exception as error:
            if not isinstance(error, OSError) or error.errno not in config.get("mortal", ()):
                broken.append(f"{type(error).__name__}: {error}")

    def listen() -> None:
        sys.stdin.readline()
        stopped.set()

    threads = [threading.Thread(target=walk, args=(w,), daemon=True) for w in walkers]
    teller.tell(ready=True)
    if sys.stdin.readline().strip() != "go":
        return
    for thread in threads:
        thread.start()
    threading.Thread(target=listen, daemon=True).start()
    patience = config["patience"]
    ends = None
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.1 if stopped.is_set() else 0.5)
        teller.tell_counts()
        if stopped.is_set():
            ends = ends or time.monotonic() + patience
            if time.monotonic() > ends:
                for walker in walkers:
                    walker.hanging(0)
                break
        else:
            for walker in walkers:
                walker.hanging(patience)
    teller.tell_counts()
    teller.tell(ended=True, broken=broken)
    # A thread that hangs is not waited for.
    os._exit(0 if not broken else 1)


if __name__ == "__main__":
    main()
