"""Which variants are in the regions and targets of a selection."""

import contextlib
import mmap
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from biofuse import temporary
from biofuse.errors import BiofuseError
from biofuse.formats.chromosome import chromosome_name
from biofuse.options import RegionsFile, Selection
from biofuse.plan.columns import Column, read_field
from biofuse.plan.hints import hint_sites
from biofuse.plan.intervals import Intervals
from biofuse.plan.region_index import RegionIndex, StaleIndexError
from biofuse.plan.region_text import parse_regions
from biofuse.selection_files import unpack_bounds
from biofuse.stores import Store
from biofuse.stores.members import Members

# Variants that are looked at together; and where their alleles are too.
_BATCH = 200_000
_ALLELES = 20_000
# How many names a message has.
_NAMED = 5


def select_regions(
    group: Members,
    store: Store,
    selection: Selection,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[np.ndarray | None, list[str]]:
    """Indices of the variants in regions and targets, and what the user should know.

    As in bcftools, a variant is in a region if any base of its REF is, or any base up to its
    INFO/END; in a target if its position is.

    Parameters
    ----------
    group : zarr.Group
    store : Store
        The same store.
    selection : Selection
    progress : callable
        Called with the variants looked at so far and their number.

    Returns
    -------
    variants : ndarray of uint32, shape (kept,), or None
        Ascending, each once; mapped from a file without a name. None for all.
    warnings : list of str

    Raises
    ------
    BiofuseError
        If a region is not understood, or none is on a contig of the store.
    """
    names = ("regions", "regions_file", "targets", "targets_file")
    if all(getattr(selection, name) is None for name in names):
        return None, []
    named = _Contigs(read_field(group, "contig_id").tolist())
    regions = named.intervals("-r", selection.regions, "-R", selection.regions_file)
    targets = named.intervals("-t", selection.targets, "-T", selection.targets_file)
    look = _Look(group, store, regions, targets, progress)
    index = RegionIndex.of(group)
    hint_sites(group, store, look.runs(index), look.fields)
    warnings = named.warnings
    try:
        kept = collect(look.kept(look.runs(index), index))
    except StaleIndexError as error:
        warnings = [*warnings, f"region_index is not used: {error}"]
        kept = collect(look.kept(look.runs(None), None))
    return (None if len(kept) == look.num_variants else kept), warnings


def collect(parts: Iterable[np.ndarray]) -> np.ndarray:
    """All of these uint32, in a file without a name: tens of millions are no memory that stays."""
    with tempfile.TemporaryFile(prefix="biofuse-", dir=temporary.place()) as file:
        for part in parts:
            file.write(part.tobytes())
        file.flush()
        if file.tell() == 0:
            return np.empty(0, dtype=np.uint32)
        return np.frombuffer(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ), dtype=np.uint32)


@dataclass(frozen=True)
class _Chosen:
    """Intervals of an option, and whether they are to be left out."""

    intervals: Intervals
    exclude: bool = False


class _Contigs:
    """The store's contigs, by name; collects what is said of others."""

    def __init__(self, names: Sequence[str]):
        self._index = {name: i for i, name in enumerate(names)}
        if len(self._index) < len(names):
            raise BiofuseError("contig_id names a contig more than once: regions may be of either")
        self.warnings: list[str] = []

    def intervals(
        self, option: str, text: str | None, file_option: str, file: RegionsFile | None
    ) -> _Chosen | None:
        """What an option or its sibling for files chooses; None if neither is given."""
        if file is not None:
            return self._of_file(f"{file_option} {file.name}", file)
        if text is None:
            return None
        exclude = option == "-t" and text.startswith("^")
        found: dict[str, list[tuple[int, int]]] = {}
        for region in parse_regions(text[1:] if exclude else text, option, self._index):
            found.setdefault(region.contig, []).append((region.first, region.last))
        self._tell_unknown(option, list(found), exclude, is_file=False)
        return self._chosen({k: np.array(v, dtype=np.int64) for k, v in found.items()}, exclude)

    def _of_file(self, option: str, file: RegionsFile) -> _Chosen:
        self._tell_unknown(option, file.contigs, file.exclude, is_file=True)
        bounds = np.frombuffer(unpack_bounds(file.bounds), dtype=np.int64).reshape(-1, 2)
        parts = np.split(bounds, np.cumsum(file.counts)[:-1])
        return self._chosen(dict(zip(file.contigs, parts, strict=True)), file.exclude)

    def _chosen(self, found: dict[str, np.ndarray], exclude: bool) -> _Chosen:
        known = {self._index[name]: each for name, each in found.items() if name in self._index}
        return _Chosen(Intervals(known), exclude)

    def _tell_unknown(
        self, option: str, names: Sequence[str], exclude: bool, is_file: bool
    ) -> None:
        """Say that contigs are not in the store; refuse where none is.

        A file may well be one for all of the genome, and the store have one contig of it.
        """
        unknown = [name for name in names if name not in self._index]
        if not unknown or (is_file and len(unknown) < len(names)):
            return
        shown = ", ".join(map(repr, unknown[:_NAMED])) + (", ..." if len(unknown) > _NAMED else "")
        text = (
            f"the store has no contig{'s' * (len(unknown) > 1)} {shown}, which {option} names; "
            f"it has {self._some()}{self._meant(unknown)}"
        )
        if len(unknown) == len(names) and not exclude:
            raise BiofuseError(text)
        self.warnings.append(text)

    def _meant(self, unknown: Sequence[str]) -> str:
        """What to write for a name that plink2, and so the files, has in place of the store's."""
        shown = {chromosome_name(name): name for name in self._index}
        meant = [(name, shown.get(chromosome_name(name))) for name in unknown]
        found = [f"{contig} for {name}" for name, contig in meant if contig is not None]
        return f": write {', '.join(found[:_NAMED])}" if found else ""

    def _some(self) -> str:
        names = list(self._index)
        return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


class _Look:
    """Looks at variants of a store."""

    def __init__(
        self,
        group: Members,
        store: Store,
        regions: _Chosen | None,
        targets: _Chosen | None,
        progress: Callable[[int, int], None],
    ):
        self._contig = Column(group["variant_contig"], store)
        self._position = Column(group["variant_position"], store)
        self._lengths = Lengths(group, store)
        self._regions = regions
        self._targets = targets
        self.fields = ("variant_contig", "variant_position", *self._lengths.fields)
        self._progress = progress
        self._chunk = self._position.chunk
        self.num_variants: int = group["variant_position"].shape[0]

    def runs(self, index: RegionIndex | None) -> list[tuple[int, int]]:
        """Runs of variants, from chunk to chunk, that have to be looked at."""
        if index is None:
            return [(0, self.num_variants)]
        wanted = np.ones(len(index.contig), dtype=bool)
        if self._regions is not None:
            wanted &= self._regions.intervals.overlap(index.contig, index.first, index.last_end)
        if self._targets is not None and not self._targets.exclude:
            wanted &= self._targets.intervals.overlap(index.contig, index.first, index.last)
        chunks = np.unique(index.chunk[wanted])
        runs = np.split(chunks, np.flatnonzero(np.diff(chunks) > 1) + 1)
        return [
            (int(run[0]) * self._chunk, min((int(run[-1]) + 1) * self._chunk, self.num_variants))
            for run in runs
            if len(run)
        ]

    def kept(
        self, runs: Iterable[tuple[int, int]], index: RegionIndex | None
    ) -> Iterator[np.ndarray]:
        """Indices of variants of these runs that are in the regions and targets.

        Raises
        ------
        StaleIndexError
            If what is read is not what the index says.
        """
        step = max(1, _BATCH // self._chunk) * self._chunk
        for begin, end in runs:
            for start in range(begin, end, step):
                stop = min(start + step, end)
                self._progress(start, self.num_variants)
                yield (np.flatnonzero(self._matches(start, stop, index)) + start).astype(np.uint32)

    def _matches(self, start: int, stop: int, index: RegionIndex | None) -> np.ndarray:
        contig = self._contig.read(start, stop)
        position = self._position.read(start, stop).astype(np.int64)
        if index is not None:
            index.check(start, stop, contig, position)
        keep = np.ones(stop - start, dtype=bool)
        if self._targets is not None:
            targets = self._targets.intervals.overlap(contig, position, position)
            keep = targets != self._targets.exclude
        if self._regions is not None:
            regions = self._regions.intervals
            inside = regions.overlap(contig, position, position)
            before = keep & ~inside & regions.begin_after(contig, position)
            if before.any():
                # Those may reach into a region.
                first, last = np.flatnonzero(before)[[0, -1]]
                rows = slice(int(first), int(last) + 1)
                end = position[rows] + self._lengths.read(start + rows.start, start + rows.stop) - 1
                inside[rows] |= regions.overlap(contig[rows], position[rows], end)
            keep &= inside
        return keep


class Lengths:
    """How many bases of the reference variants span: at least one.

    Where a store does not have variant_length, it is what bcftools makes of a record: up to
    INFO/END where there is one, else REF's length.

    Parameters
    ----------
    group : zarr.Group
    store : Store
        The same store.
    """

    def __init__(self, group: Members, store: Store):
        def column(name: str) -> Column | None:
            with contextlib.suppress(KeyError):
                array = group[name]
                if array.ndim == 1 and array.dtype.kind in "iu":
                    return Column(array, store)
            return None

        self._length = column("variant_length")
        self._end = column("variant_END")
        self._position = Column(group["variant_position"], store)
        self._alleles = Column(group["variant_allele"], store)
        # What is read.
        others = ("variant_allele", "variant_END") if self._end else ("variant_allele",)
        self.fields = ("variant_length",) if self._length is not None else others

    def read(self, start: int, stop: int) -> np.ndarray:
        """Lengths of variants start to stop: int64."""
        if self._length is not None:
            return np.maximum(self._length.read(start, stop).astype(np.int64), 1)
        parts = []
        for first in range(start, stop, _ALLELES):
            alleles = self._alleles.read(first, min(first + _ALLELES, stop))
            parts.append(np.array([len(ref) for ref in alleles[:, 0].tolist()], dtype=np.int64))
        lengths = np.concatenate(parts)
        if self._end is not None:
            end = self._end.read(start, stop).astype(np.int64)
            position = self._position.read(start, stop).astype(np.int64)
            # Missing ones are negative.
            lengths = np.where(end >= position, end - position + 1, lengths)
        return np.maximum(lengths, 1)
