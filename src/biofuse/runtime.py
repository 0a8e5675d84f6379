"""Where live mounts leave word of themselves: a small folder of the user's."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import IO

from biofuse.errors import BiofuseError
from biofuse.mounts import find_mount
from biofuse.trust import UntrustedError, open_folder, read_file

_ANOTHER = "set BIOFUSE_RUNTIME_DIR to a folder of yours"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
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
        If it belongs to somebody else, or others may write to it.
    """
    path = os.path.abspath(os.environ.get("BIOFUSE_RUNTIME_DIR") or f"/tmp/biofuse-{os.geteuid()}")
    if len(os.fsencode(path)) > _MAX_PATH:
        raise BiofuseError(
            f"{path} is too long a path for sockets; set BIOFUSE_RUNTIME_DIR to a shorter one"
        )
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        folder = open_folder(path)
    except OSError as error:
        raise BiofuseError(f"cannot make {path}: {error.strerror}; {_ANOTHER}") from error
    except UntrustedError as error:
        raise BiofuseError(f"{error}; {_ANOTHER}") from error
    try:
        # What root owns may be trusted, but this is to be written to.
        if os.fstat(folder).st_uid != os.geteuid():
            raise BiofuseError(f"{path} belongs to another user; {_ANOTHER}")
    finally:
        os.close(folder)
    return path


def path_for(mountpoint: str, suffix: str) -> str:
    """A file of this mountpoint's in the folder; short enough for a socket's name."""
    return os.path.join(runtime_dir(), _digest(mountpoint) + suffix)


def _digest(mountpoint: str) -> str:
    return hashlib.sha256(os.fsencode(mountpoint)).hexdigest()[:16]


def open_log(path: str) -> IO[bytes]:
    """A mount's log, to append to; whoever has it open holds a lock on it.

    Raises
    ------
    BiofuseError
        If there is no room for it in the user's folder.
    OSError
        If it cannot be opened for another reason.
    """
    ours = os.path.dirname(path) == runtime_dir()
    with full_folder_named() if ours else contextlib.nullcontext():
        # Open as long as the process that appends to it.
        log = open(path, "ab")  # noqa: SIM115
    with contextlib.suppress(OSError):
        fcntl.flock(log, fcntl.LOCK_SH)
    return log


def sweep() -> None:
    """Remove what mounts that were killed have left: empty logs, sockets, records."""
    with contextlib.suppress(OSError, BiofuseError):
        for entry in os.scandir(runtime_dir()):
            with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
                if entry.name.endswith(".log"):
                    _remove_unused_log(entry.path)
                elif entry.name.endswith(".sock"):
                    _remove_dead_mount(entry.path)
                elif entry.name.endswith(".json"):
                    _remove_dead_record(entry.path)


def _remove_unused_log(path: str) -> None:
    """Remove a log that is empty, unless a process has it open."""
    with open(path, "rb") as log:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(log.fileno()).st_size == 0:
            os.unlink(path)


def _remove_dead_mount(path: str) -> None:
    """Remove a socket whose process has ended, and its record, unless it is still mounted."""
    stem, pid = path.removesuffix(".sock").rsplit(".", 1)
    if is_serving(int(pid)) or _listens(path):
        return
    try:
        with open(f"{stem}.json") as f:
            record = json.load(f)
    except FileNotFoundError:
        record = {}
    if record.get("pid") == int(pid):
        if find_mount(record["mountpoint"]) is not None:
            return
        os.unlink(f"{stem}.json")
    os.unlink(path)


def _remove_dead_record(path: str) -> None:
    """Remove the record of a process that was killed before it had a socket."""
    with open(path) as f:
        record = json.load(f)
    dead = not is_serving(record["pid"]) and not os.path.exists(record["socket"])
    if dead and find_mount(record["mountpoint"]) is None:
        os.unlink(path)


def _listens(path: str) -> bool:
    """Whether a process, perhaps of another container, listens at a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:
            pass
    return True


def is_serving(pid: int) -> bool:
    """Whether a process is alive and one of ours, not a later one with its number."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            state = f.read().rpartition(b")")[2].split()[0]
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return state != b"Z" and b"biofuse.serve" in f.read()
    except OSError:
        return False


def write_record(record: MountRecord) -> None:
    """Leave word of a mount.

    Raises
    ------
    BiofuseError
        If there is no room for it.
    """
    path = path_for(record.mountpoint, ".json")
    with full_folder_named():
        with open(path + ".new", "w") as f:
            json.dump(asdict(record), f)
        os.replace(path + ".new", path)


@contextlib.contextmanager
def full_folder_named() -> Iterator[None]:
    """Have an error for want of room in the folder say where that is, and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise BiofuseError(
            f"cannot write to {runtime_dir()}, where mounts leave their records: "
            f"{error.strerror}; make room there, or {_ANOTHER}"
        ) from error


def read_record(mountpoint: str) -> MountRecord | None:
    """What a mount said of itself, or None.

    A record that is not this user's, or names what is no mount's of this user, is none.
    """
    try:
        folder = open_folder(runtime_dir())
        try:
            record = MountRecord(**json.loads(read_file(_digest(mountpoint) + ".json", folder)))
        finally:
            os.close(folder)
    except (OSError, ValueError, TypeError, UntrustedError):
        return None
    if not isinstance(record.pid, int) or record.mountpoint != mountpoint:
        return None
    return record if record.socket == path_for(mountpoint, f".{record.pid}.sock") else None


def remove_record(mountpoint: str, pid: int) -> None:
    """Forget a process's mount; a later one's at the same place is left alone."""
    suffixes = [f".{pid}.sock"]
    record = read_record(mountpoint)
    if record is not None and record.pid == pid:
        suffixes.append(".json")
    for suffix in suffixes:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path_for(mountpoint, suffix))
