"""Touch memory and give it back: a small program of its own.

It imports as little as it can, so that it starts at once.
"""

import mmap
import sys

STEP = 64 << 20


def main() -> None:
    """Touch every page of so many bytes."""
    left = int(sys.argv[1])
    held = []
    page = mmap.PAGESIZE
    while left > 0:
        size = min(STEP, -(-left // page) * page)
        area = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        # One byte a page; a loop in C.
        area[::page] = bytes(size // page)
        held.append(area)
        left -= size


if __name__ == "__main__":
    main()
