"""Chunks that a view needs and a store does not have.

They hold Zarr's fill value. Writers leave out chunks of nothing else, so that most absent
chunks are right: the first contig, unphased calls, REF. What cannot be right is an error, and
what may be wrong is told.
"""

import contextlib
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.formats.base import CALL_FIELDS, GENOTYPES, PHASED
from biofuse.options import Selection
from biofuse.plan.columns import Column
from biofuse.plan.grid import Grid, Presence, presence
from biofuse.stores import Range, Store
from biofuse.stores.members import Members

if TYPE_CHECKING:
    import zarr

_ADVICE = (
    "the store is incomplete, as 'biofuse check' shows in full; --missing-chunks fill shows it as "
    "it is"
)
# Fields of which no chunk can be of the fill value alone, and what that would be.
NEEDED = {
    "contig_id": "an empty contig name",
    "sample_id": "an empty sample ID",
    "variant_position": "a position of 0",
    "variant_allele": "an empty REF",
    "variant_length": "a length of 0",
    "region_index": "a region of no variants",
}
# Fields that a store may do without.
_OPTIONAL = ("variant_id", "variant_length", "region_index", *CALL_FIELDS)
# Variants of which positions are read at a time, if a chunk has not more.
_RUN = 1 << 19
# Absent chunks of variant_contig that are looked at where each takes requests.
_LOOKED_AT_FAR = 8
# Chunks of phase that are looked at where nothing lists them.
_LOOKED_AT_PHASE = 16


class AbsentChunks:
    """Looks for chunks that are not stored, of every array that a view depends on.

    Parameters
    ----------
    group : Members
    store : Store
        The same store.
    fill : bool
        Whether the fill value is shown where it makes no sense.

    Attributes
    ----------
    warnings : list of str
        What the user should know.
    """

    def __init__(self, group: Members, store: Store, fill: bool = False):
        self.warnings: list[str] = []
        self._group = group
        self._store = store
        self._fill = fill
        self._columns: dict[str, Column] = {}
        self._of_calls = cache(self._find_calls)
        self._cannot_tell = cache(self._look_whether_unlisted)

    def check_sites(self, selection: Selection) -> None:
        """Look at the fields of variants, of contigs and of samples.

        Raises
        ------
        BiofuseError
            If one lacks a chunk that cannot be of the fill value alone, unless that is to be
            shown; if a chunk is there and is no file; if chunks have other names than they
            should; if a field has chunks and no metadata.
        """
        self._check_metadata()
        by_region = selection.regions or selection.regions_file
        by_target = selection.targets or selection.targets_file
        asked = {"region_index": by_region, "variant_length": by_region or by_target}
        for name, what in NEEDED.items():
            if name in self._group and asked.get(name, True):
                found = self._presence(name)
                if found is not None and found.absent:
                    self._check_needed(found, what)
        found = self._presence("variant_contig")
        # Far away, who asks for a region does not pay for a look at all the others.
        if found is not None and found.absent and not (by_region and self._store.far):
            self._check_contigs(found)
        if "variant_id" in self._group:
            found = self._presence("variant_id")
            # Without any, a store has no IDs; zarr leaves such an array out.
            if found is not None and 0 < len(found.absent) < len(found.grid):
                self._notice(found, f"shown as {shown_as('variant_id', self._group['variant_id'])}")
        if selection.has_expression:
            self._check_others()

    def _check_metadata(self) -> None:
        """Raise `BiofuseError` if a field that a store may lack has lost its metadata only."""
        for name in _OPTIONAL:
            if name in self._group:
                continue
            listing = self._store.listing(name)
            if listing is not None and listing.names:
                raise BiofuseError(
                    f"{name} has files, such as {name}/{min(listing.names)}, and no metadata "
                    "(.zarray or zarr.json): the store is incomplete"
                )

    def check_calls(self, fields: Iterable[str]) -> dict[str, tuple[tuple[int, int], ...]]:
        """Look at these fields of calls.

        Returns
        -------
        dict of str to tuple of (int, int)
            By field, as far as the store can tell, what is absent as `GenotypeArray.absent`.

        Raises
        ------
        BiofuseError
            If chunks have other names than they should.
        """
        saved = getattr(self._store, "saved", None)
        if saved is not None and self._store.far:
            for name in fields:
                self.warnings += saved.about["warnings"].get(name, ())
            return {name: tuple(map(tuple, each)) for name, each in saved.about["absent"].items()}
        runs = {}
        for name in fields:
            if name not in self._group:
                continue
            found = self._of_calls(name)
            if found is None:
                continue
            # Chunks that part a call are read together, and have more numbers.
            if all(count == 1 for count in found.grid.counts[2:]):
                runs[name] = found.absent_runs()
            if found.broken:
                number, what = next(iter(found.broken.items()))
                self.warnings.append(
                    f"{len(found.broken)} of {len(found.grid)} chunks of {name} cannot be opened, "
                    f"and reads of them fail: {found.grid.key(number)} is {what}"
                )
            # A store of which no call is phased has none of these.
            some = 1 if name == PHASED else 0
            if found.absent and len(found.grid) - len(found.absent) >= some:
                self._notice(found, f"shown as {shown_as(name, self._group[name])}")
        return runs

    def is_unlisted(self, name: str) -> bool:
        """Whether nothing tells which chunks of a field of calls are lost before they are read.

        Those of phase are none that are missed where a store has none at all, as far as a look at
        some of them tells.
        """
        return self._cannot_tell(name)

    def _find_calls(self, name: str) -> Presence | None:
        """Of a field of calls; None where a store at some distance has no list to tell."""
        return presence(self._store, self._group[name], ask=not self._store.far)

    def _look_whether_unlisted(self, name: str) -> bool:
        if name not in self._group or not self._store.far:
            return False
        saved = getattr(self._store, "saved", None)
        if saved is not None:
            return name in saved.about["unlisted"]
        if self._of_calls(name) is not None:
            return False
        return name != PHASED or self._has_some(Grid(self._group[name]))

    def _has_some(self, grid: Grid) -> bool:
        """Whether any of some chunks is stored, from the first to the last."""
        numbers = np.unique(np.linspace(0, max(0, len(grid) - 1), _LOOKED_AT_PHASE).astype(int))
        keys = [grid.key(number) for number in numbers.tolist()] if len(grid) else []
        try:
            return self._store.get_many([Range(key, 0, 1) for key in keys]) != [None] * len(keys)
        except BiofuseError:
            return True

    def fails(self, name: str) -> bool:
        """Whether reads of chunks of a field of calls are to fail if those are not stored."""
        return not self._fill and self.is_unlisted(name)

    def out_of_order(self, grid: Grid, absent: list[int]) -> list[int]:
        """Chunks of variant_contig that cannot be of the fill value: variants are out of order.

        Parameters
        ----------
        grid : Grid
            Of variant_contig.
        absent : list of int
            Numbers of chunks that are not stored, ascending.

        Raises
        ------
        BiofuseError
            If the contigs and positions at them cannot be read.
        """
        fill = int(self._group["variant_contig"].fill_value or 0)
        found: set[int] = set()
        before = -1
        for chunks in _runs(absent, max(1, _RUN // max(1, grid.size[0]))):
            start, stop = grid.rows(chunks[0])[0], grid.rows(chunks[-1])[1]
            previous = fill if before == chunks[0] - 1 else self._contig_at(start - 1)
            following = self._contig_at(stop) if stop < grid.shape[0] else -1
            before = chunks[-1]
            if previous > fill or (previous == following != fill and previous >= 0):
                found.update(chunks)
                continue
            first = start - 1 if previous == fill and start else start
            last = stop + 1 if following == fill and stop < grid.shape[0] else stop
            position = self._column("variant_position").read(first, last).astype(np.int64)
            # Positions of 0 come from chunks of their own that are not there.
            back = np.flatnonzero((np.diff(position) < 0) & (position[1:] > 0)) + first + 1
            found.update(min(row, stop - 1) // grid.size[0] for row in back.tolist())
        return sorted(found)

    def _contig_at(self, variant: int) -> int:
        """The contig of a variant; -1 before the first one."""
        if variant < 0:
            return -1
        return int(self._column("variant_contig").read(variant, variant + 1)[0])

    def _presence(self, name: str) -> Presence | None:
        """Of a field that is read here."""
        found = presence(self._store, self._group[name])
        if found is not None and found.broken:
            number, what = next(iter(found.broken.items()))
            raise BiofuseError(f"{found.grid.key(number)} cannot be read: it is {what}")
        return found

    def _check_needed(self, found: Presence, what: str) -> None:
        if found.grid.name == "variant_allele" and found.grid.counts[1] > 1:
            # Those that have no REF: sites of few alleles have nothing in the others.
            absent = [number for number in found.absent if not found.grid.index(number)[1]]
            if not absent:
                return
            found = Presence(found.grid, absent)
        text = f"{found.counted()}{self._where(found)}"
        if not self._fill:
            raise BiofuseError(f"{text}: {what} cannot be right; {_ADVICE}")
        self.warnings.append(f"{text}: its fill value is {what}")

    def _check_contigs(self, found: Presence) -> None:
        """Tell of absent chunks of variant_contig that break the order of variants."""
        looked_at = found.absent[:_LOOKED_AT_FAR] if self._store.far else found.absent
        wrong = self.out_of_order(found.grid, looked_at)
        if wrong:
            name = self._contig_name(self._column("variant_contig").read(*_first_row(found, wrong)))
            place = self._where(Presence(found.grid, wrong))
            self.warnings.append(
                f"{found.counted()} and are shown as contig {name}, which is wrong for "
                f"{len(wrong)} of them, as the order of the variants tells{place}: the store is "
                "incomplete"
            )

    def _check_others(self) -> None:
        """Tell of the fields that an expression may look at."""
        known = {*NEEDED, "variant_contig", "variant_id", GENOTYPES}
        for name in sorted(self._group.array_keys()):
            if name not in known and name.startswith(("variant_", "call_")):
                self._notice_lost(name, "taken for {} where an expression asks")

    def check_shown(self, names: Iterable[str]) -> None:
        """Tell of these fields of variants, if some of their chunks are absent.

        What is wrong with one is told by the view that is made from it.
        """
        for name in names:
            with contextlib.suppress(BiofuseError):
                # A folder may be of no array.
                if name in self._group:
                    self._notice_lost(name, "shown as {}")

    def _notice_lost(self, name: str, shown: str) -> None:
        array = self._group[name]
        # Flags that no variant has are all fill.
        if array.ndim == 0 or array.dtype.kind == "b":
            return
        found = self._presence(name)
        if found is not None and 0 < len(found.absent) < len(found.grid):
            self._notice(found, shown.format(shown_as(name, array)))

    def _notice(self, found: Presence, shown: str) -> None:
        verb = "is" if len(found.absent) == 1 else "are"
        self.warnings.append(
            f"{found.counted()} and {verb} {shown}: right if zarr left them out, wrong if a copy "
            f"lost them{self._where(found)}"
        )

    def _where(self, found: Presence) -> str:
        """The first absent chunk, and its sites."""
        start, stop = found.grid.rows(found.absent[0])
        if found.grid.name in ("contig_id", "region_index"):
            return f" ({found.first()})"
        if found.grid.name == "sample_id":
            return f" ({found.first()}: samples {start:,} to {stop - 1:,}, counted from 0)"
        only = "" if len(found.absent) == 1 else "the first is "
        numbers = f"variants {start:,} to {stop - 1:,} of the store, counted from 0"
        # The contig is what is not known.
        known = found.grid.name != "variant_contig"
        sites = self._sites(start, stop) if known else None
        return f" ({only}{found.first()}: {sites or numbers})"

    def _sites(self, start: int, stop: int) -> str | None:
        """Contig and positions of variants; None where those don't tell."""
        try:
            ends = []
            for i in (start, stop - 1):
                contig = self._contig_name(self._column("variant_contig").read(i, i + 1))
                ends.append((contig, int(self._column("variant_position").read(i, i + 1)[0])))
        except (BiofuseError, IndexError):
            return None
        (contig, first), (last_contig, last) = ends
        if not contig or not last_contig or min(first, last) <= 0:
            return None
        if contig != last_contig:
            return f"sites {contig}:{first} to {last_contig}:{last}"
        return f"sites {contig}:{first}-{last}" if first <= last else None

    def _contig_name(self, contig: np.ndarray) -> str:
        number = int(contig[0])
        if number < 0:
            raise IndexError(number)
        return str(self._column("contig_id").read(number, number + 1)[0])

    def _column(self, name: str) -> Column:
        if name not in self._columns:
            self._columns[name] = Column(self._group[name], self._store)
        return self._columns[name]


def _runs(numbers: list[int], most: int) -> Iterator[list[int]]:
    """Consecutive numbers among these, up to so many at a time."""
    run: list[int] = []
    for number in numbers:
        if run and (number != run[-1] + 1 or len(run) == most):
            yield run
            run = []
        run.append(number)
    if run:
        yield run


def _first_row(found: Presence, numbers: list[int]) -> tuple[int, int]:
    start = found.grid.rows(numbers[0])[0]
    return start, start + 1


def shown_as(name: str, array: "zarr.Array[Any]") -> str:
    """What an absent chunk of a field is shown as, in a word."""
    fill = array.fill_value
    if name == "variant_id":
        return "missing IDs"
    if name == PHASED:
        return "phased" if fill else "unphased"
    if name == GENOTYPES:
        return {0: "REF", -1: "missing"}.get(int(fill or 0), f"allele {fill}")
    if array.dtype.kind == "f" and fill is not None and np.isnan(fill):
        return "missing"
    return repr(fill) if isinstance(fill, str) else str(fill or 0)
