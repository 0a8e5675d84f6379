"""What killed processes have left is cleared away by whatever command its user gives next."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.places import Place
from support.program import HAPLOID, Program, has_ended, wait_until

from fs_tests.lives import (
    CLEARED,
    WORKER_DIED,
    arguments,
    check_gone,
    is_mounted,
    read_some,
    without_leftovers,
)


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """No test leaves shared memory, of either kind, or a session."""
    with without_leftovers():
        yield


def leave_all(biofuse: Program, place: Place) -> tuple[Path, list[Path]]:
    """Have a mount and a run killed. Returns the dead mount, and folders."""
    others = biofuse.processes()
    directory = biofuse.new_directory()
    biofuse("mount", *arguments(place, directory))
    run = biofuse.popen("run", *arguments(place), "--without-fuse", "--", "sleep", "100")
    wait_until(lambda: any(biofuse.temporary.glob("*/files/x.fam")), "its files are there")
    victims = [process.pid for process in set(biofuse.processes()) - set(others)]
    # The run first: one whose command has ended takes its folder away.
    for pid in sorted(victims, key=lambda pid: pid != run.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    run.communicate()
    wait_until(lambda: all(map(has_ended, victims)), "they are gone")
    assert is_mounted(directory)
    return directory, list(biofuse.temporary.iterdir())


COMMANDS: dict[str, Callable[[Place, Path, Path], list[object]]] = {
    "mount": lambda place, alive, new: ["mount", *arguments(place, new)],
    "run": lambda place, alive, new: ["run", *arguments(place), "--", "true"],
    "run-without-fuse": lambda place, alive, new: (
        ["run", *arguments(place), "--without-fuse", "--", "true"]
    ),
    "export": lambda place, alive, new: ["export", *arguments(place, new / "y")],
    "status": lambda place, alive, new: ["status"],
    "umount": lambda place, alive, new: ["umount", alive],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_next_command_clears_it_away(name, place, oracle, biofuse):
    """It says so, does what it is for, and leaves alone what is alive."""
    alive, new = biofuse.new_directory(), biofuse.new_directory()
    biofuse("mount", *arguments(place, alive))
    dead, folders = leave_all(biofuse, place)
    done = biofuse(*COMMANDS[name](place, alive, new))
    said = [line for line in done.stderr.splitlines() if HAPLOID not in line]
    assert said[0] == f"biofuse: {dead} {CLEARED}: it is unmounted now"
    begin, _, told = said[1].rpartition(": ")
    assert begin == "biofuse: removed what was left by commands that were killed"
    assert sorted(told.split(", ")) == sorted(map(str, folders))
    assert len(said) == 2
    assert not is_mounted(dead)
    assert not set(folders) & set(biofuse.temporary.iterdir())
    if name != "umount":
        read_some(alive, oracle)
        biofuse("umount", alive)
    if name == "mount":
        biofuse("umount", new)
    assert biofuse("status").stderr == ""
    # The worker may have been the first that was killed.
    check_gone(biofuse, WORKER_DIED)
