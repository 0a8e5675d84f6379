"""Broken chunks of calls: Blosc frames damaged where it matters, and chunks of other encodings.

Reads of the variants that a chunk has fail with EIO, or are right; all others are right. Blosc has
no checksum: where a damaged payload decodes, calls of the chunk's samples may be others, and no
more.
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import zarr
from native import mutations
from support import reference
from support.stores import make_store, random_genotypes

from .case import Case, flipped
from .view import ALL_FORMATS, View, try_to_read

VARIANTS, SAMPLES, ROWS, COLUMNS = 60, 37, 20, 16
GENOTYPES = random_genotypes(VARIANTS, SAMPLES, seed=5)
BED = 3
# So many samples that a `.bcf` has several blocks.
MANY = 2400
# Of the middle row and the second column.
FIRST, LAST = ROWS, 2 * ROWS
FRAMES = ("v2-blosc-zstd-bit", "v2-blosc-zstd-small-blocks", "v3-blosc-zstd-none")
OTHERS = ("v2-gzip", "v2-zstd", "v2-lz4", "v2-none", "v2-blosc-lz4-bit", "v3-gzip", "v3-sharded")


def codes_of(records: bytes, samples: int) -> np.ndarray:
    """The two bits of each call of some records of a `.bed`."""
    width = -(-samples // 4)
    bits = np.frombuffer(records, np.uint8).reshape(-1, width, 1) >> np.uint8([0, 2, 4, 6]) & 3
    return bits.reshape(-1, 4 * width)[:, :samples]


class Bench:
    """A store, a view of it, and what that must hold."""

    def __init__(self, folder: Path, encoding: str, genotypes: np.ndarray = GENOTYPES):
        self.genotypes = genotypes
        self.count = genotypes.shape[1]
        columns = COLUMNS if genotypes is GENOTYPES else self.count // 3
        name = f"{encoding}-{self.count}"
        self.store = make_store(
            folder / f"{name}.vcz", genotypes, chunks=(ROWS, columns), encoding=encoding
        )
        self.view = View.make(self.store, folder / f"{name}.plan", *ALL_FORMATS)
        self.expected = self.view.whole()
        names = [each.name for each in self.view.plan.streamed]
        self.bed = next(n for n, name in enumerate(names) if name.endswith(".bed"))
        assert self.expected[self.bed] == reference.bed(genotypes)
        sharded = encoding == "v3-sharded"
        v3 = encoding.startswith("v3")
        self.key = f"call_genotype/{'c/0/0/0' if sharded else 'c/1/1/0' if v3 else '1.1.0'}"
        self.path = self.store / self.key
        self.sound = self.path.read_bytes()
        status = self.path.parent.stat()
        self._times = (status.st_atime_ns, status.st_mtime_ns)
        # A shard has two rows and three columns of chunks.
        self.first, self.last = (0, 2 * ROWS) if sharded else (FIRST, LAST)
        self.samples = slice(0, None) if sharded else slice(columns, 2 * columns)

    def check(self, damage: Callable[[Path], None], silent: bool, like_zarr: bool) -> None:
        """Damage the chunk, read everything, and mend it."""
        try:
            damage(self.path)
            self._set_times()
            also = self._by_zarr() if like_zarr else None
            with self.view.opened() as maker:
                for number, expected in self.expected.items():
                    self._check_file(maker, number, expected, silent, also)
        finally:
            if self.path.is_dir() and not self.path.is_symlink():
                shutil.rmtree(self.path)
            else:
                self.path.unlink(missing_ok=True)
            self.path.write_bytes(self.sound)
            self._set_times()

    def _set_times(self) -> None:
        """Let the folder be as it was when the plan was made, which is for sound parts."""
        os.utime(self.path.parent, ns=self._times)

    def _check_file(self, maker, number, expected, silent, also) -> None:
        first, last = self.view.spans(self.first, self.last)[number]
        for start, stop in ((0, first), (last, len(expected))):
            if start < stop:
                got = try_to_read(maker, number, start, stop - start)
                assert got == expected[start:stop], "a sound part is not what it was"
        got = try_to_read(maker, number, first, last - first, "call_genotype", "of the store")
        if got is None or got == expected[first:last]:
            return
        assert silent or also is not None, "other bytes were read"
        if number != self.bed:
            # What is other in it is told by the .bed.
            return
        if also is not None and not silent:
            assert got == also, "other calls were read than zarr-python's"
        found, sound = (codes_of(each, self.count) for each in (got, expected[first:last]))
        others = np.ones(self.count, bool)
        others[self.samples] = False
        assert (found[:, others] == sound[:, others]).all(), "calls of other samples were read"

    def _by_zarr(self) -> bytes | None:
        """What zarr-python makes of the variants' calls, as a `.bed` has them.

        None if it is what it was, or zarr-python does not read it. Calls that cannot be shown are
        of variants that fail.
        """
        if not stat.S_ISREG(self.path.lstat().st_mode):
            # It would wait for a pipe, and read a device for ever.
            return None
        try:
            calls = zarr.open_group(self.store, mode="r")["call_genotype"][self.first : self.last]
        except Exception:
            return None
        if (calls == self.genotypes[self.first : self.last]).all():
            return None
        return reference.bed(np.clip(calls, -2, 1))[BED:]


def in_place_of(chunk: Path, make: Callable[[Path], object]) -> None:
    chunk.unlink()
    make(chunk)


def damages(sound: bytes, rng: np.random.Generator, flips: int) -> Iterator[tuple[str, Callable]]:
    """What may have become of any chunk: its name, and what does it."""
    size = len(sound)
    cuts = {0, 1, 4, 10, size // 2, size - 4, size - 1, *rng.integers(0, size, 12).tolist()}
    for cut in sorted(cuts):
        yield f"cut to {cut}", partial(_write, sound[:cut])
    for extra in (b"\0", b"\xff" * 16, sound):
        yield f"{len(extra)} more", partial(_write, sound + extra)
    for text in (bytes(size), b"\xff" * size, b"<html>404</html>" * 40, sound[::-1]):
        yield f"replaced by {text[:8]!r}", partial(_write, text)
    for number in range(flips):
        yield f"flipped {number}", partial(_write, flipped(sound, rng))
    yield "a folder", lambda chunk: in_place_of(chunk, Path.mkdir)
    yield "a pipe", lambda chunk: in_place_of(chunk, os.mkfifo)
    yield "a link to itself", lambda chunk: in_place_of(chunk, lambda p: p.symlink_to(p.name))
    yield "a link to nothing", lambda chunk: in_place_of(chunk, lambda p: p.symlink_to("none"))
    yield (
        "a link to a device",
        lambda chunk: in_place_of(chunk, lambda p: p.symlink_to("/dev/zero")),
    )


def _write(data: bytes, chunk: Path) -> None:
    chunk.write_bytes(data)


def frames(folder: Path, rng: np.random.Generator) -> Sequence[Case]:
    """Blosc frames, damaged in every way that tests of the kernels know."""
    cases = []
    for encoding in FRAMES:
        bench = Bench(folder, encoding)
        made = list(mutations.mutations(bench.sound, rng, 60))
        for number in sorted(rng.choice(len(made), min(len(made), 300), replace=False).tolist()):
            mutation = made[number]
            damage = partial(_write, mutation.frame)
            cases.append(_case(bench, encoding, mutation.what, damage, mutation.silent, False))
    return cases


def chunks(folder: Path, rng: np.random.Generator) -> Sequence[Case]:
    """Chunks of every encoding, held against what zarr-python makes of them."""
    cases = []
    for encoding in (*OTHERS, FRAMES[0]):
        bench = Bench(folder, encoding)
        for what, damage in damages(bench.sound, rng, 30):
            silent = encoding in FRAMES and what.startswith("flipped")
            cases.append(_case(bench, encoding, what, damage, silent, True))
    bench = Bench(folder, FRAMES[0], random_genotypes(VARIANTS, MANY, seed=6))
    for what, damage in damages(bench.sound, rng, 3):
        silent = what.startswith("flipped")
        cases.append(_case(bench, f"{FRAMES[0]}, {MANY} samples", what, damage, silent, True))
    return cases


def _case(bench: Bench, encoding: str, what: str, damage, silent: bool, like_zarr: bool) -> Case:
    return Case(
        f"{encoding}: {bench.key} {what}",
        f"reads of variants {bench.first} to {bench.last - 1} fail with EIO"
        f"{', or have other calls of it' if silent else ' or are right'}; others are right",
        lambda _: bench.check(damage, silent, like_zarr),
    )
