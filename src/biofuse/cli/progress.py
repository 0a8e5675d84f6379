"""A progress bar on a terminal."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def progress_bar(text: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show progress on standard error, once there is some.

    Parameters
    ----------
    text : str
        What is done.
    quiet : bool
        Whether nothing is shown.

    Yields
    ------
    callable
        To be called with how much is done, and how much there is to do.
    """
    if quiet:
        yield lambda done, total: None
        return
    bar = None
    task = None

    def show(done: int, total: int) -> None:
        nonlocal bar, task
        if bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            bar = Progress(
                TextColumn(text),
                BarColumn(),
                MofNCompleteColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            task = bar.add_task("", total=total)
            bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        if bar is not None:
            bar.stop()


@contextlib.contextmanager
def byte_bar(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show bytes, and how fast they come, on standard error.

    Parameters
    ----------
    quiet : bool
        Whether nothing is shown.

    Yields
    ------
    callable
        To be called with what is done, how many bytes are, and how many there are to do.
    """
    if quiet:
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield show
