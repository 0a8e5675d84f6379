"""`python -m biofuse.serve`: the process of one mount.

Its configuration, a `ServeConfig` as JSON, is its argument or, if there is none,
standard input, so that it can be started while the plan is still being made.
"""

import faulthandler
import logging
import os
import signal
import sys

import trio

from biofuse.errors import one_line
from biofuse.serve.config import ServeConfig
from biofuse.serve.mount import MountedView

_ERROR = "error: "


def _say(fd: int | None, text: str) -> None:
    """Tell whoever waits for the mount; without anyone, tell of errors only."""
    if fd is None:
        if text.startswith(_ERROR):
            print(f"biofuse: cannot mount: {text.removeprefix(_ERROR)}", end="", file=sys.stderr)
        return
    try:
        os.write(fd, text.encode())
        os.close(fd)
    except OSError:
        pass


def main() -> int:
    """Serve until unmounted. Returns the exit code."""
    text = sys.argv[1] if len(sys.argv) > 1 else sys.stdin.read()
    if not text:
        return 1
    config = ServeConfig.from_json(text)
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
            print(f"mounted at {config.mountpoint}", file=sys.stderr, flush=True)
        _say(config.ready_fd, "ready\n")

    try:
        view = MountedView(config)
        trio.run(view.run, on_ready)
    except BaseException as error:
        if ready:
            logging.getLogger("biofuse.serve").exception("the mount ended unexpectedly")
        else:
            _say(config.ready_fd, f"{_ERROR}{one_line(error)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
