"""`biofuse`: the group of commands, each imported when it is called."""

import errno
import importlib
import io
import os
import stat
import sys
from typing import Any

import click

from biofuse import __version__
from biofuse.errors import BiofuseError, one_line
from biofuse.signals import exit_on_signals

# Name to module and help line: `biofuse --help` imports none of the modules.
_COMMANDS = {
    "mount": ("mount", "Show a store as files in a directory."),
    "umount": ("umount", "End a mount."),
    "run": ("run", "Mount a store, run a command on its files, unmount."),
    "export": ("export", "Write the files that a mount would show, compressed if wanted."),
    "status": ("status", "Show live mounts and what they hold."),
    "info": ("info", "Describe a store and the views it has."),
    "check": ("check", "Read every chunk of a store, and tell what is missing or wrong."),
    "plan": ("plan", "Save what mounts of a store need in one file, to be shared."),
    "demo": ("demo", "Make a small store to try things on."),
    "mount-plink": ("mount_plink", "Show a store as PLINK 1 files, in the foreground."),
    "mount-bgen": ("mount_bgen", "Show a store as BGEN files, in the foreground."),
}

_EPILOG = """\b
Examples:
  biofuse mount cohort.vcz ~/mnt        show cohort.bed, cohort.bgen ... in ~/mnt
  plink2 --bfile ~/mnt/cohort --freq    use them
  biofuse umount ~/mnt
  biofuse run cohort.vcz -- plink2 --bfile {stem} --freq --out result
"""


class LazyGroup(click.Group):
    """A group that knows its commands' names and help lines without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module = importlib.import_module(f"biofuse.cli.{_COMMANDS[name][0]}")
        return module.command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(
    cls=LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="biofuse")
def cli() -> None:
    """Show a VCF Zarr store as the files that genetics programs read.

    Nothing is converted or copied: the bytes are made when a program reads them.
    """


def _open_standard_streams() -> None:
    """Open those that are closed, so that no other file takes their number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            # For commands that are run, too.
            os.set_inheritable(number, True)
            # Whoever takes the object's place goes on to write there.
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


class _Terminal(io.FileIO):
    """A terminal that, once it was closed, takes what is written and shows it to nobody.

    Who was told to stay then, by a SIGHUP that is ignored, does not fail for want of it.
    """

    def write(self, data: Any) -> int:
        """Write, as far as there is anyone."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return memoryview(data).nbytes


def _outlive_terminal() -> None:
    """Have what is said of a command not depend on there being a terminal still."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # One that is closed already is none any more to isatty.
        if stat.S_ISCHR(os.fstat(stream.fileno()).st_mode):
            outliving = io.TextIOWrapper(
                io.BufferedWriter(_Terminal(stream.fileno(), "w", closefd=False)),
                encoding=stream.encoding,
                errors=stream.errors,
                line_buffering=True,
            )
            setattr(sys, name, outliving)


def _remove_folders() -> None:
    """Remove what an end between two steps of a command has left."""
    temporary = sys.modules.get("biofuse.temporary")
    if temporary is not None:
        temporary.remove_folders()


def _public(text: str) -> str:
    """An error's text without secrets of the store's place."""
    from biofuse.stores.secrets import redact

    return redact(text)


def main() -> None:
    """Entry point: errors are one line on standard error."""
    _open_standard_streams()
    _outlive_terminal()
    exit_on_signals()
    try:
        sys.exit(cli(standalone_mode=False) or 0)
    except BiofuseError as error:
        click.echo(f"biofuse: {_public(str(error))}", err=True)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help())
        sys.exit(2)
    except click.UsageError as error:
        hint = f" (see '{error.ctx.command_path} --help')" if error.ctx else ""
        click.echo(f"biofuse: {' '.join(error.format_message().split())}{hint}", err=True)
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"biofuse: {error.format_message()}", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("biofuse: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:
        if os.environ.get("BIOFUSE_DEBUG"):
            raise
        kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
        click.echo(f"biofuse: {_public(kind + one_line(error))}", err=True)
        sys.exit(1)
    finally:
        _remove_folders()
