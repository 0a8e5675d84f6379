"""The thread that runs requests, and who of them goes first."""

import asyncio
import atexit
import heapq
import itertools
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from biofuse.stores.link import FIRST_AT_ONCE, MAX_AT_ONCE, Link

T = TypeVar("T")

# Seconds in which the loop must end, and in which threads are done that have just answered.
_ENDING = 2.0
_SETTLING = 0.05


class EventLoop:
    """An event loop that a thread of its own runs, until the process ends."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: None)
        self._asked: set[asyncio.Future[Any]] = set()
        self._answered = -_SETTLING
        self._ends = False
        self._thread = threading.Thread(target=self.loop.run_forever, name="requests", daemon=True)
        self._thread.start()
        # A thread that wants Python while that ends takes the process with it.
        atexit.register(self._end)

    def _end(self) -> None:
        """Run no more, once all that was asked for is answered."""
        ending = asyncio.run_coroutine_threadsafe(self._settle(), self.loop)
        with suppress(TimeoutError, CancelledError):
            ending.result(_ENDING)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_ENDING)

    async def _settle(self) -> None:
        """Ask for nothing new, and wait for the rest."""
        self._ends = True
        while self._asked:
            await asyncio.wait(self._asked)
        await asyncio.sleep(self._answered + _SETTLING - self.loop.time())

    async def answer(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Await what threads of another language do.

        Parameters
        ----------
        ask : callable
            Has them begin with it. It is not called any more while the process ends.
        """
        if self._ends:
            raise asyncio.CancelledError
        future = asyncio.ensure_future(ask())
        self._asked.add(future)
        future.add_done_callback(self._note_answer)
        return await future

    def _note_answer(self, future: "asyncio.Future[Any]") -> None:
        self._asked.discard(future)
        self._answered = self.loop.time()

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


def answer(ask: Callable[[], Awaitable[T]]) -> Awaitable[T]:
    """`EventLoop.answer` of the process's."""
    return event_loop().answer(ask)


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
