"""The same store in each way that Zarr has of naming what it stores."""

import shutil
from pathlib import Path

import zarr

from support.stores import chunk_files, zip_store

# Zarr format, how chunks are named, and whether they are in shards of two chunks of variants.
LAYOUTS = {
    "v2-flat": (2, {"name": "v2", "separator": "."}, False),
    "v2-nested": (2, {"name": "v2", "separator": "/"}, False),
    "v3": (3, {"name": "default", "separator": "/"}, False),
    "v3-flat": (3, {"name": "default", "separator": "."}, False),
    "v3-v2-names": (3, {"name": "v2", "separator": "."}, False),
    "v3-sharded": (3, {"name": "default", "separator": "/"}, True),
}


def lay_out(store: Path, to: Path, layout: str) -> Path:
    """Copy a store's arrays to a new store of this layout."""
    zarr_format, naming, sharded = LAYOUTS[layout]
    source = zarr.open_group(store, mode="r")
    root = zarr.open_group(to, mode="w", zarr_format=zarr_format)
    root.attrs.update(source.attrs.asdict())
    for name, array in source.arrays():
        more = {}
        if sharded and name.startswith(("variant_", "call_")):
            more["shards"] = (2 * array.chunks[0], *array.chunks[1:])
        copy = root.create_array(
            name,
            shape=array.shape,
            dtype=array.dtype,
            chunks=array.chunks,
            fill_value=array.fill_value,
            chunk_key_encoding=naming,
            attributes=array.attrs.asdict(),
            dimension_names=array.attrs.get("_ARRAY_DIMENSIONS") if zarr_format == 3 else None,
            **more,
        )
        copy[...] = array[...]
    return to


def lose(store: Path, key: str) -> None:
    """Remove a stored object, and no other."""
    (store / key).unlink()


def key_at(store: Path, field: str, *index: int) -> str:
    """The key of a field's chunk, or shard, with this index."""
    array = zarr.open_group(store, mode="r")[field]
    key = f"{field}/{array.metadata.encode_chunk_key(index)}"
    assert store / key in chunk_files(store, field)
    return key


def as_zip(store: Path) -> Path:
    """The store as a zip file, in its place."""
    packed = zip_store(store)
    shutil.rmtree(store)
    return packed
