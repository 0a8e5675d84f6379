"""Read a file on from a place, from one time to another: a reader of `together`.

Prints how many bytes it has read, and when it had the last of them.
"""

import os
import sys
import time

_SIZE = 1 << 20


def main() -> None:
    """Arguments: the file, the place, and when to begin and to end by the monotonic clock."""
    file = os.open(sys.argv[1], os.O_RDONLY)
    place, begin, end = int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    buffer = bytearray(_SIZE)
    done = 0
    time.sleep(max(0.0, begin - time.monotonic()))
    while time.monotonic() < end:
        got = os.preadv(file, [buffer], place + done)
        if not got:
            break
        done += got
    print(done, time.monotonic())


if __name__ == "__main__":
    main()
