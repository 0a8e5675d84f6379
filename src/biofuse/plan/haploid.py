"""Whether a view has haploid calls, looked for at a bounded cost."""

from array import array
from collections.abc import Callable, Iterable, Sequence

from biofuse import native
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.cache import ByteCache
from biofuse.genotypes.reader import GenotypeReader
from biofuse.genotypes.whole import WholeChunks
from biofuse.stores import Location, open_store

# Variants that are looked at: so many, evenly spaced, and some of each of so many contigs.
_LOOKS = 48
_CONTIGS = 64
# Where each is a whole chunk to decode, or a request over a network.
LOOKS_SLOW = 8
_CACHE = 4 << 20


def find_haploid(
    location: Location,
    genotypes: GenotypeArray,
    variants: Sequence[int] | None,
    samples: Sequence[int] | None,
    contig_starts: Sequence[int],
    opened_ns: int,
    look_at: Callable[[Iterable[str]], None],
) -> bool:
    """Whether any of the calls that are looked at is haploid.

    What a call is depends on contig and sex: so the first, the middle and the last variant
    of each contig are looked at, and others between, of the view's first chunk of samples.

    Parameters
    ----------
    location : Location
    genotypes : GenotypeArray
        call_genotype.
    variants, samples : sequence of int or None
        The store's indices of the view's variants, ascending, and of its samples; None for
        all.
    contig_starts : sequence of int
        The view's variants, ascending, with which a contig begins; may be empty.
    opened_ns : int
        Time in nanoseconds since 1970: files that were changed later are an error.
    look_at : callable
        Called with the keys of chunks before they are read.

    Raises
    ------
    BiofuseError
        If a chunk cannot be read.
    """
    count = genotypes.shape[0] if variants is None else len(variants)
    if genotypes.ploidy < 2 or not count:
        return genotypes.ploidy == 1 and count > 0
    width = genotypes.chunks[1]
    if samples is None:
        first: Sequence[int] = range(min(width, genotypes.shape[1]))
    else:
        chunk = min(samples, default=0) // width
        first = [sample for sample in samples if sample // width == chunk]
    store = open_store(location, opened_ns)
    cache = ByteCache(_CACHE)
    reader = GenotypeReader(store, WholeChunks(store, location, cache), genotypes, first, cache)
    rows = reader.rows()
    try:
        for record in _records(count, contig_starts, genotypes.fast and location.is_local):
            variant = record if variants is None else variants[record]
            chunk_row, row = divmod(variant, genotypes.chunks[0])
            look_at(reader.keys(chunk_row))
            try:
                reader.load(rows, chunk_row, array("I", [row]))
                if rows.has_fill(row):
                    return True
            except native.NativeError as error:
                raise reader.error(error, chunk_row) from error
    finally:
        rows.release()
    return False


def _records(count: int, contig_starts: Sequence[int], fast: bool) -> list[int]:
    """Variants of the view to look at, ascending."""
    looks = _LOOKS if fast else LOOKS_SLOW
    found = {i * (count - 1) // max(1, looks - 1) for i in range(looks)}
    if fast:
        ends = [*contig_starts[1:], count]
        contigs = list(zip(contig_starts, ends, strict=False))
        for i in range(min(_CONTIGS, len(contigs))):
            start, end = contigs[i * len(contigs) // min(_CONTIGS, len(contigs))]
            found |= {start, (start + end) // 2, end - 1}
    return sorted(found)
