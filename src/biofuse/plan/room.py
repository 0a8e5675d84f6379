"""Whether a plan that is being written will have room where it is written."""

import os

from biofuse.errors import NoRoomError
from biofuse.memory import format_size

# Less says too little of what follows: files are written in pieces.
_ENOUGH = 1 << 20
# What is written of them may lag by a piece, and later variants may be shorter.
_MARGIN = 1.25
# Files that are looked at after each batch.
_FEW = 50


class Room:
    """Tells how large a plan will be from its first part, while most of it is not written.

    Parameters
    ----------
    directory : str
        The plan's.
    """

    def __init__(self, directory: str):
        self._directory = directory
        self._next = _ENOUGH
        # Batches until the next look.
        self._wait = 0

    def check(self, done: int, total: int) -> None:
        """Look at what there is after so many of all variants.

        Called after each batch. Where there are many files, as of many contigs, it looks after
        some of them only.

        Raises
        ------
        NoRoomError
            If there is no room for the rest.
        """
        if self._wait:
            self._wait -= 1
            return
        with os.scandir(self._directory) as entries:
            sizes = [entry.stat().st_size for entry in entries]
        self._wait = len(sizes) // _FEW
        written = sum(sizes)
        if written < self._next or not done:
            return
        self._next = 2 * written
        left = written / done * (total - done)
        status = os.statvfs(self._directory)
        free = status.f_bavail * status.f_frsize
        if left > _MARGIN * free:
            raise NoRoomError(
                f"there is no room for the plan in {os.path.dirname(self._directory)}: it takes "
                f"about {format_size(written + left)}, and {format_size(free)} are free"
            )
