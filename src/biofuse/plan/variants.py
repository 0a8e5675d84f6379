"""A pass over the variant fields of a store, in batches of bounded memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.formats.base import Variants
from biofuse.formats.chromosome import chromosome_name
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
    multiallelic : str
        "error" or "drop": what to do with sites of more than two alleles.
    template : str or None
        How missing IDs are filled in.
    progress : callable
        Called with the variants read so far and their number.
    """

    def __init__(
        self,
        group,
        store: Store,
        resolved: Resolved,
        multiallelic: str,
        template: str | None,
        progress: Callable[[int, int], None],
    ):
        self._contigs = np.asarray(read_field(group, "contig_id").tolist(), dtype=object)
        self._columns = {name: Column(group[name], store) for name in _FIELDS if name in group}
        self._num_variants = group["variant_position"].shape[0]
        self._resolved = resolved
        self._multiallelic = multiallelic
        self._fill = template_function(template) if template is not None else None
        self._progress = progress
        self.dropped = 0

    def batches(self) -> Iterator[Batch]:
        """The variants.

        Raises
        ------
        BiofuseError
            At the first site of more than two alleles, if those are an error.
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
        contigs = self._contigs
        everything = len(kept) == stop - start

        def column(name: str) -> np.ndarray:
            values = self._columns[name].read(start, stop)
            return values if everything else values[kept]

        alleles = column("variant_allele")
        contig = column("variant_contig")
        position = column("variant_position")
        if len(contig) and not 0 <= contig.min() <= contig.max() < len(contigs):
            raise BiofuseError("variant_contig has a contig that contig_id does not have")
        chrom = contigs[contig]
        index = np.asarray(kept + start, dtype=np.uint32)
        keep = None
        if alleles.shape[1] > 2:
            many = np.asarray(alleles[:, 2:] != "").any(axis=1)
            if many.any():
                if self._multiallelic == "error":
                    self._refuse(int(np.argmax(many)), chrom, position, alleles)
                self.dropped += int(many.sum())
                keep = ~many
                alleles, chrom, position = alleles[keep], chrom[keep], position[keep]
                index = index[keep]
        chroms, positions = chrom.tolist(), position.tolist()
        refs = alleles[:, 0].tolist()
        alts = alleles[:, 1].tolist() if alleles.shape[1] > 1 else [""] * len(refs)
        if "variant_id" in self._columns:
            stored = column("variant_id")
            ids = (stored if keep is None else stored[keep]).tolist()
        else:
            ids = [""] * len(refs)
        names = [chromosome_name(c) for c in chroms] if self._fill else chroms
        ids = fill_missing(ids, self._fill, names, positions, refs, alts)
        return Batch(index, Variants(chroms, positions, ids, refs, alts))

    def _refuse(self, i: int, chrom, position, alleles) -> None:
        shown = [a if len(a) <= 20 else a[:17] + "..." for a in alleles[i].tolist() if a != ""]
        raise BiofuseError(
            f"the site {chrom[i]}:{position[i]} has {len(shown)} alleles ({','.join(shown)}), "
            "and these files hold two a site: leave such sites out with --multiallelic drop, "
            "or split them before conversion with bcftools norm -m -any"
        )


def _characters(variants: Variants) -> int:
    """Characters of all IDs and alleles."""
    # Joining some takes a quarter of the time that asking each for its length does.
    return sum(
        len("".join(column[i : i + 1000]))
        for column in (variants.id, variants.ref, variants.alt)
        for i in range(0, len(column), 1000)
    )
