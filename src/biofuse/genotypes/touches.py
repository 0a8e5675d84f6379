"""How often chunk rows of a store at some distance were read here and there."""

import threading
from collections import OrderedDict
from collections.abc import Hashable

# What is read nearer to the last than this is of the same read, or of one that goes on.
NEAR = 64 << 10
_MAX_NAMES = 4096


class Touches:
    """Says when a chunk row is to be fetched whole, for those who read here and there in it.

    That is when what its parts have taken would have sufficed for all of it: so nobody waits
    for more than twice what would have been best, however often it is read. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Where each was read last, and how often.
        self._seen: OrderedDict[Hashable, tuple[int, int]] = OrderedDict()

    def suffice(self, name: Hashable, position: int, size: int, bytes_per_delay: int) -> bool:
        """Count a read of a chunk row, and say whether all of it is to be fetched.

        Parameters
        ----------
        name : hashable
            The chunk row's.
        position : int
            Where in bytes of what is decoded the read is.
        size : int
            The chunk row's encoded bytes.
        bytes_per_delay : int
            What comes in the time that a request takes to be answered.
        """
        with self._lock:
            last, count = self._seen.pop(name, (position, 0))
            suffices = count * (bytes_per_delay + NEAR) >= size > 0 and abs(position - last) > NEAR
            if not count or abs(position - last) > NEAR:
                last, count = position, count + 1
            self._seen[name] = last, count
            if len(self._seen) > _MAX_NAMES:
                self._seen.popitem(last=False)
        return suffices
