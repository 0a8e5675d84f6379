"""What processes that were killed have left: dead mounts, folders, sockets and records."""

import contextlib
import os

from biofuse import temporary
from biofuse.errors import BiofuseError
from biofuse.fuse import mounting
from biofuse.mounts import biofuse_mounts, is_dead
from biofuse.runtime import is_serving, read_record, sweep


def clear_leftovers() -> list[str]:
    """Remove all of it that is this user's.

    Returns
    -------
    list of str
        What was found, a line each.
    """
    said = []
    for mount in biofuse_mounts():
        if mount.user != os.geteuid() or _has_process(mount.path) or not is_dead(mount.path):
            continue
        with contextlib.suppress(mounting.MountError):
            mounting.unmount(mount.path, lazy=True)
            said.append(f"{mount.path} was left by a mount that was killed: it is unmounted now")
    sweep()
    removed = temporary.sweep()
    if removed:
        said.append(f"removed what was left by commands that were killed: {', '.join(removed)}")
    return said


def _has_process(mountpoint: str) -> bool:
    with contextlib.suppress(BiofuseError):
        record = read_record(mountpoint)
        return record is not None and is_serving(record.pid)
    return False
