"""`biofuse run`."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import click

from biofuse import signals
from biofuse.cli import options as o
from biofuse.cli.launch import check_fuse, mount_in_background
from biofuse.cli.live import end_mount, read_status
from biofuse.cli.settings import serve_config_from, view_options_from
from biofuse.errors import BiofuseError
from biofuse.mounts import find_mount, resolve_mountpoint

# sysexits.h: an error while doing I/O on some file.
EXIT_READ_FAILED = 74
# What shells return for a command that cannot be run, and for one that is not there.
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127

# What words of a command may name: its format, and the option that leaves the file out.
_FILES = {
    "bed": ("plink", None),
    "bim": ("plink", "no_bim"),
    "fam": ("plink", "no_fam"),
    "bgen": ("bgen", None),
    "bgi": ("bgen", "no_bgi"),
    "sample": ("bgen", "no_sample_file"),
}

_EPILOG = """\b
In COMMAND and its environment these stand for the files:
  {bed} {bim} {fam}      the files' paths         $BIOFUSE_BED, $BIOFUSE_BIM, ...
  {bgen} {bgi} {sample}
  {stem}                 their path, no suffix    $BIOFUSE_STEM
  {dir}                  their directory          $BIOFUSE_DIR
\b
Examples:
  biofuse run cohort.vcz -- plink2 --bfile {stem} --freq --out result
  biofuse run cohort.vcz -- plink2 --bgen {bgen} ref-first --sample {sample} --freq
  biofuse run cohort.vcz -r 20 -- sh -c 'plink2 --bfile "$BIOFUSE_STEM" --pca'
"""


@click.command(
    "run",
    cls=o.GroupedCommand,
    epilog=_EPILOG,
    context_settings={"allow_interspersed_args": True},
)
@click.argument("store")
@click.argument("command_line", metavar="-- COMMAND...", nargs=-1, required=True)
@o.format_choice
@o.name_options
@o.plink_options
@o.bgen_options
@o.variant_options
@o.selection_options
@o.store_options
@o.serving_options
@o.log_options
def command(store, command_line, format_names, **kwargs):
    """Mount STORE in a private directory, run COMMAND on its files, unmount.

    Returns COMMAND's exit code; 74 if it said 0 but a read of the files had failed; 127 if
    there is no such command, 126 if it cannot be run.
    """
    used = _used_formats(command_line, format_names, kwargs)
    options = view_options_from(store, format_names, kwargs, used)
    _check_command(command_line[0])
    check_fuse()
    with tempfile.TemporaryDirectory(prefix="biofuse-run-") as private:
        directory = resolve_mountpoint(os.path.join(private, "files"))
        os.mkdir(directory)
        log_file = kwargs.get("log_file") or os.path.join(private, "log")
        config = serve_config_from(store, directory, {**kwargs, "log_file": log_file})
        try:
            mount_in_background(options, config, kwargs, bound=True)
            code = _run(command_line, directory, options.stem)
            errors = _errors(directory)
        finally:
            _unmount(directory)
        if errors:
            click.echo(f"biofuse: {_failed(errors, log_file)}", err=True)
            code = code or EXIT_READ_FAILED
    return code


class CommandError(BiofuseError):
    """A command that cannot be run."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


def _used_formats(
    command_line: Sequence[str], format_names: Sequence[str], kwargs: dict[str, Any]
) -> list[str]:
    """Formats of the files that a command's words name.

    Raises
    ------
    BiofuseError
        If one names a file that the options leave out.
    """
    used = []
    for name, (format_name, option) in _FILES.items():
        if not any(f"{{{name}}}" in word for word in command_line):
            continue
        if format_names and format_name not in format_names:
            shown = " ".join(f"--format {name}" for name in format_names)
            raise BiofuseError(f"there is no {{{name}}} with {shown}: add --format {format_name}")
        if option is not None and kwargs.get(option):
            raise BiofuseError(f"there is no {{{name}}} with --{option.replace('_', '-')}")
        used.append(format_name)
    return used


def _check_command(name: str) -> None:
    """Raise `CommandError`, before anything is mounted, if there is no such command."""
    if shutil.which(name) is not None:
        return
    if "/" in name and os.path.exists(name):
        raise CommandError(f"{name} is not a program that can be run", EXIT_NOT_EXECUTABLE)
    hint = f"; did you mean ./{name}?" if "/" not in name and shutil.which(f"./{name}") else ""
    raise CommandError(f"no such command: {name}{hint}", EXIT_NOT_FOUND)


def _run(command_line: tuple[str, ...], directory: str, stem: str) -> int:
    """Run a command with the files' names put in. Returns its exit code as a shell would."""
    names = {"dir": directory, "stem": os.path.join(directory, stem)}
    for entry in os.listdir(directory):
        suffix = entry.removeprefix(stem + ".")
        names[suffix.rsplit(".", 1)[-1]] = os.path.join(directory, entry)
    pattern = re.compile(r"\{(" + "|".join(map(re.escape, names)) + r")\}")
    words = [pattern.sub(lambda found: names[found[1]], word) for word in command_line]
    environment = dict(os.environ)
    environment.update({f"BIOFUSE_{name.upper()}": path for name, path in names.items()})
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
        process = subprocess.Popen(
            words, env=environment, preexec_fn=lambda: signal.signal(signal.SIGINT, previous)
        )
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


def _errors(directory: str) -> int:
    """Reads that failed; 1 if the mount cannot say."""
    try:
        return read_status(directory)["counters"]["errors"]
    except BiofuseError:
        return 1


def _failed(errors: int, log_file: str) -> str:
    reads = "1 read" if errors == 1 else f"{errors} reads"
    text = f"{reads} of the mounted files failed; the command's results cannot be trusted"
    try:
        with open(log_file, errors="replace") as f:
            first = next((line for line in f if " ERROR " in line), "")
        detail = first.partition(" ERROR ")[2].strip()
    except OSError:
        detail = ""
    return f"{text}: {detail}" if detail else text


def _unmount(directory: str) -> None:
    if find_mount(directory) is None:
        return
    sys.stdout.flush()
    try:
        end_mount(directory)
    except BiofuseError:
        # A process that the command left behind has a file open.
        end_mount(directory, lazy=True)
