"""What the processes of a mount hold together."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from biofuse.memory import process_memory


def held(pids: list[int]) -> int:
    """Bytes: the sum of PSS, and pages of memfds that no process maps."""
    total, shared = 0, 0
    memfds = {}
    for pid in pids:
        memory = process_memory(pid)
        if memory is None:
            continue
        total += memory.pss
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                lines = [line.split() for line in f if line.startswith("Pss_Shmem:")]
            shared += sum(int(line[1]) << 10 for line in lines)
            for name in os.listdir(f"/proc/{pid}/fd"):
                path = f"/proc/{pid}/fd/{name}"
                if os.readlink(path).startswith("/memfd:"):
                    status = os.stat(path)
                    memfds[status.st_ino] = status.st_blocks * 512
        except OSError:
            continue
    return total + max(0, sum(memfds.values()) - shared)


def family(pid: int) -> list[int]:
    """A process and its children."""
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [pid, *(int(word) for word in f.read().split())]


@contextmanager
def sampled(pid: int) -> Iterator[list[int]]:
    """What a serving process and its worker hold, every 50 ms and when the block ends.

    An error of the sampling is raised at the block's end.
    """
    samples: list[int] = []
    errors: list[BaseException] = []
    stopped = threading.Event()

    def run() -> None:
        try:
            while not stopped.wait(0.05):
                samples.append(held(family(pid)))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield samples
    finally:
        stopped.set()
        thread.join()
    samples.append(held(family(pid)))
    if errors:
        raise errors[0]
