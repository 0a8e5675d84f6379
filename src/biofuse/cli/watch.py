"""`biofuse status --watch`: the status over time."""

import contextlib
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import click

from biofuse.api.live import MountEndedError
from biofuse.cli.status_text import status_lines, total_memory
from biofuse.memory import format_size

_WIDTH = 48
_BARS = "▁▂▃▄▅▆▇█"
# Where the output's encoding does not have those.
_PLAIN_BARS = "_.-=+*#@"


def watch(
    gather: Callable[[], list[dict[str, Any]]],
    directory: str | None,
    interval: float,
    as_json: bool,
) -> int:
    """Show what `gather` tells until interrupted, or until the mount has ended.

    On a terminal the view is redrawn in place; elsewhere, or as JSON, all is kept.

    Parameters
    ----------
    gather : callable
        The statuses of the mounts that are watched.
    directory : str or None
        The one mount, if it is one.
    interval : float
        Seconds from one to the next.
    as_json : bool
        Print an object a line for each mount.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    BiofuseError
        If the one mount never was, its process died, or it does not answer.
    """
    seen = False
    try:
        with _screen(as_json) as show:
            history = History()
            while True:
                began = time.monotonic()
                found = gather()
                seen = True
                show(found, history)
                time.sleep(max(0.0, began + interval - time.monotonic()))
    except MountEndedError:
        if not seen:
            raise
        click.echo(f"biofuse: the mount at {directory} has ended", err=True)
    except KeyboardInterrupt:
        pass
    return 0


class History:
    """Earlier samples of mounts: memory over time, throughput since the last."""

    def __init__(self) -> None:
        self._memory: dict[str, deque[int]] = {}
        self._last: dict[str, tuple[float, float, int]] = {}

    def add(self, status: dict[str, Any]) -> tuple[list[int], float | None]:
        """Take note of a status.

        Returns
        -------
        memory : list of int
            What the mount's processes held at this and earlier times.
        throughput : float or None
            Bytes a second that were served since the last time; None if this is the first.
        """
        path = status["mountpoint"]
        sample = (status["started"], status["uptime"], status["counters"]["bytes_served"])
        last = self._last.get(path)
        if last is not None and last[0] != sample[0]:
            # Another mount, at the same place.
            last = None
        if last is None:
            self._memory[path] = deque(maxlen=_WIDTH)
        self._last[path] = sample
        self._memory[path].append(total_memory(status))
        throughput = None
        if last is not None and sample[1] > last[1]:
            throughput = (sample[2] - last[2]) / (sample[1] - last[1])
        return list(self._memory[path]), throughput


def sparkline(values: list[int], top: int, bars: str = _BARS) -> str:
    """Values as bars, the highest of which stands for `top` or the largest value."""
    top = max(1, top, *values)
    return "".join(bars[min(len(bars) - 1, value * len(bars) // top)] for value in values)


def watch_lines(statuses: list[dict[str, Any]], history: History, bars: str) -> list[str]:
    """The view: each mount's status, and under it what has become of it over time."""
    lines = [] if statuses else ["no biofuse mounts"]
    for status in statuses:
        lines += status_lines(status)
        if "error" in status:
            continue
        memory, throughput = history.add(status)
        if throughput is not None:
            lines.append(f"  throughput {format_size(throughput)}/s")
        line = sparkline(memory, status["budget"], bars)
        lines.append(f"  memory     {format_size(memory[-1])}  {line}")
    return lines


Show = Callable[[list[dict[str, Any]], History], None]


@contextlib.contextmanager
def _screen(as_json: bool) -> Iterator[Show]:
    """What shows a sample, fit for where the output goes."""
    if as_json:
        yield lambda found, _: click.echo("".join(f"{json.dumps(s)}\n" for s in found), nl=False)
    elif not sys.stdout.isatty():
        bars = _bars(sys.stdout.encoding)
        yield lambda found, history: click.echo("\n".join([*watch_lines(found, history, bars), ""]))
    else:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        console = Console(highlight=False)
        bars = _bars(console.encoding)
        with Live(console=console, auto_refresh=False) as live:
            yield lambda found, history: live.update(
                Text("\n".join(watch_lines(found, history, bars))), refresh=True
            )


def _bars(encoding: str) -> str:
    try:
        _BARS.encode(encoding)
    except UnicodeEncodeError:
        return _PLAIN_BARS
    return _BARS
