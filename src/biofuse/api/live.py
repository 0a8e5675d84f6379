"""Live mounts: asking for their status, ending them."""

import contextlib
import json
import os
import socket
import struct
import time
from typing import Any

from biofuse.errors import BiofuseError
from biofuse.fuse import mounting
from biofuse.mounts import (
    FS_TYPE,
    Mount,
    find_mount,
    is_mounted_elsewhere,
    resolve_mountpoint,
)
from biofuse.runtime import MountRecord, is_serving, path_for, read_record, remove_record

# struct ucred: process, user, group.
_PEER = struct.Struct("=iII")
# Seconds after which a process that is still there is worth a look.
_USUALLY_ENDED = 0.5
# A program that has just ended, or one that looks at every new mount, is soon gone.
_BUSY_DELAYS = (0.05, 0.1, 0.2, 0.4, 0.0)


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
    mount = _biofuse_mount(target)
    if mount is None:
        raise MountEndedError(f"{directory} is not a biofuse mount")
    record = read_record(target)
    if record is None:
        if mount.user not in (None, os.geteuid()):
            raise BiofuseError(
                f"{directory} was mounted by another user (uid {mount.user}), who alone can ask "
                "for its status"
            )
        raise BiofuseError(f"the record of {directory} is lost: nothing more is known of it")
    try:
        return _ask(record, timeout)
    except (OSError, ValueError):
        if _biofuse_mount(target) is None:
            raise MountEndedError(f"{directory} is not a biofuse mount any more") from None
        process = f"the process behind {directory} (pid {record.pid})"
        end = f"end the mount with 'biofuse umount {directory}'"
        if not is_serving(record.pid):
            raise ProcessGoneError(f"{process} is gone; {end}") from None
        raise BiofuseError(
            f"{process} does not answer; try again, see where it is with "
            f"'kill -USR1 {record.pid}', or {end}"
        ) from None


def failed_reads(errors: int, log_file: str) -> str:
    """A line on reads of a mount that failed, with the first of them that its log has."""
    reads = "1 read" if errors == 1 else f"{errors} reads"
    text = f"{reads} of the mounted files failed; the command's results cannot be trusted"
    try:
        with open(log_file, errors="replace") as f:
            first = next((line for line in f if " ERROR " in line), "")
        detail = first.partition(" ERROR ")[2].strip()
    except OSError:
        detail = ""
    return f"{text}: {detail}" if detail else text


def _ask(record: MountRecord, timeout: float) -> dict[str, Any]:
    """What the process of a mount says of itself."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        sock.connect(record.socket)
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        _, user, _ = _PEER.unpack(credentials)
        if user != os.geteuid():
            raise PermissionError(f"{record.socket} is another user's")
        data = b"".join(iter(lambda: sock.recv(65536), b""))
    status: dict[str, Any] = json.loads(data)
    return status


def _biofuse_mount(target: str) -> Mount | None:
    mount = find_mount(target)
    return mount if mount is not None and mount.fs_type == FS_TYPE else None


def end_mount(directory: str, lazy: bool = False, wait: float = 10.0) -> str | None:
    """Unmount a biofuse mount, alive or dead, and wait until its process is gone.

    Returns
    -------
    str or None
        Why the process is still there, if it is: a line. None if `lazy`.

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
    _unmount(directory, target, lazy)
    reason = None
    if record is not None:
        if not lazy:
            reason = _wait_for_end(directory, mount, record, wait)
        if not is_serving(record.pid):
            remove_record(target, record.pid)
    log = path_for(target, ".log")
    with contextlib.suppress(FileNotFoundError):
        # One that tells of errors outlives the mount, until the next at this place.
        if os.path.getsize(log) == 0:
            os.unlink(log)
    return reason


def _unmount(directory: str, target: str, lazy: bool) -> None:
    """Unmount what is at a directory; wait for a moment for who is in the way."""
    for delay in _BUSY_DELAYS:
        try:
            return mounting.unmount(target, lazy)
        except mounting.MountError as error:
            if not error.busy:
                raise BiofuseError(f"cannot unmount {directory}: {error}") from error
        time.sleep(delay)
    raise BiofuseError(
        f"{directory} is busy: a program has a file of it open or works in it; "
        "end that program, or use --lazy to unmount when it ends"
    )


def _wait_for_end(directory: str, mount: Mount, record: MountRecord, wait: float) -> str | None:
    """Wait until a mount's process has ended. Returns why it has not, if it has not."""
    began = time.monotonic()
    looked = False
    while is_serving(record.pid):
        waited = time.monotonic() - began
        if not looked and waited > _USUALLY_ENDED:
            looked = True
            if is_mounted_elsewhere(mount.device):
                return (
                    f"{directory} is unmounted here; its process (pid {record.pid}) goes on, since "
                    "it is still mounted in another mount namespace, as of a container or service"
                )
        if waited > wait:
            return (
                f"{directory} is unmounted, but its process (pid {record.pid}) has not ended: "
                "it is stopped or stuck"
            )
        time.sleep(0.01)
    return None
