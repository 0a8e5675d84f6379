"""What processes that were killed have left: dead mounts, folders, sockets and records."""

import contextlib
import os

from biofuse import temporary
from biofuse.errors import BiofuseError
from biofuse.fuse import mounting
from biofuse.mounts import biofuse_mounts, is_dead, resolve_mountpoint
from biofuse.runtime import is_serving, read_record, sweep


def clear_leftovers(directory: str | None = None, output: str | None = None) -> list[str]:
    """Remove all of it that is this user's, and has left word of itself.

    Parameters
    ----------
    directory : str, optional
        Where something is to be mounted: a dead mount there goes in any case.
    output : str, optional
        A file that is to be written: its folder may have what was left by writing it.

    Returns
    -------
    list of str
        What was found, a line each.
    """
    said = []
    target = None if directory is None else resolve_mountpoint(directory)
    for mount in biofuse_mounts():
        if mount.user != os.geteuid() or not (_was_killed(mount.path) or mount.path == target):
            continue
        if not is_dead(mount.path):
            continue
        with contextlib.suppress(mounting.MountError):
            mounting.unmount(mount.path, lazy=True)
            said.append(f"{mount.path} was left by a mount that was killed: it is unmounted now")
    sweep()
    removed = temporary.sweep()
    if output is not None:
        removed += temporary.sweep(os.path.dirname(os.path.abspath(output)))
    if removed:
        said.append(f"removed what was left by commands that were killed: {', '.join(removed)}")
    return said


def _was_killed(mountpoint: str) -> bool:
    """Whether there is a record of a mount, but not its process."""
    with contextlib.suppress(BiofuseError):
        record = read_record(mountpoint)
        return record is not None and not is_serving(record.pid)
    return False
