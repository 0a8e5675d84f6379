"""The files of a plan: tables of the variants, and what each view of them needs."""

import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from biofuse.bgzf import framed_size
from biofuse.errors import BiofuseError
from biofuse.formats import main_suffix
from biofuse.formats.base import Heads, Layout, MainFile, Sidecar, Subject, Variants
from biofuse.formats.growing import GrowingFile
from biofuse.manifest import Plan, StaticFile, StreamedFile
from biofuse.plan.record_table import RecordTable, write_file
from biofuse.plan.views import View

if TYPE_CHECKING:
    from biofuse.plan.preview import Preview

SAMPLES = "samples.u32"
PINS = "pins.u64"


def record_sizes(layout: Layout, heads: Heads) -> np.ndarray:
    """Bytes of records with these heads, uint64."""
    sizes = np.frombuffer(heads.sizes, dtype=np.uint32).astype(np.uint64)
    if heads.behind is None:
        return sizes + np.uint64(layout.record_size or 0)
    return sizes + np.frombuffer(heads.behind, dtype=np.uint32)


class _Starts:
    """Where the heads of records begin, of a layout whose heads tell how large records are.

    Parameters
    ----------
    path : str
        Of a file that is there while heads are added.
    """

    def __init__(self, path: str):
        self._end = 0
        self._file = GrowingFile(path)
        self._file.write(np.uint64(0).tobytes())

    def add(self, heads: Heads) -> None:
        """Add heads."""
        sizes = np.frombuffer(heads.sizes, dtype=np.uint32)
        ends = np.cumsum(sizes, dtype=np.uint64) + np.uint64(self._end)
        self._file.write(ends.data)
        self._end = int(ends[-1]) if len(ends) else self._end

    def append_to(self, heads: str) -> None:
        """Write it behind the heads, from a multiple of eight bytes on, and remove it."""
        self._file.rest()
        with open(heads, "ab") as out, open(self._file.path, "rb") as starts:
            out.write(bytes(-self._end % 8))
            shutil.copyfileobj(starts, out, 1 << 20)
        self._file.remove()

    def rest(self) -> None:
        """Close the file until there is more."""
        self._file.rest()

    def remove(self) -> None:
        """Close and remove the file."""
        self._file.remove()


class ViewFiles:
    """The files of one view: header, heads, offsets, sidecars.

    Parameters
    ----------
    directory : str
        The plan's.
    stem : str
    number : int
        Of the view within the plan.
    view : View
    subject : Subject
    table : RecordTable
        Which variants its records show, those from its end on.
    first : ViewFiles, optional
        Of the same view, which has the files that are the same for all.

    Attributes
    ----------
    view : View
    header : bytes
        What the streamed file begins with, once it is complete.

    Raises
    ------
    BiofuseError
        If a sample cannot be shown.
    """

    def __init__(
        self,
        directory: str,
        stem: str,
        number: int,
        view: View,
        subject: Subject,
        table: RecordTable,
        first: "ViewFiles | None" = None,
    ):
        self._table = table
        self._begins = table.count
        self._directory = directory
        self._stem = stem
        self._number = number
        self.view = view
        self.header = b""
        self._header = f"{number}.header"
        self._heads = f"{number}.heads"
        self._offsets = f"{number}.offsets.u64"
        self._count = 0
        # Where records have no heads the header's size may follow from their number.
        self._end = len(view.layout.header(0)) if view.layout.heads is not None else 0
        self._max_record = view.layout.record_size or 0
        self._starts: _Starts | None = None
        self._sidecars: list[tuple[str, Sidecar]] = []
        self._first = first
        self._shared = {} if first is None else first.of_samples
        self._begin_sidecars(subject)
        if view.layout.heads is not None:
            self._heads_out = GrowingFile(os.path.join(directory, self._heads))
            self._offsets_out = GrowingFile(os.path.join(directory, self._offsets))
            self._offsets_out.write(np.uint64(self._end).tobytes())
            if view.layout.record_size is None:
                self._starts = _Starts(os.path.join(directory, f"{number}.starts.u64"))

    def _begin_sidecars(self, subject: Subject) -> None:
        for writer in self.view.format.sidecars(self.view.options):
            name = self._shared.get(writer.suffix, f"{self._number}{writer.suffix}")
            try:
                if writer.suffix not in self._shared:
                    writer.begin(os.path.join(self._directory, name), subject)
            except BiofuseError:
                self._remove()
                raise
            self._sidecars.append((name, writer))

    @property
    def of_samples(self) -> dict[str, str]:
        """Files of the plan that tell of samples alone, by suffix."""
        return {writer.suffix: name for name, writer in self._sidecars if writer.of_samples}

    def rest(self) -> None:
        """Have no file open until there are more variants."""
        if self.view.layout.heads is not None:
            self._heads_out.rest()
            self._offsets_out.rest()
        if self._starts is not None:
            self._starts.rest()
        for _, writer in self._sidecars:
            writer.rest()

    def abandon(self) -> None:
        """Close and remove the files."""
        if self.view.layout.heads is not None:
            self._heads_out.remove()
            self._offsets_out.remove()
        if self._starts is not None:
            self._starts.remove()
        self._remove()

    def _remove(self) -> None:
        for name, writer in self._sidecars:
            writer.abandon()
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(self._directory, name))

    def add(self, variants: Variants) -> None:
        """Add variants.

        Raises
        ------
        BiofuseError
            If one is beyond the format's limits.
        """
        layout = self.view.layout
        offsets = None
        self._count += len(variants)
        if layout.heads is not None:
            heads = layout.heads(variants)
            self._heads_out.write(heads.data)
            records = record_sizes(layout, heads)
            if self._starts is not None:
                self._starts.add(heads)
            offsets = np.cumsum(np.append(np.uint64(self._end), records), dtype=np.uint64)
            self._offsets_out.write(offsets[1:].data)
            self._end = int(offsets[-1])
            self._max_record = max(self._max_record, int(records.max(initial=0)))
        for _, writer in self._sidecars:
            writer.write(variants, None if offsets is None else offsets.data)

    def streamed(self) -> StreamedFile:
        """Complete all but the sidecars, and describe the streamed file."""
        layout = self.view.layout
        header = self.header = layout.header(self._count)
        if self._first is not None and header == self._first.header:
            self.header, self._header = self._first.header, self._first._header
        else:
            write_file(self._directory, self._header, header)
        headed = layout.heads is not None
        if headed:
            if self._starts is not None:
                self._heads_out.rest()
                self._starts.append_to(self._heads_out.path)
            self._heads_out.rest()
            self._offsets_out.rest()
        else:
            self._end = len(header) + self._count * (layout.record_size or 0)
        table = self._table.written
        return StreamedFile(
            name=self._stem + main_suffix(self.view.format.NAME),
            format=self.view.format.NAME,
            header=self._header,
            header_size=len(header),
            size=framed_size(self._end) if layout.framed else self._end,
            records=self._count,
            max_record=self._max_record,
            record_size=None if headed else layout.record_size,
            offsets=self._offsets if headed else None,
            heads=self._heads if headed else None,
            fields=list(layout.fields),
            params=layout.params,
            stream=self._end if layout.framed else None,
            variants=table.variants,
            alts=table.alts,
            first=self._begins,
            others_missing=self._table.others_missing,
        )

    def finish(self, plan: Plan, number: int, preview: "Preview") -> list[StaticFile]:
        """Complete the sidecars, and describe them: those that another has are left to it."""
        streamed = plan.streamed[number]
        main = MainFile(
            streamed.name,
            streamed.size,
            plan.modified_ns,
            lambda size: preview.read_first(number, size),
        )
        static = []
        for name, writer in self._sidecars:
            writer.finish(main)
            size = os.path.getsize(os.path.join(self._directory, name))
            static.append(StaticFile(self._stem + writer.suffix, name, size, streamed.format))
        return static
