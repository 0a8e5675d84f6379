"""`python -m biofuse.plan`: make a plan, as JSON on standard input says.

Lines of JSON on standard output tell how it goes: {"progress": [done, total]}, and at
the end {"done": true} or {"error": text}.
"""

import json
import os
import signal
import sys
import time

from biofuse.errors import BiofuseError, one_line
from biofuse.options import ViewOptions


def main() -> int:
    """Make the plan. Returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whoever asked for the plan may be gone.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    request = json.load(sys.stdin)
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

        build_plan(ViewOptions.from_json(request["options"]), request["directory"], progress)
    except BiofuseError as error:
        say(error=str(error))
        return 1
    except MemoryError:
        say(error="out of memory while the plan was made")
        return 1
    except Exception as error:
        if os.environ.get("BIOFUSE_DEBUG"):
            raise
        say(error=f"{type(error).__name__}: {one_line(error)}")
        return 1
    say(done=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
