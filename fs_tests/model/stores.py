"""Faults of a store, in each place where one may be."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from support.places import Place
from support.proxy import Proxy
from support.stores import zip_store

from fs_tests.model.history import Happened, History
from fs_tests.model.schedule import Planned

# Seconds after which what was spoilt is as it was; a mount still knows that it was changed.
_MOST_SPOILT = 1.0
_ANSWERS = (500, 503, 429, 403)


class StoreFaults(Protocol):
    """Does faults to a store and notes them; returns when they are over, where they are."""

    def do(self, planned: Planned) -> bool: ...


def chunk_key(row: int, column: int) -> str:
    """Of a chunk of calls."""
    return f"call_genotype/c/{row}/{column}/0"


class FileFaults:
    """Of a local directory.

    Parameters
    ----------
    store, spare : Path
        The store, and one of the same shape with other calls.
    history : History
    """

    def __init__(self, store: Path, spare: Path, history: History):
        self._store, self._spare, self._history = store, spare, history

    def do(self, planned: Planned) -> bool:
        key = chunk_key(planned.row, planned.column)
        path = self._store / key
        if not path.is_file():
            return False
        data = path.read_bytes()
        # What was changed is never again what it was when the mount began.
        self._history.began(planned.kind, frozenset({planned.row}))
        spoil(path, planned, (self._spare / key).read_bytes())
        time.sleep(min(planned.seconds, _MOST_SPOILT))
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        path.write_bytes(data)
        return True


def spoil(path: Path, planned: Planned, other: bytes) -> None:
    """Do to a file what a fault is; `other` would be right in another store."""
    data = path.read_bytes()
    if planned.kind in ("missing", "refused"):
        path.unlink()
        if planned.kind == "refused":
            # Opening it for reading would wait for a writer.
            os.mkfifo(path)
    elif planned.kind == "truncated":
        os.truncate(path, int(planned.choice * len(data)))
    elif planned.kind == "garbled":
        at = int(planned.choice * (len(data) - 1))
        with open(path, "r+b") as f:
            f.seek(at)
            f.write(bytes(byte ^ 0xA5 for byte in data[at : at + 1 + len(data) // 4]))
    elif planned.kind == "rewritten":
        # In place, while it is read, by what nobody can tell from what it was.
        with open(path, "r+b") as f:
            f.write(other)
            f.truncate()
    elif planned.kind == "replaced":
        path.with_name("new").write_bytes(other)
        path.with_name("new").rename(path)
    else:
        raise ValueError(planned.kind)


class ZipFaults:
    """Of a zip file, which is all of a store."""

    def __init__(self, store: Path, spare: Path, history: History):
        self._path, self._history = store, history
        self._other = (zip_store(spare)).read_bytes()

    def do(self, planned: Planned) -> bool:
        self._history.began(planned.kind)
        spoil(self._path, planned, self._other)
        return True


class ServerFaults:
    """Of a server, and of the way to it, and of objects.

    Parameters
    ----------
    place : Place
    name : str
        See `schedule.STORE_FAULTS`.
    store, spare : Path
        What is there, and what else might be.
    history : History
    """

    def __init__(self, place: Place, name: str, store: Path, spare: Path, history: History):
        assert place.proxy is not None
        self._place, self._name = place, name
        self._proxy: Proxy = place.proxy
        self._store, self._spare, self._history = store, spare, history

    def do(self, planned: Planned) -> bool:
        acts: dict[str, Callable[[Planned], None]] = {
            "server-fails": self._fail,
            "server-stalls": self._stall,
            "server-hiccups": self._hiccup,
            "server-restarted": self._restart,
            "object-replaced": self._replace,
            "object-missing": self._delete,
            "committed": self._commit,
        }
        acts[planned.kind](planned)
        return True

    def _of(self, planned: Planned) -> tuple[str, frozenset[int] | None]:
        """Which requests, and which rows those are for."""
        if planned.row % 2 or self._name == "s3-icechunk":
            return "*", None
        return f"*/call_genotype/c/{planned.row}/*", frozenset({planned.row})

    def _ways(self, planned: Planned) -> tuple[str, dict[str, object]]:
        kind = ("answer", "reset", "truncate", "answer")[int(planned.choice * 4)]
        if kind == "answer":
            return kind, {"status": _ANSWERS[int(planned.choice * 1000) % len(_ANSWERS)]}
        # Before the answer or in its middle.
        return kind, ({"after": 100} if kind == "truncate" or planned.column else {})

    def _fail(self, planned: Planned) -> None:
        pattern, rows = self._of(planned)
        kind, more = self._ways(planned)
        # Icechunk tries again by itself, for longer than a deadline: to who reads, that is a stall.
        noted = "server-stalls" if self._name == "s3-icechunk" else "server-fails"
        with self._history.during(noted, rows):
            self._have(planned.seconds, kind, pattern, times=None, **more)

    def _stall(self, planned: Planned) -> None:
        pattern, rows = self._of(planned)
        after = {"after": 100} if planned.choice < 0.5 else {}
        seconds = planned.seconds
        with self._history.during("server-stalls", rows):
            self._have(seconds, "stall", pattern, times=None, seconds=seconds, **after)
            # What is held up at its end is let go a while later.
            time.sleep(seconds)

    def _hiccup(self, planned: Planned) -> None:
        pattern, rows = self._of(planned)
        kind, more = self._ways(planned)
        if more.get("status") == 403:
            more["status"] = 503
        with self._history.during("server-hiccups", rows):
            self._have(planned.seconds, kind, pattern, times=2, **more)

    def _have(self, lasting: float, kind: str, pattern: str, **more: object) -> None:
        fault = self._proxy.fault(kind, pattern, **more)
        time.sleep(lasting)
        self._proxy.faults.remove(fault)

    def _restart(self, planned: Planned) -> None:
        with self._history.during("server-restarted"):
            self._proxy.down()
            time.sleep(planned.seconds)
            self._proxy.up()

    def _replace(self, planned: Planned) -> None:
        key = chunk_key(planned.row, planned.column)
        fault = self._history.began("object-replaced", frozenset({planned.row}))
        self._place.replace(key, (self._spare / key).read_bytes())
        time.sleep(planned.seconds)
        self._put_back(key, fault)

    def _delete(self, planned: Planned) -> None:
        key = chunk_key(planned.row, planned.column)
        noted = "object-missing" if self._name == "s3" else "object-unlisted"
        fault = self._history.began(noted, frozenset({planned.row}))
        self._place.delete(key)
        time.sleep(planned.seconds)
        self._put_back(key, fault)

    def _put_back(self, key: str, fault: Happened) -> None:
        self._place.replace(key, (self._store / key).read_bytes())
        if self._name == "s3":
            # An ETag is of the bytes; elsewhere it is of the time.
            fault.end = time.monotonic()

    def _commit(self, planned: Planned) -> None:
        assert self._place.commit is not None
        with self._history.during("committed"):
            self._place.commit(self._spare)


class IcechunkFaults:
    """Of a local Icechunk repository.

    Nobody but Icechunk knows which file has which chunk: they are told by what is in them.
    """

    def __init__(self, place: Place, store: Path, spare: Path, history: History):
        self._place, self._spare, self._history = place, spare, history
        self._chunks = [path for path in (Path(place.url) / "chunks").rglob("*") if path.is_file()]
        self._by_content = {path.read_bytes(): path for path in self._chunks}
        self._store = store

    def do(self, planned: Planned) -> bool:
        if planned.kind == "committed":
            assert self._place.commit is not None
            with self._history.during("committed"):
                self._place.commit(self._spare)
            return True
        data = (self._store / chunk_key(planned.row, planned.column)).read_bytes()
        path = self._by_content.get(data)
        if path is None:
            # A small one, which is in the manifest.
            return False
        with self._history.during("lost", frozenset({planned.row})):
            if planned.choice < 0.3:
                path.unlink()
            elif planned.choice < 0.6:
                os.truncate(path, int(planned.choice * len(data)))
            else:
                # What is no frame any more: one that still is one, nobody can tell.
                path.with_name("new").write_bytes(bytes(len(data)))
                path.with_name("new").rename(path)
            time.sleep(planned.seconds)
            path.with_name("new").write_bytes(data)
            path.with_name("new").rename(path)
        return True
