"""The filesets of a view: one, or one for each contig."""

import os
from collections.abc import Iterator
from contextlib import suppress

from biofuse.errors import BiofuseError
from biofuse.formats.base import VALUES, Subject
from biofuse.formats.chromosome import name_in_files
from biofuse.options import ViewOptions
from biofuse.plan.files import ViewFiles
from biofuse.plan.record_table import RecordTable
from biofuse.plan.variants import Batch
from biofuse.plan.views import View

# The most bytes of a file's name.
_MAX_NAME = 255


def contig_stem(template: str, stem: str, contig: str) -> str:
    """The name, without suffix, of the files of a contig.

    Parameters
    ----------
    template : str
        With {stem} and {contig}.
    stem, contig : str
        The contig is there as `name_in_files` has it.
    """
    return template.format(stem=stem, contig=name_in_files(contig))


class Filesets:
    """The files of one view, to which variants are added batch by batch.

    Parameters
    ----------
    directory : str
        The plan's.
    options : ViewOptions
        Of which `stem` and `name_template` count.
    numbers : iterator of int
        For filesets of the plan, one after another.
    view : View
    subject : Subject
    table : RecordTable
        Of the view's records; a batch is added to it after this.

    Attributes
    ----------
    view : View
    files : list of ViewFiles
    contigs : dict of str to str
        Those that have files, by name, and the files' name without suffix.

    Raises
    ------
    BiofuseError
        If a sample cannot be shown.
    """

    def __init__(
        self,
        directory: str,
        options: ViewOptions,
        numbers: Iterator[int],
        view: View,
        subject: Subject,
        table: RecordTable,
    ):
        self._directory = directory
        self._stem, self._template = options.stem, options.name_template
        self._numbers = numbers
        self.view = view
        self._subject = subject
        self._table = table
        self.contigs: dict[str, str] = {}
        self._stems: dict[str, str] = {}
        self._contig = ""
        self.files: list[ViewFiles] = []
        if self._template is None:
            self._begin(self._stem)

    def _begin(self, stem: str) -> None:
        self.files.append(
            ViewFiles(
                self._directory,
                stem,
                next(self._numbers),
                self.view,
                self._subject,
                self._table,
                self.files[0] if self.files else None,
            )
        )

    def add(self, batch: Batch) -> None:
        """Add variants, which are in one contig if there is a fileset for each.

        Raises
        ------
        BiofuseError
            If the format cannot show them, or a contig is not in one piece.
        """
        shows_all = self.view.format.MULTIALLELIC
        if batch.refusal is not None and not shows_all:
            raise batch.refusal
        rows = batch.whole if shows_all else batch.split
        values = [name for name in self.view.layout.fields if name in VALUES]
        if values and rows.alts is not None:
            i = int((rows.alts > 0).argmax())
            raise BiofuseError(
                f"the site {rows.variants.chrom[i]}:{rows.variants.position[i]} has several ALTs, "
                f"and {values[0]} cannot be shown of one of them: --multiallelic drop leaves such "
                "sites out"
            )
        if self._template is not None:
            if not len(rows):
                return
            if not self.files or batch.contig != self._contig:
                self._begin_contig(self._template, batch.contig)
        self.files[-1].add(rows.variants)

    def _begin_contig(self, template: str, contig: str) -> None:
        stem = contig_stem(template, self._stem, contig)
        if contig in self.contigs:
            raise BiofuseError(
                f"sites of contig {contig} come again behind those of others, so that it has no "
                "files of its own; do without --per-contig"
            )
        other = self._stems.get(stem)
        if other is not None:
            raise BiofuseError(
                f"contigs {other!r} and {contig!r} would have files of one name, {stem!r}; "
                "leave one out with -t ^"
            )
        size = max(len(os.fsencode(stem + file.suffix)) for file in self.view.format.FILES)
        if size > _MAX_NAME:
            raise BiofuseError(
                f"the files of contig {contig[:40]}... would have a name of {size} bytes, and "
                f"{_MAX_NAME} is the most; choose a shorter one (--name-template, --basename, or "
                "the OUT of an export)"
            )
        self.contigs[contig], self._stems[stem] = stem, contig
        self._contig = contig
        if self.files:
            self.files[-1].rest()
        self._begin(stem)

    def abandon(self) -> None:
        """Close and remove all files."""
        for each in self.files:
            with suppress(BiofuseError):
                each.abandon()
