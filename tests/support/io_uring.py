"""Reads by io_uring, by its bare system calls."""

import ctypes
import errno
import mmap
import os
import struct
from collections.abc import Sequence

from support.syscalls import check, map_memory, unmap_memory

_libc = ctypes.CDLL(None, use_errno=True)
# Of the kernel; the same on every architecture.
_SETUP, _ENTER, _REGISTER = 425, 426, 427
_SQ_RING, _CQ_RING, _SQES = 0, 0x8000000, 0x10000000
_SINGLE_MMAP = 1
_WAIT = 1
_REGISTER_BUFFERS = 0
READ_FIXED, READ = 4, 22
# A request goes to a thread of the kernel's, whether it would block or not.
ASYNC = 1 << 4
# opcode, flags, ioprio, fd, off, addr, len, rw_flags, user_data, buf_index.
_SQE = struct.Struct("=BBHiQQIIQH22x")
_CQE = struct.Struct("=QiI")


class Ring:
    """A ring with room for some requests.

    Raises
    ------
    OSError
        If the kernel has none, or none for this process.
    """

    def __init__(self, entries: int):
        params = ctypes.create_string_buffer(120)
        self._fd = check(_libc.syscall(_SETUP, entries, params))
        values = struct.unpack("=10I 8I Q 8I Q", params.raw)
        self._entries, completions, features = values[0], values[1], values[5]
        assert features & _SINGLE_MMAP, "a kernel from before Linux 5.4"
        sq, cq = values[10:18], values[19:27]
        size = max(sq[6] + 4 * self._entries, cq[5] + _CQE.size * completions)
        self._maps: list[tuple[int, int]] = []
        rings = self._map(size, _SQ_RING)
        self._sqes = self._map(_SQE.size * self._entries, _SQES)
        word = ctypes.c_uint32.from_address
        self._sq_tail, self._sq_mask = word(rings + sq[1]), word(rings + sq[2]).value
        self._array = (ctypes.c_uint32 * self._entries).from_address(rings + sq[6])
        self._cq_head, self._cq_tail = word(rings + cq[0]), word(rings + cq[1])
        self._cq_mask, self._cqes = word(rings + cq[2]).value, rings + cq[5]

    def _map(self, size: int, offset: int) -> int:
        flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
        address = map_memory(self._fd, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, offset)
        self._maps.append((address, size))
        return address

    def register(self, buffer: int, size: int) -> None:
        """Have a buffer, by its address, stay where it is, for `READ_FIXED`."""
        vector = struct.pack("=QQ", buffer, size)
        check(_libc.syscall(_REGISTER, self._fd, _REGISTER_BUFFERS, vector, 1))

    def read(
        self,
        fd: int,
        reads: Sequence[tuple[int, int, int]],
        operation: int = READ,
        flags: int = 0,
    ) -> list[int]:
        """Have reads under way at once.

        Parameters
        ----------
        fd : int
        reads : sequence of (int, int, int)
            No more than the ring has room for: offset, address and size.

        Returns
        -------
        list of int
            For each how many bytes came, or minus the error.
        """
        assert len(reads) <= self._entries
        tail = self._sq_tail.value
        for number, (offset, address, size) in enumerate(reads):
            slot = (tail + number) & self._sq_mask
            entry = _SQE.pack(operation, flags, 0, fd, offset, address, size, 0, number, 0)
            ctypes.memmove(self._sqes + slot * _SQE.size, entry, _SQE.size)
            self._array[slot] = slot
        self._sq_tail.value = tail + len(reads)
        check(_libc.syscall(_ENTER, self._fd, len(reads), len(reads), _WAIT, None, 0))
        results: dict[int, int] = {}
        while self._cq_head.value != self._cq_tail.value:
            at = self._cqes + (self._cq_head.value & self._cq_mask) * _CQE.size
            number, result, _ = _CQE.unpack(ctypes.string_at(at, _CQE.size))
            results[number] = result
            self._cq_head.value += 1
        assert len(results) == len(reads)
        return [results[number] for number in range(len(reads))]

    def close(self) -> None:
        for address, size in self._maps:
            unmap_memory(address, size)
        os.close(self._fd)


def refusal() -> int | None:
    """The error with which this kernel refuses every ring, None if it does not."""
    try:
        Ring(1).close()
    except OSError as error:
        assert error.errno in (errno.ENOSYS, errno.EPERM), error
        return error.errno
    return None
