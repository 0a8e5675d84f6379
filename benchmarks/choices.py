"""Options that the benchmarks' commands share."""

from pathlib import Path

import click

DIRECTORY = click.Path(path_type=Path, file_okay=False)


class Several(click.ParamType):
    """Names separated by commas, each one of a given set."""

    name = "names"

    def __init__(self, known: tuple[str, ...]) -> None:
        self.known = known

    def convert(self, value, param, ctx):
        """Split and check the names."""
        names = tuple(value.split(",")) if isinstance(value, str) else value
        for name in names:
            if name not in self.known:
                self.fail(f"{name!r} is not one of {', '.join(self.known)}", param, ctx)
        return names


def several(flag: str, known: tuple[str, ...], text: str, default: tuple[str, ...] = ()):
    """Make an option that takes some of several names, by default all of them."""
    help_text = f"{text}: some of {','.join(known)}."
    return click.option(
        flag, type=Several(known), default=",".join(default or known), help=help_text
    )
