"""C programs of these tests, compiled with the kernels, for which a compiler must be there.

What was compiled stays in `build/tests` while no C file changes: processes that test at once
share it, and kernels that several programs have in common are compiled once.
"""

import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NATIVE = ROOT / "src" / "biofuse" / "native"


def kernel_sources() -> list[Path]:
    """The C files of the extension module, as the build lists them."""
    text = (NATIVE.parent / "meson.build").read_text()
    return [NATIVE / name for name in re.findall(r"^  'native/(\w+\.c)',$", text, re.MULTILINE)]


# What harness and fuzz targets share.
_CASES = ("bcf", "bgen", "count", "file", "files", "formats", "plink2", "texts", "values")
CASE = ("case.c", *(f"case_{name}.c" for name in _CASES))

SANITIZE = (
    *("-g", "-O1", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all"),
    *("-Wall", "-Wextra", "-Werror"),
)
SANITIZE_RUN = {
    **os.environ,
    "ASAN_OPTIONS": "abort_on_error=0:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


@functools.cache
def built() -> Path:
    """The folder of what is compiled from the C files as they are; others are removed."""
    digest = hashlib.sha256()
    for path in sorted(
        [*NATIVE.glob("*.[ch]"), *HERE.glob("*.[ch]"), NATIVE.parent / "meson.build"]
    ):
        digest.update(b"%s %d\n" % (path.name.encode(), path.stat().st_size) + path.read_bytes())
    folder = ROOT / "build" / "tests" / digest.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for other in folder.parent.iterdir():
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    return folder


@contextmanager
def made_once(name: str) -> Iterator[tuple[Path, bool]]:
    """A file to make, and whether it is to be made; other processes wait."""
    path = built() / name
    with open(path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path, not path.exists()


def run(*command: str | Path) -> str:
    """Run a command that must succeed. Returns what it printed."""
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stderr}"
    return done.stdout


@functools.cache
def compiler_version(compiler: str) -> str:
    assert shutil.which(compiler), f"these tests need {compiler}"
    return run(compiler, "--version")


def compile_kernels(compiler: str, *flags: str) -> Path:
    """Compile the kernels, once for all programs with these flags. Returns a static library."""
    words = " ".join((compiler_version(compiler), *flags))
    digest = hashlib.sha256(words.encode()).hexdigest()[:16]
    with made_once(f"kernels-{digest}.a") as (library, missing):
        if missing:
            objects = library.with_suffix(".objects")
            shutil.rmtree(objects, ignore_errors=True)
            objects.mkdir()
            cflags = run("pkg-config", "--cflags", "libzstd", "libdeflate").split()
            for source in kernel_sources():
                out = objects / f"{source.stem}.o"
                run(compiler, "-std=c11", *flags, f"-I{NATIVE}", *cflags, "-c", source, "-o", out)
            partial = library.with_suffix(".partial")
            partial.unlink(missing_ok=True)
            run("ar", "rcs", partial, *sorted(objects.iterdir()))
            partial.rename(library)
            shutil.rmtree(objects)
    return library


def compile_program(compiler: str, sources: list[str], *flags: str) -> Path:
    """Compile sources of this directory with the kernels. Returns the program.

    Parameters
    ----------
    compiler : str
    sources : list of str
        The first names the program.
    *flags : str
        For kernels and program; a fuzz target's kernels are without the fuzzer's `main`.
    """
    words = " ".join((compiler_version(compiler), *sources, *flags))
    digest = hashlib.sha256(words.encode()).hexdigest()[:16]
    kernel_flags = [
        flag.replace("=fuzzer,", "=fuzzer-no-link,") for flag in flags if flag != "-pthread"
    ]
    library = compile_kernels(compiler, *kernel_flags)
    with made_once(f"{Path(sources[0]).stem}-{digest}") as (program, missing):
        if missing:
            partial = program.with_suffix(".partial")
            run(
                *(compiler, "-std=c11", *flags, f"-I{NATIVE}", f"-I{HERE}"),
                *(HERE / name for name in sources),
                library,
                *run("pkg-config", "--cflags", "--libs", "libzstd", "libdeflate").split(),
                *("-lm", "-o", partial),
            )
            partial.rename(program)
    return program
