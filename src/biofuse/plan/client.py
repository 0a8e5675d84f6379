"""Get a plan: from the cache, or from a process that makes it."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

from biofuse import __version__
from biofuse.errors import BiofuseError
from biofuse.manifest import MANIFEST, PLAN_FORMAT, Plan, read_plan
from biofuse.options import ViewOptions
from biofuse.plan.cache import PlanCache


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
) -> PlanDirectory:
    """Find or make the plan of a view.

    Raises
    ------
    BiofuseError
        If the store cannot be shown as asked.
    """
    key = options.digest(f"{__version__} {PLAN_FORMAT}")
    if options.store["backend"] is not None:
        # There is no cheap way to tell whether a remote store changed.
        cache = None
    if cache is not None:
        found = cache.find(key)
        if found is not None:
            return PlanDirectory(found, temporary=False)
    directory = None
    if cache is not None:
        try:
            directory = cache.new()
        except OSError:
            cache = None
    if directory is None:
        directory = tempfile.mkdtemp(prefix="biofuse-plan-")
    try:
        _make(options, directory, progress)
        kept = directory
        if cache is not None and open_plan(directory).lasting:
            kept = cache.keep(directory, key)
        return PlanDirectory(kept, temporary=kept == directory)
    except BaseException as error:
        shutil.rmtree(directory, ignore_errors=True)
        if not isinstance(error, _NoRoomError) or cache is None:
            raise
        # A home directory's quota is often used up where there is room elsewhere.
        return get_plan(options, None, progress)


def open_plan(directory: str) -> Plan:
    """The manifest of a plan."""
    with open(os.path.join(directory, MANIFEST)) as f:
        return read_plan(f.read())


def _make(options: ViewOptions, directory: str, progress: Callable[[int, int], None]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "biofuse.plan"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    error = "the process that makes the plan ended unexpectedly"
    full = False
    try:
        process.stdin.write(
            json.dumps({"options": options.to_json(), "directory": directory}) + "\n"
        )
        process.stdin.flush()
        for line in process.stdout:
            message = json.loads(line)
            if "progress" in message:
                progress(*message["progress"])
            elif "error" in message:
                error = message["error"]
                full = message.get("full", False)
    except BaseException:
        process.kill()
        raise
    finally:
        code = process.wait()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    if code != 0:
        if code < 0:
            error += f" (signal {-code}; out of memory?)"
        if full:
            raise _NoRoomError(f"{error}; TMPDIR chooses another folder, or --cache-dir")
        raise BiofuseError(error)
