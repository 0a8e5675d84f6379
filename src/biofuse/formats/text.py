"""Sidecars of text, a line a sample or a variant."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from biofuse.errors import BiofuseError
from biofuse.formats.base import MainFile, SampleTable, Subject, Variants
from biofuse.formats.growing import GrowingFile

if TYPE_CHECKING:
    from biofuse.native import Texts

# From the IDs of samples, and what is known of them, to a header and the columns of lines.
SampleColumns = Callable[["Texts", SampleTable], tuple[str, Sequence["Texts"]]]


class SampleText:
    """A file with a line a sample.

    Parameters
    ----------
    suffix : str
    separator : str
        Of its columns.
    columns : callable
    option : str
        That leaves the file out.
    """

    of_samples = True

    def __init__(self, suffix: str, separator: str, columns: SampleColumns, option: str):
        self.suffix = suffix
        self._separator = separator
        self._columns = columns
        self._option = option

    def begin(self, path: str, subject: Subject) -> None:
        """Write the file.

        Raises
        ------
        BiofuseError
            If a sample ID has white space in it.
        """
        from biofuse import native

        samples = subject.samples
        together = "\0".join(samples)
        if "" in samples or together.split() != [together]:
            self._refuse(samples)
        ids = native.Texts.of(samples)
        nothing = ids.blank()
        table = subject.table or SampleTable(ids, nothing, nothing, nothing)
        header, columns = self._columns(ids, table)
        with open(path, "wb") as out:
            out.write(header.encode())
            out.write(native.text_rows(columns, self._separator))

    def _refuse(self, samples: Sequence[str]) -> None:
        """Raise `BiofuseError` with the first sample that is no word."""
        for sample in samples:
            if sample.split() != [sample]:
                raise BiofuseError(
                    f"sample ID {sample!r} contains white space, which separates the columns "
                    f"of a {self.suffix} file; leave the sample out with -s ^ID, rename it, or do "
                    f"without that file with {self._option}"
                )

    def write(self, variants: Variants, offsets: memoryview | None) -> None:
        """Nothing: variants have no part in it."""

    def rest(self) -> None:
        """Nothing: the file is closed."""

    def finish(self, main: MainFile) -> None:
        """Nothing: the file is complete."""

    def abandon(self) -> None:
        """Nothing: the file is closed."""


class VariantText:
    """A file with lines for variants, made by `lines`."""

    suffix: str
    of_samples = False
    _out: GrowingFile

    def begin(self, path: str, subject: Subject) -> None:
        """Make the file."""
        self._out = GrowingFile(path)

    def lines(self, variants: Variants) -> memoryview:
        """The lines of some variants, in UTF-8."""
        raise NotImplementedError

    def write(self, variants: Variants, offsets: memoryview | None) -> None:
        """Add lines."""
        self._out.write(self.lines(variants))

    def rest(self) -> None:
        """Close the file until there are more lines."""
        self._out.rest()

    def finish(self, main: MainFile) -> None:
        """Close the file."""
        self._out.rest()

    def abandon(self) -> None:
        """Close the file."""
        self._out.rest()
