"""Threads that have got a signal while they wait for a read."""

import signal


def is_ending(thread: int) -> bool:
    """Whether a thread is about to be killed, or its process is.

    Whatever signal ends a process, the kernel turns it into SIGKILL for each of its threads.
    Any other is handled when the read has come to its end.
    """
    try:
        with open(f"/proc/{thread}/status", "rb") as f:
            lines = f.read().splitlines()
    except OSError:
        return False
    for line in lines:
        name, _, value = line.partition(b":")
        if name == b"SigPnd":
            return bool(int(value, 16) >> (signal.SIGKILL - 1) & 1)
    return False
