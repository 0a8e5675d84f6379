"""Whether a process gets on with its work, told from outside.

A store may never answer: a disk that is gone, a server that is down, a pipe that nobody
writes to. Who waits for it does nothing at all, whatever threads say of themselves; who
works uses a processor, or reads, or writes.
"""

import os

# Of a processor's time: who waits, and wakes up now and then to see, takes less.
_IDLE_SHARE = 0.002


class Progress:
    """What a process and its children do from now on.

    Parameters
    ----------
    pid : int
    """

    def __init__(self, pid: int):
        self._pid = pid
        self._processor, self._moved = self._look()

    def made_in(self, seconds: float) -> bool:
        """Whether they have done anything since this object was made, so many seconds ago."""
        processor, moved = self._look()
        return moved != self._moved or processor - self._processor > seconds * _IDLE_SHARE

    def _look(self) -> tuple[float, int]:
        """Seconds of processor time, and bytes read and written."""
        ticks = moved = 0
        for pid in (self._pid, *_children(self._pid)):
            try:
                with open(f"/proc/{pid}/stat", "rb") as f:
                    fields = f.read().rpartition(b")")[2].split()
                with open(f"/proc/{pid}/io", "rb") as f:
                    counts = dict(line.split(b": ") for line in f.read().splitlines())
            except (OSError, ValueError):
                continue
            # User and system time, and those of children that have ended.
            ticks += sum(int(field) for field in fields[11:15])
            moved += int(counts[b"rchar"]) + int(counts[b"wchar"])
        return ticks / os.sysconf("SC_CLK_TCK"), moved


def _children(pid: int) -> list[int]:
    """Children of a process; none where the kernel does not tell."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as f:
                found += map(int, f.read().split())
    except OSError:
        pass
    return found
