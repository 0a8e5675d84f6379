"""A store as an Icechunk repository: ``python -m benchmarks.iced STORE REPOSITORY``.

Zarr v3, with the same chunks and, for calls in Blosc, the same bytes of each.
"""

import asyncio
import os
import sys
from pathlib import Path

import icechunk
import zarr
from zarr.codecs import BloscCodec
from zarr.core.buffer import cpu

AT_ONCE = 64


def copy_arrays(source: zarr.Group, target: zarr.Group) -> None:
    """Make all arrays, and fill all but the calls."""
    for name, array in source.arrays():
        codec = array.compressors[0] if array.compressors else None
        blosc = None
        if codec is not None and codec.codec_id == "blosc":
            shuffle = {0: "noshuffle", 1: "shuffle", 2: "bitshuffle", -1: "bitshuffle"}
            blosc = BloscCodec(
                typesize=max(1, getattr(array.dtype, "itemsize", 1)),
                cname=codec.cname,
                clevel=codec.clevel,
                shuffle=shuffle[codec.shuffle],
            )
        is_text = array.dtype.kind in "OT"
        made = target.create_array(
            name,
            shape=array.shape,
            dtype=str if is_text else array.dtype,
            chunks=array.chunks,
            compressors=None if blosc is None else [blosc],
            fill_value="" if is_text else array.fill_value,
            dimension_names=array.attrs.get("_ARRAY_DIMENSIONS"),
            attributes=array.attrs.asdict(),
        )
        if name != "call_genotype":
            made[...] = array[...]


async def copy_calls(store: Path, target) -> None:
    """Copy the bytes of the calls' chunks."""
    at_once = asyncio.Semaphore(AT_ONCE)

    async def copy(file: Path) -> None:
        async with at_once:
            index = str(file.relative_to(store / "call_genotype")).replace("/", ".")
            key = f"call_genotype/c/{index.replace('.', '/')}"
            await target.set(key, cpu.Buffer.from_bytes(file.read_bytes()))

    folder = store / "call_genotype"
    files = [path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."]
    await asyncio.gather(*map(copy, files))


def main() -> None:
    """Make the repository; what is made in part is under another name."""
    store, path = Path(sys.argv[1]), Path(sys.argv[2])
    icechunk.set_logs_filter("off")
    partial = path.with_name(f"{path.name}.partial")
    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(partial)))
    session = repository.writable_session("main")
    source = zarr.open_group(store, mode="r")
    target = zarr.open_group(session.store, mode="w", zarr_format=3)
    target.attrs.update(source.attrs.asdict())
    copy_arrays(source, target)
    asyncio.run(copy_calls(store, session.store))
    session.commit("all")
    os.rename(partial, path)


if __name__ == "__main__":
    main()
