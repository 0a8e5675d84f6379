"""What a `biofuse run` that was killed has left: its command's processes, its folder."""

import contextlib
import os
import signal
import time
from collections.abc import Callable

from biofuse.mounts import find_mount
from biofuse.serve.loop import Loop

# Of a command and all that it starts: the folder that was mounted for it.
MARK = "BIOFUSE_DIR"
# Seconds that they have to end in once they are told to, and between two looks.
_PATIENCE = 2.0
_INTERVAL = 0.05


def end_command(loop: Loop, mountpoint: str, then: Callable[[], None]) -> None:
    """End the processes that a command for this mount has become, first by SIGTERM."""
    means = iter((signal.SIGTERM, signal.SIGKILL))

    def strike() -> None:
        number = next(means, None)
        if number is None or not _signal_all(mountpoint, number):
            then()
        else:
            look(time.monotonic() + _PATIENCE)

    def look(until: float) -> None:
        if not _signal_all(mountpoint, None):
            then()
        elif time.monotonic() > until:
            strike()
        else:
            loop.call_later(_INTERVAL, lambda: look(until))

    strike()


def _signal_all(mountpoint: str, number: signal.Signals | None) -> bool:
    """Send a signal to each of them. Returns whether there were any."""
    mark = os.fsencode(f"{MARK}={mountpoint}")
    found = False
    for name in os.listdir("/proc"):
        if not name.isdecimal() or int(name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            # By a descriptor, which no later process of that number takes over.
            process = os.pidfd_open(int(name))
            try:
                with open(f"/proc/{name}/environ", "rb") as f:
                    if mark not in f.read().split(b"\0"):
                        continue
                found = True
                if number is not None:
                    signal.pidfd_send_signal(process, number)
            finally:
                os.close(process)
    return found


def remove_folder(path: str) -> None:
    """Remove the private folder of a run, in which nothing is mounted any more."""
    # It takes half a mebibyte, and few mounts come to this.
    import shutil

    if find_mount(os.path.join(path, "files")) is None:
        shutil.rmtree(path, ignore_errors=True)
