"""A control group that leaves a process little memory, where this user may make one."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
# Of cgroups v1 and v2. In both, what a process has got before is not counted.
_FILES = {"v1": "memory.limit_in_bytes", "v2": "memory.max"}
_TRIALS, _PAUSE = 100, 0.01


@contextlib.contextmanager
def squeezed(pid: int, size: int) -> Iterator[bool]:
    """Let a process get so much memory more for the time of a block, or be killed.

    Parameters
    ----------
    pid : int
    size : int
        Bytes.

    Yields
    ------
    bool
        Whether that can be done here.
    """
    for parent, version in _parents():
        group = parent / f"biofuse-squeezed-{pid}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / _FILES[version]).write_text(str(size))
            (group / "cgroup.procs").write_text(str(pid))
        except OSError:
            _remove(group, parent)
            continue
        try:
            yield True
        finally:
            _remove(group, parent)
        return
    yield False


def is_possible() -> bool:
    """Whether this user may make such groups here."""
    for parent, version in _parents():
        group = parent / "biofuse-squeezed"
        with contextlib.suppress(OSError):
            group.mkdir()
            try:
                return os.access(group / _FILES[version], os.W_OK)
            finally:
                group.rmdir()
    return False


def _remove(group: Path, parent: Path) -> None:
    """Remove a group; what is in it goes back to its parent."""
    for _ in range(_TRIALS):
        with contextlib.suppress(OSError):
            for pid in (group / "cgroup.procs").read_text().split():
                (parent / "cgroup.procs").write_text(pid)
        try:
            group.rmdir()
            return
        except OSError:
            time.sleep(_PAUSE)


def _parents() -> Iterator[tuple[Path, str]]:
    """Groups that this process is in, below which there may be others."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield _ROOT / "memory" / path.lstrip("/"), "v1"
        elif number == "0":
            yield _ROOT / path.lstrip("/"), "v2"
