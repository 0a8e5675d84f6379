"""`python -m biofuse.plan FD`: make a plan, as a line of JSON on standard input says.

Lines of JSON on the descriptor FD tell how it goes: {"progress": [done, total]}, and at
the end {"done": true} or {"error": text}, with "full" where there is no room on the disk.
Standard output is no part of that, whatever a package prints. Standard input stays open until
then: if it ends before, whoever wanted the plan is gone.
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
from typing import NoReturn

from biofuse.encode.rights import gain_none
from biofuse.errors import BiofuseError, NoRoomError, one_line
from biofuse.open_files import allow_many_files
from biofuse.options import ViewOptions
from biofuse.stores import Location
from biofuse.stores.secrets import redact


class _Abandonment:
    """Ends this process, without its unfinished plan, once nobody waits for that any more.

    Parameters
    ----------
    directory : str
        The plan's.
    """

    def __init__(self, directory: str):
        self._directory = directory
        self._lock = threading.Lock()
        self._done = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        sys.stdin.read()
        if not self._done.is_set():
            self.end()

    def end(self) -> NoReturn:
        """Remove the plan and end."""
        # Held to the end: the other thread, if it comes here too, must not end it early.
        self._lock.acquire()
        for _ in range(50):
            shutil.rmtree(self._directory, ignore_errors=True)
            # Files may have been added meanwhile; to a directory that is gone none are.
            if not os.path.exists(self._directory):
                break
            time.sleep(0.01)
        os._exit(1)

    def plan_is_done(self) -> None:
        """Leave the plan where it is, whatever follows."""
        self._done.set()


def main() -> int:
    """Make the plan. Returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    allow_many_files()
    # What a user should know is in the plan; the rest is for the worker's log.
    logging.getLogger("biofuse").addHandler(logging.NullHandler())
    told = int(sys.argv[1])
    # For this process alone, and none that a package starts.
    os.set_inheritable(told, False)
    request = json.loads(sys.stdin.readline())
    directory = request["directory"]
    options = ViewOptions.from_json(request["options"])
    gain_none(Location.planned(options.store))
    abandonment = _Abandonment(directory)
    said = 0.0

    def say(**message) -> None:
        if "error" in message:
            message["error"] = redact(message["error"])
        try:
            os.write(told, f"{json.dumps(message)}\n".encode())
        except BrokenPipeError:
            abandonment.end()

    def progress(done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said > 0.1:
            said = time.monotonic()
            say(progress=[done, total])

    try:
        from biofuse.plan.build import build_plan

        build_plan(options, directory, progress)
    except BiofuseError as error:
        say(error=str(error), full=isinstance(error, NoRoomError))
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
    say(done=True)
    abandonment.plan_is_done()
    return 0


if __name__ == "__main__":
    code = main()
    # To give all memory back piece by piece takes a twentieth of a second.
    os._exit(code)
