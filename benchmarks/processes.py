"""Processes and their memory, read from ``/proc``."""

import os
from dataclasses import dataclass, fields
from pathlib import Path

PROC = Path("/proc")
KIB = 1024


@dataclass(frozen=True)
class Process:
    """A process that a reused number can't be taken for.

    Attributes
    ----------
    pid : int
        Its number.
    started : int
        When it started, in clock ticks since boot.
    """

    pid: int
    started: int


@dataclass(frozen=True)
class Memory:
    """Memory of a set of processes in bytes.

    Attributes
    ----------
    rss : int
        Sum of RSS: pages that several of them map are counted several times.
    pss : int
        Sum of PSS, where shared pages count once, and of the pages of memfds that
        they hold open but don't map, which no process's own figures show.
    anonymous : int
        Sum of anonymous pages: heap and stacks.
    """

    rss: int = 0
    pss: int = 0
    anonymous: int = 0

    def peak(self, other: "Memory") -> "Memory":
        """Return the larger of two measurements, field by field.

        Parameters
        ----------
        other : Memory
            The other measurement.

        Returns
        -------
        Memory
            The maxima.
        """
        names = [field.name for field in fields(self)]
        return Memory(*(max(getattr(self, name), getattr(other, name)) for name in names))


def stat(pid: int) -> tuple[int, Process] | None:
    """Return a process's parent and identity.

    Parameters
    ----------
    pid : int
        Its number.

    Returns
    -------
    tuple or None
        The parent's number and the process; None if there is none, or only a zombie.
    """
    try:
        words = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if words[0] == "Z" else (int(words[1]), Process(pid, int(words[19])))


def tree(roots: set[int]) -> set[Process]:
    """Return processes and all their descendants.

    Parameters
    ----------
    roots : set of int
        Numbers of the processes to start from.

    Returns
    -------
    set of Process
        Those that are alive.
    """
    found = {int(name): stat(int(name)) for name in os.listdir(PROC) if name.isdigit()}
    children: dict[int, list[int]] = {}
    for pid, known in found.items():
        if known:
            children.setdefault(known[0], []).append(pid)
    members: set[Process] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        known = found.get(pid)
        if known and known[1] not in members:
            members.add(known[1])
            waiting += children.get(pid, [])
    return members


def alive(processes: set[Process]) -> set[Process]:
    """Return those processes that still run.

    Parameters
    ----------
    processes : set of Process
        Processes seen earlier.

    Returns
    -------
    set of Process
        Those of them that have neither ended nor become zombies.
    """
    running = {process: stat(process.pid) for process in processes}
    return {process for process, known in running.items() if known and known[1] == process}


def high_water(process: Process) -> int:
    """Return the most that a process has had resident.

    Parameters
    ----------
    process : Process
        The process.

    Returns
    -------
    int
        VmHWM in bytes; 0 if the process has ended.
    """
    return _kib(PROC / str(process.pid) / "status").get("VmHWM", 0)


def processor_seconds(processes: set[Process]) -> float:
    """Return the processor time that processes have used, and children of theirs that ended.

    Parameters
    ----------
    processes : set of Process
        The processes; those that have ended count only with a parent that is among them.

    Returns
    -------
    float
        Seconds, of user and system.
    """
    ticks = 0
    for process in processes:
        try:
            text = (PROC / str(process.pid) / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # utime, stime, cutime and cstime; the first word after the name is field 3.
        ticks += sum(map(int, text.rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(processes: set[Process]) -> Memory:
    """Measure what processes hold together.

    Parameters
    ----------
    processes : set of Process
        The processes; those that have ended count nothing.

    Returns
    -------
    Memory
        The sums.
    """
    rollups = [_kib(PROC / str(process.pid) / "smaps_rollup") for process in processes]

    def total(field: str) -> int:
        return sum(rollup.get(field, 0) for rollup in rollups)

    unmapped = max(0, memfd_bytes(processes) - total("Pss_Shmem"))
    return Memory(total("Rss"), total("Pss") + unmapped, total("Anonymous"))


@dataclass(frozen=True)
class Held:
    """What one process holds, in bytes.

    Attributes
    ----------
    role : str
        What it does.
    pid : int
        Its number.
    rss, pss, anonymous, shared : int
        Resident, its share of it, what no file is behind, and what others map too.
    high_water : int
        The most that was ever resident.
    """

    role: str
    pid: int
    rss: int
    pss: int
    anonymous: int
    shared: int
    high_water: int


# Modules that processes are started with, by what these do.
ROLES = {
    "biofuse.serve": "serve",
    "biofuse.encode.worker": "encode",
    "biofuse.plan": "plan",
}


def role(process: Process) -> str | None:
    """Tell what a process does.

    Parameters
    ----------
    process : Process
        The process.

    Returns
    -------
    str or None
        One of `ROLES`, else the name of its program; None if it has ended.
    """
    try:
        words = (PROC / str(process.pid) / "cmdline").read_bytes().decode().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    known = [ROLES[word] for word in words if word in ROLES]
    # A program that is a script comes after its interpreter.
    programs = [Path(word).name for word in words[:2] if word and not word.startswith("-")]
    return (known or programs[::-1] or [None])[0]


def held_by_each(processes: set[Process]) -> list[Held]:
    """Measure what each of some processes holds.

    Parameters
    ----------
    processes : set of Process
        The processes; those that have ended are left out.

    Returns
    -------
    list of Held
        One for each, ordered by their numbers.
    """
    found = []
    for process in sorted(processes, key=lambda one: one.pid):
        sizes = _kib(PROC / str(process.pid) / "smaps_rollup")
        name = role(process)
        if name is None or "Rss" not in sizes:
            continue
        shared = sizes["Shared_Clean"] + sizes["Shared_Dirty"]
        figures = sizes["Rss"], sizes["Pss"], sizes["Anonymous"], shared, high_water(process)
        found.append(Held(name, process.pid, *figures))
    return found


def memfd_bytes(processes: set[Process]) -> int:
    """Return what the pages of the memfds take that processes hold open, mapped or not.

    Parameters
    ----------
    processes : set of Process
        The processes.

    Returns
    -------
    int
        Bytes, each memfd once.
    """
    memfds: dict[tuple[int, int], int] = {}
    for process in processes:
        memfds.update(_memfds(process.pid))
    return sum(memfds.values())


def _kib(path: Path) -> dict[str, int]:
    """Return the fields of a ``/proc`` file that are given in kB, in bytes."""
    sizes = {}
    try:
        lines = path.read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return sizes
    for line in lines:
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            sizes[name] = int(value.split()[0]) * KIB
    return sizes


def _memfds(pid: int) -> dict[tuple[int, int], int]:
    """Return the bytes that each memfd open in a process takes, by device and inode."""
    held = {}
    directory = PROC / str(pid) / "fd"
    try:
        for name in os.listdir(directory):
            if os.readlink(directory / name).startswith("/memfd:"):
                status = os.stat(directory / name)
                held[status.st_dev, status.st_ino] = status.st_blocks * 512
    except (FileNotFoundError, ProcessLookupError):
        pass
    return held
