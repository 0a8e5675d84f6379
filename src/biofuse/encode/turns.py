"""So many at a time, in the order in which they came."""

import threading
from collections import deque


class Turns:
    """A semaphore whose waiters take turns. Use as a context manager.

    That of the standard library lets a thread that comes back at once overtake those that
    wait: blocks that are asked for one after another would be made far out of order.

    Parameters
    ----------
    count : int
        Holders at a time.
    """

    def __init__(self, count: int):
        self._free = count
        self._lock = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        # Whoever leaves hands its place on.
        turn.acquire()

    def __exit__(self, *_) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1
