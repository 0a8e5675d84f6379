"""The fenced blocks of the documentation, and how they are run.

A block's info string begins with its language, `sh` or `python`. Words after it say what the block
needs beyond what tests have: `needs=PROGRAM` a program or a Python package, `by-hand` a person, a
network or root. Such a block is run only where what it needs is there; the lines of `biofuse` in
it must parse all the same.
"""

import importlib.util
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from biofuse.cli.main import cli

ROOT = Path(__file__).parents[2]
PROGRAM_PAGES = sorted((ROOT / "docs" / "programs").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *PROGRAM_PAGES]
LANGUAGES = ("sh", "python")

_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MOUNT = re.compile(r"^(biofuse mount \S+ (\S+).*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it is, its language, its marks, its text."""

    page: Path
    line: int
    language: str
    marks: list[str] = field(default_factory=list)
    text: str = ""

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_runnable(self) -> bool:
        """Whether all that its marks name is there."""
        return all(_is_there(mark, self.language) for mark in self.marks)

    def commands(self) -> Iterator[list[str]]:
        """Its lines of shell as words, without comments; continued lines are one."""
        line = ""
        for part in self.text.replace("\\\n", " ").splitlines(keepends=True):
            line += part
            try:
                words = shlex.split(line, comments=True)
            except ValueError:  # a quotation that goes on in the next line
                continue
            line = ""
            if words:
                yield words
        assert not line, f"{self.name}: no closing quotation"


def _is_there(mark: str, language: str) -> bool:
    kind, _, name = mark.partition("=")
    if kind == "by-hand":
        return False
    if kind != "needs" or not name:
        raise ValueError(f"no such mark of a block: {mark}")
    if language == "python":
        return importlib.util.find_spec(name) is not None
    return shutil.which(name) is not None


def blocks(page: Path) -> list[Block]:
    """The blocks of a page that have a language of ours."""
    text = page.read_text()
    found = []
    for match in _FENCE.finditer(text):
        language, *marks = match[1].split() or [""]
        if language in LANGUAGES:
            line = text.count("\n", 0, match.start()) + 2
            found.append(Block(page, line, language, marks, match[2]))
    return found


def check_parses(words: list[str]) -> None:
    """A command line of biofuse must be one that its parser takes; nothing is run.

    Raises
    ------
    click.ClickException
        Where it does not parse.
    """
    command: click.Command | None = cli
    name, *rest = words[1:]
    if name.startswith("-"):
        assert name in ("-h", "--help", "--version"), words
        return
    command = cli.get_command(click.Context(cli), name)
    assert command is not None, f"there is no command {name}"
    if "--help" not in rest:
        command.make_context(name, rest)


def script(page_blocks: list[Block], python: str) -> str:
    """One script of the runnable blocks, in their order, that ends at the first failure.

    What is mounted at a place is unmounted before another mount there: such lines are
    alternatives.
    """
    parts = ["set -eu"]
    for block in page_blocks:
        if not block.is_runnable:
            continue
        parts.append(f"echo '== {block.name}' >&2")
        if block.language == "python":
            parts.append(f"{shlex.quote(python)} - <<'END OF BLOCK'\n{block.text}END OF BLOCK")
        else:
            parts.append(
                _MOUNT.sub(r"if mountpoint -q \2; then biofuse umount \2; fi\n\1", block.text)
            )
    return "\n".join(parts) + "\n"
