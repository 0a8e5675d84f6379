"""How large a view's files are, told by those of some of its sites."""

import os
from dataclasses import dataclass, replace

import numpy as np

from biofuse import formats
from biofuse.bgzf import framed_size
from biofuse.formats.base import MainFile, Sidecar, Subject, Variants
from biofuse.formats.text import SampleText
from biofuse.plan.files import record_sizes
from biofuse.plan.views import View


@dataclass(frozen=True)
class FileSize:
    """A file of a view.

    Attributes
    ----------
    name : str
    size : int
        In bytes.
    exact : bool
        Whether that is known, and not taken from some of the sites.
    """

    name: str
    size: int
    exact: bool


class MeasuredView:
    """A view whose sidecars are made of some sites, to be measured.

    Parameters
    ----------
    view : View
    subject : Subject
    stem, directory : str
        The files' name, and where they are made.

    Raises
    ------
    BiofuseError
        If a sample cannot be shown.
    """

    def __init__(self, view: View, subject: Subject, stem: str, directory: str):
        self.view = view
        self._stem = stem
        self._directory = directory
        # Where records have no heads the header's size may follow from their number.
        self._header = len(view.layout.header(0)) if view.layout.heads is not None else 0
        self._end = self._header
        self._count = 0
        self._without_sites = self._measure_without_sites(subject)
        self._writers: list[Sidecar] = view.format.sidecars(view.options)
        for writer in self._writers:
            writer.begin(self._path(writer.suffix), subject)

    def _measure_without_sites(self, subject: Subject) -> dict[str, int]:
        """Sizes of sidecars that tell of sites, by suffix."""
        found = {}
        for writer in self.view.format.sidecars(self.view.options):
            if not isinstance(writer, SampleText):
                path = self._path(writer.suffix)
                writer.begin(path, replace(subject, samples=[]))
                writer.finish(self._main(0))
                found[writer.suffix] = os.path.getsize(path)
                os.unlink(path)
        return found

    def _path(self, suffix: str) -> str:
        return os.path.join(self._directory, self._stem + suffix)

    def _main(self, size: int) -> MainFile:
        name = self._stem + formats.main_suffix(self.view.format.NAME)
        # What an index repeats of the file is as long, whatever it is.
        return MainFile(name, size, 0, lambda most: bytes(min(most, size)))

    def add(self, variants: Variants) -> None:
        """Add sites.

        Raises
        ------
        BiofuseError
            If one cannot be shown.
        """
        layout = self.view.layout
        self._count += len(variants)
        offsets = None
        if layout.heads is not None:
            sizes = record_sizes(layout, layout.heads(variants))
            ends = np.cumsum(sizes, dtype=np.uint64)
            offsets = np.append(np.uint64(0), ends) + np.uint64(self._end)
            self._end = int(offsets[-1])
        for writer in self._writers:
            writer.write(variants, None if offsets is None else offsets.data)

    def abandon(self) -> None:
        """Close the files."""
        for writer in self._writers:
            writer.abandon()

    def sizes(self, count: int, exact: bool) -> list[FileSize]:
        """What files of so many sites take, if all sites are as those that were added.

        Parameters
        ----------
        count : int
        exact : bool
            Whether that is how many there are.
        """
        layout = self.view.layout
        scale = count / self._count if self._count else 0.0
        complete = exact and self._count == count
        if layout.heads is None:
            stream = len(layout.header(count)) + count * (layout.record_size or 0)
        else:
            stream = self._header + round((self._end - self._header) * scale)
        size = framed_size(stream) if layout.framed else stream
        found = [FileSize(self._main(0).name, size, exact if layout.heads is None else complete)]
        for writer in self._writers:
            writer.finish(self._main(size))
            measured = os.path.getsize(self._path(writer.suffix))
            known = complete or isinstance(writer, SampleText)
            if not known:
                base = self._without_sites[writer.suffix]
                measured = base + round((measured - base) * scale)
            found.append(FileSize(self._stem + writer.suffix, measured, known))
        return found
