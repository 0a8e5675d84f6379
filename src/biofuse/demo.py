"""A small VCZ store that looks like real data, made from nothing.

Its layout is the one that bio2zarr writes by default, so what works on it works on a
converted VCF. The genotypes follow a Li-Stephens copying model. In each stretch of a
contig a few dozen founder haplotypes are related by a random neutral genealogy whose
branches carry the mutations: that gives the 1/x frequency spectrum and, as mutations of
one genealogy are nested, linkage disequilibrium. Each sampled haplotype is a mosaic of
founders; its population prefers some of them, which is what a PCA shows. Mutations
younger than the founders give the rare end of the spectrum.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numcodecs
import numpy as np
import zarr
from zarr.codecs import BloscCodec

from biofuse.errors import BiofuseError

CONTIGS = {"chr20": 64_444_167, "chr21": 46_709_983, "chr22": 50_818_468}
FILTERS = {"PASS": "All filters passed", "LowQual": "Quality below 30"}
POPULATIONS = ("north", "south", "west")

NUM_FOUNDERS = 48
GENEALOGY_SPAN = 150_000  # bases that share one genealogy of the founders
SWITCH_RATE = 2e-6  # per base, of a mosaic going on with another founder
YOUNG_SHARE = 0.4  # of the sites: the part of 1/x below one in NUM_FOUNDERS
MISSING_SHARE = 0.005  # of the calls
PHASED_SHARE = 0.7  # of the sites

MISSING_FLOAT = np.uint32(0x7F800001)  # the bits of a NaN
CHUNK = {"variants": 1_000, "samples": 10_000}  # other dimensions are one chunk
FIELDS: dict[str, tuple[Any, tuple[str, ...]]] = {  # name: (dtype, dimensions)
    "sample_id": (str, ("samples",)),
    "contig_id": (str, ("contigs",)),
    "contig_length": ("int64", ("contigs",)),
    "filter_id": (str, ("filters",)),
    "filter_description": (str, ("filters",)),
    "variant_contig": ("int8", ("variants",)),
    "variant_position": ("int32", ("variants",)),
    "variant_length": ("int8", ("variants",)),
    "variant_id": (str, ("variants",)),
    "variant_id_mask": ("bool", ("variants",)),
    "variant_allele": (str, ("variants", "alleles")),
    "variant_quality": ("float32", ("variants",)),
    "variant_filter": ("bool", ("variants", "filters")),
    "call_genotype": ("int8", ("variants", "samples", "ploidy")),
    "call_genotype_mask": ("bool", ("variants", "samples", "ploidy")),
    "call_genotype_phased": ("bool", ("variants", "samples")),
    "region_index": ("int32", ("region_index_values", "region_index_fields")),
}


@dataclass(frozen=True)
class DemoSummary:
    """What a demo store holds."""

    path: Path
    num_samples: int
    num_variants: int
    contigs: tuple[str, ...]


def make_demo_store(
    path, *, num_samples=300, num_variants=12_000, seed=42, zarr_format=2
) -> DemoSummary:
    """Write a VCZ store of simulated diploid, biallelic genotypes to a new directory.

    Equal arguments give equal stores. `path` must not exist, its parent must, and an
    error (BiofuseError, one line) leaves nothing behind.
    """
    path = Path(path)
    if num_samples < 1 or num_variants < 1:
        raise BiofuseError("a demo store needs at least one sample and one variant")
    if num_variants > min(CONTIGS.values()) // 10:
        raise BiofuseError(f"a demo store has no room for {num_variants:,} variants")
    if zarr_format not in (2, 3):
        raise BiofuseError(f"there is no Zarr format {zarr_format}: choose 2 or 3")
    try:
        path.mkdir()
    except FileExistsError:
        raise BiofuseError(f"{path} exists: a demo store needs a new path") from None
    except OSError as error:
        raise BiofuseError(f"cannot create {path}: {error.strerror}") from error
    try:
        _write(path, np.random.default_rng(seed), num_samples, num_variants, zarr_format)
    except BaseException as error:
        shutil.rmtree(path, ignore_errors=True)
        if isinstance(error, OSError):
            raise BiofuseError(f"cannot write {path}: {error.strerror}") from error
        raise
    return DemoSummary(path, num_samples, num_variants, tuple(CONTIGS))


def _write(path, rng, num_samples, num_variants, zarr_format) -> None:
    root = zarr.open_group(path, mode="a", zarr_format=zarr_format)
    root.attrs["vcf_zarr_version"] = "0.5"
    root.attrs["source"] = "biofuse"
    root.attrs["vcf_meta_information"] = [["fileformat", "VCFv4.3"]]
    # Populations take turns, so that any first few samples show them all.
    number, population = np.divmod(np.arange(num_samples), len(POPULATIONS))
    sites = _sites(rng, num_variants)
    contig, position = sites["variant_contig"], sites["variant_position"]
    values: dict[str, Any] = sites | {
        "sample_id": [
            f"{POPULATIONS[p]}{n + 1:03d}" for n, p in zip(number, population, strict=True)
        ],
        "contig_id": list(CONTIGS),
        "contig_length": list(CONTIGS.values()),
        "filter_id": list(FILTERS),
        "filter_description": list(FILTERS.values()),
        "region_index": _region_index(contig, position, sites["variant_length"]),
    }
    for name, value in values.items():
        dtype = object if FIELDS[name][0] is str else FIELDS[name][0]
        _create(root, name, np.shape(value))[...] = np.asarray(value, dtype=dtype)

    genotype = _create(root, "call_genotype", (num_variants, num_samples, 2))
    mask = _create(root, "call_genotype_mask", genotype.shape)
    phased = _create(root, "call_genotype_phased", genotype.shape[:2])
    for rows, calls, is_phased in _calls(rng, contig, position, population):
        genotype[rows], mask[rows], phased[rows] = calls, calls < 0, is_phased


def _create(root, name, shape) -> zarr.Array:
    """Make an array as bio2zarr would."""
    dtype, dimensions = FIELDS[name]
    clevel = 7
    shuffle: Literal["noshuffle", "shuffle", "bitshuffle"] = "shuffle"
    options: dict[str, Any]
    attributes: dict[str, Any]
    if dtype == "bool" or name == "call_genotype":
        shuffle = "bitshuffle"
    elif name == "region_index":
        clevel, shuffle = 9, "noshuffle"
    if root.metadata.zarr_format == 3:
        codec = BloscCodec(cname="zstd", clevel=clevel, shuffle=shuffle)
        options, attributes = {"dimension_names": dimensions}, {}
    else:
        number = ("noshuffle", "shuffle", "bitshuffle").index(shuffle)
        codec = numcodecs.Blosc(cname="zstd", clevel=clevel, shuffle=number)
        options, attributes = {}, {"_ARRAY_DIMENSIONS": dimensions}
    if name.startswith(("variant_", "call_", "region_")):
        options["fill_value"] = None
    chunks = [min(n, CHUNK.get(d, n)) for n, d in zip(shape, dimensions, strict=True)]
    options |= {"chunks": chunks, "compressors": [codec], "attributes": attributes}
    return root.create_array(name, shape=shape, dtype=dtype, **options)


def _sites(rng, num_variants) -> dict[str, np.ndarray]:
    """All the fields with one value, or one row, a variant."""
    lengths = np.array(list(CONTIGS.values()))
    cuts = np.rint(np.cumsum([0, *lengths]) / lengths.sum() * num_variants)
    counts = np.diff(cuts.astype(int))
    # Adding 0, 1, 2, ... to sorted numbers makes them distinct.
    position = [
        np.sort(rng.integers(length // 8, length - n - 100, n)) + np.arange(n)
        for length, n in zip(lengths, counts, strict=True)
    ]
    # In the order ACGT, bases that differ in bit 1 are transitions: two in three SNPs.
    ref = rng.integers(4, size=num_variants)
    alt = ref ^ rng.choice([2, 1, 3], p=[2 / 3, 1 / 6, 1 / 6], size=num_variants)
    allele = np.array(list("ACGT"), dtype=object)[np.stack([ref, alt], axis=1)]
    for row in np.nonzero(rng.random(num_variants) < 0.06)[0]:
        base = allele[row, 0]
        tail = "".join(rng.choice(list("ACGT"), size=min(rng.geometric(0.4), 20)))
        allele[row] = (base + tail, base) if rng.random() < 0.6 else (base, base + tail)

    numbers = np.sort(rng.integers(10**5, 10**9, num_variants)) + np.arange(num_variants)
    names = np.array([f"rs{n}" for n in rng.permutation(numbers)], dtype=object)
    nameless = rng.random(num_variants) < 0.04
    names[nameless] = "."

    quality = rng.normal(60, 15, num_variants).round(1).clip(3, 99).astype("float32")
    low = quality < 30
    quality.view("uint32")[(rng.random(num_variants) < 0.01) & ~low] = MISSING_FLOAT
    return {
        "variant_contig": np.repeat(np.arange(len(CONTIGS)), counts),
        "variant_position": np.concatenate(position),
        "variant_length": np.array([len(ref) for ref in allele[:, 0]]),
        "variant_id": names,
        "variant_id_mask": nameless,
        "variant_allele": allele,
        "variant_quality": quality,
        "variant_filter": np.stack([~low, low], axis=1),
    }


def _region_index(contig, position, length) -> np.ndarray:
    """Rows of chunk, contig, first position, last position, largest end, variants."""
    chunk = np.arange(len(position)) // CHUNK["variants"]
    first = np.nonzero(np.diff(chunk, prepend=-1) | np.diff(contig, prepend=-1))[0]
    count = np.diff(first, append=len(position))
    end = np.maximum.reduceat(position + length - 1, first)
    last = position[first + count - 1]
    return np.stack([chunk[first], contig[first], position[first], last, end, count], 1)


def _calls(rng, contig, position, population) -> Iterator[tuple]:
    """Yield (rows, genotypes, phased) for one variant chunk after the other."""
    tastes = rng.dirichlet(np.full(NUM_FOUNDERS, 0.7), size=len(POPULATIONS))
    distance = np.diff(position, prepend=0).astype(float)
    distance[np.diff(contig, prepend=-1) != 0] = np.inf
    copied = np.zeros(2 * len(population), dtype=np.intp)
    for start in range(0, len(position), CHUNK["variants"]):
        rows = slice(start, min(start + CHUNK["variants"], len(position)))
        founders = _mosaic(rng, distance[rows], np.repeat(population, 2), tastes, copied)
        copied = founders[-1]
        alleles = _founder_alleles(rng, contig[rows], position[rows])
        carried = np.take_along_axis(alleles, founders, axis=1)
        _add_young_mutations(rng, founders, carried)

        genotypes = carried.astype("int8").reshape(len(carried), -1, 2)
        phased = rng.random((len(carried), 1)) < PHASED_SHARE
        genotypes[~phased[:, 0]] = np.sort(genotypes[~phased[:, 0]], axis=2)
        # Few sites lose many calls and most lose almost none, as in real data.
        loss = rng.gamma(0.5, MISSING_SHARE / 0.5, size=phased.shape)
        missing = rng.random(genotypes.shape[:2]) < loss
        genotypes[missing] = -1
        yield rows, genotypes, phased & ~missing


def _mosaic(rng, distance, population, tastes, copied) -> np.ndarray:
    """Founder that each haplotype copies at each site, (sites, haplotypes).

    `distance` is that from the site before, where the haplotypes copied `copied`.
    """
    shape = (len(distance), len(population))
    switch = rng.random(shape) < -np.expm1(-SWITCH_RATE * distance)[:, None]
    draws = rng.random(shape)
    fresh = np.empty((shape[0] + 1, shape[1]), dtype=np.intp)
    fresh[0] = copied
    for number, taste in enumerate(tastes):
        members = population == number
        # The last bound is left out: rounding must not let a draw lie beyond it.
        fresh[1:, members] = np.searchsorted(np.cumsum(taste)[:-1], draws[:, members])
    switched_at = np.where(switch, np.arange(1, len(fresh))[:, None], 0)
    return np.take_along_axis(fresh, np.maximum.accumulate(switched_at, axis=0), axis=0)


def _founder_alleles(rng, contig, position) -> np.ndarray:
    """Whether each founder has the mutation of each site, bool (sites, founders)."""
    stretch = np.diff(contig, prepend=-1) | np.diff(position // GENEALOGY_SPAN, prepend=-1)
    result = np.empty((len(position), NUM_FOUNDERS), dtype=bool)
    for sites in np.split(np.arange(len(position)), np.nonzero(stretch)[0][1:]):
        clades, lengths = _genealogy(rng)
        branch = rng.choice(len(clades), p=lengths / lengths.sum(), size=len(sites))
        result[sites] = clades[branch]
    return result


def _genealogy(rng) -> tuple[np.ndarray, np.ndarray]:
    """Founders below each branch of a neutral coalescent tree, and branch lengths."""
    lineages = np.arange(NUM_FOUNDERS, 1, -1)
    times = np.cumsum(rng.exponential(2 / (lineages * (lineages - 1))))
    picks = rng.random((len(lineages), 2)) * np.stack([lineages, lineages - 1], axis=1)
    clades = np.eye(2 * NUM_FOUNDERS - 1, NUM_FOUNDERS, dtype=bool)
    born, lengths = np.zeros((2, len(clades)))
    alive = list(range(NUM_FOUNDERS))
    events = zip(times, picks.astype(int), strict=True)
    for parent, (time, (one, other)) in enumerate(events, start=NUM_FOUNDERS):
        children = [alive.pop(one), alive.pop(other)]
        alive.append(parent)
        clades[parent] = clades[children].any(axis=0)
        born[parent] = time
        lengths[children] = time - born[children]
    return clades, lengths  # the root's length is 0: no mutation falls on it


def _add_young_mutations(rng, founders, carried) -> None:
    """Give some sites a mutation that only some copies of one founder have, in place."""
    num_sites, num_haplotypes = founders.shape
    young = np.nonzero(rng.random(num_sites) < YOUNG_SHARE)[0]
    origin = rng.integers(num_haplotypes, size=len(young))
    copies = founders[young] == founders[young, origin][:, None]
    weights = 1 / np.arange(1, max(2, num_haplotypes // NUM_FOUNDERS))
    others = rng.choice(len(weights), p=weights / weights.sum(), size=len(young))
    share = others / np.maximum(copies.sum(axis=1) - 1, 1)
    kept = rng.random(copies.shape) < share[:, None]
    kept[np.arange(len(young)), origin] = True
    carried[young] = copies & kept
