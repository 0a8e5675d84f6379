"""An event loop: descriptors, timers and signals, in one thread."""

import contextlib
import heapq
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterable
from itertools import count

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE
# Of the signals that come at once, all but a few are the same.
_MAX_SIGNALS = 64


class Timer:
    """A call that is to come.

    Parameters
    ----------
    callback : callable
    """

    def __init__(self, callback: Callable[[], None]):
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Have it not come."""
        self.callback = None


class Loop:
    """Calls back when descriptors are ready, times have come and signals were received.

    What a callback raises ends the loop.
    """

    def __init__(self) -> None:
        self._selector = selectors.EpollSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._count = count()
        self._stopped = False
        self._signals = -1

    def watch(self, fd: int, callback: Callable[[], None], events: int = READ) -> None:
        """Call back whenever a descriptor is ready; in place of what was asked for before."""
        try:
            self._selector.modify(fd, events, callback)
        except KeyError:
            self._selector.register(fd, events, callback)

    def unwatch(self, fd: int) -> None:
        """Call back no more; before the descriptor is closed. Nothing if it is not watched."""
        with contextlib.suppress(KeyError):
            self._selector.unregister(fd)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once, after some time."""
        timer = Timer(callback)
        entry = (time.monotonic() + seconds, next(self._count), timer)
        heapq.heappush(self._timers, entry)
        return timer

    def catch(self, numbers: Iterable[int], callback: Callable[[], None]) -> None:
        """Call back when one of these signals comes, which from here on ends nothing itself.

        One that comes before the loop runs is kept for it. To be called once.
        """
        self._signals, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, lambda *_: None)

        def received() -> None:
            os.read(self._signals, _MAX_SIGNALS)
            callback()

        self.watch(self._signals, received)

    def stop(self) -> None:
        """Have `run` return."""
        self._stopped = True

    def run(self) -> None:
        """Call back until stopped."""
        while not self._stopped:
            for key, _ in self._selector.select(self._due()):
                # An earlier one of these may have had no more of it.
                if self._selector.get_map().get(key.fd) is key:
                    key.data()
                if self._stopped:
                    return
            self._call_timers()

    def _due(self) -> float | None:
        """Seconds until the next timer."""
        if not self._timers:
            return None
        return max(0.0, self._timers[0][0] - time.monotonic())

    def _call_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now and not self._stopped:
            _, _, timer = heapq.heappop(self._timers)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()
