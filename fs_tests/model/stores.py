"""Faults of a store, in each place where one may be."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from support.faults import GARBLED
from support.places import Place
from support.proxy import Proxy
from support.stores import zip_store

from fs_tests.model.history import Happened, History
from fs_tests.model.inputs import PLAIN
from fs_tests.model.layout import Layout
from fs_tests.model.schedule import Planned

# Seconds after which what was spoilt is as it was; a mount still knows that it was changed.
_MOST_SPOILT = 1.0
_ANSWERS = (500, 503, 429, 403)
_ROOT = "zarr.json"


class StoreFaults(Protocol):
    """Does faults to a store and notes them; returns when they are over, where they are."""

    def do(self, planned: Planned) -> bool: ...


class FileFaults:
    """Of a local directory.

    Parameters
    ----------
    store, spare : Path
        The store, and one of the same shape with other calls.
    history : History
    layout : Layout
    """

    def __init__(self, store: Path, spare: Path, history: History, layout: Layout = PLAIN):
        self._store, self._spare, self._history = store, spare, history
        self._layout = layout
        self._others = layout.others(store)

    def do(self, planned: Planned) -> bool:
        if planned.kind == "metadata-changed":
            self._history.began(planned.kind)
            path = self._store / self._layout.arrays[0][0] / _ROOT
            path.with_name("new").write_bytes(path.read_bytes())
            path.with_name("new").rename(path)
            return True
        if planned.kind == "others-spoilt":
            self._spoil_others(planned)
            return True
        key = self._layout.key(planned.row, planned.column)
        path = self._store / key
        if not path.is_file():
            return False
        data = path.read_bytes()
        # What was changed is never again what it was when the mount began.
        self._history.began(planned.kind, frozenset({planned.row}))
        spoil(path, planned, (self._spare / key).read_bytes())
        time.sleep(min(planned.seconds, _MOST_SPOILT))
        _put(path, data)
        return True

    def _spoil_others(self, planned: Planned) -> None:
        path = self._store / _chosen(self._others, planned)
        data = path.read_bytes()
        with self._history.during(planned.kind):
            spoilt = _spoilt(planned, data)
            if spoilt is None:
                path.unlink()
            else:
                path.write_bytes(spoilt)
            time.sleep(min(planned.seconds, _MOST_SPOILT))
            _put(path, data)


def _put(path: Path, data: bytes) -> None:
    """A file, anew."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    path.write_bytes(data)


def _chosen(keys: list[str], planned: Planned) -> str:
    return keys[int(planned.choice * len(keys))]


def _spoilt(planned: Planned, data: bytes) -> bytes | None:
    """What becomes of an object, in one of three ways; None of one that is removed."""
    ways = ("object-missing", "object-truncated", "object-garbled")
    return _changed(ways[int(planned.choice * 997) % 3], planned.choice, data)


def _changed(kind: str, choice: float, data: bytes) -> bytes | None:
    if kind == "object-missing":
        return None
    if kind == "object-truncated":
        return data[: int(choice * len(data))]
    # Of what is a frame, one that is none: else nobody could tell where there is no version.
    return (GARBLED + data[len(GARBLED) :])[: len(data)]


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
    restart : callable
        Ends the server, and starts it again after some seconds.
    layout : Layout
    """

    def __init__(
        self,
        place: Place,
        name: str,
        store: Path,
        spare: Path,
        history: History,
        restart: Callable[[float], None],
        layout: Layout = PLAIN,
    ):
        assert place.proxy is not None
        self._place, self._name = place, name
        self._restart_server = restart
        self._proxy: Proxy = place.proxy
        self._store, self._spare, self._history = store, spare, history
        self._layout = layout
        self._others = layout.others(store)
        self._is_icechunk = name == "s3-icechunk"
        self._by_content = {}
        if self._is_icechunk:
            assert place.read is not None
            self._by_content = _by_content(place.read("chunks/"))

    def do(self, planned: Planned) -> bool:
        acts: dict[str, Callable[[Planned], bool | None]] = {
            "server-fails": self._fail,
            "server-stalls": self._stall,
            "server-hiccups": self._hiccup,
            "server-restarted": self._restart,
            "object-replaced": self._spoil,
            "object-missing": self._spoil,
            "object-truncated": self._spoil,
            "object-garbled": self._spoil,
            "answers-truncated": self._spoil_answers,
            "answers-garbled": self._spoil_answers,
            "others-spoilt": self._spoil_others,
            "metadata-changed": self._change_metadata,
            "committed": self._commit,
        }
        return acts[planned.kind](planned) is not False

    def _of(self, planned: Planned) -> tuple[str, frozenset[int] | None]:
        """Which requests, and which rows those are for."""
        if planned.row % 2 or self._is_icechunk:
            return "*", None
        return self._layout.pattern(planned.row), frozenset({planned.row})

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
        noted = "server-stalls" if self._is_icechunk else "server-fails"
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

    def _spoil_answers(self, planned: Planned) -> None:
        """Have bytes come, of chunks, that are not the object's, though it has its version."""
        pattern, rows = self._of(planned)
        if pattern == "*":
            pattern = "*/chunks/*" if self._is_icechunk else "*/c/*"
        kind = "short" if planned.kind == "answers-truncated" else "garble"
        more = {"after": int(100 * planned.choice)} if kind == "short" and planned.column else {}
        with self._history.during(planned.kind, rows):
            self._have(planned.seconds, kind, pattern, method="GET", times=None, **more)

    def _have(self, lasting: float, kind: str, pattern: str, **more: object) -> None:
        fault = self._proxy.fault(kind, pattern, **more)
        time.sleep(lasting)
        self._proxy.faults.remove(fault)

    def _restart(self, planned: Planned) -> None:
        """End the server, and with it all connections to it, and start it again."""
        with self._history.during("server-restarted"):
            self._proxy.down()
            try:
                self._restart_server(planned.seconds)
            finally:
                self._proxy.up()

    def _spoil(self, planned: Planned) -> bool:
        """Do something to an object."""
        if self._is_icechunk:
            found = _stored(self._store, self._layout, planned, self._by_content)
            if found is None:
                return False
            planned, where, data = found
        else:
            where = self._layout.key(planned.row, planned.column)
            data = (self._store / where).read_bytes()
        if planned.kind == "object-replaced":
            other: bytes | None = (self._spare / where).read_bytes()
        else:
            other = _changed(planned.kind, planned.choice, data)
        fault = self._history.began(self._noted(planned.kind), frozenset({planned.row}))
        self._write(where, other)
        time.sleep(planned.seconds)
        self._put_back(where, data, fault)
        return True

    def _noted(self, kind: str) -> str:
        if self._is_icechunk:
            return "lost"
        if kind == "object-missing" and self._name == "http":
            return "object-unlisted"
        return kind

    def _write(self, key: str, data: bytes | None) -> None:
        if data is None:
            self._place.delete(key)
        else:
            self._place.replace(key, data)

    def _put_back(self, key: str, data: bytes, fault: Happened) -> None:
        self._place.replace(key, data)
        if self._name != "http":
            # An ETag is of the bytes; elsewhere it is of the time.
            fault.end = time.monotonic()

    def _spoil_others(self, planned: Planned) -> None:
        key = _chosen(self._others, planned)
        data = (self._store / key).read_bytes()
        with self._history.during(planned.kind):
            self._write(key, _spoilt(planned, data))
            time.sleep(min(planned.seconds, _MOST_SPOILT))
            self._place.replace(key, data)

    def _change_metadata(self, planned: Planned) -> None:
        self._history.began(planned.kind)
        self._place.replace(_ROOT, (self._store / _ROOT).read_bytes() + b"\n")

    def _commit(self, planned: Planned) -> None:
        assert self._place.commit is not None
        with self._history.during("committed"):
            self._place.commit(self._spare)


def _by_content(files: dict[str, bytes]) -> dict[bytes, str]:
    """Names by what is in them, where no two have the same."""
    found: dict[bytes, str | None] = {}
    for name, data in files.items():
        found[data] = None if data in found else name
    return {data: name for data, name in found.items() if name is not None}


def _stored(
    store: Path, layout: Layout, planned: Planned, by_content: dict[bytes, str]
) -> tuple[Planned, str, bytes] | None:
    """The chunk of a fault, or the next that is an object: small ones are in the manifest.

    Returns
    -------
    tuple of Planned, str and bytes
        The fault of that chunk; the object's name, and what is in it. None if there is none.
    """
    rows, columns = layout.shape
    begin = planned.row * columns + planned.column
    for i in range(rows * columns):
        row, column = divmod((begin + i) % (rows * columns), columns)
        data = (store / layout.key(row, column)).read_bytes()
        if data in by_content:
            return planned._replace(row=row, column=column), by_content[data], data
    return None


class IcechunkFaults:
    """Of a local Icechunk repository.

    Nobody but Icechunk knows which file has which chunk: they are told by what is in them.
    """

    def __init__(
        self, place: Place, store: Path, spare: Path, history: History, layout: Layout = PLAIN
    ):
        self._place, self._spare, self._history = place, spare, history
        chunks = (path for path in (Path(place.url) / "chunks").rglob("*") if path.is_file())
        self._by_content = _by_content({str(path): path.read_bytes() for path in chunks})
        self._store, self._layout = store, layout

    def do(self, planned: Planned) -> bool:
        if planned.kind == "committed":
            assert self._place.commit is not None
            with self._history.during("committed"):
                self._place.commit(self._spare)
            return True
        found = _stored(self._store, self._layout, planned, self._by_content)
        if found is None:
            return False
        planned, name, data = found
        path = Path(name)
        noted = "held" if planned.kind == "held" else "lost"
        acts: dict[str, Callable[[Path, Planned, bytes], AbstractContextManager[None]]] = {
            "lost": self._lost,
            "refused": self._refused,
            "held": self._held,
        }
        with (
            self._history.during(noted, frozenset({planned.row})),
            acts[planned.kind](path, planned, data),
        ):
            time.sleep(planned.seconds)
            path.with_name("new").write_bytes(data)
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            path.with_name("new").rename(path)
        return True

    @staticmethod
    @contextmanager
    def _lost(path: Path, planned: Planned, data: bytes) -> Iterator[None]:
        if planned.choice < 0.3:
            path.unlink()
        elif planned.choice < 0.6:
            os.truncate(path, int(planned.choice * len(data)))
        else:
            # What is no frame any more: one that still is one, nobody can tell.
            path.with_name("new").write_bytes(bytes(len(data)))
            path.with_name("new").rename(path)
        yield

    @staticmethod
    @contextmanager
    def _refused(path: Path, planned: Planned, data: bytes) -> Iterator[None]:
        """What nobody can read, root neither: a folder, or a link that leads to itself."""
        path.unlink()
        if planned.choice < 0.5:
            path.mkdir()
        else:
            path.symlink_to(path.name)
        yield

    @staticmethod
    @contextmanager
    def _held(path: Path, planned: Planned, data: bytes) -> Iterator[None]:
        """A pipe: whoever opens it waits until the end, and gets nothing then."""
        os.mkfifo(path.with_name("new"))
        path.with_name("new").rename(path)
        pipe = path.with_name("pipe")
        os.link(path, pipe)
        try:
            yield
        finally:
            # With somebody there who might write, and then not any more.
            writer = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
            time.sleep(0.1)
            os.close(writer)
            pipe.unlink()
