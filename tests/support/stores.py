"""VCZ stores: from VCFs through bio2zarr, and made with zarr where a store must be odd."""

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numcodecs
import numpy as np
import zarr
import zarr.codecs

from support.vcf import Vcf, compress


def convert(vcf: Path, store: Path, **options) -> Path:
    """Convert a VCF as `vcf2zarr convert` does."""
    import bio2zarr.vcf

    bio2zarr.vcf.convert([str(compress(vcf))], str(store), **options)
    return store


def vcf_store(vcf: Vcf, directory: Path, name: str = "x", **options) -> tuple[Path, Path]:
    """Write a VCF and convert it. Returns the paths of both."""
    path = vcf.write(directory / f"{name}.vcf")
    return path, convert(path, directory / f"{name}.vcz", **options)


def zip_store(store: Path) -> Path:
    """The store in a zip file beside it."""
    out = store.with_name(store.name + ".zip")
    with zipfile.ZipFile(out, "w") as archive:
        for file in sorted(p for p in store.rglob("*") if p.is_file()):
            archive.write(file, file.relative_to(store))
    return out


def blosc(cname="zstd", clevel=5, shuffle=numcodecs.Blosc.BITSHUFFLE, blocksize=0):
    return numcodecs.Blosc(cname=cname, clevel=clevel, shuffle=shuffle, blocksize=blocksize)


# Encodings of call_genotype, by name: (Zarr format, compressor, more of create_array).
ENCODINGS = {
    "v2-blosc-zstd-bit": (2, blosc(), {}),
    "v2-blosc-zstd-byte": (2, blosc(shuffle=numcodecs.Blosc.SHUFFLE), {}),
    "v2-blosc-zstd-none": (2, blosc(shuffle=numcodecs.Blosc.NOSHUFFLE), {}),
    "v2-blosc-zstd-auto": (2, blosc(shuffle=numcodecs.Blosc.AUTOSHUFFLE), {}),
    "v2-blosc-zstd-level0": (2, blosc(clevel=0), {}),
    "v2-blosc-zstd-small-blocks": (2, blosc(blocksize=512), {}),
    "v2-blosc-lz4-bit": (2, blosc("lz4"), {}),
    "v2-blosc-zlib-bit": (2, blosc("zlib"), {}),
    "v2-zstd": (2, numcodecs.Zstd(3), {}),
    "v2-gzip": (2, numcodecs.GZip(1), {}),
    "v2-lz4": (2, numcodecs.LZ4(), {}),
    "v2-none": (2, None, {}),
    "v2-fortran": (2, blosc(), {"order": "F"}),
    "v2-dot-keys": (2, blosc(), {"chunk_key_encoding": {"name": "v2", "separator": "."}}),
    "v2-filter": (2, blosc(), {"filters": [numcodecs.Delta("i1")]}),
    "v3-blosc-zstd-bit": (3, zarr.codecs.BloscCodec(cname="zstd", shuffle="bitshuffle"), {}),
    "v3-blosc-zstd-byte": (3, zarr.codecs.BloscCodec(cname="zstd", shuffle="shuffle"), {}),
    "v3-blosc-zstd-none": (3, zarr.codecs.BloscCodec(cname="zstd", shuffle="noshuffle"), {}),
    "v3-blosc-lz4": (3, zarr.codecs.BloscCodec(cname="lz4", shuffle="bitshuffle"), {}),
    "v3-zstd": (3, zarr.codecs.ZstdCodec(level=1), {}),
    "v3-gzip": (3, zarr.codecs.GzipCodec(level=1), {}),
    "v3-none": (3, None, {}),
    "v3-v2-keys": (
        3,
        zarr.codecs.BloscCodec(cname="zstd", shuffle="bitshuffle"),
        {"chunk_key_encoding": {"name": "v2", "separator": "/"}},
    ),
    "v3-sharded": (
        3,
        zarr.codecs.BloscCodec(cname="zstd", shuffle="bitshuffle"),
        {"shards": True},
    ),
}


def random_genotypes(
    num_variants: int, num_samples: int, ploidy: int = 2, seed: int = 0, alike: bool = False
) -> np.ndarray:
    """Calls with missing, half missing and, where diploid, haploid ones among them.

    `alike` makes long runs of equal calls, which compress, as real ones do.
    """
    rng = np.random.default_rng(seed)
    shape = (num_variants, num_samples, ploidy)
    values = rng.choice([0, 1, -1], p=[0.6, 0.3, 0.1], size=shape).astype(np.int8)
    if alike:
        values[rng.random((num_variants, num_samples)) < 0.97] = 0
    if ploidy == 2:
        values[rng.random((num_variants, num_samples)) < 0.05, 1] = -2
    return values


def make_store(
    path: Path,
    genotypes: np.ndarray,
    *,
    chunks: tuple[int, int] | None = None,
    encoding: str = "v2-blosc-zstd-bit",
    samples: Sequence[str] | None = None,
    positions: Sequence[int] | None = None,
    variant_chunk: int | None = None,
    fill_value: int | None = 0,
    contigs: Sequence[str] = ("1", "2"),
) -> Path:
    """Write a store whose call_genotype has these values, chunked and encoded as told.

    Two in three variants lie on the first contig. `chunks` are those of variants and
    samples; `variant_chunk`, that of fields of variants, is a multiple of the first.
    """
    zarr_format, compressor, more = ENCODINGS[encoding]
    num_variants, num_samples, ploidy = genotypes.shape
    chunk_shape = (*(chunks or (1000, 10_000)), ploidy)
    root = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    root.attrs["vcf_zarr_version"] = "0.4"
    # vcztools takes the chunks of samples off sample_id.
    first_chunks = {"variants": variant_chunk or chunk_shape[0], "samples": chunk_shape[1]}
    on_second = np.arange(num_variants) >= num_variants * 2 // 3
    if positions is None:
        positions = np.arange(1, num_variants + 1) * 7
    alleles = np.array([["A", "G"], ["C", "CTT"], ["G", "T"]], dtype=object)
    ids = [f"rs{i}" if i % 3 else "." for i in range(num_variants)]
    names = samples or [f"S{i:04d}" for i in range(num_samples)]
    fields = {
        "contig_id": (np.array(contigs, dtype=object), str, ("contigs",)),
        "sample_id": (np.array(names, dtype=object), str, ("samples",)),
        "variant_contig": (on_second.astype(np.int8), "int8", ("variants",)),
        "variant_position": (np.asarray(positions), "int32", ("variants",)),
        "variant_id": (np.array(ids, dtype=object), str, ("variants",)),
        "variant_allele": (alleles[np.arange(num_variants) % 3], str, ("variants", "alleles")),
    }
    for name, (values, dtype, dimensions) in fields.items():
        shape = values.shape
        array = root.create_array(
            name,
            shape=shape,
            dtype=dtype,
            chunks=(first_chunks.get(dimensions[0], shape[0]), *shape[1:]),
            **_named(dimensions, zarr_format),
        )
        array[...] = values
    options = {"chunks": chunk_shape, "fill_value": fill_value, **more}
    if options.get("shards"):
        options["shards"] = (2 * chunk_shape[0], 3 * chunk_shape[1], ploidy)
    array = root.create_array(
        "call_genotype",
        shape=genotypes.shape,
        dtype=genotypes.dtype,
        compressors=None if compressor is None else [compressor],
        **_named(("variants", "samples", "ploidy"), zarr_format),
        **options,
    )
    if genotypes.size:
        array[...] = genotypes
    return path


def add_field(
    store: Path,
    name: str,
    values: np.ndarray,
    *,
    chunks: tuple[int, int] | None = None,
    encoding: str = "v2-blosc-zstd-byte",
    fill_value=None,
) -> Path:
    """Add a field of calls to a store, chunked and encoded as told, or take its place."""
    zarr_format, compressor, more = ENCODINGS[encoding]
    root = zarr.open_group(store, mode="r+")
    assert root.metadata.zarr_format == zarr_format
    options = dict(more)
    chunk_shape = (*(chunks or (1000, 10_000)), *values.shape[2:])
    if options.get("shards"):
        options["shards"] = (2 * chunk_shape[0], 3 * chunk_shape[1], *chunk_shape[2:])
    array = root.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=chunk_shape,
        compressors=None if compressor is None else [compressor],
        fill_value=fill_value,
        overwrite=True,
        **_named(("variants", "samples", "values")[: values.ndim], zarr_format),
        **options,
    )
    array[...] = values
    return store


def _named(dimensions: tuple[str, ...], zarr_format: int) -> dict:
    if zarr_format == 3:
        return {"dimension_names": dimensions}
    return {"attributes": {"_ARRAY_DIMENSIONS": list(dimensions)}}


def chunk_files(store: Path, field: str = "call_genotype") -> list[Path]:
    """The files of a field's chunks, in order of their keys."""
    folder = store / field
    skipped = {".zarray", ".zattrs", "zarr.json"}
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in skipped)


def copy_store(store: Path, to: Path) -> Path:
    shutil.copytree(store, to)
    return to
