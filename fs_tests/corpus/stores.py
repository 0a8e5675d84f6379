"""Broken stores: metadata of other forms, other bytes in it, what is missing or of another kind.

A view is refused with one line that names what is wrong, or has what zarr-python reads: sites,
samples and calls, in the files of every format.
"""

import json
import os
import shutil
import stat
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from support.odd_metadata import DOCUMENTS, ODD, paths, put
from support.stores import copy_store, make_store, random_genotypes

from biofuse.errors import BiofuseError

from .case import Case, check_refused, flipped
from .shown import Shown
from .view import ALL_FORMATS, FIRST_FORMAT, View

GENOTYPES = random_genotypes(30, 9, seed=7)
NAMES = (".zarray", ".zattrs", ".zgroup", "zarr.json")
FIELDS = (".", "call_genotype", "variant_allele", "variant_position", "sample_id", "contig_id")
ENCODINGS = ("v2-blosc-zstd-bit", "v2-gzip", "v3-zstd", "v3-sharded")
# What Python's packages say of metadata that the store may have.
SAID = ("empty list of filters", "overflow encountered in scalar add")
# There is no index of sites that are out of order.
ALL = (*ALL_FORMATS, "--no-csi")
# Cases of each encoding.
MOST = 150


def view_of(store: Path, folder: Path, *names: str, options: Sequence[str] = ()) -> View | None:
    """The view of a store, of all formats, or of the first where one is refused; it was read.

    None if it is refused as it should be, naming one of these.
    """
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ResourceWarning)
        view = None
        for number, formats in enumerate((ALL, FIRST_FORMAT)):
            try:
                made = View.make(store, folder / str(number), *formats, *options)
                assert made.files
                view = made
                break
            except BiofuseError as error:
                check_refused(error, str(store), "of the store", *names)
    texts = [str(each.message) for each in heard]
    said = [text for text in texts if not any(known in text for known in SAID)]
    assert said == [], said
    return view


def shown_of(store: Path) -> Shown | None:
    """What zarr-python reads of a store; None if it does not, or would wait for ever."""
    if not all(stat.S_ISREG(path.lstat().st_mode) or path.is_dir() for path in store.rglob("*")):
        return None
    try:
        return Shown.of(store)
    except Exception:
        return None


def check(store: Path, damage: Callable[[Path], None], names: Sequence[str], folder: Path) -> None:
    """Damage a copy of a store, and hold what is made of it against zarr-python's reading.

    Where there is none, what is damaged is refused, or nothing that any file needs.
    """
    copy = copy_store(store, folder / "x.vcz")
    damage(copy)
    folder = folder / "view"
    folder.mkdir()
    view = view_of(copy, folder, *names)
    if view is not None:
        (shown_of(copy) or Shown.of(store)).check(view.files)


def write(key: str, data: bytes, store: Path) -> None:
    (store / key).write_bytes(data)


def replace(key: str, make: Callable[[Path], object], store: Path) -> None:
    """Have something else in place of a file or folder."""
    path = store / key
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    make(path)


# What there may be in place of a file or a folder.
OTHERS: dict[str, Callable[[Path], object]] = {
    "gone": lambda path: None,
    "an empty file": Path.touch,
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nothing-of-this-name"),
    "a link to its folder": lambda path: path.symlink_to("."),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a socket's name": lambda path: os.mknod(path, stat.S_IFSOCK | 0o600),
    "a page": lambda path: path.write_bytes(b"<html>404 Not Found</html>\n" * 30),
    "zeros": lambda path: path.write_bytes(bytes(1000)),
}


def _of_metadata(store: Path, key: str, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    sound = (store / key).read_bytes()
    value = json.loads(sound)
    for path in paths(value):
        for new in ODD:
            shown = "left out" if new is ... else json.dumps(new)
            where = "/".join(map(str, path))
            yield f"{where} is {shown}", json.dumps(put(value, path, new)).encode()
    yield from DOCUMENTS.items()
    for number in range(12):
        yield f"flipped {number}", flipped(sound, rng)
    for size in sorted({*rng.integers(0, len(sound), 6).tolist()}):
        yield f"cut to {size}", sound[:size]


def changes(store: Path, rng: np.random.Generator) -> Iterator[tuple[str, str, Callable]]:
    """Of what it is, what is done to it, and what does it."""
    for field in FIELDS:
        for name in NAMES:
            key = f"{field}/{name}".removeprefix("./")
            if (store / key).exists():
                for what, data in _of_metadata(store, key, rng):
                    yield key, what, partial(write, key, data)
    keys = sorted(str(p.relative_to(store)) for p in store.rglob("*") if "genotype/" not in str(p))
    for key in keys:
        for what, make in OTHERS.items():
            yield key, what, partial(replace, key, make)
    for path in sorted(store.glob("*/*")):
        key = str(path.relative_to(store))
        if path.is_file() and path.name not in NAMES and "call_" not in key:
            sound = path.read_bytes()
            for number in range(6):
                yield key, f"flipped {number}", partial(write, key, flipped(sound, rng))
            yield key, "cut", partial(write, key, sound[: len(sound) // 2])
            yield key, "longer", partial(write, key, sound + b"\0")


def stores(folder: Path, rng: np.random.Generator) -> Sequence[Case]:
    """Stores of which one object is broken: at most so many of each encoding, at random."""
    cases: list[Case] = []
    for encoding in ENCODINGS:
        store = make_store(folder / f"{encoding}.vcz", GENOTYPES, chunks=(20, 5), encoding=encoding)
        made = list(changes(store, rng))
        chosen = rng.choice(len(made), min(len(made), MOST), replace=False).tolist()
        for key, what, damage in (made[number] for number in sorted(chosen)):
            field = key.split("/")[0]
            # A contig that is not there is told by the field that refers to it.
            names = (key, field, "variant_contig") if field == "contig_id" else (key, field)
            cases.append(
                Case(
                    f"{encoding}: {key}: {what}",
                    f"one line that names {field}, or what zarr-python reads",
                    partial(check, store, damage, names),
                )
            )
    return cases
