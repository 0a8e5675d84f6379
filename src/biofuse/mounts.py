"""Mounts as the kernel lists them, without touching what is mounted."""

import os
import subprocess
import time
from dataclasses import dataclass

from biofuse.errors import BiofuseError

FS_TYPE = "fuse.biofuse"
# A program that has just ended, or one that looks at every new mount, is soon gone.
_BUSY_DELAYS = (0.05, 0.1, 0.2, 0.4, 0.0)
# As many as the kernel follows.
_MAX_LINKS = 40


@dataclass(frozen=True)
class Mount:
    """A line of /proc/self/mountinfo.

    Attributes
    ----------
    path : str
        Where it is mounted.
    fs_type, source : str
    device : str
        major:minor, the name of its backing-device folder in sysfs.
    user : int or None
        Who has mounted it, where that is a FUSE mount.
    """

    path: str
    fs_type: str
    source: str
    device: str
    user: int | None = None


def list_mounts(text: str | None = None, process: str = "self") -> list[Mount]:
    """Every mount that a process sees, in the order in which they were made.

    Raises
    ------
    OSError
        If the process is gone, or not ours to look at.
    """
    if text is None:
        with open(f"/proc/{process}/mountinfo", "rb") as f:
            text = os.fsdecode(f.read())
    found = []
    # Only a line feed ends a line; a path may hold what else Python takes for an end.
    for line in text.split("\n"):
        fields = line.split(" ")
        if "-" not in fields:
            continue
        dash = fields.index("-")
        fs_type, source, options = fields[dash + 1 : dash + 4]
        found.append(
            Mount(_unescape(fields[4]), fs_type, _unescape(source), fields[2], _user(options))
        )
    return found


def _user(options: str) -> int | None:
    for option in options.split(","):
        name, _, value = option.partition("=")
        if name == "user_id" and value.isdecimal():
            return int(value)
    return None


def _unescape(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


def resolve_mountpoint(path: str) -> str:
    """A mountpoint's absolute path without symbolic links.

    Nothing is asked of the mount itself, which may be dead: reading a link is no matter
    for a file system that has a directory there.

    Raises
    ------
    BiofuseError
        If it is empty: an unset variable would mean the working directory.
    """
    if not path:
        raise BiofuseError("the mountpoint's name is empty")
    for _ in range(_MAX_LINKS):
        parent, name = os.path.split(os.path.abspath(path))
        path = os.path.join(os.path.realpath(parent), name)
        try:
            path = os.path.join(os.path.dirname(path), os.readlink(path))
        except OSError:
            break
    return path


def find_mount(path: str) -> Mount | None:
    """What is mounted at a path, the topmost if several are, or None."""
    target = resolve_mountpoint(path)
    found = [mount for mount in list_mounts() if mount.path == target]
    return found[-1] if found else None


def biofuse_mounts() -> list[Mount]:
    """The mounts of this program."""
    return [mount for mount in list_mounts() if mount.fs_type == FS_TYPE]


def is_mounted_elsewhere(device: str) -> bool:
    """Whether a process that we may look at sees a mount that this one does not.

    It has another mount namespace then, as containers and services have.
    """
    seen = {os.stat("/proc/self/ns/mnt").st_ino}
    for name in os.listdir("/proc"):
        if not name.isdecimal():
            continue
        try:
            namespace = os.stat(f"/proc/{name}/ns/mnt").st_ino
            if namespace in seen:
                continue
            seen.add(namespace)
            if any(mount.device == device for mount in list_mounts(process=name)):
                return True
        except OSError:
            continue
    return False


def unmount(path: str, lazy: bool = False) -> None:
    """Unmount what is mounted at a path.

    Raises
    ------
    BiofuseError
        If that fails.
    """
    command = ["fusermount3", "-u", *(["-z"] if lazy else []), "--", resolve_mountpoint(path)]
    reason = ""
    for delay in _BUSY_DELAYS:
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise BiofuseError("fusermount3 is not installed; it is in the package fuse3") from None
        if done.returncode == 0:
            return
        reason = done.stderr.strip().removeprefix("fusermount3: ")
        if "busy" not in reason.lower():
            raise BiofuseError(f"cannot unmount {path}: {reason}")
        time.sleep(delay)
    raise BiofuseError(
        f"{path} is busy: a program has a file of it open or works in it; "
        "end that program, or use --lazy to unmount when it ends"
    )


def set_read_ahead(mount: Mount, kib: int) -> bool:
    """Set the kernel's read-ahead for a mount. False where that is not allowed."""
    try:
        with open(f"/sys/class/bdi/{mount.device}/read_ahead_kb", "w") as f:
            f.write(str(kib))
    except OSError:
        return False
    return True
