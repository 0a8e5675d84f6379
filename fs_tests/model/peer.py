"""The same operations and faults with biofuse 0.1.0, and the table of both.

    python -m fs_tests.model.peer --peer-env DIR --seconds 120 --json FILE

0.1.0 shows one format a mount, so there are two mounts, one after the other, of a local store
of diploid calls: where samples differ in ploidy it makes no `.bgen`. Faults are those of chunks'
files, of the page cache, and of the process that makes the bytes: 0.1.0 has one, this biofuse has
its worker. A fault that is of another process's, such as one that keeps a worker from starting, is
left out. Both are read for as many seconds; an episode ends when its mount is gone. What counts as
a failure is the same for both: bytes that are not the file's, no answer in ten seconds, and mounts
that are gone. An error is none, nor what the kernel gives of a read before the page that failed.
"""

import argparse
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.places import Place
from support.program import Program, wait_until

from fs_tests.model.history import History
from fs_tests.model.inputs import CHUNKS, Inputs, made_inputs
from fs_tests.model.processes import ReaderProcess
from fs_tests.model.schedule import (
    FILE_FAULTS,
    Planned,
    store_deck,
    store_schedule,
    worker_deck,
    worker_schedule,
)
from fs_tests.model.stores import FileFaults
from fs_tests.model.workers import WorkerFaults

FORMATS = {"plink": ".bed", "bgen": ".bgen"}
# Seconds: of a mount of ours, and after which whoever waits has waited for too long.
_TIMEOUT, _HANG = 4.0, 10.0
# Seconds of an episode at most, and of its end, in which no fault begins: so long may one last.
_EPISODE, _QUIET = 30.0, 3 * _TIMEOUT + 1
KINDS = ("killed", "stopped", "stuck", "slowed", "starved", "squeezed", "caches-dropped")
# What a reader may end with: the mount is gone.
_GONE = (103, 107)


@dataclass
class Tally:
    """What came of one side."""

    seed: int = 0
    operations: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    short: int = 0
    hangs: int = 0
    crashes: int = 0
    errors: int = 0

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "seconds": round(self.seconds), "faults": dict(self.faults)}


@dataclass(frozen=True)
class Shown:
    """A mount: its directory, and the process that makes its bytes, or serves it."""

    directory: Path
    faults: Callable[[History], WorkerFaults]
    is_there: Callable[[], bool]


class _OneProcess(WorkerFaults):
    """Faults of a program that is one process."""

    def worker(self) -> int | None:
        return self._serve


@contextmanager
def _ours(program: Program, store: Path, name: str) -> Iterator[Shown]:
    options = ("--format", name, "--timeout", str(_TIMEOUT), "--memory", "64MiB")
    with Place(str(store)).mount(program, *options) as mount:
        mount.expect_log("")
        serve = mount.pid("serve")
        assert serve is not None
        yield Shown(
            mount.dir,
            lambda history: WorkerFaults(serve, history, _TIMEOUT),
            lambda: _shows(mount.dir),
        )


@contextmanager
def _theirs(environment: Path, folder: Path, store: Path, name: str) -> Iterator[Shown]:
    directory = folder / f"peer-{name}"
    directory.mkdir()
    command = [environment / "bin" / "biofuse", f"mount-{name}", store, directory]
    with subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Its packages are its own.
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    ) as process:
        try:
            wait_until(
                lambda: process.poll() is not None or (directory / f"x{FORMATS[name]}").exists(),
                "it is mounted",
                120,
            )
            assert process.poll() is None, f"{command} has ended"
            yield Shown(
                directory,
                lambda history: _OneProcess(process.pid, history, _TIMEOUT),
                lambda: process.poll() is None and _shows(directory),
            )
        finally:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
            subprocess.run(["fusermount3", "-u", "-z", str(directory)], capture_output=True)


def _shows(directory: Path) -> bool:
    try:
        return bool(list(directory.iterdir()))
    except OSError:
        return False


class Trial:
    """One side, episode after episode.

    Parameters
    ----------
    inputs : Inputs
    peer : Path or None
        The environment of biofuse 0.1.0; None for this biofuse.
    folder : Path
    seed : int
    """

    def __init__(self, inputs: Inputs, peer: Path | None, folder: Path, seed: int):
        self._inputs, self._peer, self._folder, self._seed = inputs, peer, folder, seed
        folder.mkdir()
        (folder / "h").mkdir()
        self._program = Program(folder / "h")
        self.tally = Tally(seed)
        self._decks = worker_deck(seed, "local", KINDS), store_deck(seed, "local", FILE_FAULTS)
        self._oracles = {name: self._oracle(name) for name in FORMATS}

    @contextmanager
    def _mounted(self, store: Path, name: str) -> Iterator[Shown]:
        if self._peer is None:
            with _ours(self._program, store, name) as shown:
                yield shown
        else:
            with _theirs(self._peer, store.parent, store, name) as shown:
                yield shown

    def _oracle(self, name: str) -> Path:
        """What a mount that nobody has harmed shows; a `.bed` has to be as ours is."""
        folder = self._folder / f"oracle-{name}"
        folder.mkdir()
        (self._folder / name).mkdir()
        store = self._folder / name / "x.vcz"
        shutil.copytree(self._inputs.store, store)
        with self._mounted(store, name) as shown:
            for path in shown.directory.iterdir():
                shutil.copyfile(path, folder / path.name)
        if name == "plink":
            ours = (self._inputs.oracle / "x.bed").read_bytes()
            assert (folder / "x.bed").read_bytes() == ours
        return folder

    def run(self, seconds: float) -> None:
        """Run episodes until there have been reads for as many seconds."""
        formats = itertools.cycle(FORMATS)
        number = 0
        while (left := seconds - self.tally.seconds) > 0:
            folder = self._folder / f"e{number}"
            folder.mkdir()
            self._episode(next(formats), folder, number, min(_EPISODE, left))
            shutil.rmtree(folder, ignore_errors=True)
            number += 1

    def _episode(self, name: str, folder: Path, number: int, seconds: float) -> None:
        store = folder / "x.vcz"
        shutil.copytree(self._inputs.store, store)
        seed = self._seed * 1000 + number
        with ExitStack() as stack:
            shown = stack.enter_context(self._mounted(store, name))
            listed = {path.name: path.stat().st_size for path in shown.directory.iterdir()}
            config = {
                "face": "mount",
                "place": str(shown.directory),
                "options": {},
                "oracle": str(self._oracles[name]),
                "store_shape": self._inputs.shape,
                "listed": listed,
                "seed": seed,
                "reader": 0,
                "threads": 3,
                "operations": None,
                "patience": _HANG,
                "mortal": _GONE,
            }
            reader = ReaderProcess(config, self._program.env)
            assert reader.is_ready.wait(60)
            time.sleep(0.1)
            reader.say("go")
            began = time.monotonic()
            self._break(shown, store, seed, seconds, reader)
            self.tally.seconds += time.monotonic() - began
            if not shown.is_there():
                self.tally.crashes += 1
            reader.end()
        self._count(reader)

    def _break(
        self, shown: Shown, store: Path, seed: int, seconds: float, reader: ReaderProcess
    ) -> None:
        history = History()
        shape = (-(-self._inputs.shape[0] // CHUNKS[0]), -(-self._inputs.shape[1] // CHUNKS[1]))
        of_worker, of_store = self._decks
        most = seconds - _QUIET
        tracks: list[tuple[Sequence[Planned], Callable[[Planned], bool]]] = [
            (worker_schedule(seed, most, _TIMEOUT, of_worker), shown.faults(history).do),
            (
                store_schedule(seed, "local", most, _TIMEOUT, shape, of_store),
                FileFaults(store, self._inputs.spare, history).do,
            ),
        ]
        began = time.monotonic()

        def is_read() -> bool:
            return reader.is_alive and shown.is_there()

        def follow(track: Sequence[Planned], do: Callable[[Planned], bool]) -> None:
            for planned in track:
                time.sleep(max(0.0, began + planned.at - time.monotonic()))
                if time.monotonic() > began + most or not is_read():
                    return
                self.tally.faults[planned.kind] += bool(do(planned))

        threads = [threading.Thread(target=follow, args=track) for track in tracks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        while time.monotonic() < began + seconds and is_read():
            time.sleep(0.1)

    def _count(self, reader: ReaderProcess) -> None:
        counts = reader.counts
        self.tally.operations += sum(
            n for kind, n in counts.items() if not kind.startswith("not-right")
        )
        self.tally.wrong += counts.get("not-right:wrong", 0)
        self.tally.short += counts.get("not-right:short", 0)
        self.tally.errors += counts.get("not-right:error", 0)
        # One that hangs is told of again and again.
        self.tally.hangs += len(
            {
                (outcome.thread, outcome.number)
                for outcome in reader.outcomes
                if outcome.ended - outcome.began > _HANG
            }
        )


def table(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """Both, for docs/reliability.md."""
    lines = ["| | biofuse | biofuse 0.1.0 |", "|---|---:|---:|"]
    rows = {
        "seed": "seed",
        "seconds": "seconds",
        "operations": "operations",
        "reads of wrong bytes": "wrong",
        "reads without an answer in 10 s": "hangs",
        "mounts gone": "crashes",
        "reads answered with an error": "errors",
        "reads that end where a page failed": "short",
    }
    lines += [f"| {title} | {ours[key]:,} | {theirs[key]:,} |" for title, key in rows.items()]
    lines += [
        f"| faults: {kind} | {ours['faults'].get(kind, 0):,} | {theirs['faults'].get(kind, 0):,} |"
        for kind in (*KINDS, *FILE_FAULTS)
    ]
    return "\n".join(lines)


def main() -> int:
    """Run both sides as the arguments say, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m fs_tests.model.peer", description=__doc__)
    parser.add_argument("--peer-env", type=Path, required=True, help="where 0.1.0 is installed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=120, help="of each side")
    parser.add_argument("--json", type=Path)
    words = parser.parse_args()
    found = {}
    with (
        tempfile.TemporaryDirectory(prefix="model-") as name,
        made_inputs(Path(name), ("local",), plain=True) as inputs,
    ):
        for side, peer in (("ours", None), ("theirs", words.peer_env)):
            trial = Trial(inputs, peer, Path(name) / side, words.seed)
            trial.run(words.seconds)
            found[side] = trial.tally.to_json()
            print(side, json.dumps(found[side]), flush=True)
    print(table(found["ours"], found["theirs"]))
    if words.json is not None:
        words.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
