"""What stands for files in the command of `biofuse run`: {bed}, {stem}, {bed:22}."""

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence

from biofuse import formats
from biofuse.api.settings import FormatOptions, ViewChoices
from biofuse.errors import BiofuseError
from biofuse.formats.base import File
from biofuse.formats.chromosome import chromosome_name, name_in_files

# How like a file's name a word is that was probably meant to be one.
_CLOSE = 0.75
# A name, and a contig if there are files for each.
_PLACEHOLDER = re.compile(r"\{(\w+)(?::([^{}]+))?\}")
# Contigs that an error names.
_FEW = 60
# Linux takes 128 KiB of a variable, with its name.
_MAX_VARIABLE = (1 << 17) - 64
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
        f"{'{contigs}':<24} contigs as in file names $BIOFUSE_CONTIGS",
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
    """Formats of the files that a command's words name, each once.

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
    return list(dict.fromkeys(used))


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
    stem : str
        Their name without suffix.
    contigs : mapping of str to str
        If there is a fileset for each contig: their names, and their files' without suffix.
        Commands are told of those as files have them.
    """

    def __init__(self, directory: str, stem: str, contigs: Mapping[str, str]):
        self._names = {"dir": directory, "stem": os.path.join(directory, stem)}
        self._contigs = list(contigs)
        self._by_name = {name_in_files(contig): contig for contig in contigs}
        self._of_contigs: dict[tuple[str, str], str] = {}
        there = set(os.listdir(directory))
        for _, file in _files():
            if not contigs and stem + file.suffix in there:
                self._names[file.name] = os.path.join(directory, stem + file.suffix)
            for contig, each in contigs.items():
                if each + file.suffix in there:
                    path = os.path.join(directory, each)
                    self._of_contigs[file.name, contig] = path + file.suffix
                    self._of_contigs["stem", contig] = path
        if contigs:
            # Which are put into texts of shells, and come from a store.
            self._names["contigs"] = " ".join(map(name_in_files, contigs))

    @property
    def environment(self) -> dict[str, str]:
        """Variables that name them, but for one that is longer than the system takes."""
        return {
            f"BIOFUSE_{name.upper()}": text
            for name, text in self._names.items()
            if len(os.fsencode(text)) < _MAX_VARIABLE
        }

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
        for each in (contig, chromosome_name(contig), self._by_name.get(contig, contig)):
            if (name, each) in self._of_contigs:
                return self._of_contigs[name, each]
        if any(name == known for known, _ in self._of_contigs):
            more = f" and {len(self._contigs) - _FEW:,} more" if len(self._contigs) > _FEW else ""
            names = ", ".join(self._contigs[:_FEW])
            raise BiofuseError(f"there is no {text}: contigs are {names}{more}")
        return text
