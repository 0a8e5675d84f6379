"""Start a mount for a command: with progress, and what is to be said."""

import os
import sys

import click

from biofuse.api.planning import plan_view
from biofuse.api.serving import ServingProcess, check_fuse, check_mountpoint, with_plan
from biofuse.api.settings import CacheOptions
from biofuse.children import child_environment, python_command
from biofuse.cli.progress import progress_bar
from biofuse.options import ViewOptions
from biofuse.plan.client import PlanDirectory
from biofuse.serve.config import ServeConfig
from biofuse.stores.secrets import Secrets, secret_variables

__all__ = [
    "check_fuse",
    "check_mountpoint",
    "make_plan",
    "mount_in_background",
    "run_foreground",
]


def make_plan(options: ViewOptions, cache: CacheOptions, config: ServeConfig) -> PlanDirectory:
    """Find or make the plan of a view, with progress on a terminal; say what it warns of.

    Parameters
    ----------
    options : ViewOptions
    cache : CacheOptions
    config : ServeConfig
        How it will be served.
    """
    with progress_bar("reading variants", not sys.stderr.isatty()) as progress:
        planned = plan_view(options, cache.open(), config.memory, config.timeout, progress)
    for warning in planned.warnings:
        click.echo(f"biofuse: {warning}", err=True)
    return planned.directory


def run_foreground(plan: PlanDirectory, config: ServeConfig, secrets: Secrets) -> None:
    """Become the serving process; does not return."""
    config = with_plan(config, plan)
    sys.stdout.flush()
    sys.stderr.flush()
    command = python_command("biofuse.serve", config.to_json())
    os.execve(sys.executable, command, {**child_environment(), **secret_variables(secrets)})


def mount_in_background(
    options: ViewOptions, config: ServeConfig, cache: CacheOptions, bound: bool = False
) -> None:
    """Make the plan of a view and mount it; returns when the files are there.

    If `bound`, the mount ends with this process.
    """
    with ServingProcess(config, bound, options.secrets) as process:
        process.serve(make_plan(options, cache, config))
