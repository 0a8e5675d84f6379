"""Objects that are fetched before anybody asks for them, as it was said that somebody will."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeAlias

from biofuse.stores.base import Piece
from biofuse.stores.link import Link

Fetched: TypeAlias = Future[Piece | None]
# Objects at a time, at most.
_MOST = 1024


class Hints:
    """Whole objects, fetched in the order in which they were named. Thread-safe.

    Parameters
    ----------
    fetch : callable
        Has a whole object fetched.
    link : Link
        The way to them.
    ahead, used : int
        Bytes: of what is fetched ahead, and of what was asked for and may be again.
    """

    def __init__(self, fetch: Callable[[str], Fetched], link: Link, ahead: int, used: int):
        self._fetch = fetch
        self._link = link
        self._ahead = ahead
        self._most_used = used
        self._lock = threading.Lock()
        self._named: deque[str] = deque()
        self._begun: dict[str, Fetched] = {}
        self._used: OrderedDict[str, Fetched] = OrderedDict()
        self._used_bytes = 0

    def add(self, keys: Sequence[str]) -> None:
        """Have objects fetched, after those that were named before."""
        with self._lock:
            self._named.extend(keys)
            self._begin()

    def take(self, key: str) -> Fetched | None:
        """An object that was named and is being fetched, or was lately; else None."""
        with self._lock:
            found = self._begun.pop(key, None)
            if found is not None:
                self._begin()
                if self._most_used:
                    self._used[key] = found
                    self._used_bytes += self._size(found)
                    while self._used_bytes > self._most_used and len(self._used) > 1:
                        _, oldest = self._used.popitem(last=False)
                        self._used_bytes -= self._size(oldest)
                return found
            found = self._used.get(key)
            if found is not None:
                self._used.move_to_end(key)
            return found

    def _begin(self) -> None:
        held = sum(self._size(each) for each in self._begun.values())
        while self._named and held < self._ahead and len(self._begun) < _MOST:
            key = self._named.popleft()
            if key not in self._begun and key not in self._used:
                self._begun[key] = self._fetch(key)
                held += self._link.size

    def _size(self, future: Fetched) -> int:
        """Bytes of an object, as they are to be expected if it has not come."""
        if not future.done() or future.exception() is not None:
            return self._link.size
        piece = future.result()
        return 0 if piece is None else len(piece.data)
