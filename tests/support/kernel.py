"""A kernel that speaks FUSE over a socket pair, in place of /dev/fuse.

It packs requests and takes replies apart by the layouts of include/uapi/linux/fuse.h, on its
own account.
"""

import socket
import struct
from dataclasses import dataclass

HEADER = struct.Struct("=IIQQIIIHH")
REPLY = struct.Struct("=IiQ")
LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE = 1, 2, 3, 14, 15, 17, 18
FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, ACCESS = 25, 26, 27, 28, 29, 34
INTERRUPT, DESTROY, BATCH_FORGET, READDIRPLUS, LSEEK, STATX = 36, 38, 42, 44, 46, 52
ATTR = struct.Struct("=6Q10I")
# All that may be offered, and the flag that there are more flags, known since 7.36.
OFFERED = 0x33FFFFFB
_MORE = 1 << 30


@dataclass
class Reply:
    """What came back."""

    error: int
    unique: int
    data: bytes


class FakeKernel:
    """One end of the pair; the other one is `device`.

    Parameters
    ----------
    minor : int
        Of the protocol that it speaks.
    """

    def __init__(self, minor: int = 45, major: int = 7):
        self._socket, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(20)
        self.device = self._theirs.fileno()
        self.major, self.minor = major, minor
        self._unique = 0

    def close(self) -> None:
        self._socket.close()
        self._theirs.close()

    def hang_up(self) -> None:
        self._socket.close()

    def send(self, operation: int, node: int = 1, body: bytes = b"", pid: int = 0) -> int:
        """Ask. Returns the request's number."""
        self._unique += 2
        size = HEADER.size + len(body)
        header = HEADER.pack(size, operation, self._unique, node, 0, 0, pid, 0, 0)
        self._socket.send(header + body)
        return self._unique

    def send_init(self, readahead: int = 128 << 10, flags: int = OFFERED, more: int = 0x3F) -> int:
        is_recent = self.minor >= 36
        flags |= _MORE if is_recent else 0
        body = struct.pack("=IIII", self.major, self.minor, readahead, flags)
        if is_recent:
            body += struct.pack("=I44x", more)
        return self.send(INIT, 0, body)

    def receive(self) -> Reply:
        data = self._socket.recv(2 << 20)
        size, error, unique = REPLY.unpack_from(data)
        assert size == len(data)
        return Reply(error, unique, data[REPLY.size :])

    def silent(self) -> bool:
        """Whether there is no reply that was not received."""
        self._socket.setblocking(False)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        finally:
            self._socket.settimeout(20)
        return False


def init_out(data: bytes) -> dict[str, int]:
    """struct fuse_init_out."""
    names = "major minor max_readahead flags max_background congestion max_write time_gran"
    values = struct.unpack_from("=IIIIHHIIHHI", data)
    names += " max_pages map_alignment flags2"
    assert len(data) == 64
    return dict(zip(names.split(), values, strict=True))


def attributes(data: bytes) -> dict[str, int]:
    """struct fuse_attr."""
    names = "ino size blocks atime mtime ctime atimensec mtimensec ctimensec mode nlink uid gid"
    return dict(zip([*names.split(), "rdev", "blksize", "flags"], ATTR.unpack(data), strict=True))


def entry_out(data: bytes) -> dict[str, int]:
    """struct fuse_entry_out: node, generation, how long it holds, and the attributes."""
    node, generation, name_valid, valid, _, _ = struct.unpack_from("=QQQQII", data)
    assert len(data) == 40 + ATTR.size
    return {
        "node": node,
        "generation": generation,
        "entry_valid": name_valid,
        "attr_valid": valid,
        **attributes(data[40:]),
    }


def entries(data: bytes, plus: bool = False) -> list[tuple[bytes, int, int, bytes]]:
    """Names with their inodes, the offset that follows, and what a lookup would tell."""
    found = []
    while data:
        entry = b""
        if plus:
            entry, data = data[: 40 + ATTR.size], data[40 + ATTR.size :]
        inode, offset, length, _ = struct.unpack_from("=QQII", data)
        found.append((data[24 : 24 + length], inode, offset, entry))
        data = data[(24 + length + 7) // 8 * 8 :]
    return found
