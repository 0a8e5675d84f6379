"""Compile a C program of these tests with the kernels, for which a compiler must be there."""

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
NATIVE = HERE.parents[1] / "src" / "biofuse" / "native"
SOURCES = (
    "bgen.c",
    "bgen_values.c",
    "block_cache.c",
    "count.c",
    "error.c",
    "frame.c",
    "planes.c",
    "plink1.c",
    "rows.c",
    "stored.c",
    "values.c",
    "zstd_tail.c",
)

# What harness and fuzz targets share.
CASE = ("case.c", "case_bgen.c", "case_count.c", "case_values.c")

SANITIZE = (
    *("-g", "-O1", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all"),
    *("-Wall", "-Wextra", "-Werror"),
)
SANITIZE_RUN = {
    **os.environ,
    "ASAN_OPTIONS": "abort_on_error=0:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


def compile_program(compiler: str, out: Path, sources: list[str], *flags: str) -> Path:
    """Compile sources of this directory with the kernels to the program `out`."""
    assert shutil.which(compiler), f"these tests need {compiler}"
    zstd = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libzstd", "libdeflate"],
        capture_output=True,
        text=True,
        check=True,
    )
    command = [
        *(compiler, "-std=c11", *flags, f"-I{NATIVE}", f"-I{HERE}"),
        *(str(HERE / name) for name in sources),
        *(str(NATIVE / name) for name in SOURCES),
        *zstd.stdout.split(),
        *("-lm", "-o", str(out)),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
    return out
