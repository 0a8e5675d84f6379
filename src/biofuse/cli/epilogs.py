"""What follows the options in a command's help."""

import re
import textwrap

from biofuse.api.presets import example_commands


def preset_epilog(how: str, stem: str | None = None) -> str:
    """The commands that fit each `--for`, for an epilog.

    Parameters
    ----------
    how : str
        Where they are typed.
    stem : str, optional
        The files' path without suffix; names in braces stay where it is None.
    """
    lines = ["", "\b", f"Commands that fit --for, {how}:"]
    for name, commands in example_commands(stem):
        lines.append(f"  --for {name}")
        for command in commands:
            # A line may end before an option, not before its value.
            parts = re.sub(r" (?!-)", "\0", command)
            wrapped = textwrap.wrap(parts, 68, break_long_words=False, break_on_hyphens=False)
            text = " \\\n      ".join(wrapped).replace("\0", " ")
            lines.append(f"    {text}")
    return "\n".join(lines) + "\n"
