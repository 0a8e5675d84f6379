"""`python -m biofuse.serve`: the process of one mount.

Its configuration, a `ServeConfig` as JSON, is its argument or, if there is none,
standard input, so that it can be started while the plan is still being made. With
`--private DIR` it is for a `biofuse run`, whose folder it removes if that is killed.
"""

import contextlib
import faulthandler
import logging
import os
import signal
import sys

from biofuse.errors import one_line
from biofuse.fuse.mounting import MountError
from biofuse.open_files import allow_many_files
from biofuse.runtime import sweep
from biofuse.serve.config import ServeConfig
from biofuse.serve.mount import MountedView
from biofuse.serve.notify import notify
from biofuse.serve.orphans import remove_folder
from biofuse.signals import let_through

_ERROR = "error: "
# The system does not let this user mount here.
_REFUSED = "refused: "


def _say(fd: int | None, text: str) -> None:
    """Tell whoever waits for the mount; without anyone, tell of errors only."""
    if fd is None:
        _, _, reason = text.partition(": ")
        if reason:
            _tell(f"biofuse: cannot mount: {reason}")
        return
    try:
        os.write(fd, text.encode())
        os.close(fd)
    except OSError:
        pass


def _tell(line: str) -> None:
    """Write a line to standard error, which may be a terminal that was closed."""
    with contextlib.suppress(OSError):
        os.write(2, line.encode(errors="surrogateescape"))


def _clean_up(private: str | None) -> None:
    """Remove what whoever started this process, and was killed, has left."""
    if private is not None:
        remove_folder(private)
    # The log is this process's standard output.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    sweep()


def main() -> int:
    """Serve until unmounted. Returns the exit code."""
    private = sys.argv[2] if sys.argv[1:2] == ["--private"] else None
    text = sys.argv[1] if len(sys.argv) == 2 else sys.stdin.read()
    if not text:
        _clean_up(private)
        return 1
    config = ServeConfig.from_json(text)
    allow_many_files()
    logging.basicConfig(
        level=config.log_level.upper(),
        format="%(asctime)s biofuse[%(process)d] %(levelname)s %(message)s",
        filename=config.log_file,
    )
    # `kill -USR1` shows where a process is that seems stuck.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    ready = False

    def on_ready() -> None:
        nonlocal ready
        ready = True
        if config.ready_fd is None:
            _tell(f"mounted at {config.mountpoint}\n")
        _say(config.ready_fd, "ready\n")
        notify(f"READY=1\nSTATUS=mounted at {config.mountpoint}")

    try:
        view = MountedView(config)
        let_through()
        view.run(on_ready)
    except BaseException as error:
        if ready:
            logging.getLogger("biofuse.serve").exception("the mount ended unexpectedly")
        else:
            kind = _REFUSED if isinstance(error, MountError) else _ERROR
            _say(config.ready_fd, f"{kind}{one_line(error)}\n")
        return 1
    if view.orphaned and config.private_dir is not None:
        remove_folder(config.private_dir)
    return 0


if __name__ == "__main__":
    sys.exit(main())
