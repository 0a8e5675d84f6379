"""Get a plan: from the cache, or from a process that makes it."""

import contextlib
import json
import os
import select
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from biofuse import __version__
from biofuse.children import child_environment, python_command
from biofuse.errors import BiofuseError
from biofuse.manifest import PLAN_FORMAT, Plan, PlanFolder
from biofuse.options import ViewOptions
from biofuse.plan.cache import PlanCache
from biofuse.plan.progress import Progress
from biofuse.plan.saved import saved_version
from biofuse.stores import Location, forget
from biofuse.stores.secrets import redact, secret_variables
from biofuse.temporary import make_folder, remove_folder

DEADLINE = 120.0
# Seconds that a process has to be gone in once it is killed.
_KILLED = 2.0
# Bytes of what such a process has printed that are looked at.
_TAIL = 4096


@dataclass(frozen=True)
class PlanDirectory:
    """Where a plan is.

    Attributes
    ----------
    path : str
    temporary : bool
        Whether it belongs to one mount, which is to remove it.
    left_out : tuple of str
        Formats of it that are not to be served.
    """

    path: str
    temporary: bool
    left_out: tuple[str, ...] = ()


class _NoRoomError(BiofuseError):
    """There is no room for a plan in the directory that was given."""


def get_plan(
    options: ViewOptions,
    cache: PlanCache | None,
    progress: Callable[[int, int], None],
    timeout: float = DEADLINE,
) -> PlanDirectory:
    """Find or make the plan of a view.

    Parameters
    ----------
    options : ViewOptions
    cache : PlanCache or None
    progress : callable
        Called with the variants read so far and their number.
    timeout : float
        Seconds in which the process that makes it must get on with its work.

    Raises
    ------
    BiofuseError
        If the store cannot be shown as asked, or does not answer.
    """
    # Whoever asks again later in this process wants to know how it is then.
    location = Location.planned(options.store, options.secrets).scoped()
    try:
        return _get_plan(options, location, cache, progress, timeout)
    finally:
        forget(location)


def _get_plan(
    options: ViewOptions,
    location: Location,
    cache: PlanCache | None,
    progress: Callable[[int, int], None],
    timeout: float,
) -> PlanDirectory:
    key = options.digest(f"{__version__} {PLAN_FORMAT} {saved_version(location)}")
    if location.engine not in (None, "obstore"):
        # There is no cheap way to tell whether such a store changed.
        cache = None
    if cache is not None:
        found = cache.find(key, location)
        if found is not None:
            return PlanDirectory(found, temporary=False)
    directory = None
    if cache is not None:
        try:
            directory = cache.new()
        except OSError:
            cache = None
    if directory is None:
        directory = make_folder("plan")
    try:
        _make(options, directory, progress, timeout)
        kept = directory
        if cache is not None and open_plan(directory).lasting:
            kept = cache.keep(directory, key, location)
        return PlanDirectory(kept, temporary=kept == directory)
    except BaseException as error:
        remove_folder(directory)
        if not isinstance(error, _NoRoomError) or cache is None:
            raise
        # A home directory's quota is often used up where there is room elsewhere.
        return _get_plan(options, location, None, progress, timeout)


def open_plan(directory: str) -> Plan:
    """The manifest of a plan.

    Raises
    ------
    UntrustedError
        If another user can have made or changed it.
    """
    with PlanFolder(directory) as folder:
        return folder.plan


def _make(
    options: ViewOptions,
    directory: str,
    progress: Callable[[int, int], None],
    timeout: float,
) -> None:
    debug = bool(os.environ.get("BIOFUSE_DEBUG"))
    # Whatever packages print: neither part of the protocol nor of what a command says.
    printed = os.memfd_create("biofuse-plan")
    reader, writer = os.pipe()
    try:
        process = subprocess.Popen(
            python_command("biofuse.plan", str(writer)),
            env={**child_environment(), **secret_variables(options.secrets)},
            stdin=subprocess.PIPE,
            stdout=None if debug else subprocess.DEVNULL,
            stderr=None if debug else printed,
            pass_fds=[writer],
        )
    except BaseException:
        os.close(reader)
        os.close(printed)
        raise
    finally:
        os.close(writer)
    assert process.stdin is not None
    error = None
    full = False
    try:
        request = json.dumps({"options": options.to_json(), "directory": directory})
        process.stdin.write(f"{request}\n".encode())
        process.stdin.flush()
        for line in _lines(process, reader, timeout):
            message = json.loads(line)
            if "progress" in message:
                progress(*message["progress"])
            elif "error" in message:
                error = message["error"]
                full = message.get("full", False)
        code = process.wait()
    except _StuckError as stuck:
        raise BiofuseError(
            f"the store {options.store['path']} does not answer: nothing was read of it in "
            f"{stuck.seconds:g} s while the plan was made; try again, or allow more with --timeout"
        ) from None
    finally:
        if process.poll() is None:
            process.kill()
            # Not for ever: a process that waits for a dead disk cannot be killed.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_KILLED)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        os.close(reader)
        last = _last_line(printed)
        os.close(printed)
    if code != 0:
        error = error or f"the process that makes the plan ended unexpectedly{last}"
        if code < 0:
            error += f" (signal {-code}; out of memory?)"
        if full:
            raise _NoRoomError(f"{error}; TMPDIR chooses another folder, or --cache-dir")
        raise BiofuseError(error)


def _last_line(fd: int) -> str:
    """What a process has printed last, as the end of a sentence; nothing if it did not."""
    size = os.fstat(fd).st_size
    text = os.pread(fd, _TAIL, max(0, size - _TAIL)).decode(errors="replace")
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return f": {redact(lines[-1])}" if lines else ""


class _StuckError(Exception):
    """A process has done nothing for so long."""

    def __init__(self, seconds: float):
        super().__init__(seconds)
        self.seconds = seconds


def _lines(process: subprocess.Popen[bytes], reader: int, timeout: float) -> Iterator[bytes]:
    """What a process says on a pipe, line by line, as long as it says or does something.

    Raises
    ------
    _StuckError
        If it did not for so many seconds.
    """
    done = Progress(process.pid)
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    step = min(1.0, timeout / 4)
    # Counted, not taken from a clock, which goes on while both are stopped.
    quiet = 0.0
    rest = b""
    while True:
        if not poll.poll(step * 1000):
            if quiet == 0.0:
                done = Progress(process.pid)
            elif quiet >= timeout:
                if not done.made_in(quiet):
                    raise _StuckError(timeout)
                done, quiet = Progress(process.pid), 0.0
            quiet += step
            continue
        quiet = 0.0
        data = os.read(reader, 1 << 16)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from lines
