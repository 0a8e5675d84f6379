"""Numbers and structures of linux/fuse.h."""

import struct

MAJOR = 7
# What is spoken here, and the oldest that all structures below have this form in.
MINOR = 38
OLDEST_MINOR = 31

ROOT = 1

# Operations.
LOOKUP = 1
FORGET = 2
GETATTR = 3
SETATTR = 4
READLINK = 5
SYMLINK = 6
MKNOD = 8
MKDIR = 9
UNLINK = 10
RMDIR = 11
RENAME = 12
LINK = 13
OPEN = 14
READ = 15
WRITE = 16
STATFS = 17
RELEASE = 18
FSYNC = 20
SETXATTR = 21
GETXATTR = 22
LISTXATTR = 23
REMOVEXATTR = 24
FLUSH = 25
INIT = 26
OPENDIR = 27
READDIR = 28
RELEASEDIR = 29
ACCESS = 34
CREATE = 35
INTERRUPT = 36
DESTROY = 38
BATCH_FORGET = 42
FALLOCATE = 43
READDIRPLUS = 44
RENAME2 = 45
LSEEK = 46
COPY_FILE_RANGE = 47
TMPFILE = 51
STATX = 52

# What INIT may agree on.
ASYNC_READ = 1 << 0
EXPORT_SUPPORT = 1 << 4
DO_READDIRPLUS = 1 << 13
READDIRPLUS_AUTO = 1 << 14
ASYNC_DIO = 1 << 15
PARALLEL_DIROPS = 1 << 18
MAX_PAGES = 1 << 22
INIT_EXT = 1 << 30
DIRECT_IO_ALLOW_MMAP = 1 << 36

# What the reply to an open may say.
FOPEN_DIRECT_IO = 1 << 0
FOPEN_KEEP_CACHE = 1 << 1

# A read() of the device must have room for this much, whatever max_write is.
MIN_READ_BUFFER = 8192

# struct fuse_in_header: len, opcode, unique, nodeid, uid, gid, pid, total_extlen, padding.
IN_HEADER = struct.Struct("=IIQQIIIHH")
# struct fuse_out_header: len, error, unique.
OUT_HEADER = struct.Struct("=IiQ")
# struct fuse_init_in, as far as it is looked at: major, minor, max_readahead, flags; flags2.
INIT_IN = struct.Struct("=IIII")
INIT_IN_FLAGS2 = struct.Struct("=16xI")
# struct fuse_init_out: major, minor, max_readahead, flags, max_background,
# congestion_threshold, max_write, time_gran, max_pages, map_alignment, flags2, unused.
INIT_OUT = struct.Struct("=IIIIHHIIHHI28x")
# struct fuse_attr: ino, size, blocks, three times, their nanoseconds, mode, nlink, uid, gid,
# rdev, blksize, flags.
ATTR = struct.Struct("=QQQQQQIIIIIIIIII")
# struct fuse_attr_out before its fuse_attr: attr_valid, attr_valid_nsec, dummy.
ATTR_OUT = struct.Struct("=QII")
# struct fuse_entry_out before its fuse_attr: nodeid, generation, entry_valid, attr_valid,
# entry_valid_nsec, attr_valid_nsec.
ENTRY_OUT = struct.Struct("=QQQQII")
# struct fuse_open_in: flags, open_flags.
OPEN_IN = struct.Struct("=II")
# struct fuse_open_out: fh, open_flags, padding.
OPEN_OUT = struct.Struct("=QII")
# struct fuse_read_in: fh, offset, size, read_flags, lock_owner, flags, padding.
READ_IN = struct.Struct("=QQIIQII")
# struct fuse_access_in: mask, padding.
ACCESS_IN = struct.Struct("=II")
# struct fuse_interrupt_in: unique.
INTERRUPT_IN = struct.Struct("=Q")
# struct fuse_dirent before its name: ino, off, namelen, type.
DIRENT = struct.Struct("=QQII")
# struct fuse_kstatfs: blocks, bfree, bavail, files, ffree, bsize, namelen, frsize, padding.
STATFS_OUT = struct.Struct("=QQQQQIIII24x")


def aligned(data: bytes) -> bytes:
    """An entry of a directory, filled up to 64 bits as the next one is to begin."""
    return data + bytes(-len(data) % 8)
