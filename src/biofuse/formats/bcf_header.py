"""The header of a BCF file: a VCF's header, whose lines tell the numbers that records use."""

import re
import struct
from collections import Counter
from collections.abc import Iterator, Sequence

from biofuse.errors import BiofuseError
from biofuse.formats.site_fields import CallField, InfoField, Sites

_MAGIC = b"BCF\2\2"
_PASS = ("PASS", "All filters passed")
# Which vcftools takes too, unlike 4.3.
_VERSION = "VCFv4.2"
# From 4.4 on, calls tell the phase of their first allele, which no store has.
_LAST_VERSION = "VCFv4.3"
# Lines that are made here, whatever the store says.
_OWN = ("fileformat", "contig", "FILTER", "INFO", "FORMAT")
_COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT")
# Of a name that is part of a line in angle brackets.
_NOT_IN_NAMES = re.compile(r"[\s,<>=\"]")
INT8, INT16, INT32, FLOAT, TEXT = 1, 2, 3, 5, 7
_GT = CallField("GT", "String", "1", "Genotype", "call_genotype", "", 0)


class Dictionary:
    """The dictionary of strings: the numbers that stand for FILTERs, INFO and FORMAT.

    Parameters
    ----------
    sites : Sites
    fields : sequence of CallField
        Of FORMAT, beside GT.

    Attributes
    ----------
    keys : dict of str to int
        One for a name that several kinds of lines have.
    """

    def __init__(self, sites: Sites, fields: Sequence[CallField] = ()):
        names = [_PASS[0], *(name for name, _ in sites.filters)]
        names += [*(field.key for field in sites.info), _GT.key, *(each.key for each in fields)]
        self.keys = {name: i for i, name in enumerate(dict.fromkeys(names))}


def header_bytes(
    sites: Sites,
    dictionary: Dictionary,
    samples: Sequence[str],
    fields: Sequence[CallField] = (),
    calls: bool = True,
) -> bytes:
    """All that precedes the records.

    Parameters
    ----------
    sites : Sites
    dictionary : Dictionary
    samples : sequence of str
    fields : sequence of CallField
        Of FORMAT, beside GT.
    calls : bool
        Whether there is GT.

    Raises
    ------
    BiofuseError
        If a name does not fit a line, or samples, contigs or filters share one.
    """
    shown = [_GT, *fields] if calls else fields
    lines = _lines(sites, dictionary, samples, shown)
    text = "".join(f"{line}\n" for line in lines).encode() + b"\0"
    if len(text) >= 1 << 31:
        raise BiofuseError(f"the header of the .bcf would be of {len(text):,} bytes")
    return _MAGIC + struct.pack("<I", len(text)) + text


def _lines(
    sites: Sites, dictionary: Dictionary, samples: Sequence[str], fields: Sequence[CallField]
) -> Iterator[str]:
    keys = dictionary.keys
    version = next((value for name, value in sites.meta if name == "fileformat"), _VERSION)
    version = version if version.startswith("VCFv4.") else _VERSION
    yield f"##fileformat={min(version, _LAST_VERSION)}"
    _check_unlike([name for name, _ in sites.filters], "filter_id")
    _check_unlike([contig.name for contig in sites.contigs], "contig_id")
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
    for each in sites.info:
        yield _field_line("INFO", each, keys)
    for field in fields:
        yield _field_line("FORMAT", field, keys)
    twice = _find_twice(samples)
    if twice is not None:
        raise BiofuseError(
            f"sample ID {twice!r} is that of several samples, which a .bcf cannot show; leave them "
            "out with -s ^ID, or rename them"
        )
    for sample in samples:
        if not sample or any(character in sample for character in "\t\n\r\0"):
            raise BiofuseError(
                f"sample ID {sample!r} is empty or has a tab or the end of a line in it, which "
                "a .bcf cannot show; leave the sample out with -s ^ID, or rename it"
            )
    yield "\t".join((*_COLUMNS, *samples))


def _field_line(kind: str, field: InfoField | CallField, keys: dict[str, int]) -> str:
    _check_name(field.key, f"a field of {kind}")
    return (
        f"##{kind}=<ID={field.key},Number={field.number},Type={field.type},"
        f'Description="{_quoted(field.description)}",IDX={keys[field.key]}>'
    )


def _check_name(name: str, where: str) -> None:
    if not name or _NOT_IN_NAMES.search(name) or "\0" in name:
        raise BiofuseError(
            f"the store has the name {name!r} in {where}, which does not fit a header of a .bcf"
        )


def _find_twice(names: Sequence[str]) -> str | None:
    """A name that is there more than once, if any is."""
    if len(set(names)) == len(names):
        return None
    return Counter(names).most_common(1)[0][0]


def _check_unlike(names: Sequence[str], where: str) -> None:
    name = _find_twice(names)
    if name is not None:
        raise BiofuseError(
            f"the store has the name {name!r} twice in {where}, which no header of a .bcf can have"
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
        return struct.pack("<BB", 1 << 4 | INT8, number)
    if number < 1 << 15:
        return struct.pack("<BH", 1 << 4 | INT16, number)
    return struct.pack("<BI", 1 << 4 | INT32, number)


def typed_size(count: int, kind: int) -> bytes:
    """The type of so many values: INT8, INT16, INT32, FLOAT or TEXT."""
    if count < 15:
        return struct.pack("<B", count << 4 | kind)
    return struct.pack("<B", 15 << 4 | kind) + typed_int(count)
