"""How many files a process may have open."""

import resource


def allow_many_files() -> None:
    """Let this process have as many files open as the system allows it.

    The usual limit, of 1,024, is there for programs that wait with select(2).
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
