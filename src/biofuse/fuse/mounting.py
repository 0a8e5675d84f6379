"""Mounting and unmounting: by the set-user-ID helper, or by the kernel's own calls for root."""

import errno
import os
import re
import socket
import stat
import subprocess
from collections.abc import Mapping, Sequence

DEVICE = "/dev/fuse"
# Of every Linux.
_DEVICE_NUMBER = os.makedev(10, 229)
_HELPERS = ("fusermount3", "fusermount")
# Where the helper finds the socket that it is to send the session's descriptor through.
_SOCKET_VARIABLE = "_FUSE_COMMFD"

_MS_RDONLY = 1
_MS_NOSUID = 2
_MS_NODEV = 4
_MNT_DETACH = 2
_UMOUNT_NOFOLLOW = 8


class MountError(Exception):
    """Mounting or unmounting failed; its text is one line.

    Attributes
    ----------
    busy : bool
        Whether a program is in the way that may soon be gone.
    """

    def __init__(self, message: str, busy: bool = False):
        super().__init__(message)
        self.busy = busy


def find_helper() -> str | None:
    """The program that mounts for those who may not: version 3 where it is there, else 2."""
    for name in _HELPERS:
        for folder in os.get_exec_path():
            path = os.path.join(folder, name)
            if os.access(path, os.X_OK) and os.path.isfile(path):
                return path
    return None


def check(device: str = DEVICE) -> None:
    """Raise `MountError` if nothing can be mounted on this machine by this user."""
    if not os.path.exists(device):
        raise MountError(
            f"{device} is not there: load the kernel module (modprobe fuse), or start the "
            "container with --device /dev/fuse --cap-add SYS_ADMIN"
        )
    if not os.access(device, os.R_OK | os.W_OK):
        raise MountError(f"{device} cannot be opened by you; ask the administrator")
    if find_helper() is None and os.geteuid() != 0:
        raise MountError("fusermount3 is not installed; it is in the package fuse3")


def given_session(path: str) -> int | None:
    """The descriptor of a session that somebody else has mounted, where a path names one.

    It is /dev/fd/N then, as libfuse takes it in place of a mountpoint.

    Raises
    ------
    MountError
        If that is open for something else, or not at all.
    """
    found = re.fullmatch(r"/dev/fd/([0-9]{1,9})", path)
    if found is None:
        return None
    fd = int(found[1])
    try:
        status = os.fstat(fd)
    except OSError as error:
        raise MountError(f"{path} is not open: no session of FUSE was handed on") from error
    if not stat.S_ISCHR(status.st_mode) or status.st_rdev != _DEVICE_NUMBER:
        raise MountError(f"{path} is not {DEVICE}, opened and mounted by whoever hands it on")
    return fd


def mount(
    mountpoint: str, source: str, subtype: str, max_read: int, allow_other: bool = False
) -> int:
    """Mount, read-only.

    Parameters
    ----------
    mountpoint : str
    source, subtype : str
        As the table of mounts is to show them.
    max_read : int
        Bytes of the largest read.
    allow_other : bool
        Whether other users may look at it.

    Returns
    -------
    int
        The session's descriptor, which children do not inherit.

    Raises
    ------
    MountError
        If that fails.
    """
    options = [f"max_read={max_read}", "default_permissions"]
    if allow_other:
        options.append("allow_other")
    helper = find_helper()
    if helper is None:
        check()
        return _mount_directly(mountpoint, source, subtype, options)
    words = ["ro", "nosuid", "nodev", f"fsname={_escape(source)}", f"subtype={subtype}", *options]
    return _mount_by_helper(helper, mountpoint, ",".join(words))


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,")


def _mount_by_helper(helper: str, mountpoint: str, options: str) -> int:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours:
        with theirs:
            done = _run(
                [helper, "-o", options, "--", mountpoint],
                pass_fds=[theirs.fileno()],
                variables={_SOCKET_VARIABLE: str(theirs.fileno())},
            )
        if done.returncode != 0:
            raise MountError(_explain(done))
        fds = socket.recv_fds(ours, 1, 1)[1]
    if not fds:
        raise MountError(f"{helper} has sent no descriptor")
    os.set_inheritable(fds[0], False)
    return fds[0]


def _run(
    command: list[str], pass_fds: Sequence[int] = (), variables: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run the helper, which is told no more of this process's environment than it needs."""
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            pass_fds=pass_fds,
            env={"PATH": os.environ.get("PATH", os.defpath), **(variables or {})},
        )
    except OSError as error:
        raise MountError(f"cannot run {command[0]}: {error.strerror}") from error


def _explain(done: "subprocess.CompletedProcess[str]") -> str:
    """What the helper has said, and what to do about it."""
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    said = lines[-1] if lines else f"{done.args[0]} failed with exit code {done.returncode}"
    if "user_allow_other" in said:
        return f"{said}: ask the administrator for that line"
    if "device not found" in said or "mount failed: Operation not permitted" in said:
        return f"{said}; in a container, --device /dev/fuse --cap-add SYS_ADMIN are needed"
    return said


def _mount_directly(mountpoint: str, source: str, subtype: str, options: list[str]) -> int:
    try:
        fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise MountError(f"cannot open {DEVICE}: {error.strerror}") from error
    try:
        mode = os.stat(mountpoint).st_mode
        words = [f"fd={fd}", f"rootmode={mode:o}", f"user_id={os.getuid()}"]
        words += [f"group_id={os.getgid()}", *options]
        _call(
            "mount",
            os.fsencode(source),
            os.fsencode(mountpoint),
            f"fuse.{subtype}".encode(),
            _MS_RDONLY | _MS_NOSUID | _MS_NODEV,
            ",".join(words).encode(),
        )
    except OSError as error:
        os.close(fd)
        raise MountError(f"cannot mount at {mountpoint}: {error.strerror}") from error
    return fd


def _call(name: str, *arguments: bytes | int) -> None:
    """Call a function of the C library that Python has no name for."""
    # It takes half a mebibyte, and few need it.
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_ulong(word) if isinstance(word, int) else word for word in arguments]
    if getattr(libc, name)(*words) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def unmount(mountpoint: str, lazy: bool = False) -> None:
    """Unmount; if lazy, at once, and for who has a file open when that is closed.

    Raises
    ------
    MountError
        If that fails.
    """
    helper = find_helper()
    if helper is not None:
        done = _run([helper, "-u", *(["-z"] if lazy else []), "--", mountpoint])
        if done.returncode != 0:
            said = _explain(done).removeprefix(f"{os.path.basename(helper)}: ")
            raise MountError(said, "busy" in said.lower())
        return
    if os.geteuid() != 0:
        raise MountError("fusermount3 is not installed; it is in the package fuse3")
    try:
        _call(
            "umount2",
            os.fsencode(mountpoint),
            _UMOUNT_NOFOLLOW | (_MNT_DETACH if lazy else 0),
        )
    except OSError as error:
        raise MountError(error.strerror or str(error), error.errno == errno.EBUSY) from error
