"""The cache and the engine under the sanitizers of threads and of addresses."""

import subprocess

import numpy as np
import pytest
from support.bcf import framed

from . import build, frames, reference

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
def test_threads_share_a_cache(sanitizer):
    program = build.compile_program(
        "clang",
        ["threads.c", *build.CASE],
        *build.SANITIZE,
        f"-fsanitize={sanitizer}",
        "-pthread",
    )
    done = subprocess.run(
        [program], capture_output=True, text=True, env=build.SANITIZE_RUN, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-6000:]


@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
@pytest.mark.parametrize(
    ("budget", "is_framed", "how"),
    [
        (0, False, "files"),
        (3000, False, "files"),
        (1 << 20, False, "files"),
        (1 << 20, True, "files"),
        (12_000, False, "given"),
        (1 << 20, False, "given"),
        (1 << 20, True, "given"),
        (3000, False, "split"),
        (1 << 20, True, "split"),
        (3000, False, "changes"),
        (1 << 20, True, "changes"),
    ],
)
@pytest.mark.parametrize("damage", [False, True])
def test_threads_share_an_engine(sanitizer, budget, damage, is_framed, how, tmp_path):
    """Of a `.bed`; and of a file in three blocks that frames one.

    Chunks are files, which may be written anew meanwhile, or are given by who finds one wanted,
    and evicted; records may be of sites that are split.
    """
    rng = np.random.default_rng(budget + damage)
    variants, rows, width = 90, 32, 1500 if is_framed else 41
    samples = 4 * width - 14
    genotypes = rng.choice(np.int8([0, 1, -1]), (variants, samples, 2))
    padded = np.full((96, 4 * width, 2), -1, np.int8)
    padded[:variants, :samples] = genotypes
    for row in range(3):
        for column in range(4):
            chunk = padded[row * rows :][:rows, column * width :][:, :width]
            frame = frames.encode(np.ascontiguousarray(chunk), blocksize=8192 if is_framed else 512)
            if damage:
                at = int(rng.integers(len(frame)))
                frame = frame[:at] + bytes([int(rng.integers(256))]) + frame[at + 1 :]
            (tmp_path / f"{row}.{column}").write_bytes(frame)
    bed = tmp_path / "expected.bed"
    records = b"".join(reference.bed_record(row) for row in genotypes)
    stream = b"\x6c\x1b\x01" + records
    bed.write_bytes(framed(stream) if is_framed else stream)
    program = build.compile_program(
        "clang",
        ["engine_threads.c", *build.CASE],
        *build.SANITIZE,
        f"-fsanitize={sanitizer}",
        "-pthread",
    )
    shape = (variants, samples, 2, rows, width, budget, int(not damage))
    done = subprocess.run(
        [
            *(program, tmp_path, *map(str, shape), bed, str(len(stream) if is_framed else 0)),
            *(str(int(how == word)) for word in ("given", "split", "changes")),
        ],
        capture_output=True,
        text=True,
        env=build.SANITIZE_RUN,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-6000:]
