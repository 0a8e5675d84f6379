"""A FUSE directory with one file of constant bytes: the ceiling for any pyfuse3 file system.

Run as ``python null_pyfuse3.py MOUNTPOINT --name wide.bed --size 615275002``; it
stays in the foreground until it is unmounted. Reads are answered with slices of
one buffer, so what is measured is the kernel, libfuse, pyfuse3 and trio alone.
"""

import argparse
import errno
import os
import stat

import pyfuse3
import trio

MAX_READ = 1 << 20


class NullOperations(pyfuse3.Operations):
    """A root directory that holds one read-only file of ``size`` bytes."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__()
        self.name = os.fsencode(name)
        self.size = size
        self.file_inode = pyfuse3.ROOT_INODE + 1
        self.buffer = memoryview(bytes(range(256)) * (MAX_READ // 256))

    async def getattr(self, inode, ctx=None):
        entry = pyfuse3.EntryAttributes()
        entry.st_ino = inode
        entry.entry_timeout = entry.attr_timeout = 3600
        if inode == pyfuse3.ROOT_INODE:
            entry.st_mode = stat.S_IFDIR | 0o555
        elif inode == self.file_inode:
            entry.st_mode = stat.S_IFREG | 0o444
            entry.st_size = self.size
        else:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return entry

    async def lookup(self, parent_inode, name, ctx=None):
        if name != self.name:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return await self.getattr(self.file_inode)

    async def opendir(self, inode, ctx):
        return inode

    async def readdir(self, fh, start_id, token):
        if start_id == 0:
            pyfuse3.readdir_reply(token, self.name, await self.getattr(self.file_inode), 1)

    async def open(self, inode, flags, ctx):
        return pyfuse3.FileInfo(fh=inode, keep_cache=True)

    async def read(self, fh, off, size):
        return self.buffer[: max(0, min(size, self.size - off))]


def main() -> None:
    """Mount, serve until unmounted, and close."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mountpoint")
    parser.add_argument("--name", required=True)
    parser.add_argument("--size", type=int, required=True)
    args = parser.parse_args()
    options = set(pyfuse3.default_options) | {"fsname=null", "ro"}
    pyfuse3.init(NullOperations(args.name, args.size), args.mountpoint, options)
    try:
        trio.run(pyfuse3.main)
    finally:
        pyfuse3.close(unmount=True)


if __name__ == "__main__":
    main()
