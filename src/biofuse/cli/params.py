"""What options are made of: types of values, and groups that come as one argument."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from biofuse.address import parse_address
from biofuse.errors import BiofuseError
from biofuse.memory import format_size, parse_size

if TYPE_CHECKING:
    _IntType = click.ParamType[int, Any]
    _StrType = click.ParamType[str, Any]
else:
    # There are versions of click in which this takes no types.
    _IntType = _StrType = click.ParamType


class Size(_IntType):
    """A number of bytes, such as 128MiB.

    Parameters
    ----------
    least : int
        The smallest that will do.
    """

    name = "size"

    def __init__(self, least: int = 0):
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            size = parse_size(value)
        except BiofuseError as error:
            self.fail(str(error), param, ctx)
        if size < self._least:
            self.fail(f"{value} is less than {format_size(self._least)}, the least", param, ctx)
        return size


class Seconds(click.FloatRange):
    """A time, of a tenth of a second at least."""

    name = "seconds"

    def __init__(self) -> None:
        super().__init__(min=0.1)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        seconds = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value} is not a number of seconds", param, ctx)
        return seconds


class ListenAddress(_StrType):
    """A port, a host and port, or the path of a Unix socket."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(parse_address(value))
        except BiofuseError as error:
            self.fail(str(error), param, ctx)


class Name(_StrType):
    """A name of a file or directory, which a shell completes. Nothing is asked of the file.

    Parameters
    ----------
    kind : str
        "file" or "dir".
    """

    name = "path"

    def __init__(self, kind: str = "file"):
        self._kind = kind

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type=self._kind)]


@dataclass(frozen=True)
class Part:
    """An argument of a command that several of its options make up.

    Attributes
    ----------
    name : str
        The argument's.
    make : callable
        From the values of these options, by name, to the argument: mostly a dataclass.
    """

    name: str
    make: Callable[..., Any]


class PartOption(click.Option):
    """An option that belongs to a `Part`, and that `--help` lists under a heading."""

    def __init__(self, *args: Any, heading: str = "Options", part: Part, **settings: Any):
        super().__init__(*args, **settings)
        self.heading = heading
        self.part = part


class Command(click.Command):
    """A command whose options come in parts, and are listed under headings."""

    def collect(self, params: dict[str, Any]) -> dict[str, Any]:
        """The command's arguments, from the values of its parameters by name."""
        left = dict(params)
        parts: dict[Part, dict[str, Any]] = {}
        for param in self.params:
            if isinstance(param, PartOption) and param.name in left:
                parts.setdefault(param.part, {})[param.name] = left.pop(param.name)
        made = {part.name: part.make(**values) for part, values in parts.items()}
        return {**left, **made}

    def invoke(self, ctx: click.Context) -> Any:
        ctx.params = self.collect(ctx.params)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            # An argument, which the usage names, has no line of its own.
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                sections.setdefault(getattr(param, "heading", "Options"), []).append(record)
        for heading in sorted(sections, key=lambda h: h != "Options"):
            with formatter.section(heading):
                formatter.write_dl(sections[heading])


# A row of a table of options: their names, and what click is told of them.
Row = tuple[tuple[str, ...], dict[str, Any]]


def options(part: Part, heading: str, *rows: Row) -> Callable[[Any], Any]:
    """A decorator that gives a command the options of a table."""

    def decorate(f: Any) -> Any:
        for names, settings in reversed(rows):
            f = click.option(*names, cls=PartOption, heading=heading, part=part, **settings)(f)
        return f

    return decorate
