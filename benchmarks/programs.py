"""Programs of the field on the mounts and on real files."""

import filecmp
import random
import shutil
import sqlite3
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .compare import Comparison, default_read_ahead
from .measure import drop_caches, run, run_together, warm_memory
from .mounts import NULL, OURS, TIMED_OPTIONS
from .views import BGEN, PLINK, View

REAL = "real"
REGIONS = 16
FREQUENCIES = {"plink2": ".afreq", "plink1.9": ".frq"}


def frequencies(comparison: Comparison) -> None:
    """Run ``--freq`` of PLINK 2 and 1.9 on the mounts and on the real files, cold."""
    outputs = comparison.scratch / "freq"
    outputs.mkdir(parents=True, exist_ok=True)
    for view, name in comparison.chosen("wide", "tall"):
        if view == BGEN and name == "tall":
            continue
        store, real = comparison.maker.store(name), comparison.maker.real(name, view)
        programs = [program for program in FREQUENCIES if shutil.which(program)]
        # PLINK 1.9 reads no BGEN of version 1.2.
        for program in programs if view == PLINK else programs[:1]:
            measure = f"{program} --freq of {view.suffix}"
            size = real.with_suffix(view.suffix).stat().st_size
            for _ in range(comparison.repeats):
                for side, conditions, options in _cases(comparison, program):
                    with _cold(comparison, side, store, view, real, size, options) as stem:
                        output = outputs / f"{name}-{program}-{side}{conditions[:6]}"
                        seconds = run(_frequencies(program, view, stem, output))
                    comparison.results.add(measure, name, side, conditions, "s", seconds)
                    _compare(outputs / f"{name}-{program}-{REAL}", output, FREQUENCIES[program])


def regions(comparison: Comparison) -> None:
    """Run sixteen ``plink2 --freq`` at once, each on a region of its own of one `.bed`, cold."""
    outputs = comparison.scratch / "regions"
    outputs.mkdir(parents=True, exist_ok=True)
    if not shutil.which("plink2"):
        return
    for view, name in comparison.chosen("wide"):
        if view != PLINK:
            continue
        store, real = comparison.maker.store(name), comparison.maker.real(name, view)
        size = real.with_suffix(view.suffix).stat().st_size
        limits = _limits(real.with_suffix(".bim"), REGIONS)
        for _ in range(comparison.repeats):
            for side, conditions, options in _cases(comparison, "plink2"):
                with _cold(comparison, side, store, view, real, size, options) as stem:
                    made = [outputs / f"{name}-{side}{conditions[:6]}-{i}" for i in range(REGIONS)]
                    commands = [
                        [*_frequencies("plink2", view, stem, output), *limit]
                        for output, limit in zip(made, limits, strict=True)
                    ]
                    seconds = run_together(commands)
                measure = f"{REGIONS} plink2 --freq of regions of {view.suffix}"
                comparison.results.add(measure, name, side, conditions, "s", seconds)
                for i, output in enumerate(made):
                    _compare(outputs / f"{name}-{REAL}-{i}", output, FREQUENCIES["plink2"])


def _cases(comparison: Comparison, program: str) -> list[tuple[str, str, Sequence[str] | None]]:
    """Return what to measure a program on: side, conditions, and options of the mount."""
    cases = [(side, "", TIMED_OPTIONS.get(side)) for side in [REAL, *comparison.without(NULL)]]
    if OURS in comparison.sides and program == "plink2":
        cases.append((OURS, "direct I/O", (*TIMED_OPTIONS[OURS], "--direct-io", program)))
    return cases


@contextmanager
def _cold(
    comparison: Comparison,
    side: str,
    store: Path,
    view: View,
    real: Path,
    size: int,
    options: Sequence[str] | None,
) -> Iterator[Path]:
    """Give the stem of a side's files, of which nothing is in memory."""
    drop_caches(store, *real.parent.glob(f"{real.name}.*"))
    if side == REAL:
        warm_memory(size)
        yield real
        return
    window = default_read_ahead(side)
    with comparison.mounter.mount(side, store, view, window, options) as mount:
        warm_memory(size)
        yield mount.stem


def _compare(expected: Path, made: Path, suffix: str) -> None:
    """Raise RuntimeError if what a program has made is not what it makes of the real files."""
    if not filecmp.cmp(f"{expected}{suffix}", f"{made}{suffix}", shallow=False):
        raise RuntimeError(f"{made.name}{suffix} is not as with the real file")


def _limits(bim: Path, parts: int) -> list[list[str]]:
    """Cut the variants of one chromosome into parts: PLINK's options for each."""
    lines = [line.split() for line in bim.read_text().splitlines()]
    starts = [int(lines[len(lines) * i // parts][3]) for i in range(parts)]
    stops = [start - 1 for start in starts[1:]] + [int(lines[-1][3])]
    return [
        ["--chr", lines[0][0], "--from-bp", str(start), "--to-bp", str(stop)]
        for start, stop in zip(starts, stops, strict=True)
    ]


def _frequencies(program: str, view: View, stem: Path, output: Path) -> list[str | Path]:
    """Return the command that counts a file set's alleles."""
    inputs: list[str | Path] = ["--bfile", stem]
    if view == BGEN:
        inputs = ["--bgen", stem.with_suffix(view.suffix), "ref-first"]
    return [program, *inputs, "--freq", "--out", output]


def one_variant(comparison: Comparison) -> None:
    """Take single variants, by position, out of ``wide_bench`` with bgenix.

    The local file is sparse: it has our mount's index and size, and the header
    and just those records that are asked for.
    """
    bgenix = shutil.which("bgenix") or shutil.which(Path(sys.executable).with_name("bgenix"))
    if bgenix is None or OURS not in comparison.sides:
        return
    for view, name in comparison.chosen("wide_bench"):
        if view != BGEN:
            continue
        store = comparison.maker.store(name)
        local = comparison.scratch / f"{name}_sparse.bgen"
        window = default_read_ahead(OURS)
        with comparison.mounter.mount(OURS, store, view, window) as mount:
            positions = _copy_some(mount.file, local, comparison.reads // 10)

        def timed(file: Path, side: str, bgenix=bgenix, name=name, positions=positions) -> None:
            ranges = [f"1:{position}-{position}" for position in positions]
            command = [bgenix, "-g", file, "-incl-range"]
            first, *rest = [1000 * run([*command, one], keep=False) for one in ranges]
            add = comparison.results.add
            add("bgenix, one variant", name, side, "first after mount", "ms", first)
            if rest:
                add("bgenix, one variant", name, side, "median", "ms", statistics.median(rest))

        try:
            for _ in range(comparison.repeats):
                drop_caches(local, local.with_suffix(".bgen.bgi"))
                warm_memory(0)
                timed(local, REAL)
                for side in comparison.without(NULL):
                    drop_caches(store)
                    window, options = default_read_ahead(side), TIMED_OPTIONS.get(side)
                    with comparison.mounter.mount(side, store, view, window, options) as mount:
                        warm_memory(0)
                        timed(mount.file, side)
        finally:
            local.unlink()
            local.with_suffix(".bgen.bgi").unlink()


def _copy_some(file: Path, local: Path, count: int) -> Sequence[int]:
    """Copy a file's index, header and `count` random records; return their positions."""
    index = file.with_suffix(".bgen.bgi")
    shutil.copyfile(index, local.with_suffix(".bgen.bgi"))
    with sqlite3.connect(f"file:{index}?immutable=1", uri=True) as database:
        rows = database.execute(
            "SELECT position, file_start_position, size_in_bytes FROM Variant ORDER BY 2"
        ).fetchall()
    database.close()
    chosen = random.Random(1).sample(rows, min(max(2, count), len(rows)))
    with open(file, "rb") as source, open(local, "wb") as target:
        target.truncate(file.stat().st_size)
        # bgenix compares the first 1,000 bytes with those of the index.
        for start, size in [(0, rows[0][1] + 1000), *((row[1], row[2]) for row in chosen)]:
            source.seek(start)
            target.seek(start)
            target.write(source.read(size))
    return [row[0] for row in chosen]
