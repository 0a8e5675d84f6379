"""`python -m biofuse`, and where the command `biofuse` begins."""

import os
import signal
import sys

# Until `main` an interrupt is told of with a traceback: nothing is imported that takes long.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NoReturn


def main() -> None:
    """Run the command line; an interrupt while it is being imported ends it without a word."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from biofuse.cli.main import main as run

    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, handler)
    try:
        run()
    except SystemExit as end:
        if "biofuse.stores.loop" in sys.modules:
            _end(end)
        raise


def _end(end: SystemExit) -> "NoReturn":
    """End this process at once.

    Threads of the libraries that reach stores may still run, and crash when they call Python
    while the interpreter is being torn down.
    """
    import logging

    code = end.code
    if code is not None and not isinstance(code, int):
        raise end
    logging.shutdown()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = 141
    os._exit(code or 0)


def _leave_working_directory() -> None:
    """Take modules from where biofuse is, not from the folder that this is called in."""
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not sys.flags.safe_path and sys.path and os.path.abspath(sys.path[0]) != home:
        del sys.path[0]


if __name__ == "__main__":
    _leave_working_directory()
    main()
