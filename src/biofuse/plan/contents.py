"""What every view of a store would have: files and their sizes, fields, and what is left out."""

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from biofuse import formats, temporary
from biofuse.errors import BiofuseError, NoRoomError, StoreChangedError
from biofuse.formats.base import GENOTYPES, PHASED, Subject
from biofuse.options import ViewOptions
from biofuse.plan.findings import CallFindings
from biofuse.plan.hints import SITES, hint_sites
from biofuse.plan.room import Room
from biofuse.plan.selection import Resolved, read_field
from biofuse.plan.sites import SiteReader, info_names, no_info, site_fields
from biofuse.plan.sizes import FileSize, MeasuredView
from biofuse.plan.variants import VariantPass
from biofuse.plan.views import View, open_view
from biofuse.stores import Location, Store
from biofuse.stores.members import Members

# Chunks of sites that are looked at, of a local store and of another: of a local one as many
# more as have so many sites, and of any as many fewer as have not many more.
_CHUNKS, _CHUNKS_FAR = 16, 8
_SITES, _MOST_SITES = 16_000, 200_000
_CALL = "call_"
# Columns of sites, and the fields that they are made from.
_COLUMNS = {"QUAL": "variant_quality", "FILTER": "variant_filter"}
# Parts of fields, which are none of their own.
_PARTS = ("_mask", "_fill")
# Of the files of views that have sites of any number of alleles, and of others.
_FOLDERS = ("any", "two")


@dataclass(frozen=True)
class ViewContents:
    """A view of a whole store, with default options.

    Attributes
    ----------
    files : list of FileSize
        The streamed file first; none if there is no such view.
    reason : str or None
        Why there is none.
    columns, info, format : list of str
        What it has of the columns QUAL and FILTER, and of the fields of INFO and FORMAT.
    left_out : dict of str to str
        Fields that the store has and it has not, and why.
    """

    files: list[FileSize] = field(default_factory=list)
    reason: str | None = None
    columns: list[str] = field(default_factory=list)
    info: list[str] = field(default_factory=list)
    format: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """All views of a store.

    Attributes
    ----------
    views : dict of str to ViewContents
        By format. Those that hold two alleles a site are without other sites.
    looked_at : int
        Sites that sizes are taken from.
    many : int
        Sites of more than two alleles: of all, or as many as those that were looked at tell.
    many_exact : bool
    """

    views: dict[str, ViewContents]
    looked_at: int
    many: int
    many_exact: bool


class ContentsReader:
    """Looks at sites of a store, for all views.

    Parameters
    ----------
    group : Members
    store : Store
        The same store.
    subject : Subject
        Its samples.
    stem : str
        Name of the files, without suffix.
    missing_chunks : str
        As for a mount.
    full : bool
        Whether all sites are looked at, not some of them.
    progress : callable
        Called with the sites read so far and their number.
    """

    def __init__(
        self,
        group: Members,
        store: Store,
        subject: Subject,
        stem: str,
        missing_chunks: str = "error",
        full: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ):
        self._group = group
        self._store = store
        self._subject = subject
        self._stem = stem
        self._missing_chunks = missing_chunks
        self._variants = None if full else _some_variants(group, store)
        self._progress = progress
        self._num_variants: int = group["variant_position"].shape[0]
        self._reasons: dict[str, str] = {}
        self._measured: dict[str, MeasuredView] = {}
        self._looked_at = self._dropped = 0

    def read(self, many: int | None = None) -> Contents:
        """Look at the sites.

        Parameters
        ----------
        many : int, optional
            How many have more than two alleles, if that is known.
        """
        with temporary.folder("info") as directory:
            for folder in _FOLDERS:
                os.mkdir(os.path.join(directory, folder))
            for name in formats.NAMES:
                self._attempt(name, partial(self._begin, name, directory))
            for names in self._looks():
                self._look(names, directory)
            exact = many is not None or self._looked_at == self._num_variants
            if many is None:
                seen = max(1, self._looked_at)
                many = round(self._dropped * self._num_variants / seen)
            views = {name: self._finish(name, many, exact) for name in formats.NAMES}
        return Contents(views, self._looked_at, many, exact)

    def _attempt(self, name: str, do: Callable[[], None]) -> None:
        """Do something for a view; give it up if that is not possible."""
        try:
            do()
        except BiofuseError as error:
            self._give_up(name, error)

    def _give_up(self, name: str, error: BiofuseError) -> None:
        if isinstance(error, (StoreChangedError, NoRoomError)):
            raise error
        self._reasons[name] = str(error)
        measured = self._measured.pop(name, None)
        if measured is not None:
            measured.abandon()

    def _begin(self, name: str, directory: str) -> None:
        view = open_view(name, self._group, self._subject, {})
        self._measured[name] = MeasuredView(
            view, self._subject, self._stem, _folder(directory, view)
        )

    def _looks(self) -> Iterator[list[str]]:
        """Formats that have the same sites."""
        holds = {name: each.view.format.MULTIALLELIC for name, each in self._measured.items()}
        if self._group["variant_allele"].shape[1] <= 2:
            yield list(holds)
            return
        yield [name for name in holds if not holds[name]]
        yield [name for name in holds if holds[name]]

    def _look(self, names: list[str], directory: str) -> None:
        """Add sites to these views."""
        views = [self._measured[name].view for name in names]
        if not views:
            return
        policy = "error" if all(view.format.MULTIALLELIC for view in views) else "drop"
        options = ViewOptions({}, "", [], multiallelic=policy, missing_chunks=self._missing_chunks)
        with_sites = any(view.format.needs_sites(view.options) for view in views)
        fields = site_fields(self._group) if with_sites else []
        resolved = Resolved(None, self._variants)
        hint_sites(self._group, self._store, resolved.runs(), (*SITES, *fields))
        reader = SiteReader(self._group, self._store) if with_sites else None
        sites = VariantPass(self._group, self._store, resolved, options, self._progress, reader)
        room = Room(_folder(directory, views[0]))
        seen = 0
        try:
            for batch in sites.batches():
                seen += len(batch.whole)
                for name in self._measured.keys() & names:
                    self._attempt(name, partial(self._measured[name].add, batch.whole.variants))
                room.check(seen, self._num_variants)
        except BiofuseError as error:
            # No view can be made of these sites.
            for name in self._measured.keys() & names:
                self._give_up(name, error)
            return
        self._looked_at = max(self._looked_at, seen + sites.dropped)
        self._dropped = max(self._dropped, sites.dropped)

    def _finish(self, name: str, many: int, exact: bool) -> ViewContents:
        if name in self._reasons:
            return ViewContents(reason=self._reasons[name])
        measured = self._measured[name]
        view = measured.view
        if view.format.MULTIALLELIC:
            return _contents(self._group, view, measured.sizes(self._num_variants, True))
        return _contents(self._group, view, measured.sizes(self._num_variants - many, exact))


def _folder(directory: str, view: View) -> str:
    return os.path.join(directory, _FOLDERS[0] if view.format.MULTIALLELIC else _FOLDERS[1])


def _some_variants(group: Members, store: Store) -> np.ndarray | None:
    """Variants of some chunks, from the first to the last; None if those would be all."""
    array = group["variant_position"]
    count, chunk = array.shape[0], max(1, array.chunks[0])
    chunks = -(-count // chunk)
    most = _CHUNKS_FAR if store.far else max(_CHUNKS, -(-_SITES // chunk))
    most = max(1, min(most, _MOST_SITES // chunk))
    if chunks <= most:
        return None
    numbers = np.unique(np.linspace(0, chunks - 1, most).astype(np.int64))
    return np.concatenate([np.arange(i * chunk, min(i * chunk + chunk, count)) for i in numbers])


def _contents(group: Members, view: View, files: list[FileSize]) -> ViewContents:
    shown = [_format_key(name) for name in view.layout.fields if name != PHASED and name in group]
    left_out = {
        f"FORMAT/{key}": _why_not(view, key)
        for key in map(_format_key, _format_fields(group))
        if key not in shown
    }
    if not view.format.needs_sites(view.options):
        return ViewContents(files, format=shown, left_out=left_out)
    return ViewContents(
        files,
        columns=[name for name, made_from in _COLUMNS.items() if made_from in group],
        info=[name.removeprefix("variant_") for name in info_names(group)],
        format=shown,
        left_out={**left_out, **no_info(group)},
    )


def _why_not(view: View, key: str) -> str:
    """Why a view has not a field of calls."""
    for each in dataclasses.fields(view.format.Options):
        flag = f"--{each.name.replace('_', '-')}"
        if key in each.metadata["choices"]:
            return f"{flag} {key} shows it"
        if each.metadata["fields"]:
            return f"{flag} shows it"
    return "not made from it"


def _format_fields(group: Members) -> list[str]:
    """Names of the arrays that are fields of calls, sorted."""
    return sorted(
        name
        for name in group.folder_names()
        if name.startswith(_CALL) and name != PHASED and not name.endswith(_PARTS)
    )


def _format_key(name: str) -> str:
    return "GT" if name == GENOTYPES else name.removeprefix(_CALL)


def view_notices(location: Location, group: Members, names: Sequence[str]) -> list[str]:
    """What is said of the whole store in these formats, with default options."""
    sample_id = read_field(group, "sample_id")
    kept = np.flatnonzero(np.asarray(sample_id != ""))
    samples = None if len(kept) == len(sample_id) else kept.tolist()
    findings = CallFindings(location, group, samples=samples)
    said: list[str] = []
    for name in names:
        module: Any = formats.get_format(name)
        said += module.notices(module.Options(), findings)
    return [*said, *(f"calls cannot be shown: {error}" for error in findings.errors)]
