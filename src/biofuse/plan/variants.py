"""A pass over the variant fields of a store, in batches of bounded memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.formats.base import Variants
from biofuse.formats.chromosome import chromosome_name
from biofuse.options import ViewOptions
from biofuse.plan.columns import Column
from biofuse.plan.ids import fill_missing, template_function
from biofuse.plan.selection import Resolved, read_field
from biofuse.stores import Store

# Variants a batch, and about the characters of their alleles and IDs: each of these is also
# in the bytes that are made of them.
_BATCH = 50_000
_TEXT = 16 << 20
# So many times more in one batch than in the one before.
_GROWTH = 8
_FIELDS = ("variant_contig", "variant_position", "variant_allele", "variant_id")


@dataclass(frozen=True)
class Batch:
    """Consecutive variants of a view.

    Attributes
    ----------
    index : ndarray of uint32
        Their indices in the store.
    variants : Variants
    """

    index: np.ndarray
    variants: Variants


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
        `contig_names`, and `missing_chunks`: with "fill", what chunks that are not stored
        come to is shown, empty names and alleles as `.`, and positions of 0.
    progress : callable
        Called with the variants read so far and their number.

    Attributes
    ----------
    dropped : int
        Sites of more than two alleles that were left out until now.
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
    ):
        names = read_field(group, "contig_id").tolist()
        # As they are shown, and as selections name them.
        self._contigs = _objects(
            [chromosome_name(name) for name in names] if options.contig_names == "plink2" else names
        )
        self._stored_names = _objects(names)
        self._columns = {name: Column(group[name], store) for name in _FIELDS if name in group}
        self._num_variants = group["variant_position"].shape[0]
        self._resolved = resolved
        self._multiallelic = options.multiallelic
        template = options.variant_id_template
        self._fill = template_function(template) if template is not None else None
        self._progress = progress
        self._show_fill = options.missing_chunks == "fill"
        self.dropped = 0
        self.contig_starts: list[int] = []
        self._count = 0
        self._last_contig = -1

    def batches(self) -> Iterator[Batch]:
        """The variants.

        Raises
        ------
        BiofuseError
            At the first site of more than two alleles, if those are an error, and at one
            whose contig, position or REF makes no sense.
        """
        chunk = self._columns["variant_position"].chunk
        start, most = 0, chunk
        while start < self._num_variants:
            stop = min(start + max(chunk, most // chunk * chunk), self._num_variants)
            self._progress(start, self._num_variants)
            kept = self._resolved.kept(start, stop)
            most = min(_BATCH, _GROWTH * most)
            if len(kept) > 0:
                batch = self._read(start, stop, kept)
                each = _characters(batch.variants) // len(kept) + 1
                most = min(most, _TEXT // each)
                yield batch
            start = stop
        self._progress(self._num_variants, self._num_variants)

    def _read(self, start: int, stop: int, kept: np.ndarray) -> Batch:
        everything = len(kept) == stop - start

        def column(name: str) -> np.ndarray:
            values = self._columns[name].read(start, stop)
            return values if everything else values[kept]

        alleles = column("variant_allele")
        contig = column("variant_contig")
        position = column("variant_position")
        index = np.asarray(kept + start, dtype=np.uint32)
        self._check_contigs(contig, index)
        keep = None
        if alleles.shape[1] > 2:
            many = np.asarray(alleles[:, 2:] != "").any(axis=1)
            if many.any():
                if self._multiallelic == "error":
                    self._refuse(int(np.argmax(many)), contig, position, alleles)
                self.dropped += int(many.sum())
                keep = ~many
                alleles, contig, position = alleles[keep], contig[keep], position[keep]
                index = index[keep]
        self._note_contigs(contig)
        chroms, positions = self._contigs[contig].tolist(), position.tolist()
        refs = alleles[:, 0].tolist()
        self._check_positions(positions, contig, index)
        refs = self._without_empty(refs, "variant_allele", "an empty REF", index)
        chroms = self._without_empty(chroms, "contig_id", "a contig without a name", index)
        alts = alleles[:, 1].tolist() if alleles.shape[1] > 1 else [""] * len(refs)
        if "variant_id" in self._columns:
            stored = column("variant_id")
            ids = (stored if keep is None else stored[keep]).tolist()
        else:
            ids = [""] * len(refs)
        ids = fill_missing(ids, self._fill, chroms, positions, refs, alts)
        return Batch(index, Variants(chroms, positions, ids, refs, alts))

    def _note_contigs(self, contig: np.ndarray) -> None:
        """Note where contigs begin among the next variants of the view."""
        if not len(contig):
            return
        begins = np.flatnonzero(np.diff(contig.astype(np.int64), prepend=self._last_contig))
        self.contig_starts += (begins + self._count).tolist()
        self._count += len(contig)
        self._last_contig = int(contig[-1])

    def _check_contigs(self, contig: np.ndarray, index: np.ndarray) -> None:
        """Raise `BiofuseError` at a contig that the store does not have."""
        wrong = np.flatnonzero((contig < 0) | (contig >= len(self._contigs)))
        if len(wrong):
            raise BiofuseError(
                f"variant_contig is {contig[wrong[0]]} for variant {index[wrong[0]]} of the store "
                f"(counted from 0), and contig_id has {len(self._contigs)} contigs"
                + self._unless_stored("variant_contig", int(index[wrong[0]]))
            )

    def _check_positions(self, positions: list, contig: np.ndarray, index: np.ndarray) -> None:
        """Raise `BiofuseError` at a position below 0, and at one of 0 that is not stored."""
        lowest = min(positions, default=1)
        if lowest > 0:
            return
        i = positions.index(lowest)
        if lowest < 0:
            raise BiofuseError(
                f"the site {self._stored_names[contig[i]]}:{lowest} (variant {index[i]} of the "
                "store, counted from 0) has a position below 0, which no VCF has; leave it out "
                "with -e 'POS<0'"
            )
        # A telomere's is 0 in VCF, and programs take it.
        if self._show_fill:
            return
        zeros = index[np.asarray(positions) == 0]
        chunk = self._columns["variant_position"].chunk
        for variant in zeros[np.unique(zeros // chunk, return_index=True)[1]].tolist():
            absent = self._unless_stored("variant_position", variant)
            if absent:
                raise BiofuseError(f"variant {variant} of the store has a position of 0{absent}")

    def _without_empty(self, texts: list, name: str, what: str, index: np.ndarray) -> list:
        """Texts of variants, which may not be empty, or with `.` for those that are."""
        if "" not in texts:
            return texts
        if self._show_fill:
            return [text or "." for text in texts]
        variant = int(index[texts.index("")])
        raise BiofuseError(
            f"variant {variant} of the store (counted from 0) has {what} in {name}"
            + (self._unless_stored(name, variant) if name in self._columns else "")
            + "; --missing-chunks fill shows it as '.'"
        )

    def _unless_stored(self, name: str, variant: int) -> str:
        """What to add to an error where the chunk that a value comes from is not stored."""
        key = self._columns[name].absent_key(variant)
        return "" if key is None else f", since {key} is not stored: the store is incomplete"

    def _refuse(self, i: int, contig, position, alleles) -> None:
        shown = [a if len(a) <= 20 else a[:17] + "..." for a in alleles[i].tolist() if a != ""]
        raise BiofuseError(
            f"the site {self._stored_names[contig[i]]}:{position[i]} has {len(shown)} alleles "
            f"({','.join(shown)}), and these files hold two a site: leave such sites out with "
            "--multiallelic drop, or split them before conversion with bcftools norm -m -any"
        )


def _objects(values: list) -> np.ndarray:
    return np.array(values, dtype=object)


def _characters(variants: Variants) -> int:
    """Characters of all IDs and alleles."""
    # Joining some takes a quarter of the time that asking each for its length does.
    return sum(
        len("".join(column[i : i + 1000]))
        for column in (variants.id, variants.ref, variants.alt)
        for i in range(0, len(column), 1000)
    )
