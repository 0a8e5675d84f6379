"""A file in memory.

Python's own mmap holds the interpreter while a page is fetched, and with it whatever else this
process does: such as a proxy that the page comes by. These calls let go of it.
"""

import ctypes
import mmap
from collections.abc import Iterator
from contextlib import contextmanager

from support.syscalls import check, map_memory, unmap_memory

_libc = ctypes.CDLL(None, use_errno=True)
_libc.memcpy.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class Mapping:
    """Bytes of a file, by the address that they are mapped at."""

    def __init__(self, address: int, size: int):
        self.address = address
        self.size = size

    def read(self, offset: int, size: int) -> bytes:
        """Bytes, fewer than asked for at the end."""
        size = max(0, min(size, self.size - offset))
        found = ctypes.create_string_buffer(size)
        _libc.memcpy(found, self.address + offset, size)
        return found.raw

    def write(self, offset: int, data: bytes) -> None:
        _libc.memcpy(self.address + offset, data, len(data))

    def advise(self, advice: int) -> None:
        """madvise(2) for all of it."""
        check(_libc.madvise(self.address, self.size, advice))


@contextmanager
def mapped(
    fd: int,
    size: int,
    flags: int = mmap.MAP_SHARED,
    protection: int = mmap.PROT_READ,
    offset: int = 0,
) -> Iterator[Mapping]:
    """Map a file for the time of a block."""
    address = map_memory(fd, size, protection, flags, offset)
    try:
        yield Mapping(address, size)
    finally:
        unmap_memory(address, size)
