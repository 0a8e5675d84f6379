"""Programs whose reads go past the kernel's page cache."""

import contextlib
import os
from collections.abc import Collection

# What stands for every program.
ALL = "all"
# The kernel cuts the name of a process off.
_LONGEST = 15


class DirectPrograms:
    """Tells by whom a file is opened.

    Parameters
    ----------
    names : collection of str
        How names of programs begin: plink2 may be plink2-avx2. "all" is every one.
    """

    def __init__(self, names: Collection[str]):
        self._all = ALL in names
        self._names = tuple(os.fsencode(name)[:_LONGEST] for name in names)

    def __contains__(self, thread: int) -> bool:
        """Whether a thread, by its number, is one of such a program."""
        if self._all or not self._names:
            return self._all
        return any(name.startswith(self._names) for name in _names_of(thread))


def _names_of(thread: int) -> list[bytes]:
    """A thread's name and its process's; none if it is not to be seen from here."""
    found = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        with open(f"/proc/{thread}/comm", "rb") as f:
            found.append(f.read().rstrip(b"\n"))
        with open(f"/proc/{thread}/status", "rb") as f:
            process = int(next(line for line in f if line.startswith(b"Tgid:")).split()[1])
        if process != thread:
            with open(f"/proc/{process}/comm", "rb") as f:
                found.append(f.read().rstrip(b"\n"))
    return found
