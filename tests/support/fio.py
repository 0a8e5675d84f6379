"""fio: jobs that read, and files in whose blocks it finds its own checksums."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from support.stores import make_store

BLOCK = 4096
# Bytes of a row of calls, four to a byte.
_ROW = 512
# Bytes before the first row, and the calls of the codes 0 to 3, (allele, allele).
_VIEWS = {
    "x.bed": (3, ((1, 1), (-1, -1), (0, 1), (0, 0))),
    "x.pgen": (12, ((0, 0), (0, 1), (1, 1), (-1, -1))),
}
VERIFY = ("--verify=crc32c", f"--verify_interval={BLOCK}")


def fio(*options: object) -> dict[str, Any]:
    """Run fio's jobs, which only read. Returns its report.

    Raises
    ------
    AssertionError
        If a job has failed, or found a block that has not the bytes of its checksum.
    """
    done = run_fio(*options)
    assert done.returncode == 0, f"{options}:\n{done.stdout[-500:]}\n{done.stderr[-2000:]}"
    return json.loads(done.stdout)


def run_fio(*options: object) -> subprocess.CompletedProcess:
    """The same, whatever comes of it."""
    assert shutil.which("fio"), "fio is not installed"
    words = ["fio", "--readonly", "--output-format=json", *map(str, options)]
    return subprocess.run(words, capture_output=True, text=True, timeout=300)


def reads(report: dict[str, Any]) -> int:
    """How many reads there were."""
    return sum(job["read"]["total_ios"] for job in report["jobs"])


def write_blocks(path: Path, size: int) -> bytes:
    """Have fio write a file, each block of which says what it is and its checksum."""
    assert shutil.which("fio"), "fio is not installed"
    subprocess.run(
        [
            *("fio", "--name=w", f"--filename={path}", f"--size={size}", f"--bs={BLOCK}"),
            *(*VERIFY, "--rw=write", "--ioengine=psync", "--do_verify=0"),
            *("--verify_state_save=0", "--output=/dev/null"),
        ],
        check=True,
        cwd=path.parent,
    )
    return path.read_bytes()


def store_of_blocks(path: Path, view: str, blocks: bytes) -> Path:
    """A store of which a view has these bytes, but for those before its first row.

    Every byte of a row is four calls, so any bytes will do. What is behind them is zeros.

    Parameters
    ----------
    path : Path
    view : str
        x.bed or x.pgen.
    blocks : bytes
    """
    header, calls = _VIEWS[view]
    rows = np.frombuffer(blocks[header:] + bytes(-(len(blocks) - header) % _ROW), np.uint8)
    rows = rows.reshape(-1, _ROW)
    codes = np.stack([rows >> shift & 3 for shift in (0, 2, 4, 6)], axis=2)
    genotypes = np.array(calls, np.int8)[codes.reshape(len(rows), -1)]
    return make_store(path, genotypes, chunks=(700, 900), encoding="v3-blosc-zstd-bit")
