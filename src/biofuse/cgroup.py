"""The memory that the control groups of this process allow it: cgroups v1 and v2."""

import os
import re

# v1 writes "no limit" as the largest multiple of a page in 63 bits.
_NO_LIMIT = 1 << 60
# Beyond memory.high a group is not killed but slowed down until it stands still.
_FILES = {"cgroup2": ("memory.max", "memory.high"), "cgroup": ("memory.limit_in_bytes",)}


def memory_limit(proc: str = "/proc/self") -> int | None:
    """The least memory limit of this process's control group and of those above it.

    Batch systems (Slurm) and containers set one.

    Parameters
    ----------
    proc : str
        The process's folder in /proc.

    Returns
    -------
    int or None
        Bytes; None where there is no limit, or it cannot be seen.
    """
    try:
        groups = _lines(os.path.join(proc, "cgroup"))
        mounts = _lines(os.path.join(proc, "mountinfo"))
    except OSError:
        return None
    limits = []
    for fs_type, path in _memory_groups(groups):
        for root, directory in _mountpoints(mounts, fs_type):
            for name in _FILES[fs_type]:
                limits += _limits(directory, _below(path, root), name)
    return min(limits, default=None)


def _lines(path: str) -> list[str]:
    """Lines of a file with names in it, which are bytes that need not be text."""
    with open(path, "rb") as f:
        return [line for line in os.fsdecode(f.read()).split("\n") if line]


def _memory_groups(lines: list[str]) -> list[tuple[str, str]]:
    """File system type and path of the groups that may limit memory."""
    found = []
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            found.append(("cgroup2", path))
        elif "memory" in controllers.split(","):
            found.append(("cgroup", path))
    return found


def _mountpoints(lines: list[str], fs_type: str) -> list[tuple[str, str]]:
    """Root within the hierarchy, and directory, of the mounts of a type with memory in them."""
    found = []
    for line in lines:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == fs_type and (kind == "cgroup2" or "memory" in options.split(",")):
            root, directory = (_unescape(word) for word in before.split(" ")[3:5])
            found.append((root, directory))
    return found


def _unescape(word: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), word)


def _below(path: str, root: str) -> str:
    """A group's path below the root of a mount; the root itself if it is not below."""
    if root == "/":
        return path
    return path.removeprefix(root) if path == root or path.startswith(root + "/") else "/"


def _limits(directory: str, path: str, name: str) -> list[int]:
    """Limits of a group and of all above it."""
    parts = [part for part in path.split("/") if part and part != ".."]
    found = []
    for depth in range(len(parts) + 1):
        try:
            with open(os.path.join(directory, *parts[:depth], name)) as f:
                text = f.read().strip()
        except OSError:
            continue
        if text.isdecimal() and int(text) < _NO_LIMIT:
            found.append(int(text))
    return found
