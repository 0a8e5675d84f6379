"""A pass over the variant fields of a store, in batches of bounded memory."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.formats.base import Variants
from biofuse.formats.chromosome import chromosome_name
from biofuse.native import Texts
from biofuse.options import SPLITTING, ViewOptions
from biofuse.plan.columns import Column
from biofuse.plan.genetic_map import GeneticMap
from biofuse.plan.ids import MAX_ID, fill_missing, parse_template
from biofuse.plan.selection import Resolved, read_field
from biofuse.plan.shared_ids import SharedIds
from biofuse.plan.sites import SiteReader
from biofuse.plan.split import Split, split_alts
from biofuse.plan.texts import Array, TextArray
from biofuse.stores import Store

# Variants a batch, and about the bytes of their alleles and IDs: each of these is also in what
# is made of them.
_BATCH = 50_000
_TEXT = 16 << 20
# So many times more in one batch than in the one before.
_GROWTH = 8
_FIELDS = ("variant_contig", "variant_position", "variant_allele", "variant_id")


@dataclass(frozen=True)
class Rows:
    """Consecutive records of a file.

    Attributes
    ----------
    index : ndarray of uint32
        Indices in the store of what they show.
    alts : ndarray of uint16 or None
        Which ALT each shows, from 1; 0 for a site as it is, which all are if it is None.
    num_alleles : ndarray of uint16 or None
        How many alleles the site of each has, if there are `alts`.
    variants : Variants
    """

    index: Array
    alts: Array | None
    num_alleles: Array | None
    variants: Variants

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True)
class Batch:
    """Consecutive variants of a view.

    Attributes
    ----------
    whole : Rows
        A record a site.
    split : Rows
        A record for each ALT of sites that have several, if that is wanted.
    refusal : BiofuseError or None
        Why formats of two alleles a site cannot show them.
    contig : str
        Of all or, where batches may lie in several, the first one.
    """

    whole: Rows
    split: Rows
    refusal: BiofuseError | None
    contig: str


class VariantPass:
    """Reads variants of a selection, in order.

    Parameters
    ----------
    group : zarr.Group
    store : Store
        The same store.
    resolved : Resolved
    options : ViewOptions
        Of which what is said of sites counts: `multiallelic`, `variant_id_template`,
        `contig_names`, `genetic_map`, `name_template`: if there is one batches lie in one contig
        each, and `missing_chunks`: with "fill", what chunks that are not stored come to is shown,
        empty names and alleles as `.`, and positions of 0.
    progress : callable
        Called with the variants read so far and their number.
    sites, split_sites : SiteReader, optional
        Of the same store, if all that it has of sites, or of split ones, is wanted.

    Attributes
    ----------
    dropped, split : int
        Sites of more than two alleles that were left out, or split, until now.
    shared_ids : int
        Records of sites that were split whose IDs others have, as the store has them.
    contig_starts : list of int
        The view's variants, of those read until now, with which a contig begins.
    """

    def __init__(
        self,
        group,
        store: Store,
        resolved: Resolved,
        options: ViewOptions,
        progress: Callable[[int, int], None],
        sites: SiteReader | None = None,
        split_sites: SiteReader | None = None,
    ):
        names = read_field(group, "contig_id").tolist()
        # As they are shown, and as selections name them.
        self._contigs = TextArray.of(
            [chromosome_name(name) for name in names] if options.contig_names == "plink2" else names
        )
        self._stored_names = names
        self._map = GeneticMap(options.genetic_map, names) if options.genetic_map else None
        self._columns = {name: Column(group[name], store) for name in _FIELDS if name in group}
        self._num_variants = group["variant_position"].shape[0]
        self._resolved = resolved
        self._sites, self._split_sites = sites, split_sites
        self._multiallelic = options.multiallelic
        self._splits = options.multiallelic in SPLITTING
        self._by_contig = options.name_template is not None
        template = options.variant_id_template
        self._template = parse_template(template, self._splits) if template is not None else None
        self._progress = progress
        self._show_fill = options.missing_chunks == "fill"
        self._template_text = template
        self._made_ids = SharedIds()
        self._shortened = 0
        self.dropped = self.split = self.shared_ids = 0
        self.contig_starts: list[int] = []
        self._count = 0
        self._last_contig = -1

    def batches(self) -> Iterator[Batch]:
        """The variants. While one batch is in use, the next one is read, but for the second.

        Raises
        ------
        BiofuseError
            At the first site whose contig, position or REF makes no sense.
        """
        with ThreadPoolExecutor(1) as pool:
            yield from self._batches(pool)
        self._progress(self._num_variants, self._num_variants)

    def _batches(self, pool: ThreadPoolExecutor) -> Iterator[Batch]:
        chunk = self._columns["variant_position"].chunk
        most = chunk
        following = None
        stop = 0
        while following is not None or self._next(stop) < self._num_variants:
            first = following is None
            if following is None:
                following, stop = self._begin(pool, self._next(stop), most)
            batches = following.result()
            following = None
            most = min(_BATCH, _GROWTH * most, _TEXT // _size(batches))
            if not first and self._next(stop) < self._num_variants:
                following, stop = self._begin(pool, self._next(stop), most)
            yield from batches

    def notes(self) -> list[str]:
        """What became of sites of more than two alleles, and of IDs, a line each."""
        found = []
        if self.dropped == 1:
            found.append("1 site of more than two alleles is left out")
        elif self.dropped:
            found.append(f"{self.dropped} sites of more than two alleles are left out")
        if self.shared_ids:
            found.append(
                f"{self.shared_ids} records of sites that were split have an ID that others have: "
                "--variant-id-template '@:#:$r:$a' makes IDs of position and alleles for them"
            )
        shared = self._made_ids.count()
        if shared:
            found.append(
                f"{shared} records have an ID that another one at their position has, with "
                f"--variant-id-template {self._template_text!r} too: programs that want unique IDs "
                "stop at them"
            )
        if self._shortened:
            found.append(
                f"{self._shortened} IDs that --variant-id-template makes are of more than "
                f"{MAX_ID:,} bytes, which plink and plink2 do not take: they end in a checksum, "
                "after ~"
            )
        return found

    def _next(self, start: int) -> int:
        """The first variant, from one on, of a chunk that has any of the view."""
        chunk = self._columns["variant_position"].chunk
        return max(start, self._resolved.next_kept(start, self._num_variants) // chunk * chunk)

    def _begin(
        self, pool: ThreadPoolExecutor, start: int, most: int
    ) -> tuple["Future[list[Batch]]", int]:
        """Have variants read from one on, about so many, up to a chunk that has none of the view.

        Also returns the one that follows.
        """
        chunk = self._columns["variant_position"].chunk
        end = min(start + max(chunk, most // chunk * chunk), self._num_variants)
        stop = start + chunk
        while stop < end and self._next(stop) == stop:
            stop += chunk
        stop = min(stop, end)
        self._progress(start, self._num_variants)
        return pool.submit(self._read, start, stop, self._resolved.kept(start, stop)), stop

    def _read(self, start: int, stop: int, kept: Array) -> list[Batch]:
        everything = slice(None) if len(kept) == stop - start else kept
        alleles = self._columns["variant_allele"].read_texts(start, stop)[everything]
        contig = self._columns["variant_contig"].read(start, stop)[everything]
        position = self._columns["variant_position"].read(start, stop)[everything]
        ids = None
        if "variant_id" in self._columns:
            ids = self._columns["variant_id"].read_texts(start, stop)[everything]
        index = np.asarray(kept + start, dtype=np.uint32)
        self._check_contigs(contig, index)
        many: Any = np.zeros(0, bool)
        refusal = None
        if alleles.sizes.shape[1] > 2:
            many = np.asarray(alleles.sizes[:, 2:] > 0).any(axis=1)
        if many.any() and self._multiallelic == "error":
            refusal = self._refusal(int(np.argmax(many)), contig, position, alleles)
        elif many.any() and self._splits:
            self.split += int(many.sum())
        elif many.any():
            self.dropped += int(many.sum())
            keep = np.flatnonzero(~many)
            alleles, contig, position = alleles[keep], contig[keep], position[keep]
            index, ids = index[keep], None if ids is None else ids[keep]
        self._note_contigs(contig)
        self._check_positions(position, contig, index)
        sites = _Sites(index, contig, position, alleles, ids)
        return [self._batch(each, refusal) for each in self._parts(sites)]

    def warnings(self) -> list[str]:
        """What the user should know of all variants, once they were read.

        Raises
        ------
        BiofuseError
            If there is a genetic map, and it has nothing of them.
        """
        return [] if self._map is None else self._map.warnings()

    def _parts(self, sites: "_Sites") -> list["_Sites"]:
        """The same, or those of each contig."""
        if not self._by_contig or not len(sites.index):
            return [sites]
        edges = np.flatnonzero(np.diff(sites.contig.astype(np.int64))) + 1
        edges = np.array([0, *edges.tolist(), len(sites.index)])
        return [
            sites.of(slice(first, last))
            for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        ]

    def _batch(self, sites: "_Sites", refusal: BiofuseError | None) -> Batch:
        """What is shown of some sites."""
        empty = sites.alleles.sizes.shape[1] < 2
        first = sites.alleles[:, 0].blank() if empty else sites.alleles[:, 1]
        found = split_alts(sites.alleles) if self._splits else None
        whole = self._rows(sites, None, first, found is None)
        if self._sites is not None:
            columns = self._sites.read(sites.index, *sites.columns)
            whole = replace(whole, variants=replace(whole.variants, sites=columns))
        split = whole
        if self._splits:
            if found is not None:
                split = self._rows(sites.of(found.rows), found, found.texts, True)
            if self._split_sites is not None:
                columns = self._split_sites.read(sites.index, *sites.columns, found)
                split = replace(split, variants=replace(split.variants, sites=columns))
        contig = self._contigs[sites.contig[:1]].column()
        return Batch(whole, split, refusal, contig[0] if len(sites.index) else "")

    def _rows(self, sites: "_Sites", split: Split | None, shown: TextArray, is_told: bool) -> Rows:
        """Records of sites that show these ALTs, whose IDs may be told of in `notes`."""
        alts = None if split is None else split.alts
        ref = self._without_empty(
            sites.alleles[:, 0], "variant_allele", "an empty REF", sites.index
        )
        chrom = self._without_empty(
            self._contigs[sites.contig], "contig_id", "a contig without a name", sites.index
        )
        positions, alt = _int64(sites.position).data, shown.column()
        ids = shown.blank() if sites.ids is None else sites.ids
        if alts is not None and self._template is not None:
            # An ID that several records have tells none of them.
            ids = ids.replaced(np.flatnonzero(alts), TextArray.of([""] * int((alts > 0).sum())))
        ids, made, shortened = fill_missing(ids, self._template, chrom, positions, ref, alt)
        if is_told and self._template is not None:
            self._made_ids.add(sites.contig, sites.position, ids, made)
            self._shortened += shortened
        if alts is not None:
            self.shared_ids += int(((alts > 0) & (ids.sizes > 0)).sum()) * (self._template is None)
        cm = None
        if self._map is not None:
            cm = self._map.centimorgans(sites.contig, np.asarray(positions))
        variants = Variants(chrom, positions, ids.column(), ref, alt, cm=cm)
        return Rows(sites.index, alts, None if split is None else split.num_alleles, variants)

    def _note_contigs(self, contig: Array) -> None:
        """Note where contigs begin among the next variants of the view."""
        if not len(contig):
            return
        begins = np.flatnonzero(np.diff(contig.astype(np.int64), prepend=self._last_contig))
        self.contig_starts += (begins + self._count).tolist()
        self._count += len(contig)
        self._last_contig = int(contig[-1])

    def _check_contigs(self, contig: Array, index: Array) -> None:
        """Raise `BiofuseError` at a contig that the store does not have."""
        wrong = np.flatnonzero((contig < 0) | (contig >= len(self._contigs)))
        if len(wrong):
            raise BiofuseError(
                f"variant_contig is {contig[wrong[0]]} for variant {index[wrong[0]]} of the store "
                f"(counted from 0), and contig_id has {len(self._contigs)} contigs"
                + self._unless_stored("variant_contig", int(index[wrong[0]]))
            )

    def _check_positions(self, position: Array, contig: Array, index: Array) -> None:
        """Raise `BiofuseError` at a position below 0, and at one of 0 that is not stored."""
        lowest = position.min(initial=1)
        if lowest > 0:
            return
        i = int(np.argmin(position))
        if lowest < 0:
            raise BiofuseError(
                f"the site {self._stored_names[contig[i]]}:{lowest} (variant {index[i]} of the "
                "store, counted from 0) has a position below 0, which no VCF has; leave it out "
                "with -e 'POS<0'"
            )
        # A telomere's is 0 in VCF, and programs take it.
        if self._show_fill:
            return
        zeros = index[position == 0]
        chunk = self._columns["variant_position"].chunk
        for variant in zeros[np.unique(zeros // chunk, return_index=True)[1]].tolist():
            absent = self._unless_stored("variant_position", variant)
            if absent:
                raise BiofuseError(f"variant {variant} of the store has a position of 0{absent}")

    def _without_empty(self, texts: TextArray, name: str, what: str, index: Array) -> Texts:
        """Texts of variants, which may not be empty, or with `.` for those that are."""
        empty = np.flatnonzero(texts.sizes == 0)
        if len(empty) == 0:
            return texts.column()
        if self._show_fill:
            return texts.column().or_else(".")
        variant = int(index[empty[0]])
        raise BiofuseError(
            f"variant {variant} of the store (counted from 0) has {what} in {name}"
            + (self._unless_stored(name, variant) if name in self._columns else "")
            + "; --missing-chunks fill shows it as '.'"
        )

    def _unless_stored(self, name: str, variant: int) -> str:
        """What to add to an error where the chunk that a value comes from is not stored."""
        key = self._columns[name].absent_key(variant)
        return "" if key is None else f", since {key} is not stored: the store is incomplete"

    def _refusal(self, i: int, contig, position, alleles: TextArray) -> BiofuseError:
        found = [a for a in alleles[i].column() if a]
        shown = [a if len(a) <= 20 else a[:17] + "..." for a in found]
        return BiofuseError(
            f"the site {self._stored_names[contig[i]]}:{position[i]} has {len(shown)} alleles "
            f"({','.join(shown)}), and these files hold two a site: leave such sites out with "
            "--multiallelic drop, or show each ALT as a site of its own with --multiallelic split"
        )


def _int64(position: Array) -> Array:
    """Positions; those beyond, of which no format has any, as the highest."""
    if position.dtype.kind == "u" and position.dtype.itemsize == 8:
        position = np.minimum(position, np.iinfo(np.int64).max)
    return np.ascontiguousarray(position, dtype=np.int64)


@dataclass(frozen=True)
class _Sites:
    """What was read of some sites."""

    index: Array
    contig: Array
    position: Array
    alleles: TextArray
    ids: TextArray | None

    @property
    def columns(self) -> tuple[Array, Array, TextArray]:
        return self.contig, self.position, self.alleles

    def of(self, rows: "slice | Array") -> "_Sites":
        """Those of some rows."""
        ids = None if self.ids is None else self.ids[rows]
        return _Sites(
            self.index[rows], self.contig[rows], self.position[rows], self.alleles[rows], ids
        )


def _size(batches: list[Batch]) -> int:
    """Bytes a variant of all IDs and alleles, and of what else is read of sites."""
    size = 1
    for batch in batches:
        for rows in {id(rows): rows for rows in (batch.whole, batch.split)}.values():
            variants = rows.variants
            size += variants.id.nbytes + variants.ref.nbytes + variants.alt.nbytes
            if variants.sites is not None:
                with suppress(BiofuseError):
                    size += 2 * variants.sites().nbytes
    return size // max(1, sum(len(batch.whole) for batch in batches)) + 1
