"""Kernels of texts, and of rows, over damaged input, under sanitizers."""

import struct
import subprocess

import numpy as np
import pytest
from numcodecs import VLenUTF8

from . import build
from .geometry import Status
from .test_sidecars import make_rows, many
from .test_texts import numcodecs_reads

pytestmark = pytest.mark.slow

CHUNK, ROWS = range(2)
TEXTS = {
    "none": [],
    "empty": ["", "", ""],
    "letters": list("ACGTACGTTTAC") * 30,
    "names": [f"rs{i * 7919 % 1000}" for i in range(500)],
    "unicode": ["é", "", "\U0001f9ec", "x" * 130, "\uffff", "."] * 4,
    "long": ["A" * 70_000, "C", "G" * 5000, "", "T" * 997],
    "white space": ["a b", "c", "\t"],
}


@pytest.fixture(scope="module")
def harness():
    flags = (*build.SANITIZE, "-fsanitize=address,undefined")
    return build.compile_program("clang", ["harness_texts.c", *build.CASE], *flags)


def run(harness, cases, tmp_path) -> list[tuple[Status, str]]:
    """Status and hash of cases: what they are, a number, and bytes."""
    path = tmp_path / "cases"
    path.write_bytes(b"".join(struct.pack("<3I", k, n, len(data)) + data for k, n, data in cases))
    done = subprocess.run(
        [harness, path], capture_output=True, text=True, errors="replace", env=build.SANITIZE_RUN
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"after {len(lines)} of {len(cases)} cases: {done.stderr}"
    assert len(lines) == len(cases)
    return [(Status(int(line.split()[0])), line.split()[1]) for line in lines]


def chunk_of(texts) -> bytes:
    return bytes(VLenUTF8().encode(np.array(texts, dtype=object)))


def damaged(data: bytes, rng, count: int) -> list[bytes]:
    """The same with a few bytes changed, and often cut off or put twice."""
    found = []
    for _ in range(count):
        other = bytearray(data)
        for _ in range(rng.integers(0, 4)):
            if other:
                other[rng.integers(len(other))] = rng.choice([0, 1, 127, 128, 255, 0xC3, 0xE2])
        cut = rng.integers(0, len(other) + 1)
        kind = rng.integers(4)
        if kind == 0:
            other = other[:cut]
        elif kind == 1:
            other = other[:cut] + other[cut // 2 :]
        found.append(bytes(other))
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_chunks(name, harness, tmp_path):
    """A damaged one is taken exactly if numcodecs takes it."""
    texts = TEXTS[name]
    sound = chunk_of(texts)
    made = [sound, *damaged(sound, np.random.default_rng(len(name)), 200)]
    results = run(harness, [(CHUNK, len(texts), chunk) for chunk in made], tmp_path)
    assert results[0][0] == Status.OK
    for chunk, (status, _) in zip(made, results, strict=True):
        counted = chunk[:4] == sound[:4]
        assert (status == Status.OK) == (counted and numcodecs_reads(chunk, len(texts)))


def test_another_number_of_texts(harness, tmp_path):
    sound = chunk_of(["a", "b"])
    results = run(harness, [(CHUNK, n, sound) for n in (0, 1, 3, 1000)], tmp_path)
    assert {status for status, _ in results} == {Status.HEADER}


def test_rows(harness, tmp_path):
    """Damaged rows, and runs that begin in the middle of one, are an error or any order."""
    rng = np.random.default_rng(5)
    variants = [*many(rng, 700, ("1", "2", "10"), 3), ("1", "z", 5, "A", "C" * 9000)]
    sound = make_rows(variants, 2**33, 1000)
    cases = [(ROWS, 1, sound), (ROWS, 1, b"")]
    cases += [(ROWS, 1 + i % 7, data) for i, data in enumerate(damaged(sound, rng, 300))]
    cases += [(ROWS, 1 + i % 3, rng.bytes(i % 60)) for i in range(300)]
    results = run(harness, cases, tmp_path)
    assert [status for status, _ in results[:2]] == [Status.OK] * 2
    assert {status for status, _ in results} == {Status.OK, Status.TRUNCATED}
