"""The header of a BCF file: a VCF's header, whose lines tell the numbers that records use."""

import re
import struct
from collections.abc import Iterator, Sequence

from biofuse.errors import BiofuseError
from biofuse.formats.base import Sites

_MAGIC = b"BCF\2\2"
_PASS = ("PASS", "All filters passed")
_VERSION = "VCFv4.3"
# Lines that are made here, whatever the store says.
_OWN = ("fileformat", "contig", "FILTER", "INFO", "FORMAT")
_COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT")
# Of a name that is part of a line in angle brackets.
_NOT_IN_NAMES = re.compile(r"[\s,<>=\"]")
_INT8, _INT16, _INT32 = 1, 2, 3


class Dictionary:
    """The dictionary of strings: the numbers that stand for FILTERs, INFO and FORMAT.

    Parameters
    ----------
    sites : Sites

    Attributes
    ----------
    keys : dict of str to int
        One for a name that several kinds of lines have.
    """

    def __init__(self, sites: Sites):
        names = [_PASS[0], *(name for name, _ in sites.filters)]
        names += [*(field.key for field in sites.info), "GT"]
        self.keys = {name: i for i, name in enumerate(dict.fromkeys(names))}


def header_bytes(sites: Sites, dictionary: Dictionary, samples: Sequence[str]) -> bytes:
    """All that precedes the records.

    Raises
    ------
    BiofuseError
        If a name does not fit a line.
    """
    text = "".join(f"{line}\n" for line in _lines(sites, dictionary, samples)).encode() + b"\0"
    if len(text) >= 1 << 31:
        raise BiofuseError(f"the header of the .bcf would be of {len(text):,} bytes")
    return _MAGIC + struct.pack("<I", len(text)) + text


def _lines(sites: Sites, dictionary: Dictionary, samples: Sequence[str]) -> Iterator[str]:
    keys = dictionary.keys
    version = next((value for name, value in sites.meta if name == "fileformat"), _VERSION)
    yield f"##fileformat={version if version.startswith('VCFv4.') else _VERSION}"
    filters = dict([_PASS, *sites.filters])
    for name, description in filters.items():
        _check_name(name, "filter_id")
        yield f'##FILTER=<ID={name},Description="{_quoted(description)}",IDX={keys[name]}>'
    for name, value in sites.meta:
        if name not in _OWN:
            yield f"##{_one_line(name)}={_one_line(value)}"
    for i, contig in enumerate(sites.contigs):
        _check_name(contig.name, "contig_id")
        length = f",length={contig.length}" if contig.length else ""
        yield f"##contig=<ID={contig.name}{length},IDX={i}>"
    for field in sites.info:
        _check_name(field.key, "a field of INFO")
        yield (
            f"##INFO=<ID={field.key},Number={field.number},Type={field.type},"
            f'Description="{_quoted(field.description)}",IDX={keys[field.key]}>'
        )
    yield f'##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype",IDX={keys["GT"]}>'
    for sample in samples:
        if not sample or any(character in sample for character in "\t\n\r\0"):
            raise BiofuseError(
                f"sample ID {sample!r} is empty or has a tab or the end of a line in it, which "
                "a .bcf cannot show; leave the sample out with -s ^ID, or rename it"
            )
    yield "\t".join((*_COLUMNS, *samples))


def _check_name(name: str, where: str) -> None:
    if not name or _NOT_IN_NAMES.search(name) or "\0" in name:
        raise BiofuseError(
            f"the store has the name {name!r} in {where}, which does not fit a header of a .bcf"
        )


def _one_line(text: str) -> str:
    return re.sub(r"[\r\n\0]+", " ", text)


def _quoted(text: str) -> str:
    """What may be between quotes: those in the text behind backslashes, if they are not yet."""

    def escape(match: re.Match[str]) -> str:
        found = match.group()
        return found if len(found) == 2 else f"\\{found}"

    return re.sub(r'\\[\\"]|["\\]', escape, _one_line(text))


def typed_int(number: int) -> bytes:
    """A number behind its type, the smallest that holds it."""
    if number < 1 << 7:
        return struct.pack("<BB", 1 << 4 | _INT8, number)
    if number < 1 << 15:
        return struct.pack("<BH", 1 << 4 | _INT16, number)
    return struct.pack("<BI", 1 << 4 | _INT32, number)


def typed_size(count: int, width: int) -> bytes:
    """The type of so many integers, of 1 or 2 bytes."""
    kind = _INT8 if width == 1 else _INT16
    if count < 15:
        return struct.pack("<B", count << 4 | kind)
    return struct.pack("<B", 15 << 4 | kind) + typed_int(count)
