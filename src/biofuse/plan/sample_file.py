"""Files of what is known of samples, taken apart: tables, and PLINK's and Oxford's own.

A table has a header with a column IID, as a `.psam` has it, between tabs or, if there is none in
the header, white space. A `.fam` has six columns and no header, a `.sample` two lines of header.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.options import NamedFile
from biofuse.plan.file_text import find_lines, read_text, shown
from biofuse.plan.texts import Array, TextArray

# Columns that are no phenotypes.
FID, IID, PAT, MAT, SEX = "FID", "IID", "PAT", "MAT", "SEX"
_KNOWN = (FID, IID, "SID", PAT, MAT, SEX)
_FAM = (FID, IID, PAT, MAT, SEX, "PHENO1")
_OXFORD = {"ID_1": FID, "ID_2": IID, "FATHER": PAT, "MOTHER": MAT, "SEX": SEX}
_OXFORD_TYPES = frozenset("0CDPB")
_MALE, _FEMALE = 1, 2
_SEXES = {
    **dict.fromkeys(("1", "m", "male"), _MALE),
    **dict.fromkeys(("2", "f", "female"), _FEMALE),
    **dict.fromkeys(("", "0", "na", "nan", "n/a", ".", "-9", "u", "unknown"), 0),
}
_TAB, _LINE_FEED, _SPACE, _QUOTE = ord("\t"), ord("\n"), ord(" "), ord('"')


@dataclass(frozen=True)
class SampleFile:
    """The columns of a file, a row a sample.

    Attributes
    ----------
    name : str
        The file's.
    names : sequence of str
        Of its columns: `FID`, `IID`, `PAT`, `MAT`, `SEX`, and phenotypes.
    text : bytes
        With tabs between columns.
    lines : ndarray of int64
        Numbers of the lines that rows are in.
    starts, ends : ndarray of int64
        Where these begin, and where their line feeds are.
    binary : frozenset of str
        Phenotypes of which the file says that 1 is for cases and 0 for controls.
    ignored : frozenset of str
        Columns that are no phenotypes.
    is_fam : bool
    """

    name: str
    names: Sequence[str]
    text: bytes
    lines: Array
    starts: Array
    ends: Array
    binary: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    is_fam: bool = False

    @staticmethod
    def read(file: NamedFile) -> "SampleFile":
        """Take a file apart.

        Raises
        ------
        BiofuseError
            If it is none of the kinds, or a line has other columns than the first one.
        """
        return _Reader(file).read()

    @property
    def phenotypes(self) -> list[str]:
        """Names of all columns that are no others."""
        others = {"", *_KNOWN, *self.ignored}
        return [name for name in self.names if name not in others]

    @cached_property
    def tabs(self) -> Array:
        """Where there are tabs, int64."""
        return np.flatnonzero(np.frombuffer(self.text, np.uint8) == _TAB)

    @cached_property
    def _before(self) -> Array:
        """How many tabs there are before each row."""
        return np.searchsorted(self.tabs, self.starts)

    @cached_property
    def _blanks(self) -> Array:
        """Where there is white space within columns."""
        data = np.frombuffer(self.text, np.uint8)
        return np.flatnonzero((data <= _SPACE) & (data != _TAB) & (data != _LINE_FEED))

    def check_lines(self) -> None:
        """Raise `BiofuseError` if a line has more or fewer columns than there are names."""
        counts = np.searchsorted(self.tabs, self.ends) - self._before + 1
        wrong = np.flatnonzero(counts != len(self.names))
        if len(wrong):
            row = int(wrong[0])
            raise BiofuseError(
                f"{self.where(row)} has {counts[row]} columns, and the "
                f"{'first line' if self.is_fam else 'header'} {len(self.names)}"
            )

    def column(self, name: str) -> TextArray:
        """A column."""
        k = self.names.index(name)
        begin = self.starts if k == 0 else self.tabs[self._before + (k - 1)] + 1
        is_last = k == len(self.names) - 1
        end = self.ends if is_last else self.tabs[self._before + k]
        return TextArray(
            memoryview(self.text), begin.astype(np.uint64), (end - begin).astype(np.uint32)
        )

    def where(self, row: int) -> str:
        """Where a row is, for messages."""
        return f"line {self.lines[row]} of {self.name}"

    def words(self, name: str) -> TextArray:
        """A column whose texts other columns are to follow after white space.

        Raises
        ------
        BiofuseError
            If one has white space in it.
        """
        column = self.column(name)
        if not len(self._blanks):
            return column
        first = np.searchsorted(self._blanks, column.starts)
        inside = np.searchsorted(self._blanks, column.starts + column.sizes) > first
        if inside.any():
            row = int(np.argmax(inside))
            raise BiofuseError(
                f"{name} in {self.where(row)} is {shown(column[row : row + 1].column()[0])}, with "
                "white space, which separates the columns of the files to show"
            )
        return column

    def sexes(self) -> Array:
        """For each row 1 for male, 2 for female, 0 where that is not known: uint8.

        Raises
        ------
        BiofuseError
            If a code is none of these.
        """
        codes = np.full(len(self.lines), 255, np.uint8)
        if SEX not in self.names:
            codes[:] = 0
            return codes
        column = self.column(SEX)
        for token, code in _SEXES.items():
            codes[equal(column, token)] = code
        wrong = np.flatnonzero(codes == 255)
        if len(wrong):
            row = int(wrong[0])
            raise BiofuseError(
                f"the sex in {self.where(row)} is {shown(column[row : row + 1].column()[0])}: "
                "1, M or male and 2, F or female are taken, and 0, NA or nothing where it is not "
                "known"
            )
        return codes


def equal(column: TextArray, token: str) -> Array:
    """The rows of a column, of one dimension, that are a text of ASCII, in any case."""
    data = np.frombuffer(column.data, np.uint8)
    rows = np.flatnonzero(column.sizes == len(token))
    for i, character in enumerate(token.lower()):
        found = data[column.starts[rows] + np.uint64(i)]
        rows = rows[(found == ord(character)) | (found == ord(character.upper()))]
    return rows


class _Reader:
    """Takes a file apart.

    Parameters
    ----------
    file : NamedFile
    """

    def __init__(self, file: NamedFile):
        self._name = file.name
        self._text = read_text(file)
        self._starts, self._ends = find_lines(self._text)

    def read(self) -> SampleFile:
        """Tell what kind of file it is by its first line, and read it."""
        first = self._first_line()
        line = self._line(first)
        words = line.split()
        fields = line.split("\t") if "\t" in line else words
        names = [field.strip() for field in fields]
        self._check_quotes(first)
        upper = [name.removeprefix("#").upper() for name in names]
        if IID in upper:
            shown_names = [u if u in _KNOWN else n for u, n in zip(upper, names, strict=True)]
            return self._rows(shown_names, first + 1, "\t" in line)
        if [word.upper() for word in words[:2]] == ["ID_1", "ID_2"]:
            return self._oxford(words, first)
        if len(words) == len(_FAM) and (words[4].lower() in _SEXES or not words[4].isalpha()):
            return self._rows(_FAM, first, False, is_fam=True)
        hint = "; columns are to be separated by tabs" if "," in line and "\t" not in line else ""
        raise BiofuseError(
            f"line {first + 1} of {self._name} is {shown(line)}, no header with IID, nor the first "
            f"line of a .fam (six columns) or of Oxford's .sample{hint}"
        )

    def _first_line(self) -> int:
        """The index of the first line that is not empty, and no comment of a `.psam`."""
        for i in range(len(self._starts)):
            line = self._line(i)
            if line.strip() and not line.startswith("##"):
                return i
        raise BiofuseError(f"{self._name} is empty: a table of samples is wanted")

    def _line(self, i: int) -> str:
        return self._text[self._starts[i] : self._ends[i]].decode()

    def _check_quotes(self, first: int) -> None:
        """Raise `BiofuseError` if a field, in lines from one on, begins with a quotation mark."""
        data = np.frombuffer(self._text, np.uint8)
        quotes = np.flatnonzero(data == _QUOTE)
        begins = (quotes == 0) | (data[quotes - 1] <= _SPACE)
        quotes = quotes[begins & (quotes >= self._starts[first])]
        if len(quotes):
            line = int(np.searchsorted(self._ends, quotes[0])) + 1
            raise BiofuseError(
                f"line {line} of {self._name} has quotes: write the table without (in R, "
                "quote=FALSE)"
            )

    def _oxford(self, header: Sequence[str], first: int) -> SampleFile:
        types = self._line(first + 1).split() if first + 1 < len(self._starts) else []
        if len(types) != len(header) or not _OXFORD_TYPES.issuperset(types):
            raise BiofuseError(
                f"line {first + 2} of {self._name} is not the second one of a .sample, which has "
                "0, D, C, P or B for each column"
            )
        names = [_OXFORD.get(name.upper(), name) for name in header]
        binary = frozenset(n for n, kind in zip(names, types, strict=True) if kind == "B")
        # The share of missing calls.
        ignored = frozenset(name for name in names[2:3] if name.lower() == "missing")
        return self._rows(names, first + 2, False, binary=binary, ignored=ignored)

    def _rows(
        self,
        names: Sequence[str],
        first: int,
        by_tabs: bool,
        binary: frozenset[str] = frozenset(),
        ignored: frozenset[str] = frozenset(),
        is_fam: bool = False,
    ) -> SampleFile:
        """The file, whose samples are in lines from one on."""
        named = [name for name in names if name]
        twice = next((name for i, name in enumerate(named) if name in named[:i]), None)
        if twice is not None:
            raise BiofuseError(f"{self._name} has two columns {twice}")
        if not by_tabs:
            self._separate_by_tabs()
        lines = np.arange(first, len(self._starts))
        lines = lines[self._ends[lines] > self._starts[lines]]
        found = SampleFile(
            self._name,
            names,
            self._text,
            lines + 1,
            self._starts[lines],
            self._ends[lines],
            binary,
            ignored,
            is_fam,
        )
        found.check_lines()
        if len(lines) == 0:
            raise BiofuseError(f"{self._name} has no samples")
        return found

    def _separate_by_tabs(self) -> None:
        """Put one tab in place of white space, and none at the ends of lines."""
        text = self._text.replace(b" ", b"\t")
        if any(pair in text for pair in (b"\t\t", b"\t\n", b"\n\t")) or text.startswith(b"\t"):
            text = b"".join(b"\t".join(line.split()) + b"\n" for line in text.split(b"\n")[:-1])
        self._text = text
        self._starts, self._ends = find_lines(text)
