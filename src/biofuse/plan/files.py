"""The files of a plan: tables of the variants, and what each view of them needs."""

import os
from typing import TYPE_CHECKING

import numpy as np

from biofuse.bgzf import framed_size
from biofuse.errors import BiofuseError
from biofuse.formats import main_suffix
from biofuse.formats.base import MainFile, Sidecar, Subject, Variants
from biofuse.manifest import Plan, StaticFile, StreamedFile
from biofuse.plan.record_table import RecordTable, write_file
from biofuse.plan.views import View

if TYPE_CHECKING:
    from biofuse.plan.preview import Preview

SAMPLES = "samples.u32"
PINS = "pins.u64"


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
        self._header = f"{number}.header"
        self._heads = f"{number}.heads"
        self._offsets = f"{number}.offsets.u64"
        self._count = 0
        # Where records have no heads the header's size may follow from their number.
        self._end = len(view.layout.header(0)) if view.layout.heads is not None else 0
        self._max_record = view.layout.record_size
        self._sidecars: list[tuple[str, Sidecar]] = []
        self._shared = {} if first is None else first.of_samples
        self._begin_sidecars(subject)
        if view.layout.heads is not None:
            # Open until they are finished.
            self._heads_out = open(os.path.join(directory, self._heads), "wb")  # noqa: SIM115
            self._offsets_out = open(os.path.join(directory, self._offsets), "wb")  # noqa: SIM115
            self._offsets_out.write(np.uint64(self._end).tobytes())

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

    def abandon(self) -> None:
        """Close and remove the files."""
        if self.view.layout.heads is not None:
            self._heads_out.close()
            self._offsets_out.close()
        self._remove()

    def _remove(self) -> None:
        for _, writer in self._sidecars:
            writer.abandon()
        for entry in os.scandir(self._directory):
            if entry.name.startswith(f"{self._number}."):
                os.unlink(entry.path)

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
            heads, sizes = layout.heads(variants)
            self._heads_out.write(heads)
            records = np.frombuffer(sizes, dtype=np.uint32) + np.uint64(layout.record_size)
            offsets = np.cumsum(np.append(np.uint64(self._end), records), dtype=np.uint64)
            self._offsets_out.write(offsets[1:].data)
            self._end = int(offsets[-1])
            self._max_record = max(self._max_record, int(records.max(initial=0)))
        for _, writer in self._sidecars:
            writer.write(variants, None if offsets is None else offsets.data)

    def streamed(self) -> StreamedFile:
        """Complete all but the sidecars, and describe the streamed file."""
        layout = self.view.layout
        header = layout.header(self._count)
        write_file(self._directory, self._header, header)
        headed = layout.heads is not None
        if headed:
            self._heads_out.close()
            self._offsets_out.close()
        else:
            self._end = len(header) + self._count * layout.record_size
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
        """Complete the sidecars, and describe them."""
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
