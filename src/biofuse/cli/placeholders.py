"""What stands for files in the command of `biofuse run`: {bed}, {stem}, {bed:22}."""

import difflib
import os
import re
from collections.abc import Iterator, Sequence

from biofuse import formats
from biofuse.api.settings import FormatOptions, ViewChoices
from biofuse.errors import BiofuseError
from biofuse.formats.base import File
from biofuse.formats.chromosome import chromosome_name
from biofuse.options import ViewOptions

# How like a file's name a word is that was probably meant to be one.
_CLOSE = 0.75
# A name, and a contig if there are files for each.
_PLACEHOLDER = re.compile(r"\{(\w+)(?::([^{}]+))?\}")
_GENERAL = ("dir", "stem", "contigs")


def help_text() -> str:
    """What a command may name."""
    rows = [
        " ".join(f"{{{file.name}}}" for file in formats.get_format(name).FILES)
        for name in formats.NAMES
    ]
    rows[0] = f"{rows[0]:<24} the files' paths         $BIOFUSE_BED, $BIOFUSE_BIM, ..."
    rows += [
        f"{'{stem}':<24} their path, no suffix    $BIOFUSE_STEM",
        f"{'{dir}':<24} their directory          $BIOFUSE_DIR",
        f"{'{bed:22} {stem:22} ...':<24} those of a contig, with --per-contig",
        f"{'{contigs}':<24} names of all contigs     $BIOFUSE_CONTIGS",
    ]
    head = "\b\nIn COMMAND and its environment these stand for the files:\n"
    return head + "".join(f"  {row}\n" for row in rows)


def name_all(command_line: Sequence[str]) -> bool:
    """Whether a command may open files that its words do not name one by one."""
    return any("{stem" in word or "{dir}" in word or "BIOFUSE_" in word for word in command_line)


def _files() -> Iterator[tuple[str, File]]:
    """Every kind of file that a command may name, with its format."""
    for name in formats.NAMES:
        for file in formats.get_format(name).FILES:
            yield name, file


def used_formats(
    command_line: Sequence[str], view: ViewChoices, options: FormatOptions
) -> list[str]:
    """Formats of the files that a command's words name.

    Raises
    ------
    BiofuseError
        If one names a file that the options leave out, or almost names one, or one of a contig
        where there are none, or no contig where there are.
    """
    found = [each for word in command_line for each in _PLACEHOLDER.findall(word)]
    used = []
    for format_name, file in _files():
        contigs = [contig for name, contig in found if name == file.name]
        if not contigs:
            continue
        if view.format_names and format_name not in view.format_names:
            shown = " ".join(f"--format {name}" for name in view.format_names)
            raise BiofuseError(
                f"there is no {{{file.name}}} with {shown}: add --format {format_name}"
            )
        if file.unless is not None and options.get(format_name, {}).get(file.unless):
            option = file.unless.replace("_", "-")
            raise BiofuseError(f"there is no {{{file.name}}} with --{option}")
        if view.is_per_contig and "" in contigs:
            raise BiofuseError(
                f"there is a {{{file.name}}} for each contig with --per-contig: name one, as in "
                f"{{{file.name}:22}}"
            )
        used.append(format_name)
    _check_names([name for name, _ in found])
    known = [*_GENERAL, *(file.name for _, file in _files())]
    for name, contig in found:
        if contig and name in known and not view.is_per_contig:
            raise BiofuseError(f"{{{name}:{contig}}} is for --per-contig")
    if not view.is_per_contig and any(name == "contigs" for name, _ in found):
        raise BiofuseError("{contigs} is for --per-contig")
    return used


def _check_names(words: Sequence[str]) -> None:
    """Raise `BiofuseError` at what is almost the name of a file; {print} of awk is not."""
    known = [*_GENERAL, *(file.name for _, file in _files())]
    for word in words:
        close = difflib.get_close_matches(word.lower(), known, 1, _CLOSE)
        if close and word not in known:
            raise BiofuseError(
                f"there is no {{{word}}}; did you mean {{{close[0]}}}? "
                f"A command may name {', '.join(f'{{{name}}}' for name in known)}"
            )


class Placeholders:
    """The files that a command's words and environment may name.

    Parameters
    ----------
    directory : str
        Where they are.
    options : ViewOptions
    """

    def __init__(self, directory: str, options: ViewOptions):
        self._names = {"dir": directory, "stem": os.path.join(directory, options.stem)}
        self._of_contigs: dict[tuple[str, str], str] = {}
        suffixes = {file.suffix: file.name for _, file in _files()}
        # The longest first: .bgen.bgi is not .bgi of another file.
        by_length = sorted(suffixes, key=len, reverse=True)
        for entry in sorted(os.listdir(directory)):
            suffix = next((each for each in by_length if entry.endswith(each)), None)
            if suffix is None:
                continue
            stem = entry.removesuffix(suffix)
            self._add(suffixes[suffix], stem, os.path.join(directory, entry), options)
        self._contigs = list(dict.fromkeys(contig for _, contig in self._of_contigs))
        if options.name_template is not None:
            self._names["contigs"] = " ".join(self._contigs)

    def _add(self, name: str, stem: str, path: str, options: ViewOptions) -> None:
        if options.name_template is None:
            self._names[name] = path
            return
        pattern = re.escape(options.name_template).replace(r"\{stem\}", re.escape(options.stem))
        found = re.fullmatch(pattern.replace(r"\{contig\}", "(.+)"), stem)
        if found:
            self._of_contigs[name, found[1]] = path
            self._of_contigs["stem", found[1]] = os.path.join(os.path.dirname(path), stem)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that name them."""
        return {f"BIOFUSE_{name.upper()}": path for name, path in self._names.items()}

    def put_in(self, word: str) -> str:
        """A word of the command, with paths put in.

        Raises
        ------
        BiofuseError
            If there is no such contig.
        """
        return _PLACEHOLDER.sub(lambda found: self._path(found[1], found[2], found[0]), word)

    def _path(self, name: str, contig: str | None, text: str) -> str:
        if contig is None:
            return self._names.get(name, text)
        for each in (contig, chromosome_name(contig)):
            if (name, each) in self._of_contigs:
                return self._of_contigs[name, each]
        if any(name == known for known, _ in self._of_contigs):
            raise BiofuseError(f"there is no {text}: contigs are {', '.join(self._contigs)}")
        return text
