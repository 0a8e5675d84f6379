"""Episodes: a store is put in a place and mounted, read, and broken in all manners meanwhile."""

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

from support.places import Place
from support.program import Mount, Program
from support.stores import zip_store

from fs_tests.model.history import History
from fs_tests.model.inputs import Inputs
from fs_tests.model.logs import unexplained, unexplained_said
from fs_tests.model.oracle import Oracle, index_tables
from fs_tests.model.processes import PATIENCE, ReaderProcess
from fs_tests.model.reader import Outcome
from fs_tests.model.results import Results
from fs_tests.model.rules import Rules
from fs_tests.model.schedule import (
    WORKER_PAUSE,
    Deck,
    Planned,
    store_deck,
    store_schedule,
    worker_deck,
    worker_schedule,
)
from fs_tests.model.settings import FAR, Settings
from fs_tests.model.stores import (
    FileFaults,
    IcechunkFaults,
    ServerFaults,
    StoreFaults,
    ZipFaults,
    spoil,
)
from fs_tests.model.workers import WorkerFaults

# Seconds after which a read that was planted to hang is told of.
_SOON = 8.0
_GENTLE_PAUSE = 4.0


class Episode:
    """One mount, one fileset, what is done to both, and what came of it."""

    def __init__(
        self,
        inputs: Inputs,
        settings: Settings,
        number: int,
        decks: tuple[Deck, Deck],
        folder: Path,
    ):
        self._view = inputs.view(settings.view(number))
        self._kinds = settings.kinds(number)
        self._is_gentle = settings.is_gentle(number)
        self._decks = decks
        if self._is_gentle:
            self._decks = _decks(settings, self._kinds)
        self._window = settings.window(number)
        settings = replace(settings, timeout=settings.deadline_of(self._view.view.is_slow))
        self._inputs, self._settings, self._number = inputs, settings, number
        self._seed = settings.seed * 1000 + number
        self._folder = folder
        self._history = History()
        self._rules = Rules(settings.deadline, settings.place in FAR, settings.slack)
        self._program = Program(_made(folder / "p"))
        self._faults: Counter[str] = Counter()
        self._planned: Counter[str] = Counter()
        self._complaints: list[str] = []
        self._logs: list[str] = []

    def run(self, results: Results) -> None:
        place = self._put()
        self._damage_before()
        settings = self._settings
        more = ("--timeout", str(settings.deadline), "--memory", settings.memory, "--threads", "2")
        options, self._keywords = self._view.options(self._program, place, self._folder)
        with place.mount(self._program, *options, *more) as mount:
            # What stands in the log is judged here.
            mount.expect_log("")
            self._read(place, mount, results)
            counters = mount.status()["counters"]
            log = mount.log_text()
        results.requests += counters["reads"]
        results.worker_deaths += counters["worker_deaths"]
        self._look_at_log(log.splitlines())
        if settings.plant == "left":
            (self._program.runtime / "left.sock").touch()
        try:
            self._program.check_nothing_left()
        except AssertionError as error:
            self._complaints.append(f"something is left: {error}")
        if place.proxy is not None:
            place.proxy.close()
        results.episodes += 1
        results.planned.update(self._planned)
        results.faults.update(self._faults)
        results.by_view.setdefault(self._view.view.name, Counter()).update(self._faults)
        results.logs += self._logs
        where = f"--seed {self._settings.seed} --place {self._settings.place}, episode "
        where += f"{self._number} ({self._view.view.name})"
        results.differences += [f"{where}: {text}" for text in self._complaints]

    def _look_at_log(self, lines: Sequence[str]) -> None:
        complaints = [
            f"this was said without a fault: {text}"
            for text in unexplained(lines, self._rules, self._history.faults)
        ]
        if complaints:
            self._logs += lines[-200:]
        self._complaints += complaints

    def _put(self) -> Place:
        """A copy of the store, in its place."""
        name = self._settings.place
        self._store = self._folder / "x.vcz"
        shutil.copytree(self._view.store, self._store)
        if self._settings.plant == "chunk":
            key = self._view.layout.key(5, 1)
            (self._store / key).write_bytes((self._view.spare / key).read_bytes())
        if name == "local":
            return Place(str(self._store))
        if name == "zip":
            return Place(str(zip_store(self._store)))
        return self._inputs.placer(self._folder).put(name, self._store)

    def _damage_before(self) -> None:
        """In some episodes a chunk is damaged from the beginning."""
        if self._settings.place == "local" and "damaged" in self._kinds and self._seed % 2:
            row = 1 + self._seed % (self._view.layout.rows - 1)
            self._planned["damaged"] += 1
            self._faults["damaged"] += 1
            self._history.began("damaged", frozenset({row}))
            planned = Planned(0, "truncated", 0, row, 0, 0.5)
            spoil(self._store / self._view.layout.key(row, 0), planned, b"")

    def _read(self, place: Place, mount: Mount, results: Results) -> None:
        settings = self._settings
        listed = mount.status()["files"]
        serve = mount.pid("serve")
        assert serve is not None
        readers = [
            self._reader(face, number, place, mount, listed)
            for face in settings.faces
            for number in range(settings.readers)
        ]
        try:
            for reader in readers:
                assert reader.is_ready.wait(PATIENCE), "a reader is not ready"
            # By the time at which a store is opened a change is told from what was before.
            time.sleep(0.1)
            for reader in readers:
                reader.say("go")
            self._break(place, serve, readers)
        finally:
            for reader in readers:
                self._complaints += reader.end()
        self._judge(readers, results, listed)
        self._look_at_all(mount)

    def _reader(
        self, face: str, number: int, place: Place, mount: Mount, listed: dict[str, int]
    ) -> ReaderProcess:
        settings = self._settings
        oracle = self._view.oracle
        if settings.plant == "oracle":
            oracle = _with_other_bit(oracle, self._folder / "oracle")
        config = {
            "face": face,
            "place": str(mount.dir) if face == "mount" else place.url,
            "options": {
                **self._keywords,
                "timeout": settings.deadline,
                "memory": settings.memory,
            },
            "oracle": str(oracle),
            "store_shape": self._view.shape,
            "listed": listed,
            "seed": self._seed,
            "reader": number,
            "threads": settings.threads,
            "operations": settings.operations,
            "patience": _SOON if settings.plant == "hang" else PATIENCE,
            "plant": settings.plant,
            "direct": face == "mount" and "--direct-io" in self._view.view.words,
        }
        return ReaderProcess(config, self._program.env)

    def _break(self, place: Place, serve: int, readers: list[ReaderProcess]) -> None:
        """Do the faults of the schedule, and let all recover from them."""
        settings = self._settings
        history = History() if settings.plant == "silence" else self._history
        of_workers, of_store = self._decks
        if "mount" not in settings.faces:
            of_workers = Deck((), "")
        pause = _GENTLE_PAUSE if self._is_gentle else WORKER_PAUSE
        window, deadline = self._window, settings.deadline
        tracks: list[tuple[Sequence[Planned], Callable[[Planned], bool]]] = [
            (
                worker_schedule(self._seed, window, deadline, of_workers, pause),
                WorkerFaults(serve, history, deadline).do,
            ),
            (
                store_schedule(
                    self._seed,
                    settings.place,
                    window,
                    deadline,
                    self._view.layout.shape,
                    of_store,
                    self._kinds,
                    self._number,
                ),
                self._store_faults(place, history).do,
            ),
        ]
        began = time.monotonic()
        threads = [
            threading.Thread(target=self._follow, args=(track, do, began, readers))
            for track, do in tracks
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._quiet(max(began + window, time.monotonic()) + settings.quiet, readers)

    def _quiet(self, until: float, readers: list[ReaderProcess]) -> None:
        while time.monotonic() < until and any(reader.is_alive for reader in readers):
            time.sleep(0.05)

    def _follow(
        self,
        track: Sequence[Planned],
        do: Callable[[Planned], bool],
        began: float,
        readers: list[ReaderProcess],
    ) -> None:
        for planned in track:
            self._quiet(began + planned.at, readers)
            if not any(reader.is_alive for reader in readers):
                return
            self._planned[planned.kind] += 1
            try:
                if do(planned):
                    self._faults[planned.kind] += 1
            except Exception as error:
                self._complaints.append(f"the fault {planned} could not be done: {error!r}")

    def _store_faults(self, place: Place, history: History) -> StoreFaults:
        name = self._settings.place
        spare, layout = self._view.spare, self._view.layout
        if name == "local":
            return FileFaults(self._store, spare, history, layout)
        if name == "zip":
            return ZipFaults(Path(place.url), spare, history)
        if name == "icechunk":
            return IcechunkFaults(place, self._store, spare, history, layout)
        server = self._inputs.web if name == "http" else self._inputs.s3
        assert server is not None
        return ServerFaults(place, name, self._store, spare, history, server.restart, layout)

    def _judge(
        self, readers: list[ReaderProcess], results: Results, listed: dict[str, int]
    ) -> None:
        files = {file.name: file for file in self._model().files}
        for reader in readers:
            self._complaints += [
                f"a reader said: {line}"
                for line in unexplained_said(reader.said, self._history.faults)
            ]
            counts = Counter(
                {kind: n for kind, n in reader.counts.items() if not kind.startswith("not-right")}
            )
            results.operations.setdefault(reader.face, Counter()).update(counts)
            results.slowest = max(results.slowest, reader.slowest)
            for outcome in reader.outcomes:
                if outcome.what in ("error", "short"):
                    results.errors[f"{outcome.face} {_error_name(outcome)}"] += 1
                said = self._rules.complaint(outcome, files.get(outcome.file), self._history.faults)
                if said is not None:
                    self._complaints.append(f"{said} [{self._described(outcome)}]")

    def _described(self, outcome: Outcome) -> str:
        near = [
            f"{fault.kind} {sorted(fault.rows) if fault.rows is not None else 'all'} from "
            f"{fault.begin - outcome.began:+.2f} s to "
            f"{'the end' if fault.end is None else f'{fault.end - outcome.began:+.2f} s'}"
            for fault in self._history.faults
            if fault.overlaps(outcome.began - 10, outcome.ended)
        ]
        return (
            f"{outcome.face} {'O_DIRECT ' * outcome.direct}{outcome.kind} of {outcome.file} "
            f"{outcome.first} to {outcome.last}, {outcome.ended - outcome.began:.2f} s, "
            f"reader {outcome.reader} thread {outcome.thread} operation {outcome.number}, "
            f"{outcome.text!r}, faults: {'; '.join(near) or 'none'}"
        )

    def _model(self) -> Oracle:
        return Oracle.of(self._view.oracle, *self._view.shape)

    def _look_at_all(self, mount: Mount) -> None:
        """Every byte of the mount that no fault was about that stays; no fault is in force."""
        lasting = [fault for fault in self._history.faults if fault.end is None]
        if any(fault.rows is None for fault in lasting) or "mount" not in self._settings.faces:
            return
        rows = {row for fault in lasting for row in fault.rows or ()}
        for file in self._model().files:
            if file.has_time:
                index = (mount.dir / file.name).read_bytes()
                if index_tables(index) != index_tables(file.data[:]):
                    self._complaints.append(f"afterwards {file.name} is another index")
                continue
            descriptor = os.open(mount.dir / file.name, os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                for first in range(0, file.size, 64 << 10):
                    last = min(first + (64 << 10), file.size)
                    if file.touched(first - 4096, last + 4096) & rows:
                        continue
                    if os.pread(descriptor, last - first, first) != file.data[first:last]:
                        self._complaints.append(f"afterwards {file.name} is wrong at {first}")
            except OSError as error:
                self._complaints.append(f"afterwards {file.name} cannot be read: {error}")
            finally:
                os.close(descriptor)


def _error_name(outcome: Outcome) -> str:
    import errno

    return "short read" if outcome.errno is None else errno.errorcode[outcome.errno]


def _with_other_bit(oracle: Path, to: Path) -> Path:
    """A copy in which one bit of the middle of the `.bed` is another."""
    if not to.exists():
        shutil.copytree(oracle, to)
        data = bytearray((to / "x.bed").read_bytes())
        data[len(data) // 2] ^= 1
        (to / "x.bed").write_bytes(data)
    return to


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def run(inputs: Inputs, settings: Settings, folder: Path, say: Callable[[str], None]) -> Results:
    """Run all episodes that there are to be."""
    results = Results({**vars(settings), "faults": list(settings.faults)})
    decks = _decks(settings, settings.faults)
    began = time.monotonic()
    for number in range(settings.episodes):
        place = folder / f"e{number}"
        Episode(inputs, settings, number, decks, _made(place)).run(results)
        shutil.rmtree(place, ignore_errors=True)
        done = results.to_json()
        say(
            f"{settings.place}, episode {number}: {done['operations']:,} operations, "
            f"{done['requests_answered_by_the_worker']:,} answered by the worker, "
            f"{done['faults']} faults, {done['differences']} differences"
        )
    results.seconds = time.monotonic() - began
    return results


def _decks(settings: Settings, kinds: Collection[str]) -> tuple[Deck, Deck]:
    """Of faults of a mount's processes, and of the store."""
    seed, place = settings.seed, settings.place
    return worker_deck(seed, place, kinds), store_deck(seed, place, kinds)
