"""Genetic maps, and centimorgans of variants from them, as `plink1.9 --cm-map` works them out.

A map has a line a point. PLINK's and SHAPEIT2's have position, rate and centimorgans, SHAPEIT4's
position, chromosome and centimorgans, Eagle's and HapMap's chromosome, position, rate and
centimorgans. What is between points is interpolated; beyond the last one all is as there, and
before the first one the rate in its line holds, if there is one.
"""

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from biofuse import native
from biofuse.errors import BiofuseError
from biofuse.formats.chromosome import chromosome_name
from biofuse.options import NamedFile
from biofuse.plan.file_text import find_lines, read_text, shown
from biofuse.plan.texts import Array

# Between columns; what else Python takes for such is refused.
_IS_BLANK = np.isin(np.arange(256), list(b" \t\r"))
_ODD = (b"\v", b"\f", b"\x1c", b"\x1d", b"\x1e", b"\x1f")
_ODD_BLANK = re.compile(r"[^\S \t\r\n]")
# How many names a message has.
_NAMED = 5
_EXPECTED = (
    "a genetic map has position, rate and centimorgans (PLINK), position, chromosome and "
    "centimorgans (SHAPEIT), or chromosome, position, rate and centimorgans (Eagle)"
)
# Bytes of a chromosome's name that are looked at.
_NAME = 64


@dataclass(frozen=True)
class _Columns:
    """Numbers of columns, from 0."""

    position: int
    cm: int
    chromosome: int | None = None
    rate: int | None = None


_PLINK = _Columns(position=0, rate=1, cm=2)
_SHAPEIT = _Columns(position=0, chromosome=1, cm=2)
_EAGLE = _Columns(chromosome=0, position=1, rate=2, cm=3)


@dataclass(frozen=True)
class _Points:
    """The points of a map of one chromosome.

    Attributes
    ----------
    position, cm : ndarray of float64
        Positions ascend.
    before : float
        Centimorgans a base before the first point.
    """

    position: Array
    cm: Array
    before: float

    def at(self, positions: Array) -> Array:
        """Centimorgans at positions, float64."""
        # As plink1.9 computes it, to the last bit: from the point that follows, with one at -1.
        position = np.concatenate(([-1.0], self.position))
        first = self.cm[0] - self.before * (self.position[0] + 1)
        cm = np.concatenate(([first], self.cm))
        slopes = np.diff(cm) / np.diff(position)
        following = np.searchsorted(position[1:], positions)
        inside = np.minimum(following, len(self.position) - 1)
        found: Array = self.cm[inside] - (self.position[inside] - positions) * slopes[inside]
        found[following == len(self.position)] = self.cm[-1]
        return found


@dataclass(frozen=True)
class _Block:
    """Lines of a map that are of one chromosome, as they stand in a file.

    Attributes
    ----------
    name : str
        The file's.
    whole : bytes
        The file's text.
    begin, end : int
        Where the lines are in it.
    first_line : int
        Number of the first one, from 1.
    columns : _Columns
    """

    name: str
    whole: bytes
    begin: int
    end: int
    first_line: int
    columns: _Columns

    def points(self) -> _Points:
        """Its points.

        Raises
        ------
        BiofuseError
            If a line has none, or is not after the one before.
        """
        columns, text = self.columns, self.whole[self.begin : self.end]
        try:
            found = np.loadtxt(
                io.BytesIO(text),
                dtype=np.float64,
                usecols=(columns.position, columns.cm),
                comments=None,
                ndmin=2,
            )
            rate = 0.0
            if columns.rate is not None:
                rate = float(text.split(None, columns.rate + 1)[columns.rate])
        except ValueError:
            self._refuse(text)
            raise BiofuseError(f"{self.name} cannot be read; {_EXPECTED}") from None
        position, cm = found[:, 0], found[:, 1]
        if (
            not (np.isfinite(found).all() and np.isfinite(rate))
            or (position != np.floor(position)).any()
            or (np.diff(position, prepend=-1) <= 0).any()
            or (np.diff(cm) < 0).any()
        ):
            self._refuse(text)
        return _Points(position, cm, rate * 1e-6)

    def _refuse(self, text: bytes) -> None:
        """Raise `BiofuseError` at the first line that is no point, or out of order."""
        columns = self.columns
        last, last_cm = -1.0, -np.inf
        for number, line in enumerate(text.decode().split("\n"), self.first_line):
            fields = line.split()
            if not fields:
                continue
            where = f"line {number} of {self.name}"
            if len(fields) <= columns.cm:
                raise BiofuseError(f"{where} has {len(fields)} columns only; {_EXPECTED}")
            position = _number(fields[columns.position])
            cm = _number(fields[columns.cm])
            if position is None or position != np.floor(position):
                raise BiofuseError(
                    f"the position in {where} is {shown(fields[columns.position])}; {_EXPECTED}"
                )
            if cm is None:
                raise BiofuseError(
                    f"the centimorgans in {where} are {shown(fields[columns.cm])}; {_EXPECTED}"
                )
            if last < 0 and columns.rate is not None and _number(fields[columns.rate]) is None:
                raise BiofuseError(
                    f"the rate in {where} is {shown(fields[columns.rate])}; {_EXPECTED}"
                )
            if position <= last:
                raise BiofuseError(
                    f"the position in {where}, {position:.0f}, is not after {last:.0f} in a line "
                    "before"
                )
            if cm < last_cm:
                raise BiofuseError(
                    f"the centimorgans in {where}, {cm:g}, are less than {last_cm:g} in a line "
                    "before"
                )
            last, last_cm = position, cm


class GeneticMap:
    """Centimorgans of a view's variants.

    Parameters
    ----------
    files : sequence of NamedFile
        One, or one a chromosome.
    contigs : sequence of str
        The store's names.

    Raises
    ------
    BiofuseError
        If a file is no map.
    """

    def __init__(self, files: Sequence[NamedFile], contigs: Sequence[str]):
        self._contigs = list(contigs)
        self._name = files[0].name
        self._files = {file.chromosome: file for file in files if file.chromosome is not None}
        self._blocks: dict[str | None, _Block] = {}
        if not self._files:
            self._blocks = _blocks_of(files[0])
        # By the store's number of the contig.
        self._points: dict[int, _Points | None] = {}

    def centimorgans(self, contigs: Array, positions: Array) -> native.Texts:
        """Centimorgans of variants, as PLINK writes them; 0 where there is no map.

        Parameters
        ----------
        contigs : ndarray of int
            Numbers of their contigs.
        positions : ndarray of int64

        Raises
        ------
        BiofuseError
            If the map of a contig is malformed.
        """
        found = np.zeros(len(positions), np.float64)
        for contig in np.unique(contigs).tolist():
            if contig not in self._points:
                self._points[contig] = self._find(contig)
            points = self._points[contig]
            if points is not None:
                here = np.flatnonzero(contigs == contig)
                found[here] = points.at(positions[here])
        return native.centimorgan_texts(found)

    def warnings(self) -> list[str]:
        """That there are contigs without a map, once all variants were seen.

        Raises
        ------
        BiofuseError
            If none of them has one.
        """
        without = [self._contigs[i] for i, points in self._points.items() if points is None]
        if not without:
            return []
        text = ", ".join(without[:_NAMED]) + (", ..." if len(without) > _NAMED else "")
        if len(without) < len(self._points):
            return [f"the genetic map has nothing of {text}: centimorgans are 0 there"]
        has = [str(name) for name in [*self._files, *self._blocks]]
        raise BiofuseError(
            f"{self._name} has nothing of the view's contigs, {text}: it is a map of "
            + ", ".join(has[:_NAMED])
            + (", ..." if len(has) > _NAMED else "")
        )

    def _find(self, contig: int) -> _Points | None:
        """The points of a contig, if there are any."""
        name = chromosome_name(self._contigs[contig])
        if name in self._files:
            return _only_block(self._files[name]).points()
        if None in self._blocks:
            others = [self._contigs[i] for i in self._points]
            if others:
                raise BiofuseError(
                    f"{self._name} does not say of which chromosome it is, and the view has "
                    f"{others[0]} and {self._contigs[contig]}: choose one with -r, or name a file "
                    "for each with @ in place of the chromosome"
                )
            return self._blocks[None].points()
        block = self._blocks.get(name)
        return None if block is None else block.points()


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _only_block(file: NamedFile) -> _Block:
    """The lines of a file of one chromosome, which its name says."""
    blocks = _blocks_of(file)
    [(chromosome, block)] = list(blocks.items())[:1]
    if len(blocks) > 1 or chromosome not in (None, file.chromosome):
        other = next(name for name in blocks if name != file.chromosome)
        raise BiofuseError(
            f"{file.name} has lines of chromosome {other}, and its name says {file.chromosome}"
        )
    return block


def _blocks_of(file: NamedFile) -> dict[str | None, _Block]:
    """The lines of each chromosome, by PLINK's name of it; None if a file does not tell.

    Raises
    ------
    BiofuseError
        If this is no map, or lines of a chromosome are at several places.
    """
    text = read_text(file)
    _check_blanks(file.name, text)
    lines = _first_lines(text)
    first = next(lines, None)
    is_header = first is not None and _number(first[1][-1]) is None
    data = next(lines, None) if is_header else first
    if first is None or data is None:
        raise BiofuseError(f"{file.name} has no points; {_EXPECTED}")
    columns = _columns_of(first[1] if is_header else None, data[1])
    if columns is None:
        raise BiofuseError(f"line {data[0]} of {file.name} is not understood; {_EXPECTED}")
    line, start = data[0], data[2]
    if columns.chromosome is None:
        return {None: _Block(file.name, text, start, len(text), line, columns)}
    found: dict[str | None, _Block] = {}
    for name, first_line, begin, end in _runs(text, columns.chromosome, line, file.name):
        chromosome = chromosome_name(name)
        if chromosome in found:
            raise BiofuseError(
                f"lines of chromosome {name} are at several places in {file.name}, again from line "
                f"{first_line} on"
            )
        found[chromosome] = _Block(file.name, text, begin, end, first_line, columns)
    return found


def _first_lines(text: bytes) -> Iterator[tuple[int, list[str], int]]:
    """The first lines that are not empty: their numbers, fields, and where they begin."""
    at = 0
    for number, line in enumerate(text[: 1 << 20].split(b"\n"), 1):
        if line.strip():
            yield number, line.decode(errors="replace").split(), at
        at += len(line) + 1


def _columns_of(header: Sequence[str] | None, fields: Sequence[str]) -> _Columns | None:
    """What a map has where, by its header if there is one, and its first line."""
    if len(fields) == 4:
        return _EAGLE
    if len(fields) != 3:
        return None
    names_chromosome = header is not None and len(header) == 3 and header[1].lower()[:3] == "chr"
    return _SHAPEIT if names_chromosome or _number(fields[1]) is None else _PLINK


def _check_blanks(name: str, text: bytes) -> None:
    """Raise `BiofuseError` if there are blanks of which not all agree that they part columns."""
    if text.isascii() and not any(odd in text for odd in _ODD):
        return
    decoded = text.decode()
    found = _ODD_BLANK.search(decoded)
    if found is not None:
        number = decoded.count("\n", 0, found.start()) + 1
        raise BiofuseError(
            f"line {number} of {name} has the character U+{ord(found[0]):04X}, which is neither a "
            "space nor a tab, between what it says: write one of those"
        )


def _runs(
    text: bytes, column: int, first_line: int, file: str
) -> Iterator[tuple[str, int, int, int]]:
    """Runs of lines from one on that are of one chromosome, which is in a column.

    Yields its name, the number of the first line, where this begins and where the last one ends.
    """
    data = np.frombuffer(text, np.uint8)
    starts, ends = find_lines(text)
    starts, ends = starts[first_line - 1 :], ends[first_line - 1 :]
    numbers = np.arange(first_line, first_line + len(starts))
    at = first = _skip(data, starts, blank=True)
    for _ in range(column):
        at = _skip(data, _skip(data, at, blank=False), blank=True)
    is_there = data[at] != ord("\n")
    short = np.flatnonzero(~is_there & (data[first] != ord("\n")))
    if len(short):
        place = f"line {numbers[short[0]]} of {file}"
        raise BiofuseError(f"{place} has not the column of the chromosome; {_EXPECTED}")
    there = np.flatnonzero(is_there)
    at, starts, ends, numbers = at[there], starts[there], ends[there], numbers[there]
    # What tells the names apart, a character at a time of all that are so long.
    keys, left = np.zeros(len(at), np.uint64), np.arange(len(at))
    for i in range(_NAME):
        characters = data[at[left] + i]
        left = left[characters > ord(" ")]
        if not len(left):
            break
        keys[left] = keys[left] * np.uint64(1_000_003) + data[at[left] + i]
    begins = np.flatnonzero(np.diff(keys, prepend=keys[:1] + np.uint64(1)))
    for i, after in zip(begins.tolist(), [*begins[1:].tolist(), len(at)], strict=True):
        name = text[at[i] : ends[i]].split(None, 1)[0].decode()
        yield name, int(numbers[i]), int(starts[i]), int(ends[after - 1]) + 1


def _skip(data: Array, at: Array, blank: bool) -> Array:
    """Where what is blank ends on each line, or what is not: at the line feed at the latest."""
    at = at.copy()
    left = np.arange(len(at))
    while len(left):
        here = data[at[left]]
        is_blank = _IS_BLANK[here]
        left = left[(is_blank == blank) & (here != ord("\n"))]
        at[left] += 1
    return at
