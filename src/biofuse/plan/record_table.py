"""Tables of a plan: which of the store's variants records show."""

import os
from dataclasses import dataclass

import numpy as np

from biofuse.encode.tables import MappedTables
from biofuse.options import SPLITTING, ViewOptions
from biofuse.plan.texts import Array
from biofuse.plan.variants import Batch
from biofuse.plan.views import View

VARIANTS, ALTS = "variants.u32", "alts.u16"
# Two numbers of each record.
_ALT_BYTES = 4


def write_file(directory: str, name: str, data: bytes) -> None:
    """Write a file of the plan."""
    with open(os.path.join(directory, name), "wb") as f:
        f.write(data)


@dataclass(frozen=True)
class Written:
    """Files of a table, None if nothing has to be said.

    Attributes
    ----------
    variants, alts : str or None
        As in `manifest.StreamedFile`.
    """

    variants: str | None = None
    alts: str | None = None


class RecordTable:
    """Which of the store's variants, and of their ALTs, the records of some files show.

    Parameters
    ----------
    directory : str
        The plan's.
    prefix : str
        What its files' names begin with.
    others_missing : bool
        Whether a record of one ALT shows others as missing.

    Attributes
    ----------
    splits : bool
        Whether there are records of one ALT of several.
    count : int
        Records until now.
    written : Written
        The files, once it is finished.
    """

    def __init__(self, directory: str, prefix: str = "", others_missing: bool = False):
        self._directory = directory
        self._variants, self._alts = prefix + VARIANTS, prefix + ALTS
        # Open until they are finished.
        self._variants_out = open(os.path.join(directory, self._variants), "wb")  # noqa: SIM115
        self._alts_out = open(os.path.join(directory, self._alts), "wb")  # noqa: SIM115
        self.splits = False
        self.others_missing = others_missing
        self.count = 0
        self.written = Written()

    def add(self, index: Array, alts: Array | None, num_alleles: Array | None) -> None:
        """Add records.

        Parameters
        ----------
        index : ndarray of uint32
            Indices in the store, ascending.
        alts : ndarray of uint16 or None
            Which ALT each shows; None or 0: the site as it is.
        num_alleles : ndarray of uint16 or None
            How many alleles its site has; with `alts`.
        """
        if alts is not None and alts.any() and not self.splits:
            self.splits = True
            self._alts_out.write(bytes(_ALT_BYTES * self.count))
        if self.splits and alts is not None and num_alleles is not None:
            self._alts_out.write(np.stack([alts, num_alleles], axis=1).tobytes())
        elif self.splits:
            self._alts_out.write(bytes(_ALT_BYTES * len(index)))
        self._variants_out.write(index.tobytes())
        self.count += len(index)

    def finish(self, num_variants: int) -> None:
        """Complete the files, but for those that say nothing."""
        everything = self.count == num_variants and not self.splits
        self._close(
            Written(None if everything else self._variants, self._alts if self.splits else None)
        )

    def finish_as(self, other: "RecordTable") -> None:
        """Complete the files, of which another table has the same."""
        self._close(other.written)

    def _close(self, written: Written) -> None:
        self._variants_out.close()
        self._alts_out.close()
        for name in {self._variants, self._alts} - {written.variants, written.alts}:
            os.unlink(os.path.join(self._directory, name))
        self.written = written

    def mapped(self) -> memoryview:
        """The indices of the records' variants, uint32, once finished with some left out."""
        name = self.written.variants
        assert name is not None
        return MappedTables.open(self._directory, [name]).views[name].cast("I")


class RecordTables:
    """The tables of a plan's views: of sites as they are, and of split ones.

    Parameters
    ----------
    directory : str
        The plan's.
    options : ViewOptions
        Of which `multiallelic` counts.

    Attributes
    ----------
    whole : RecordTable
        A record a site.
    split : RecordTable
        A record for each ALT; the same if sites are not split.
    """

    def __init__(self, directory: str, options: ViewOptions):
        self.whole = self.split = RecordTable(directory)
        if options.multiallelic in SPLITTING:
            others_missing = options.multiallelic == "split-missing"
            self.split = RecordTable(directory, "split.", others_missing)

    def shows_whole(self, view: View) -> bool:
        """Whether a view shows sites as they are."""
        return view.format.MULTIALLELIC or self.split is self.whole

    def of(self, view: View) -> RecordTable:
        """A view's."""
        return self.whole if self.shows_whole(view) else self.split

    def add(self, batch: Batch) -> None:
        """Add variants to all."""
        self.whole.add(batch.whole.index, None, None)
        if self.split is not self.whole:
            split = batch.split
            self.split.add(split.index, split.alts, split.num_alleles)

    def finish(self, num_variants: int) -> None:
        """Complete the files.

        Parameters
        ----------
        num_variants : int
            Of the store.
        """
        self.whole.finish(num_variants)
        if self.split.splits:
            self.split.finish(num_variants)
        elif self.split is not self.whole:
            self.split.finish_as(self.whole)
