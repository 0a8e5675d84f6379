"""Where live mounts leave word of themselves: a small folder of the user's."""

import contextlib
import hashlib
import json
import os
import stat
from dataclasses import asdict, dataclass

from biofuse.errors import BiofuseError

# A socket's name has at most 107 bytes, of which a digest and a process number take some.
_MAX_PATH = 77


@dataclass(frozen=True)
class MountRecord:
    """What a live mount says of itself.

    Attributes
    ----------
    mountpoint, store : str
    pid : int
        Of the serving process.
    socket : str
        Unix socket that answers with the status as JSON.
    log : str or None
        File that errors are logged to; None for standard error.
    """

    mountpoint: str
    store: str
    pid: int
    socket: str
    log: str | None


def runtime_dir() -> str:
    """The user's folder for sockets and records, made if it is not there.

    It does not depend on the session: a mount that a batch job made is found by a login
    shell, and does not lose its record when that ends.

    Raises
    ------
    BiofuseError
        If it belongs to somebody else.
    """
    path = os.path.abspath(os.environ.get("BIOFUSE_RUNTIME_DIR") or f"/tmp/biofuse-{os.getuid()}")
    if len(os.fsencode(path)) > _MAX_PATH:
        raise BiofuseError(
            f"{path} is too long a path for sockets; set BIOFUSE_RUNTIME_DIR to a shorter one"
        )
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        raise BiofuseError(
            f"cannot make {path}: {error.strerror}; set BIOFUSE_RUNTIME_DIR to a folder of yours"
        ) from error
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise BiofuseError(
            f"{path} belongs to another user; set BIOFUSE_RUNTIME_DIR to a folder of yours"
        )
    return path


def path_for(mountpoint: str, suffix: str) -> str:
    """A file of this mountpoint's in the folder; short enough for a socket's name."""
    digest = hashlib.sha256(os.fsencode(mountpoint)).hexdigest()[:16]
    return os.path.join(runtime_dir(), digest + suffix)


def write_record(record: MountRecord) -> None:
    """Leave word of a mount."""
    path = path_for(record.mountpoint, ".json")
    with open(path + ".new", "w") as f:
        json.dump(asdict(record), f)
    os.replace(path + ".new", path)


def read_record(mountpoint: str) -> MountRecord | None:
    """What a mount said of itself, or None."""
    try:
        with open(path_for(mountpoint, ".json")) as f:
            return MountRecord(**json.load(f))
    except (OSError, ValueError, TypeError):
        return None


def remove_record(mountpoint: str, pid: int) -> None:
    """Forget a process's mount; a later one's at the same place is left alone."""
    suffixes = [f".{pid}.sock"]
    record = read_record(mountpoint)
    if record is not None and record.pid == pid:
        suffixes.append(".json")
    for suffix in suffixes:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path_for(mountpoint, suffix))
