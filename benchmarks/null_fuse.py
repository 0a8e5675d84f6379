"""A FUSE directory with one file of constant bytes: the ceiling for any such file in Python.

Run as ``python null_fuse.py MOUNTPOINT --name wide.bed --size 615275002``; it
stays in the foreground until it is unmounted. Reads are answered with slices of
one buffer, in the process that reads the requests, so what is measured is the
kernel and biofuse.fuse alone.
"""

import argparse
import os
import select
import signal
import sys
import time

from biofuse.fuse import mounting
from biofuse.fuse.directory import Directory, Read
from biofuse.fuse.session import MAX_READ, Session


def main() -> None:
    """Mount, serve until unmounted, and close."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mountpoint")
    parser.add_argument("--name", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--direct", action="store_true", help="reads go past the page cache")
    args = parser.parse_args()
    buffer = memoryview(bytes(range(256)) * (MAX_READ // 256))

    def read(wanted: Read) -> memoryview:
        return buffer[: wanted.size]

    files = [(os.fsencode(args.name), args.size)]
    directory = Directory(files, time.time_ns(), read, lambda file, pid: args.direct)
    fd = mounting.mount(os.path.abspath(args.mountpoint), "null", "null", MAX_READ)
    session = Session(fd, directory.handlers)
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())
    try:
        while not session.ended:
            poll.poll()
            session.pump()
    finally:
        os.close(fd)
        if not session.ended:
            mounting.unmount(os.path.abspath(args.mountpoint), lazy=True)


if __name__ == "__main__":
    main()
