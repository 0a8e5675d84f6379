"""The cache and the engine under the sanitizers of threads and of addresses."""

import subprocess
from pathlib import Path

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


# Of a .bed every way there is; of others, those in which their records lie otherwise.
WAYS = [
    ("bed", 0, False, "files"),
    ("bed", 3000, False, "files"),
    ("bed", 1 << 20, False, "files"),
    ("bed", 1 << 20, True, "files"),
    ("bed", 12_000, False, "given"),
    ("bed", 1 << 20, False, "given"),
    ("bed", 1 << 20, True, "given"),
    ("bed", 3000, False, "split"),
    ("bed", 1 << 20, True, "split"),
    ("bed", 3000, False, "changes"),
    ("bed", 1 << 20, True, "changes"),
    ("pgen", 3000, False, "files"),
    ("pgen", 1 << 20, False, "given"),
    ("pgen", 3000, False, "split"),
    ("pgen", 1 << 20, False, "changes"),
    ("bgen", 3000, False, "files"),
    ("bgen", 1 << 20, False, "given"),
    ("bgen", 3000, False, "split"),
    ("bgen", 1 << 20, False, "changes"),
    ("bcf", 3000, False, "files"),
    ("bcf", 1 << 20, True, "files"),
    ("bcf", 1 << 20, True, "given"),
    ("bcf", 1 << 20, True, "split"),
    ("bcf", 1 << 20, True, "changes"),
]
# What their records must be.
RECORDS = {"bed": reference.bed_record, "pgen": reference.pgen_record}
FORMATS = ("bed", "pgen", "bgen", "bcf")
VARIANTS, ROWS, COLUMNS = 90, 32, 4


def write_chunks(array: np.ndarray, folder: Path, prefix: str, blocksize: int, rng=None) -> None:
    """Chunks of an array that is as large as all of them; each with another byte if `rng`."""
    width = array.shape[1] // COLUMNS
    for row in range(len(array) // ROWS):
        for column in range(COLUMNS):
            chunk = array[row * ROWS :][:ROWS, column * width :][:, :width]
            frame = frames.encode(np.ascontiguousarray(chunk), blocksize=blocksize)
            if rng is not None:
                at = int(rng.integers(len(frame)))
                frame = frame[:at] + bytes([int(rng.integers(256))]) + frame[at + 1 :]
            (folder / f"{prefix}{row}.{column}").write_bytes(frame)


@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
@pytest.mark.parametrize(("name", "budget", "is_framed", "how"), WAYS)
@pytest.mark.parametrize("damage", [False, True])
def test_threads_share_an_engine(sanitizer, name, budget, damage, is_framed, how, tmp_path):
    """Of a file of each format, as it is or in BGZF blocks.

    Chunks are files, which may be written anew meanwhile, or are given by who finds one wanted,
    and evicted; records may be of sites that are split. A BGEN and a BCF tell of phase.
    """
    rng = np.random.default_rng(budget + damage)
    width = 1500 if is_framed else 41
    samples = COLUMNS * width - 14
    padded = np.full((96, COLUMNS * width, 2), -1, np.int8)
    genotypes = padded[:VARIANTS, :samples]
    genotypes[:] = rng.choice(np.int8([0, 1, -1, 2][: 4 if how == "split" else 3]), genotypes.shape)
    genotypes[rng.random(genotypes.shape[:2]) < 0.02, 1] = -2
    blocksize = 8192 if is_framed else 512
    write_chunks(padded, tmp_path, "", blocksize, rng if damage else None)
    (tmp_path / "alleles").write_bytes(genotypes.tobytes())
    # Every call of most variants.
    phased = np.ones((96, COLUMNS * width, 1), np.int8)
    phased[::3, ::7] = 0
    write_chunks(phased, tmp_path, "p", blocksize)
    (tmp_path / "phased").write_bytes(phased[:VARIANTS, :samples].tobytes())
    program = build.compile_program(
        "clang",
        ["engine_threads.c", *build.CASE],
        *build.SANITIZE,
        f"-fsanitize={sanitizer}",
        "-pthread",
    )
    numbers = [VARIANTS, samples, 2, ROWS, width, budget, int(not damage)]
    numbers += [FORMATS.index(name), 2 if name == "bgen" else 1, int(is_framed)]
    numbers += [int(how == word) for word in ("given", "split", "changes")]
    done = subprocess.run(
        [program, tmp_path, *map(str, [*numbers, int(name in ("bgen", "bcf"))])],
        capture_output=True,
        text=True,
        env=build.SANITIZE_RUN,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-6000:]
    if name in RECORDS and how != "split":
        stream = b"\x6c\x1b\x01" + b"".join(RECORDS[name](row) for row in genotypes)
        made = (tmp_path / "made").read_bytes()
        assert made == (framed(stream) if is_framed else stream)
