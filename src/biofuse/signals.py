"""Signals that end a program: SIGTERM of schedulers, SIGHUP of terminals."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable

_ENDING = (signal.SIGTERM, signal.SIGHUP)


def wanted(*more: signal.Signals) -> list[signal.Signals]:
    """Those, and more, that end this program.

    One that is ignored, as SIGHUP under nohup, stays so.
    """
    return [
        number for number in (*_ENDING, *more) if signal.getsignal(number) is not signal.SIG_IGN
    ]


def exit_on_signals() -> None:
    """Have them raise SystemExit, so that what a command has begun is cleaned up."""
    for number in wanted():
        signal.signal(number, _exit)


def _exit(number: int, _) -> None:
    # A second one is not to interrupt the cleaning.
    ignore_signals()
    sys.exit(128 + number)


def end_on_interrupt(clean_up: Callable[[], None]) -> None:
    """Have an interrupt end this program at once, with one line.

    KeyboardInterrupt is told with a traceback where Python is at something that it cannot end.

    Parameters
    ----------
    clean_up : callable
        All that is to be done before.
    """

    def end(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)
        clean_up()
        with contextlib.suppress(OSError):
            os.write(2, b"biofuse: interrupted\n")
        os._exit(128 + number)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end)


def hold_back() -> None:
    """Have those that end this program wait, also for the program that it becomes."""
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted(signal.SIGINT))


def let_through() -> None:
    """End of that; one that has come meanwhile ends this program, without a word."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, wanted(signal.SIGINT))


def ignore_signals(*more: signal.Signals) -> None:
    """Have them, and more, change nothing any more."""
    for number in (*_ENDING, *more):
        signal.signal(number, signal.SIG_IGN)
