"""`python -m biofuse.plan`: make a plan, as a line of JSON on standard input says.

Lines of JSON on standard output tell how it goes: {"progress": [done, total]}, and at
the end {"done": true} or {"error": text}, with "full" where there is no room on the disk.
Standard input stays open until then: if it ends before, whoever wanted the plan is gone.
"""

import errno
import json
import logging
import os
import shutil
import signal
import sys
import threading
import time

from biofuse.errors import BiofuseError, one_line
from biofuse.options import ViewOptions


def _end_with_input(directory: str, done: threading.Event) -> None:
    """Remove the unfinished plan and end, if standard input ends before it is done."""
    sys.stdin.read()
    if not done.is_set():
        shutil.rmtree(directory, ignore_errors=True)
        os._exit(1)


def main() -> int:
    """Make the plan. Returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whoever asked for the plan may be gone.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # What a user should know is in the plan; the rest is for the worker's log.
    logging.getLogger("biofuse").addHandler(logging.NullHandler())
    request = json.loads(sys.stdin.readline())
    directory = request["directory"]
    done = threading.Event()
    threading.Thread(target=_end_with_input, args=(directory, done), daemon=True).start()
    said = 0.0

    def say(**message) -> None:
        print(json.dumps(message), flush=True)

    def progress(done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said > 0.1:
            said = time.monotonic()
            say(progress=[done, total])

    try:
        from biofuse.plan.build import build_plan

        build_plan(ViewOptions.from_json(request["options"]), directory, progress)
    except BiofuseError as error:
        say(error=str(error))
        return 1
    except MemoryError:
        say(error="out of memory while the plan was made")
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            say(error=f"{type(error).__name__}: {one_line(error)}")
            return 1
        say(error=f"there is no room for the plan in {os.path.dirname(directory)}", full=True)
        return 1
    except Exception as error:
        if os.environ.get("BIOFUSE_DEBUG"):
            raise
        say(error=f"{type(error).__name__}: {one_line(error)}")
        return 1
    done.set()
    say(done=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
