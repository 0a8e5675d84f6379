"""Broken zip files: cut short, and other numbers, names and flags where the archive has its own.

A view is refused with one line, fails reads with EIO, tells that chunks are missing, or has the
right bytes: a zip file has checksums of all that it holds. Calls that are stored as they are have
none while they are read, as those in a directory have not.
"""

import struct
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from support import reference
from support.stores import make_store, random_genotypes, zip_store
from support.views import plan_view

from biofuse.errors import BiofuseError

from .case import Case, check_refused, flipped
from .stores import view_of

GENOTYPES = random_genotypes(30, 9, seed=7)
# Of an entry of the central directory: where a field is, and of how many bytes.
CENTRAL = {
    "version": (6, 2),
    "flags": (8, 2),
    "method": (10, 2),
    "checksum": (16, 4),
    "stored size": (20, 4),
    "size": (24, 4),
    "length of the name": (28, 2),
    "length of more": (30, 2),
    "length of the comment": (32, 2),
    "disk": (34, 2),
    "kind": (38, 4),
    "header's place": (42, 4),
}
# Of a member's own header.
LOCAL = {
    "signature": (0, 4),
    "flags": (6, 2),
    "method": (8, 2),
    "checksum": (14, 4),
    "stored size": (18, 4),
    "size": (22, 4),
    "length of the name": (26, 2),
    "length of more": (28, 2),
}
# Of the archive's end.
END = {
    "signature": (0, 4),
    "disk": (4, 2),
    "entries here": (8, 2),
    "entries": (10, 2),
    "size of the directory": (12, 4),
    "directory's place": (16, 4),
    "length of the comment": (20, 2),
}
END_SIZE, CENTRAL_SIZE = 22, 46
# Cases of each kind of archive.
MOST = 350
# Of other members than calls, whose bytes zarr-python's decoders would have to tell.
MEMBERS = [
    "zarr.json",
    ".zgroup",
    ".zattrs",
    "call_genotype/.zarray",
    "call_genotype/1.1.0",
    "variant_position/0",
    "sample_id/.zarray",
    "variant_allele/1.0",
]


def check(data: bytes, silent: bool, folder: Path) -> None:
    """Hold what is made of such an archive against the store's bytes."""
    path = folder / "x.vcz.zip"
    path.write_bytes(data)
    try:
        view = view_of(
            path, folder / "view", "call_", "variant_", "sample_", "contig_", ".z", "of the store"
        )
    except BiofuseError as error:
        check_refused(error)
        return
    if view is None or silent:
        return
    if view.bed != reference.bed(GENOTYPES):
        # A member of another name is one that is not there, which is told.
        said = plan_view(path, folder / "told").warnings
        told = [text for text in said if "of call_genotype" in text and "not stored" in text]
        assert told, "other calls were read"


def _central(data: bytes) -> dict[str, int]:
    """Where each member's entry in the central directory is."""
    (at,) = struct.unpack_from("<I", data, len(data) - END_SIZE + 16)
    found = {}
    while data[at : at + 4] == b"PK\x01\x02":
        name, more, comment = struct.unpack_from("<HHH", data, at + 28)
        found[data[at + CENTRAL_SIZE : at + CENTRAL_SIZE + name].decode()] = at
        at += CENTRAL_SIZE + name + more + comment
    return found


def _fields(data: bytes, at: int, fields: dict, rng) -> Iterator[tuple[str, bytes]]:
    for name, (offset, size) in fields.items():
        old = int.from_bytes(data[at + offset : at + offset + size], "little")
        most = (1 << 8 * size) - 1
        for new in sorted(
            {
                0,
                1,
                old - 1,
                old + 1,
                old * 2,
                most,
                most - 1,
                most // 2 + 1,
                int(rng.integers(most)),
            }
            - {old}
        ):
            if 0 <= new <= most:
                place = at + offset
                changed = data[:place] + new.to_bytes(size, "little") + data[place + size :]
                yield f"{name} is {new}", changed


def _again(data: bytes, folder: Path, members: dict[str, bytes]) -> bytes:
    """The archive with more members written behind its own."""
    path = folder / "again.zip"
    path.write_bytes(data)
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        for name, content in members.items():
            archive.writestr(name, content)
    return path.read_bytes()


def _damages(data: bytes, folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    central = _central(data)
    for member in (name for name in MEMBERS if name in central):
        at = central[member]
        for what, changed in _fields(data, at, CENTRAL, rng):
            yield f"entry of {member}: {what}", changed
        (local,) = struct.unpack_from("<I", data, at + 42)
        for what, changed in _fields(data, local, LOCAL, rng):
            yield f"header of {member}: {what}", changed
        for character in (b"\0", b"/", b"\xff", b"."):
            place = at + CENTRAL_SIZE
            yield (
                f"name of {member} begins with {character!r}",
                data[:place] + character + data[place + 1 :],
            )
    for what, changed in _fields(data, len(data) - END_SIZE, END, rng):
        yield f"end: {what}", changed
    for cut in sorted(
        {
            0,
            1,
            4,
            len(data) // 2,
            len(data) - END_SIZE,
            len(data) - 1,
            *rng.integers(0, len(data), 30).tolist(),
        }
    ):
        yield f"cut to {cut}", data[:cut]
        yield f"begins at {cut}", data[cut:]
    yield "more before it", b"#!/bin/sh\n" * 9 + data
    yield "more behind it", data + bytes(400)
    yield "twice", data + data
    yield "text", b"<html>404</html>" * 99
    yield "an empty archive", b"PK\x05\x06" + bytes(18)
    begin = min(central.values())
    for number in range(120):
        yield f"directory flipped {number}", flipped(data, rng, range(begin, len(data)))
    for number in range(60):
        yield f"flipped {number}", flipped(data, rng)
    yield "calls twice", _again(data, folder, {"call_genotype/1.1.0": b"x"})
    yield "metadata twice", _again(data, folder, {"call_genotype/.zarray": b"{}"})
    odd = {"../../etc/passwd": b"x", "/call_genotype/0": b"x", "call_genotype": b"x"}
    yield "odd names", _again(data, folder, odd)
    yield "a comment", data[:-2] + b"\x04\0PK\x05\x06"


def zips(folder: Path, rng: np.random.Generator) -> Sequence[Case]:
    """Archives of stored and of deflated members, some of what there is of each, at random."""
    store = make_store(folder / "x.vcz", GENOTYPES, chunks=(20, 5))
    packed = zip_store(store)
    stored = packed.read_bytes()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in store.rglob("*") if p.is_file()):
            archive.write(path, path.relative_to(store))
    kinds = {"stored": stored, "deflated": packed.read_bytes()}
    cases = []
    for kind, data in kinds.items():
        made = list(_damages(data, folder, rng))
        chosen = rng.choice(len(made), min(len(made), MOST), replace=False).tolist()
        for what, changed in (made[number] for number in sorted(chosen)):
            # A chunk of calls may be where no checksum is looked at.
            silent = kind == "stored" and ("flipped" in what or "1.1.0" in what)
            cases.append(
                Case(
                    f"{kind}: {what}",
                    "one line, or a view" if silent else "one line, or the right bytes",
                    partial(check, changed, silent),
                )
            )
    return cases
