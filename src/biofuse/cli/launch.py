"""What commands begin with: a plan, with progress and what is to be said, and a mount or files."""

import os
import sys
from typing import TYPE_CHECKING

import click

from biofuse import temporary
from biofuse.api import leftovers, serving
from biofuse.api.planning import Planned, plan_view
from biofuse.api.serving import ServingProcess, check_fuse, with_plan
from biofuse.api.settings import CacheOptions, ServingOptions
from biofuse.children import child_environment, python_command
from biofuse.cli.progress import progress_bar
from biofuse.manifest import Plan
from biofuse.options import ViewOptions
from biofuse.plan.client import PlanDirectory
from biofuse.serve.config import ServeConfig
from biofuse.signals import hold_back
from biofuse.stores.secrets import Secrets, secret_variables

if TYPE_CHECKING:
    from biofuse.api.fileset import Fileset

__all__ = [
    "check_fuse",
    "check_mountpoint",
    "clear_leftovers",
    "make_plan",
    "mount_in_background",
    "open_for_command",
    "run_foreground",
]


def clear_leftovers(directory: str | None = None, output: str | None = None) -> None:
    """Clear away what killed processes have left, and say so; see `leftovers`."""
    for line in leftovers.clear_leftovers(directory, output):
        click.echo(f"biofuse: {line}", err=True)


def check_mountpoint(path: str) -> str:
    """A mountpoint's absolute path, from which a dead mount is cleared away.

    Raises
    ------
    BiofuseError
        If nothing can be mounted there, or at all.
    """
    clear_leftovers(path)
    return serving.check_mountpoint(path)


def plan_for_command(
    options: ViewOptions, cache: CacheOptions, memory: int, timeout: float
) -> Planned:
    """Find or make the plan of a view, with progress on a terminal; say what it warns of.

    Parameters
    ----------
    options : ViewOptions
    cache : CacheOptions
    memory : int
        Bytes that making the view's bytes may take.
    timeout : float
        Seconds in which the store must answer.
    """
    with progress_bar("reading variants", not sys.stderr.isatty()) as progress:
        planned = plan_view(options, cache.open(), memory, timeout, progress)
    for warning in planned.warnings:
        click.echo(f"biofuse: {warning}", err=True)
    return planned


def make_plan(options: ViewOptions, cache: CacheOptions, config: ServeConfig) -> PlanDirectory:
    """The plan of a view that will be served as told; see `plan_for_command`."""
    return plan_for_command(options, cache, config.memory, config.timeout).directory


def open_for_command(
    options: ViewOptions, is_local: bool, effort: ServingOptions, cache: CacheOptions
) -> "Fileset":
    """A view's files in this process; see `plan_for_command`."""
    # Which those who mount have no use for.
    from biofuse.api.fileset import Fileset

    timeout = effort.seconds_to_answer(is_local)
    planned = plan_for_command(options, cache, effort.budget, timeout)
    return Fileset(options, planned, effort, cache)


def run_foreground(plan: PlanDirectory, config: ServeConfig, secrets: Secrets) -> None:
    """Become the serving process; does not return."""
    config = with_plan(config, plan)
    temporary.hand_over(plan.path)
    # Until it has opened the plan, which is removed then.
    hold_back()
    sys.stdout.flush()
    sys.stderr.flush()
    command = python_command("biofuse.serve", config.to_json())
    os.execve(sys.executable, command, {**child_environment(), **secret_variables(secrets)})


def mount_in_background(
    options: ViewOptions, config: ServeConfig, cache: CacheOptions, bound: bool = False
) -> Plan:
    """Make the plan of a view and mount it; returns it when the files are there.

    If `bound`, the mount ends with this process.
    """
    with ServingProcess(config, bound, options.secrets) as process:
        planned = plan_for_command(options, cache, config.memory, config.timeout)
        process.serve(planned.directory)
    return planned.plan
