"""The window: shared memory of fixed size that blocks are encoded into.

It is a memfd, cut into slots of two sizes: large ones for runs of reads, small ones
for lone reads. Pages that were never written cost nothing.
"""

import mmap
import os
from dataclasses import dataclass

from biofuse.errors import BiofuseError

_MAX_RUN_SLOT = 8 << 20
_MAX_POINT_SLOT = 1 << 20
_POINT_SLOTS = 8


@dataclass(frozen=True)
class WindowShape:
    """How a window is cut.

    Attributes
    ----------
    run_slot, point_slot : int
        Bytes a slot of either kind.
    run_slots, point_slots : int
        How many there are.
    """

    run_slot: int
    run_slots: int
    point_slot: int
    point_slots: int

    @property
    def size(self) -> int:
        return self.run_slot * self.run_slots + self.point_slot * self.point_slots


def shape_window(size: int, max_record: int) -> WindowShape:
    """Cut a window of about `size` bytes for records of up to `max_record` bytes.

    Raises
    ------
    BiofuseError
        If it is too small for them.
    """
    page = mmap.PAGESIZE
    record = -(-max(max_record, 1) // page) * page
    point_slot = max(min(size // 64 // page * page, _MAX_POINT_SLOT), record)
    run_slot = max(min(size // 8 // page * page, _MAX_RUN_SLOT), record)
    point_slots = max(2, min(_POINT_SLOTS, size // 8 // point_slot))
    run_slots = (size - point_slots * point_slot) // run_slot
    if run_slots < 2:
        need = 2 * (2 * point_slot + 2 * run_slot)
        raise BiofuseError(
            f"the memory budget is too small for records of {max_record} bytes: "
            f"use --memory {-(-need // (1 << 20))}MiB or more"
        )
    return WindowShape(run_slot, run_slots, point_slot, point_slots)


def window_bytes(memory: int, decoded_chunk: int) -> int:
    """The window's part of a budget, less where chunks are decoded whole.

    Somewhat less than half: replies that are under way, and what the kernel asks for
    meanwhile, take some.
    """
    return memory // 4 if decoded_chunk else memory // 2 - memory // 12


class Window:
    """The shared memory and its free slots.

    Parameters
    ----------
    shape : WindowShape
    """

    def __init__(self, shape: WindowShape):
        self.shape = shape
        self.fd = os.memfd_create("biofuse-window", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, shape.size)
        self._view = memoryview(mmap.mmap(self.fd, shape.size, prot=mmap.PROT_READ))
        runs = [i * shape.run_slot for i in range(shape.run_slots)]
        base = shape.run_slots * shape.run_slot
        points = [base + i * shape.point_slot for i in range(shape.point_slots)]
        self._free = {True: runs[::-1], False: points[::-1]}

    def take(self, run: bool) -> int | None:
        """A free slot's offset, or None."""
        slots = self._free[run]
        return slots.pop() if slots else None

    def give(self, run: bool, offset: int) -> None:
        """Free a slot."""
        self._free[run].append(offset)

    def bytes_at(self, offset: int, size: int) -> memoryview:
        return self._view[offset : offset + size]

    def resident(self) -> int:
        """Bytes of memory that the window's pages take now."""
        return os.fstat(self.fd).st_blocks * 512

    def release_pages(self) -> None:
        """Give all pages back; no slot may be in use."""
        os.ftruncate(self.fd, 0)
        os.ftruncate(self.fd, self.shape.size)
