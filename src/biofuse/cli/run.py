"""`biofuse run`."""

import ctypes
import dataclasses
import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import click

from biofuse import signals, temporary
from biofuse.api.live import end_mount, failed_reads, read_status
from biofuse.api.settings import (
    CacheOptions,
    LogOptions,
    ServingOptions,
    serve_config,
)
from biofuse.api.views import view_options, with_saved
from biofuse.cli import options as o
from biofuse.cli import placeholders
from biofuse.cli.epilogs import preset_epilog
from biofuse.cli.launch import (
    check_fuse,
    clear_leftovers,
    mount_in_background,
    open_for_command,
)
from biofuse.cli.params import Command, Name
from biofuse.cli.placeholders import Placeholders
from biofuse.cli.progress import byte_bar
from biofuse.errors import BiofuseError, MountRefusedError, NoRoomError
from biofuse.mounts import find_mount, resolve_mountpoint
from biofuse.options import ViewOptions

# sysexits.h: an error while doing I/O on some file.
EXIT_READ_FAILED = 74
# What shells return for a command that cannot be run, and for one that is not there.
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127

_PR_SET_PDEATHSIG = 1

# Options of serving that say how bytes are made, wherever.
_MAKING = ("memory", "threads", "timeout", "readahead_workers")

_EXAMPLES = """
\b
Examples:
  biofuse run cohort.vcz -- plink2 --bfile {stem} --freq --out result
  biofuse run cohort.vcz -- plink2 --bgen {bgen} ref-first --sample {sample} --freq
  biofuse run cohort.vcz --samples-table t.psam --pheno-name BMI -- plink2 --bfile {stem} --glm
  biofuse run cohort.vcz -r 20 -- sh -c 'plink2 --bfile "$BIOFUSE_STEM" --pca'
  biofuse run cohort.vcz --for plink2 -- plink2 --pfile {stem} --freq --out result
  biofuse run cohort.vcz --per-contig -- plink2 --bfile {stem:22} --freq --out chr22
  biofuse run cohort.vcz --per-contig -- sh -c \\
    'for c in {contigs}; do plink2 --bfile {stem}_$c --freq --out chr$c; done'
"""
_FITTING = preset_epilog("after 'biofuse run --for PROGRAM STORE --'")


class RunCommand(Command):
    """`run`, whose command comes after `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if (
            "--" not in args
            and not ctx.resilient_parsing
            and not any(name in args for name in ctx.help_option_names)
        ):
            raise click.UsageError(
                "there is no -- before the command: biofuse run STORE [options] -- COMMAND...", ctx
            )
        return super().parse_args(ctx, args)


@click.command("run", cls=RunCommand, epilog=placeholders.help_text() + _EXAMPLES + _FITTING)
@click.argument("store", type=Name())
@click.argument("command_line", metavar="-- COMMAND...", nargs=-1, required=True, type=Name())
@o.format_choice
@o.name_options
@o.contig_options()
@o.all_format_options
@o.fileset_options
@o.variant_options
@o.table_options
@o.map_option
@o.selection_options
@o.missing_chunks_option
@o.store_options
@o.plan_option
@o.serving_options
@o.cache_options
@o.log_options
@click.option(
    "--without-fuse",
    is_flag=True,
    help="Write the files to a temporary folder (TMPDIR) first, and remove them after.  "
    "[default: where FUSE cannot be used]",
)
def command(
    store,
    command_line,
    view,
    selection,
    format_options,
    source,
    serving,
    cache,
    log,
    without_fuse,
):
    """Mount STORE in a private directory, run COMMAND on its files, unmount.

    Returns COMMAND's exit code; 74 if it said 0 but a read of the files had failed; 127 if
    there is no such command, 126 if it cannot be run.
    """
    if without_fuse:
        _check_mount_options(serving, log)
    location = source.location(store)
    view, selection, format_options = with_saved(location, view, selection, format_options)
    used = placeholders.used_formats(command_line, view, format_options)
    _check_command(command_line[0])
    options = view_options(location, view, selection, format_options, used)
    clear_leftovers()
    if not without_fuse:
        try:
            check_fuse()
            config = (location.is_local, serving, cache, log)
            return _run_on_mount(command_line, options, store, *config)
        except MountRefusedError as error:
            click.echo(
                f"biofuse: {error}; so the files are written to a temporary folder first, as with "
                "--without-fuse",
                err=True,
            )
            useless = _mount_options(serving, log)
            if useless:
                click.echo(f"biofuse: no mount, so no use: {', '.join(useless)}", err=True)
    if used and not placeholders.name_all(command_line):
        options = dataclasses.replace(options, formats=list(used), required=list(used))
    return _run_on_copies(command_line, options, location.is_local, serving, cache)


def _mount_options(serving: ServingOptions, log: LogOptions) -> list[str]:
    """What is given of options that are for a mount alone, as it is typed."""
    found = []
    for given, default in ((serving, ServingOptions()), (log, LogOptions("warning", None, None))):
        for field in dataclasses.fields(given):
            value = getattr(given, field.name)
            if field.name not in _MAKING and value != getattr(default, field.name):
                found.append(f"--{'no-' if value is False else ''}{field.name.replace('_', '-')}")
    return found


def _check_mount_options(serving: ServingOptions, log: LogOptions) -> None:
    """Raise `BiofuseError` if there are any."""
    given = _mount_options(serving, log)
    if given:
        raise BiofuseError(
            f"{given[0]} is for a mount, which --without-fuse does not make: leave out the one or "
            "the other"
        )


def _run_on_mount(
    command_line: tuple[str, ...],
    options: ViewOptions,
    store: str,
    is_local: bool,
    serving: ServingOptions,
    cache: CacheOptions,
    log: LogOptions,
) -> int:
    """Mount, run a command on the files, unmount. Returns its exit code."""
    with temporary.folder("run") as private:
        directory = resolve_mountpoint(os.path.join(private, "files"))
        os.mkdir(directory)
        if not log.log_file:
            log = dataclasses.replace(log, log_file=os.path.join(private, "log"))
        config = serve_config(store, directory, is_local, serving, cache, log)
        config = dataclasses.replace(config, private_dir=private)
        try:
            plan = mount_in_background(options, config, cache, bound=True)
            code = _run(command_line, Placeholders(directory, plan.stem, plan.contigs))
            errors = _errors(directory)
        finally:
            _unmount(directory)
        if errors:
            said = failed_reads(errors, log.log_file or "")
            click.echo(f"biofuse: {said}", err=True)
            code = code or EXIT_READ_FAILED
    return code


def _run_on_copies(
    command_line: tuple[str, ...],
    options: ViewOptions,
    is_local: bool,
    serving: ServingOptions,
    cache: CacheOptions,
) -> int:
    """Write the files, run a command on them, remove them. Returns its exit code."""
    from biofuse.export.local import export_to_folder

    fileset = open_for_command(options, is_local, serving, cache)
    with temporary.folder("copies") as private:
        directory = os.path.join(private, "files")
        os.mkdir(directory)
        with fileset, byte_bar(not sys.stderr.isatty()) as show:
            try:
                export_to_folder(fileset, directory, "", progress=show, durable=False)
            except NoRoomError as error:
                raise BiofuseError(
                    f"{error}; TMPDIR names another folder, and --format fewer files"
                ) from error
        return _run(command_line, Placeholders(directory, fileset.stem, fileset.contigs))


class CommandError(BiofuseError):
    """A command that cannot be run."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


def _check_command(name: str) -> None:
    """Raise `CommandError`, before anything is mounted, if there is no such command."""
    if shutil.which(name) is not None:
        return
    if "/" in name and os.path.exists(name):
        raise CommandError(f"{name} is not a program that can be run", EXIT_NOT_EXECUTABLE)
    hint = f"; did you mean ./{name}?" if "/" not in name and shutil.which(f"./{name}") else ""
    raise CommandError(f"no such command: {name}{hint}", EXIT_NOT_FOUND)


def _run(command_line: tuple[str, ...], names: Placeholders) -> int:
    """Run a command with the files' names put in. Returns its exit code as a shell would."""
    words = [names.put_in(word) for word in command_line]
    environment = {**os.environ, **names.environment}
    process = None
    early = []

    def forward(number: int, _) -> None:
        """Pass a signal on, now or as soon as the command has begun."""
        if process is None:
            early.append(number)
        else:
            process.send_signal(number)

    # The terminal sends an interrupt to the command too; it decides what to do with it.
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in signals.wanted():
        signal.signal(number, forward)
    try:
        process = subprocess.Popen(words, env=environment, preexec_fn=_prepare_command(previous))
        for caught in early:
            process.send_signal(caught)
        code = process.wait()
    except OSError as error:
        missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
        raise CommandError(
            f"cannot run {words[0]}: {error.strerror}",
            EXIT_NOT_FOUND if missing else EXIT_NOT_EXECUTABLE,
        ) from error
    finally:
        signal.signal(signal.SIGINT, previous)
    return code if code >= 0 else 128 - code


def _prepare_command(interrupt: Any) -> Callable[[], None]:
    """What a command's process does first.

    It takes interrupts again as this process did, and ends where this process is killed.
    """
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def prepare() -> None:
        signal.signal(signal.SIGINT, interrupt)
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)

    return prepare


def _errors(directory: str) -> int:
    """Reads that failed; 1 if the mount cannot say."""
    try:
        return read_status(directory)["counters"]["errors"]
    except BiofuseError:
        return 1


def _unmount(directory: str) -> None:
    if find_mount(directory) is None:
        return
    sys.stdout.flush()
    try:
        end_mount(directory)
    except BiofuseError:
        # A process that the command left behind has a file open.
        end_mount(directory, lazy=True)
