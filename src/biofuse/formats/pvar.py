"""The sites of a PLINK 2 fileset, `.pvar`, as plink2 writes them.

plink2 leaves out the columns QUAL, FILTER and CM where no variant has one, and of a VCF's header
the lines of contigs without variants. So lines are written beside the file, which begins with
what is known once all are: a column is there from the first variant on that has a value, and
lines before it are completed as they are copied.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from biofuse.errors import BiofuseError
from biofuse.formats.base import MainFile, Subject, Variants
from biofuse.formats.growing import GrowingFile
from biofuse.formats.positions import check_positions
from biofuse.formats.site_fields import SiteColumns, Sites

if TYPE_CHECKING:
    from biofuse.native import Texts

# Above it, plink2 calls a coordinate invalid.
_MAX_POSITION = 2**31 - 2
_FIXED = ("#CHROM", "POS", "ID", "REF", "ALT")
# Bytes that are copied at a time.
_PIECE = 1 << 20
# Lines of a VCF's header that are made from fields, or that tell of a file that this is not.
_MADE = ("INFO", "FILTER", "FORMAT", "contig", "fileformat", "fileDate", "source")


@dataclass(frozen=True)
class _Columns:
    """Which columns follow ALT."""

    quality: bool = False
    filter: bool = False
    info: bool = False
    cm: bool = False

    def names(self) -> list[str]:
        shown = (
            ("QUAL", self.quality),
            ("FILTER", self.filter),
            ("INFO", self.info),
            ("CM", self.cm),
        )
        return [name for name, is_shown in shown if is_shown]


@dataclass(frozen=True)
class _Annotations:
    """QUAL, FILTER and INFO of some variants."""

    quality: "memoryview | None" = None
    filter: "Texts | None" = None
    info: "Texts | None" = None


class PvarWriter:
    """Writes a `.pvar`: chromosome, position, ID, REF, ALT, and what is there of the rest.

    Parameters
    ----------
    annotated : bool
        Whether it has a VCF's header, QUAL, FILTER and INFO.
    """

    suffix = ".pvar"
    of_samples = False
    _lines: GrowingFile

    def __init__(self, annotated: bool = True):
        self._annotated = annotated
        self._sites = Sites()
        self._columns = _Columns()
        # Where lines begin that have other columns than those before.
        self._parts: list[tuple[int, _Columns]] = [(0, self._columns)]
        self._contigs: set[str] = set()

    def begin(self, path: str, subject: Subject) -> None:
        """Make the file of lines.

        Raises
        ------
        BiofuseError
            If the header cannot be read.
        """
        self._path = path
        if self._annotated:
            self._sites = subject.read_sites()
            self._parts = [(0, _Columns(info=bool(self._sites.info)))]
            self._columns = self._parts[0][1]
        self._lines = GrowingFile(f"{path}.lines")

    def write(self, variants: Variants, offsets: memoryview | None) -> None:
        """Add lines.

        Raises
        ------
        BiofuseError
            If a variant does not fit, or what the store has of it cannot be read.
        """
        from biofuse import native

        check_positions(variants, _MAX_POSITION, "which no plink2 takes")
        found = self._annotate(variants)
        self._note_columns(found, variants.cm)
        if self._sites.contigs:
            self._note_contigs(variants)
        columns = self._columns
        try:
            lines = native.pvar_lines(
                variants.chrom,
                variants.position,
                variants.id.or_else("."),
                variants.ref,
                variants.alt.or_else("."),
                found.quality if columns.quality else None,
                found.filter.or_else(".") if columns.filter and found.filter else None,
                found.info.or_else(".") if columns.info and found.info else None,
                variants.cm if columns.cm else None,
            )
        except native.NativeError as error:
            _refuse(variants, found)
            raise BiofuseError(f"a variant does not fit a .pvar file: {error}") from error
        self._lines.write(lines)

    def _annotate(self, variants: Variants) -> _Annotations:
        from biofuse import native

        if not self._annotated:
            return _Annotations()
        assert variants.sites is not None
        columns: SiteColumns = variants.sites()
        info = None
        if self._sites.info:
            keys = [each.key for each in self._sites.info]
            info = native.info_texts(list(zip(keys, columns.info, strict=True)), len(variants))
        return _Annotations(columns.quality, columns.filter_texts(), info)

    def _note_columns(self, found: _Annotations, cm: "Texts | None") -> None:
        """Begin columns of which there is a value now."""
        before = self._columns
        quality = before.quality or (
            found.quality is not None and any(value == value for value in found.quality)
        )
        filters = before.filter or (found.filter is not None and found.filter.nbytes > 0)
        positions = before.cm or (cm is not None and any(text != "0" for text in cm))
        self._columns = _Columns(quality, filters, before.info, positions)
        if self._columns != before:
            self._parts.append((self._lines.size, self._columns))

    def _note_contigs(self, variants: Variants) -> None:
        _, starts, _ = variants.chrom.parts
        # A contig's name is the same bytes wherever it is named.
        last = {start: i for i, start in enumerate(memoryview(starts).tolist())}
        self._contigs.update(variants.chrom[i] for i in last.values())

    def rest(self) -> None:
        """Close the file of lines until there are more."""
        self._lines.rest()

    def finish(self, main: MainFile) -> None:
        """Write the file."""
        ends = [start for start, _ in self._parts[1:]] + [self._lines.size]
        self._lines.rest()
        with open(self._path, "wb") as out, open(self._lines.path, "rb") as lines:
            out.write(self._head().encode())
            for (start, columns), end in zip(self._parts, ends, strict=True):
                if columns == self._columns:
                    shutil.copyfileobj(lines, out, _PIECE)
                elif end > start:
                    self._complete(lines, end - start, columns, out)
        self.abandon()

    def _head(self) -> str:
        lines = [_one_line(line) for line in self._header_lines()]
        return "".join(f"{line}\n" for line in [*lines, "\t".join(self._names())])

    def _header_lines(self) -> Iterator[str]:
        """Lines of a VCF's header that tell of sites, as plink2 leaves them."""
        sites = self._sites
        if self._columns.filter:
            for name, text in sites.filters:
                yield f'##FILTER=<ID={name},Description="{text}">'
        for each in sites.info:
            yield (
                f"##INFO=<ID={each.key},Number={each.number},Type={each.type},"
                f'Description="{each.description}">'
            )
        for contig in sites.contigs:
            if contig.shown in self._contigs:
                length = f",length={contig.length}" if contig.length else ""
                yield f"##contig=<ID={contig.name}{length}>"
        for name, value in sites.meta:
            if name not in _MADE:
                yield f"##{name}={value}"

    def _names(self) -> Sequence[str]:
        return (*_FIXED, *self._columns.names())

    def _complete(self, lines: IO[bytes], size: int, columns: _Columns, out: IO[bytes]) -> None:
        """Copy lines of fewer columns, with those that they lack as missing."""
        names = columns.names()
        while size > 0:
            line = lines.readline()
            size -= len(line)
            fields = line.rstrip(b"\n").split(b"\t", len(_FIXED) + len(names) - 1)
            rest = dict(zip(names, fields[len(_FIXED) :], strict=True))
            fields = fields[: len(_FIXED)]
            fields += [
                rest.get(name, b"0" if name == "CM" else b".") for name in self._columns.names()
            ]
            out.write(b"\t".join(fields) + b"\n")

    def abandon(self) -> None:
        """Close and remove the file of lines."""
        self._lines.remove()


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


def _refuse(variants: Variants, found: _Annotations) -> None:
    """Raise `BiofuseError` with the first site that is no line of a `.pvar`."""
    for i in range(len(variants)):
        contig, position = variants.chrom[i], variants.position[i]
        fields = contig, variants.id[i], variants.ref[i], variants.alt[i]
        columns = (contig, variants.id[i] or ".", variants.ref[i], variants.alt[i] or ".")
        if any(column.split() != [column] for column in columns):
            raise BiofuseError(
                f"the site {contig!r}:{position} does not fit a .pvar file: its contig, ID, REF or "
                f"ALT is empty or contains white space {fields!r}; leave it out with -e, or rename "
                "it"
            )
        for name, texts in (("FILTER", found.filter), ("INFO", found.info)):
            text = texts[i] if texts is not None else ""
            if any(c in text for c in " \t\n\r"):
                raise BiofuseError(
                    f"the site {contig!r}:{position} does not fit a .pvar file: its {name} "
                    f"contains white space, which plink2 does not take ({text[:100]!r}); "
                    "--no-pvar-info does without it"
                )
