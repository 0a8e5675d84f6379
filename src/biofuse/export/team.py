"""Threads that do things of one list, in its order, as long as none fails."""

import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Team(Generic[T]):
    """Do things at a time.

    Use as a context manager: at its end no thread is at work any more.

    Parameters
    ----------
    things : iterator
        What there is to do.
    do : callable
        Does one.
    threads : int
    """

    def __init__(self, things: Iterator[T], do: Callable[[T], None], threads: int):
        self._things = things
        self._do = do
        self._changed = threading.Condition()
        self._done: list[T] = []
        self._error: BaseException | None = None
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._work, name="export", daemon=True) for _ in range(threads)
        ]
        self._left = len(self._threads)

    def __enter__(self) -> "Team[T]":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        try:
            while not self._stopped:
                with self._changed:
                    thing = next(self._things, None)
                if thing is None:
                    return
                self._do(thing)
                with self._changed:
                    self._done.append(thing)
                    self._changed.notify()
        except BaseException as error:
            with self._changed:
                self._error = self._error or error
                self._stopped = True
        finally:
            with self._changed:
                self._left -= 1
                self._changed.notify()

    def take(self, seconds: float) -> tuple[list[T], bool]:
        """What was done since the last time, once there is some or so long has passed.

        Returns
        -------
        done : list
        goes_on : bool

        Raises
        ------
        Exception
            What one of the threads has met.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._done or not self._left, seconds)
            done, self._done = self._done, []
            if self._error is not None and not done:
                raise self._error
            return done, bool(self._left) or self._error is not None
