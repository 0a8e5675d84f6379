"""What is known of the way to a store, and how many requests it can take at a time.

To keep a way busy, as much must be under way as it carries in the time that an answer takes
to begin: bandwidth times delay. Both are measured while requests run. Where the answers'
delay is most of what a request takes, twice the product of what is measured is more than what
is under way, so that the number grows until the way is full; then it stays.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

# Requests at a time: as many as there are at first, and at most.
FIRST_AT_ONCE = 64
MAX_AT_ONCE = 128
# Delays of which the least counts.
_DELAYS = 64
# Seconds over which bytes are counted.
_WINDOW = 0.1
# Before anything is known: seconds, and bytes a second.
_DELAY, _BANDWIDTH = 0.05, 100e6
_SIZE = 256 << 10
# Bytes of an answer that tell how fast one comes, and the part of a delay by which the time that
# they took may be wrong.
_TELLING = 32 << 10
_UNSURE = 0.1
# Of a new measurement, what counts at once.
_WEIGHT = 0.2
# Seconds for which a server that is overloaded is asked for less.
_SPARED = 10.0


@dataclass(frozen=True)
class LinkUse:
    """What was asked for, and what the way to the store is like.

    Attributes
    ----------
    requests, bytes, retries : int
        Since the process began; retries are requests too.
    under_way : int
        Requests, now.
    delay : float
        Seconds until an answer begins.
    bandwidth : float
        Bytes a second.
    kept, bytes_kept : int
        Objects that were found on disk, and what was read of them.
    """

    requests: int = 0
    bytes: int = 0
    retries: int = 0
    under_way: int = 0
    delay: float = 0.0
    bandwidth: float = 0.0
    kept: int = 0
    bytes_kept: int = 0


class Link:
    """Counts requests and measures. Thread-safe.

    Parameters
    ----------
    clock : callable
        Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._told: Callable[[LinkUse], None] | None = None
        self._lock = threading.Lock()
        self._requests = self._bytes = self._retries = self._under_way = 0
        self._kept = self._bytes_kept = 0
        self._delays: deque[float] = deque(maxlen=_DELAYS)
        self._bandwidth = self._alone = 0.0
        self._size = 0.0
        self._took = 0.0
        self._window_began = 0.0
        self._window_bytes = 0
        self._spared_until = 0.0

    @property
    def use(self) -> LinkUse:
        """What there was until now."""
        with self._lock:
            return self._use()

    def _use(self) -> LinkUse:
        """The same, with the lock held."""
        delay = min(self._delays, default=0.0)
        return LinkUse(
            self._requests,
            self._bytes,
            self._retries,
            self._under_way,
            delay,
            self._bandwidth,
            self._kept,
            self._bytes_kept,
        )

    def tell(self, told: Callable[[LinkUse], None]) -> None:
        """Have this called with what there was, now and whenever that changes.

        It is called by whoever makes requests, and must not take long.
        """
        with self._lock:
            self._told = told
            self._changed()

    def _changed(self) -> None:
        """Tell of a change; with the lock held, so that nothing older is told later."""
        if self._told is not None:
            self._told(self._use())

    @property
    def delay(self) -> float:
        """Seconds until an answer begins."""
        with self._lock:
            return min(self._delays, default=_DELAY)

    @property
    def bandwidth(self) -> float:
        """Bytes a second of all requests together, or that one takes; never 0."""
        with self._lock:
            return max(self._bandwidth, min(self._alone, _BANDWIDTH)) or _BANDWIDTH

    @property
    def size(self) -> int:
        """Bytes of an answer, as they are here."""
        with self._lock:
            return int(self._size) or _SIZE

    @property
    def took(self) -> float:
        """Seconds that a request takes, as they are here; 0 if that is not known."""
        with self._lock:
            return self._took

    @property
    def is_known(self) -> bool:
        """Whether the store has ever answered."""
        with self._lock:
            return bool(self._delays)

    @property
    def at_once(self) -> int:
        """Requests that should be under way."""
        with self._lock:
            if self._clock() < self._spared_until:
                return FIRST_AT_ONCE // 4
            delay = min(self._delays, default=0.0)
            wanted = 3 * self._bandwidth * delay / max(self._size, 1.0)
            return max(FIRST_AT_ONCE, min(MAX_AT_ONCE, int(wanted)))

    @property
    def bytes_per_delay(self) -> int:
        """What comes in the time that another answer takes to begin."""
        return int(self.delay * self.bandwidth)

    def began(self) -> float:
        """Count a request. Returns the time."""
        now = self._clock()
        with self._lock:
            self._requests += 1
            if self._under_way == 0:
                self._window_began, self._window_bytes = now, 0
            self._under_way += 1
            self._changed()
        return now

    def answered(self, began: float) -> float:
        """Count an answer that has begun. Returns the time."""
        now = self._clock()
        with self._lock:
            self._delays.append(max(0.0, now - began))
        return now

    def received(self, size: int) -> None:
        """Count bytes."""
        now = self._clock()
        with self._lock:
            self._bytes += size
            self._window_bytes += size
            seconds = now - self._window_began
            if seconds >= max(_WINDOW, 2 * min(self._delays, default=0.0)):
                found = self._window_bytes / seconds
                # What is asked for here and there tells nothing of what there could be.
                self._bandwidth = max(found, self._bandwidth - _WEIGHT * (self._bandwidth - found))
                self._window_began, self._window_bytes = now, 0
            self._changed()

    def ended(self, began: float, size: int | None, answered: float | None = None) -> None:
        """Count a request's end, and the bytes of its answer if it had one.

        Parameters
        ----------
        began : float
            As `began` told.
        size : int or None
        answered : float, optional
            As `answered` told.
        """
        now = self._clock()
        with self._lock:
            self._under_way -= 1
            if size is not None:
                if answered is not None and size >= _TELLING:
                    # It may have begun before that was noticed.
                    least = min(self._delays, default=0.0)
                    seconds = max(now - answered, now - began - least, _UNSURE * least, 1e-6)
                    self._alone = max(self._alone, size / seconds)
                took = now - began
                self._took += (took - self._took) * (_WEIGHT if self._took else 1.0)
                self._size += (size - self._size) * (_WEIGHT if self._size else 1.0)
            self._changed()

    def retried(self) -> None:
        """Count that a request is made again."""
        with self._lock:
            self._retries += 1
            self._changed()

    def found_kept(self, size: int) -> None:
        """Count an object of so many bytes that was found on disk."""
        with self._lock:
            self._kept += 1
            self._bytes_kept += size
            self._changed()

    def spare(self) -> None:
        """Ask for less for a while, as the server said."""
        with self._lock:
            self._spared_until = self._clock() + _SPARED
