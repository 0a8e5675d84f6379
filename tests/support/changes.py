"""Changes to stores behind the program's back."""

from pathlib import Path

import zarr


def rewrite_in_place(path: Path, data: bytes) -> None:
    with open(path, "r+b") as f:
        f.write(data)
        f.truncate()


def change_positions(store: Path) -> None:
    array = zarr.open_group(store, mode="r+")["variant_position"]
    array[...] = array[...] + 1


def change_a_name_in_place(store: Path) -> None:
    """With nothing but the time of one file to tell it."""
    array = zarr.open_group(store, mode="r+")["sample_id"]
    [old] = [p for p in (store / "sample_id").iterdir() if p.name == "0"]
    before = old.read_bytes()
    names = array[...]
    names[2] = "T9999"
    array[...] = names
    after = old.read_bytes()
    old.unlink()
    old.write_bytes(before)
    rewrite_in_place(old, after)
