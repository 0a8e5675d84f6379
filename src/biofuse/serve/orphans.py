"""What a `biofuse run` that was killed has left: its command's processes, its folder."""

import contextlib
import os
import shutil
import signal

import trio

from biofuse.mounts import find_mount

# Of a command and all that it starts: the folder that was mounted for it.
MARK = "BIOFUSE_DIR"
# Seconds that they have to end in once they are told to.
_PATIENCE = 2.0


async def end_command(mountpoint: str) -> None:
    """End the processes that a command for this mount has become, first by SIGTERM."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not _signal_all(mountpoint, number):
            return
        with trio.move_on_after(_PATIENCE):
            while _signal_all(mountpoint, None):
                await trio.sleep(0.05)


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
    if find_mount(os.path.join(path, "files")) is None:
        shutil.rmtree(path, ignore_errors=True)
