"""The reader of values over damaged frames, under sanitizers: an error or the right values."""

import struct
import subprocess
from dataclasses import astuple, dataclass

import numpy as np
import pytest

from . import build, frames, mutations, reference
from .geometry import FRAME_ERRORS, Result, Status

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Geometry:
    """values_geometry, without the frame's size."""

    chunk_rows: int
    row_values: int
    num_values: int
    first_row: int
    last_row: int


@dataclass(frozen=True)
class Base:
    name: str
    geometry: Geometry
    array: np.ndarray
    frame: bytes

    @property
    def expected(self) -> Result:
        g = self.geometry
        rows = np.ascontiguousarray(self.array[g.first_row : g.last_row + 1, : g.num_values])
        return Result(Status.OK, reference.fnv1a(rows.tobytes()))


def make_base(name, shape, num_values, rows, order=None, noise=False, **options) -> Base:
    rng = np.random.default_rng(len(name))
    array = rng.choice(np.float32([0, 0.5, 1, 1 / 3]), shape)
    array.view(np.uint32)[rng.random(shape) < 0.1] = 0x7F800001
    if noise:
        array[1::3] = rng.integers(0, 2**32, array[1::3].shape, dtype=np.uint32).view(np.float32)
    frame = frames.encode(array, **{"shuffle": 1, **options})
    if order is not None:
        blocks = frames.parts(frame).num_blocks
        frame = frames.reordered(frame, np.random.default_rng(order).permutation(blocks).tolist())
    return Base(name, Geometry(*shape, num_values, *rows), array, frame)


BASES = [
    make_base("one block", (9, 40), 40, (0, 8)),
    make_base("shorter last", (9, 41), 40, (0, 8), blocksize=256),
    make_base("unordered", (12, 300), 200, (3, 6), order=1, blocksize=1024),
    make_base("plain", (12, 300), 300, (0, 3), shuffle=0, blocksize=1200),
    make_base("tiny", (2, 3), 2, (0, 1)),
    make_base("memcpyed", (1, 100), 99, (0, 0), shuffle=0, clevel=0, blocksize=128),
    make_base("raw blocks", (8, 256), 250, (0, 7), noise=True, blocksize=1024),
]


@pytest.fixture(scope="module")
def harness():
    return build.compile_program(
        "clang",
        ["harness_values.c", *build.CASE],
        *build.SANITIZE,
        "-fsanitize=address,undefined",
    )


def run(harness, cases, tmp_path) -> list[Result]:
    path = tmp_path / "cases"
    path.write_bytes(
        b"".join(struct.pack("<6I", *astuple(g), len(frame)) + frame for g, frame in cases)
    )
    done = subprocess.run(
        [harness, path], capture_output=True, text=True, errors="replace", env=build.SANITIZE_RUN
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"after {len(lines)} of {len(cases)} cases: {done.stderr}"
    assert len(lines) == len(cases)
    words = (line.split() for line in lines)
    return [Result(Status(int(status)), int(digest, 16)) for status, digest in words]


def test_the_bases_are_what_they_are_called():
    found = {base.name: frames.parts(base.frame) for base in BASES}
    assert found["one block"].num_blocks == 1
    assert found["shorter last"].raw_size(5) < 256
    assert found["unordered"].offsets != sorted(found["unordered"].offsets)
    assert found["tiny"].memcpyed and found["memcpyed"].memcpyed
    assert 0 < len(found["raw blocks"].stored_raw()) < found["raw blocks"].num_blocks
    for base in BASES:
        assert frames.decode(base.frame) == base.array.tobytes()


def test_sound_frames(harness, tmp_path):
    results = run(harness, [(base.geometry, base.frame) for base in BASES], tmp_path)
    assert results == [base.expected for base in BASES]


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.name)
def test_damaged_frames(harness, tmp_path, base):
    """Of bytes that are shuffled the flag tells, which nothing guards."""
    rng = np.random.default_rng(20240229)
    made = list(mutations.mutations(base.frame, rng, 150))
    results = run(harness, [(base.geometry, m.frame) for m in made], tmp_path)
    noticed = 0
    for mutation, result in zip(made, results, strict=True):
        if result.status == Status.OK:
            differs = len(mutation.frame) > 2 and mutation.frame[2] ^ base.frame[2]
            silent = mutation.silent or differs & 1
            assert silent or result == base.expected, mutation.what
        else:
            assert result.status in FRAME_ERRORS, mutation.what
            noticed += 1
    assert len(made) > noticed > len(made) // 4
