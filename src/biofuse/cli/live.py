"""Live mounts: asking for their status, ending them."""

import contextlib
import json
import os
import socket
import time
from typing import Any

from biofuse.errors import BiofuseError
from biofuse.mounts import FS_TYPE, find_mount, resolve_mountpoint, unmount
from biofuse.runtime import path_for, read_record, remove_record


class MountEndedError(BiofuseError):
    """There is no mount here, or no more."""


class ProcessGoneError(BiofuseError):
    """A mount whose process has died."""


def read_status(directory: str, timeout: float = 10.0) -> dict[str, Any]:
    """The status of the mount at a directory.

    Raises
    ------
    MountEndedError
        If there is none.
    ProcessGoneError
        If its process has died.
    BiofuseError
        If it does not answer, or is another user's.
    """
    target = resolve_mountpoint(directory)
    if not _is_ours(target):
        raise MountEndedError(f"{directory} is not a biofuse mount")
    record = read_record(target)
    if record is None:
        raise BiofuseError(f"{directory} was mounted by another user, or its record is lost")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout)
            sock.connect(record.socket)
            data = b"".join(iter(lambda: sock.recv(65536), b""))
        return json.loads(data)
    except (OSError, ValueError):
        if not _is_ours(target):
            raise MountEndedError(f"{directory} is not a biofuse mount any more") from None
        process = f"the process behind {directory} (pid {record.pid})"
        end = f"end the mount with 'biofuse umount {directory}'"
        if not _is_serving(record.pid):
            raise ProcessGoneError(f"{process} is gone; {end}") from None
        raise BiofuseError(
            f"{process} does not answer; try again, see where it is with "
            f"'kill -USR1 {record.pid}', or {end}"
        ) from None


def _is_ours(target: str) -> bool:
    mount = find_mount(target)
    return mount is not None and mount.fs_type == FS_TYPE


def end_mount(directory: str, lazy: bool = False, wait: float = 10.0) -> int | None:
    """Unmount a biofuse mount, alive or dead, and wait until its process is gone.

    Returns
    -------
    int or None
        The process, if it is still there.

    Raises
    ------
    BiofuseError
        If it is not a biofuse mount or cannot be unmounted.
    """
    target = resolve_mountpoint(directory)
    mount = find_mount(target)
    if mount is None:
        raise BiofuseError(f"nothing is mounted at {directory}")
    if mount.fs_type != FS_TYPE:
        raise BiofuseError(f"{directory} is a {mount.fs_type} mount, not a biofuse one")
    record = read_record(target)
    unmount(target, lazy)
    if record is not None:
        deadline = time.monotonic() + wait
        while not lazy and _is_serving(record.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
    remaining = record.pid if record is not None and _is_serving(record.pid) else None
    if record is not None and remaining is None:
        remove_record(target, record.pid)
    log = path_for(target, ".log")
    with contextlib.suppress(FileNotFoundError):
        # One that tells of errors outlives the mount, until the next at this place.
        if os.path.getsize(log) == 0:
            os.unlink(log)
    return remaining


def _is_serving(pid: int) -> bool:
    """Whether a process is alive and one of ours, not a later one with its number."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            state = f.read().rpartition(b")")[2].split()[0]
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return state != b"Z" and b"biofuse.serve" in f.read()
    except OSError:
        return False
