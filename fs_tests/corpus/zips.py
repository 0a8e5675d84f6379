"""Broken zip files: cut short, and other numbers, names and flags where the archive has its own.

A view is refused with one line, fails reads with EIO, tells that chunks are missing, or has the
right bytes: a zip file has checksums of all that it holds. Calls that are stored as they are have
none while they are read, as those in a directory have not: those of a chunk that is damaged may be
others, and no more.
"""

import dataclasses
import struct
import warnings
import zipfile
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from support import reference
from support.stores import make_store, random_genotypes, zip_store

from .case import Case, flipped
from .frames import codes_of
from .shown import Shown
from .stores import shown_of, view_of

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
# Of `.bed`: the fill value's calls.
HOM_REF = 3
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


# Calls of the store's two rows and two columns of chunks.
CHUNKS = {
    f"{i}.{j}": (slice(20 * i, 20 * i + 20), slice(5 * j, 5 * j + 5))
    for i in (0, 1)
    for j in (0, 1)
}


def check(data: bytes, unseen: Collection[str], shown: Shown, folder: Path) -> None:
    """Hold what is made of such an archive against the store's sites, samples and calls.

    Calls of some chunks may be others, which nothing tells.
    """
    path = folder / "x.vcz.zip"
    path.write_bytes(data)
    names = ("call_", "variant_", "sample_", "contig_", ".z", "x.vcz.zip")
    (folder / "view").mkdir()
    view = view_of(path, folder / "view", *names)
    if view is None:
        return
    try:
        shown.check(view.files, with_calls=False)
    except AssertionError:
        # A member of another name is missing, as it is for zarr-python. It is told of IDs; contigs
        # that are the first one are left out of most stores.
        other = shown_of(path)
        if other is None:
            raise
        ids = [[site.id for site in each.sites] for each in (shown, other)]
        told = any("variant_id is not" in text for text in view.plan.warnings)
        assert ids[0] == ids[1] or told, "IDs are missing, and nothing tells"
        shown = dataclasses.replace(other, calls=shown.calls)
        shown.check(view.files, with_calls=False)
    found, sound = (codes_of(bed[3:], 9) for bed in (view.files["bed"], reference.bed(GENOTYPES)))
    others = {name for name, where in CHUNKS.items() if (found[where] != sound[where]).any()}
    if not others:
        shown.check(view.files)
    for name in others - set(unseen):
        # A member of another name is one that is not there, which is told.
        said = [text for text in view.plan.warnings if "of call_genotype" in text]
        told = any("not stored" in text for text in said)
        assert told and (found[CHUNKS[name]] == HOM_REF).all(), "other calls were read"


def _unseen(sound: bytes, data: bytes) -> set[str]:
    """Chunks of calls of which something is changed that no checksum tells of."""
    if len(data) != len(sound):
        return set()
    places = np.flatnonzero(np.frombuffer(sound, np.uint8) != np.frombuffer(data, np.uint8))
    central = _central(sound)
    begins = {name: struct.unpack_from("<I", sound, at + 42)[0] for name, at in central.items()}
    found = set()
    for name in CHUNKS:
        entry, begin = central[f"call_genotype/{name}.0"], begins[f"call_genotype/{name}.0"]
        end = min(each for each in (*begins.values(), min(central.values())) if each > begin)
        for first, last in ((begin, end), (entry, entry + CENTRAL_SIZE + 20)):
            if ((places >= first) & (places < last)).any():
                found.add(name)
    return found


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
    shown = Shown.of(store)
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
            unseen = _unseen(data, changed) if kind == "stored" else ()
            other = f", but for calls of {', '.join(sorted(unseen))}" if unseen else ""
            cases.append(
                Case(
                    f"{kind}: {what}",
                    f"one line, or the right bytes{other}",
                    partial(check, changed, unseen, shown),
                )
            )
    return cases
