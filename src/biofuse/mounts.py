"""Mounts as the kernel lists them, without touching what is mounted."""

import errno
import os
import threading
from dataclasses import dataclass

from biofuse.errors import BiofuseError

FS_TYPE = "fuse.biofuse"
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


def is_dead(path: str, patience: float = 1.0) -> bool:
    """Whether nobody answers for a mount any more.

    One that does not answer within some seconds is not dead: its process is stopped, say.
    """
    found: list[int | None] = []

    def look() -> None:
        try:
            # Attributes may be in the kernel's cache.
            os.statvfs(path)
        except OSError as error:
            found.append(error.errno)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(patience)
    return found in ([errno.ENOTCONN], [errno.ECONNABORTED])


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


def set_read_ahead(mount: Mount, kib: int) -> bool:
    """Set the kernel's read-ahead for a mount. False where that is not allowed."""
    try:
        with open(f"/sys/class/bdi/{mount.device}/read_ahead_kb", "w") as f:
            f.write(str(kib))
    except OSError:
        return False
    return True
