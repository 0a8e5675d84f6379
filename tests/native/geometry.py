"""Cases for the C harness: a frame and how its rows are read, as case.h has them."""

import struct
import subprocess
from dataclasses import astuple, dataclass, replace
from enum import IntEnum
from pathlib import Path

import numpy as np

from . import build, frames, reference


class Status(IntEnum):
    """bf_status"""

    OK = 0
    NOMEM = 1
    HEADER = 2
    TRUNCATED = 3
    OFFSET = 4
    BLOCK = 5
    UNSUPPORTED = 6
    ARGUMENT = 7
    ALLELE = 8


# What is wrong with a frame is one of these, never a fault of the caller.
FRAME_ERRORS = {
    Status.HEADER,
    Status.TRUNCATED,
    Status.OFFSET,
    Status.BLOCK,
    Status.UNSUPPORTED,
}


class Gather(IntEnum):
    ALL = 0
    EVERY_THIRD = 1
    DESCENDING = 2
    TWICE = 3


@dataclass(frozen=True)
class Geometry:
    """case_geometry, without the frame's size."""

    chunk_rows: int
    chunk_samples: int
    ploidy: int
    num_samples: int
    copies: int = 1
    constant: int = 0
    first_row: int = 0
    last_row: int = 0
    gather: Gather = Gather.ALL

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.chunk_rows, self.chunk_samples, self.ploidy)


@dataclass(frozen=True)
class Result:
    status: Status
    hash: int


@dataclass(frozen=True)
class Base:
    """A sound frame, and what it holds."""

    name: str
    geometry: Geometry
    array: np.ndarray
    frame: bytes

    def gathered(self, gather: Gather) -> "Base":
        return replace(self, geometry=replace(self.geometry, gather=gather))


def case_bytes(geometry: Geometry, frame: bytes) -> bytes:
    return struct.pack("<10I", *astuple(geometry), len(frame)) + frame


def run_harness(harness: Path, cases: list[tuple[Geometry, bytes]], tmp_path: Path) -> list[Result]:
    """Run all cases in one process, which must end well."""
    path = tmp_path / "cases"
    path.write_bytes(b"".join(case_bytes(*case) for case in cases))
    done = subprocess.run(
        [harness, path], capture_output=True, text=True, errors="replace", env=build.SANITIZE_RUN
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"after {len(lines)} of {len(cases)} cases: {done.stderr}"
    assert len(lines) == len(cases)
    words = (line.split() for line in lines)
    return [Result(Status(int(status)), int(digest, 16)) for status, digest in words]


def expected_result(base: Base) -> Result:
    """What the harness must print for a sound frame."""
    g = base.geometry
    whole = [base.array[:, : g.num_samples]] * g.copies
    missing = np.full((g.chunk_rows, g.constant, g.ploidy), -1, dtype=np.int8)
    array = np.concatenate([*whole, missing], axis=1)
    total = array.shape[1]
    kept = {
        Gather.ALL: np.arange(total),
        Gather.EVERY_THIRD: np.arange(1, total, 3),
        Gather.DESCENDING: np.arange(total)[::-1],
        Gather.TWICE: np.repeat(np.arange(total), 2),
    }[g.gather]
    state = reference.FNV_OFFSET
    for row in array[g.first_row : g.last_row + 1, kept]:
        state = reference.fnv1a(row.tobytes(), state)
        if not reference.is_wide(row):
            state = reference.fnv1a(reference.bed_record(row), state)
    return Result(Status.OK, state)


def random_alleles(shape, values, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).choice(np.array(values, dtype=np.int8), size=shape)


def make_base(name, geometry, array, order=None, gap=0, **options) -> Base:
    frame = frames.encode(array, **options)
    if order is not None:
        blocks = frames.parts(frame).num_blocks
        shuffled = np.random.default_rng(order).permutation(blocks).tolist()
        frame = frames.reordered(frame, shuffled, gap)
    return Base(name, geometry, array, frame)


def bases() -> list[Base]:
    """Sound frames of every kind that there is."""
    calls = (0, 0, 0, 1, -1, -2)
    small = random_alleles((9, 13, 2), calls)
    many = random_alleles((12, 801, 2), calls)
    bytes_ = random_alleles((3, 100, 2), range(-128, 128))
    skipped = random_alleles((8, 200, 1), calls)
    wide = random_alleles((20, 50, 1), range(-2, 101))
    mixed = np.zeros((20, 256, 1), dtype=np.int8)
    mixed[4:8] = random_alleles((4, 256, 1), range(-128, 128))
    mixed[-1] = random_alleles((256, 1), range(-128, 128))
    # Upper planes that zstd ends in runs of, from within a plane on.
    large = random_alleles((9, 3 << 14, 1), (0, 1))
    # The same, with missing calls in a last block that is not shuffled.
    last = random_alleles((9, 33_334, 1), (0, 1))
    last[8, ::7] = -1
    return [
        make_base("one block", Geometry(9, 13, 2, 13, last_row=8), small),
        make_base("odd last", Geometry(9, 13, 2, 11, 2, 5, 0, 8), small, blocksize=128),
        make_base("unordered", Geometry(12, 801, 2, 801, 2, 0, 3, 6), many, 1, blocksize=1024),
        make_base("gaps", Geometry(12, 801, 2, 400, 1, 9, 2, 4), many, 2, 7, blocksize=1024),
        make_base("plain", Geometry(12, 801, 2, 800, 1, 1, 0, 3), many, shuffle=0, blocksize=1600),
        make_base("tiny", Geometry(3, 5, 2, 4, 3, 2, 0, 2), small[:3, :5]),
        make_base("memcpyed", Geometry(3, 100, 2, 99, 1, 3, 0, 2), bytes_, blocksize=128),
        make_base("raw blocks", Geometry(20, 256, 1, 250, 1, 1, 2, 19), mixed, blocksize=512),
        # Of 13 blocks, the rows' few samples are in 0, 1, 3 and 4.
        make_base("skipped", Geometry(8, 200, 1, 4, 2, 0, 0, 3), skipped, blocksize=128),
        make_base("wide", Geometry(20, 50, 1, 50, 2, 1, 0, 19), wide, blocksize=256),
        make_base("runs", Geometry(9, 3 << 14, 1, 3000, 1, 1, 0, 8), large, blocksize=3 << 17),
        make_base(
            "runs, odd last", Geometry(9, 33_334, 1, 999, 2, 1, 6, 8), last, blocksize=1 << 18
        ),
    ]
