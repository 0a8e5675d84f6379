"""How many files a process may have open."""

import os
import resource

from biofuse.errors import BiofuseError

# Those that a process has open beside a plan's.
_OTHERS = 64


def allow_many_files() -> None:
    """Let this process have as many files open as the system allows it.

    The usual limit, of 1,024, is there for programs that wait with select(2).
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def check_open_files(count: int) -> None:
    """Raise `BiofuseError` if this process may not have so many files of a plan open."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and count + _OTHERS > most:
        raise BiofuseError(
            f"the plan has {count} files that are kept open, and a process may have {most} open: "
            "allow more with 'ulimit -n', or show fewer contigs at a time with -r"
        )


def files_left() -> int | None:
    """How many files more this process may open; None if there is no limit."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return None
    return max(0, most - len(os.listdir("/proc/self/fd")))
