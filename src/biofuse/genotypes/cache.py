"""A cache bounded in bytes."""

import threading
from collections import OrderedDict
from collections.abc import Hashable


class ByteCache:
    """Least recently used values, up to a number of bytes. Thread-safe.

    A value larger than the whole cache is not kept.

    Parameters
    ----------
    limit : int
        Bytes.

    Attributes
    ----------
    used : int
        Bytes that are kept.
    hits, misses : int
        How often a value was found, and not.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self.used = 0
        self.hits = self.misses = 0
        self._values: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable):
        """The value, or None."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                self.misses += 1
                return None
            self.hits += 1
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value, size: int) -> None:
        """Keep a value of this many bytes, dropping the oldest others as needed."""
        with self._lock:
            self._drop(key)
            if size > self.limit:
                return
            self._make_room(size)
            self._values[key] = (value, size)
            self.used += size

    def make_room(self, size: int) -> None:
        """Drop the oldest values until this many bytes, or the whole cache, are free."""
        with self._lock:
            self._make_room(min(size, self.limit))

    def _make_room(self, size: int) -> None:
        while self.used + size > self.limit:
            self._drop(next(iter(self._values)))

    def drop(self, key: Hashable) -> None:
        """Forget a value, if it is there."""
        with self._lock:
            self._drop(key)

    def _drop(self, key: Hashable) -> None:
        found = self._values.pop(key, None)
        if found is not None:
            self.used -= found[1]
