"""The thread that runs requests, and who of them goes first."""

import asyncio
import atexit
import heapq
import itertools
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from biofuse.stores.link import FIRST_AT_ONCE, MAX_AT_ONCE, Link

T = TypeVar("T")

# Seconds in which the loop must end.
_ENDING = 2.0


class EventLoop:
    """An event loop that a thread of its own runs, until the process ends."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: None)
        self._thread = threading.Thread(target=self.loop.run_forever, name="requests", daemon=True)
        self._thread.start()
        # A thread that Python ends while it ends itself takes the process with it.
        atexit.register(self._end)

    def _end(self) -> None:
        """Run no more."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_ENDING)

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Run a coroutine."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)


_loop: EventLoop | None = None
_loop_lock = threading.Lock()


def event_loop() -> EventLoop:
    """The process's event loop for requests."""
    global _loop
    with _loop_lock:
        if _loop is None:
            _loop = EventLoop()
        return _loop


class Gate:
    """Lets so many pass at a time, those first who somebody waits for. Of one event loop."""

    def __init__(self, link: Link):
        self._link = link
        self._inside = 0
        self._numbers = itertools.count()
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []

    def _has_room(self, ahead: bool) -> bool:
        limit = self._link.at_once
        return self._inside < (limit if ahead or limit < FIRST_AT_ONCE else MAX_AT_ONCE)

    @asynccontextmanager
    async def passing(self, ahead: bool) -> Any:
        """Wait for a place; as a context manager, which gives it back."""
        if self._waiting or not self._has_room(ahead):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (ahead, next(self._numbers), turn))
            self._let_in()
            await turn
        else:
            self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._has_room(self._waiting[0][0]):
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                self._inside += 1
                turn.set_result(None)


class Progress:
    """When a request was last seen to come on, by the loop's clock."""

    def __init__(self) -> None:
        self.at = asyncio.get_running_loop().time()

    def note(self) -> None:
        self.at = asyncio.get_running_loop().time()
