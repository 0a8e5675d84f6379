"""Regions and targets as they are written on a command line."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from biofuse.errors import BiofuseError
from biofuse.plan.file_text import shown
from biofuse.plan.intervals import EVERYWHERE
from biofuse.selection_files import MAX_POSITION, parse_position

_PIECE = re.compile(r"\{[^}]*\}[^,]*|[^,]+")
# What is left of a number with commas after it was split at them.
_REST_OF_NUMBER = re.compile(r"\d{3}(-\d*)?")


@dataclass(frozen=True)
class Region:
    """Positions of a contig.

    Attributes
    ----------
    contig : str
    first, last : int
        From 1.
    """

    contig: str
    first: int
    last: int


def parse_regions(text: str, option: str, contigs: Collection[str]) -> list[Region]:
    """The regions of a list such as `20,21:5,22:100-200,X:1000-,{HLA:01}:5`.

    Parameters
    ----------
    text : str
    option : str
        Where it comes from, for messages.
    contigs : collection of str
        Those that the store has: a name may have colons in it. Others may be named.

    Raises
    ------
    BiofuseError
        If it is not understood, or can be understood in two ways.
    """
    pieces = [piece.strip() for piece in _PIECE.findall(text) if piece.strip()]
    if not pieces:
        raise BiofuseError(f"a region or target is empty: {option} {text!r} names none")
    regions: list[Region] = []
    for i, piece in enumerate(pieces):
        if i and piece not in contigs and _is_rest(piece, pieces[i - 1]):
            raise BiofuseError(
                f"{option}: the store has no contig {shown(piece)}, in {shown(text)}; numbers are "
                "written without commas, as in 20:1000-2000"
            )
        regions.append(_parse(piece, option, contigs))
    return regions


def _is_rest(piece: str, before: str) -> bool:
    """Whether a piece continues a number that commas divide."""
    return bool(re.search(r":.*\d$", before) and _REST_OF_NUMBER.fullmatch(piece))


def _parse(piece: str, option: str, contigs: Collection[str]) -> Region:
    if piece.startswith("{"):
        name, brace, rest = piece[1:].partition("}")
        if not brace or (rest and not rest.startswith(":")):
            raise BiofuseError(f"{option}: {shown(piece)} is not understood: {{CONTIG}}:FIRST-LAST")
        return _region(name, rest[1:], piece, option) if rest else Region(name, *EVERYWHERE)
    found = [Region(piece, *EVERYWHERE)] if piece in contigs else []
    for at in re.finditer(":", piece):
        name, rest = piece[: at.start()], piece[at.end() :]
        # A name with colons in it may have a part that looks like another contig's.
        if name in contigs and _bounds(rest) is not None:
            found.append(_region(name, rest, piece, option))
    if len(found) > 1:
        raise BiofuseError(
            f"{option}: {shown(piece)} may be of any of the contigs "
            f"{', '.join(repr(region.contig) for region in found)}: write one of them in braces, "
            f"as in {{{found[0].contig}}}"
        )
    if found:
        return found[0]
    if piece.startswith("^"):
        raise BiofuseError(
            f"{option}: {shown(piece)} has a ^ that is not understood: it leaves out where it is "
            "the first character of what -t, -T, -s or -S are given"
        )
    name, colon, rest = piece.partition(":")
    return _region(name, rest, piece, option) if colon else Region(name, *EVERYWHERE)


def _bounds(text: str) -> tuple[int, int] | None:
    begin, dash, end = text.partition("-")
    first = parse_position(begin)
    if first is None or first < 0:
        return None
    if not dash:
        return first, first
    last = parse_position(end) if end.strip() else MAX_POSITION
    return None if last is None or last < 0 else (first, last)


def _region(contig: str, text: str, piece: str, option: str) -> Region:
    bounds = _bounds(text)
    if bounds is None:
        hint = f": write {contig}:1{text}" if re.fullmatch(r"-\d{1,20}", text) else ""
        raise BiofuseError(f"{option}: the region {shown(piece)} is not understood{hint}")
    if bounds[1] < bounds[0]:
        raise BiofuseError(f"{option}: the region {shown(piece)} ends before it begins")
    return Region(contig, *bounds)
