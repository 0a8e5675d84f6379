"""A process that unmounts where the serving process could not: `--auto-unmount`."""

import contextlib
import os
import signal
import time

from biofuse.fuse import mounting
from biofuse.mounts import find_mount, is_dead

# Seconds in which the worker, which holds the session too, ends after the serving process.
_PATIENCE = 10.0
_INTERVAL = 0.05


def start_keeper(mountpoint: str, device: str | None) -> int:
    """Start one, a copy of this process without anything of it open.

    Parameters
    ----------
    mountpoint : str
    device : str or None
        Of the mount, since a later one there is another's.

    Returns
    -------
    int
        A descriptor; it acts when nobody has that open any more.
    """
    reader, writer = os.pipe()
    if os.fork() != 0:
        os.close(reader)
        return writer
    try:
        _keep(reader, mountpoint, device)
    finally:
        os._exit(0)


def _keep(reader: int, mountpoint: str, device: str | None) -> None:
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)
    # The session would live as long as this process.
    os.closerange(3, reader)
    os.closerange(reader + 1, os.sysconf("SC_OPEN_MAX"))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    os.read(reader, 1)
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        mount = find_mount(mountpoint)
        if mount is None or mount.device != device:
            return
        if is_dead(mountpoint):
            with contextlib.suppress(mounting.MountError):
                mounting.unmount(mountpoint, lazy=True)
            return
        time.sleep(_INTERVAL)
