"""The comparisons: each repetition measures every side once, one after the other."""

import filecmp
import math
import shutil
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .measure import allele_frequencies, drop_caches, random_reads, read_file
from .memory import measure_memory
from .mounts import KERNEL_READ_AHEAD_KIB, NULL, OURS, PEER, Mounter, can_set_read_ahead
from .report import Results
from .stores import Maker

RAISED_READ_AHEAD_KIB = 1024
REAL = "real"
PLINK_PROGRAMS = ("plink2", "plink1.9")


@dataclass(frozen=True)
class Comparison:
    """Everything that a comparison needs.

    Attributes
    ----------
    maker : Maker
        Gives the stores.
    mounter : Mounter
        Mounts them.
    results : Results
        Where the measurements go.
    sides : tuple of str
        Sides to measure.
    stores : tuple of str
        Stores to measure; a measurement leaves out others.
    repeats : int
        Repetitions.
    memory_repeats : int
        Repetitions of the memory session, which is long and varies little.
    settle : float
        Seconds to wait before memory counts as idle.
    reads : int
        Random reads a repetition.
    read_seconds : float
        No random read starts after this time.
    scratch : Path
        Directory for output files.
    """

    maker: Maker
    mounter: Mounter
    results: Results
    sides: tuple[str, ...]
    stores: tuple[str, ...]
    repeats: int
    memory_repeats: int
    settle: float
    reads: int
    read_seconds: float
    scratch: Path

    def chosen(self, *names: str) -> list[str]:
        """Return those stores of a measurement that are to be measured."""
        return [name for name in names if name in self.stores]

    def without(self, *sides: str) -> list[str]:
        """Return the sides to measure, but for some."""
        return [side for side in self.sides if side not in sides]


def copy_from_mount(mounter: Mounter, store: Path, stem: Path) -> None:
    """Write a store's real PLINK files by copying them from a mount of ours.

    Parameters
    ----------
    mounter : Mounter
        Mounts the store.
    store : Path
        The store.
    stem : Path
        Stem of the files to write.
    """
    with mounter.mount(OURS, store) as mount:
        for suffix in (".bed", ".bim", ".fam"):
            shutil.copyfile(mount.stem.with_suffix(suffix), stem.with_suffix(suffix))


def throughput(comparison: Comparison) -> None:
    """Read the whole ``.bed``, cold, with the kernel's own read-ahead and a raised one."""
    windows = [KERNEL_READ_AHEAD_KIB]
    if can_set_read_ahead():
        windows.append(RAISED_READ_AHEAD_KIB)
    cases = [
        (side, window)
        for side in comparison.sides
        for window in (windows if side != PEER else windows[:1])
    ]
    for name in comparison.chosen("wide", "tall"):
        store = comparison.maker.store(name)
        for _ in range(comparison.repeats):
            for side, window in cases:
                drop_caches(store)
                with comparison.mounter.mount(side, store, window) as mount:
                    seconds = read_file(mount.bed)
                    speed = mount.bed.stat().st_size / 1e6 / seconds
                conditions = f"read-ahead {window} KiB"
                comparison.results.add("whole .bed", name, side, conditions, "MB/s", speed)


def frequencies(comparison: Comparison) -> None:
    """Run ``--freq`` of PLINK 2 and 1.9 on the mounts and on the real files, cold."""
    programs = [program for program in PLINK_PROGRAMS if shutil.which(program)]
    outputs = comparison.scratch / "freq"
    outputs.mkdir(parents=True, exist_ok=True)
    for name in comparison.chosen("wide", "tall"):
        store, real = comparison.maker.store(name), comparison.maker.real(name)
        for _ in range(comparison.repeats):
            for program in programs:
                for side in [REAL, *comparison.without(NULL)]:
                    output = outputs / f"{name}-{program}-{side}"
                    drop_caches(store, *real.parent.glob(f"{name}.*"))
                    if side == REAL:
                        seconds = allele_frequencies(program, real, output)
                    else:
                        with comparison.mounter.mount(side, store, _read_ahead(side)) as mount:
                            seconds = allele_frequencies(program, mount.stem, output)
                    measure = f"{program} --freq"
                    comparison.results.add(measure, name, side, "", "s", seconds)
        for program in programs:
            extension = ".afreq" if program == "plink2" else ".frq"
            for side in comparison.without(NULL):
                made = [outputs / f"{name}-{program}-{one}{extension}" for one in (REAL, side)]
                if not filecmp.cmp(*made, shallow=False):
                    raise RuntimeError(
                        f"{program} --freq of {name}: {side} is not as the real file"
                    )


def random_access(comparison: Comparison) -> None:
    """Read 25 KB at random offsets of ``wide_bench``: the same offsets for each side."""
    for name in comparison.chosen("wide_bench"):
        store = comparison.maker.store(name)
        for repetition in range(comparison.repeats):
            for side in comparison.sides:
                drop_caches(store)
                with comparison.mounter.mount(side, store, _read_ahead(side)) as mount:
                    latencies = random_reads(
                        mount.bed, repetition, comparison.reads, comparison.read_seconds
                    )
                first, *rest = [1000 * latency for latency in latencies]
                add = comparison.results.add
                add("random 25 KB", name, side, "first after mount", "ms", first)
                if rest:
                    add("random 25 KB", name, side, "median", "ms", statistics.median(rest))
                    add("random 25 KB", name, side, "99th percentile", "ms", _percentile(rest, 99))
                comparison.results.facts[f"random reads a repetition, {side}"] = len(latencies)


def mount_times(comparison: Comparison) -> None:
    """Time mounting, from the command to the file's being there."""
    for name in comparison.chosen("wide", "wide_bench"):
        store = comparison.maker.store(name)

        def timed(side: str, conditions: str, *options: str, store=store) -> None:
            with comparison.mounter.mount(side, store, options=options) as mount:
                seconds = mount.ready_seconds
            if conditions:
                comparison.results.add("mount", store.stem, side, conditions, "s", seconds)

        for side in comparison.without(NULL):
            timed(side, "", *(["--no-cache"] if side == OURS else []))
        for _ in range(comparison.repeats):
            for side in comparison.without(NULL):
                if side == PEER:
                    timed(side, "warm page cache")
                    continue
                with tempfile.TemporaryDirectory(dir=comparison.scratch) as cache:
                    timed(side, "no plan cached", f"--cache-dir={cache}")
                    timed(side, "plan cached", f"--cache-dir={cache}")


def memory(comparison: Comparison) -> None:
    """Measure the memory of all processes of a mount through a session of reads."""
    for name in comparison.chosen("wide", "wide_bench", "wide_big"):
        store = comparison.maker.store(name)
        for _ in range(comparison.memory_repeats):
            for side in comparison.sides:
                if side == NULL and name != "wide":
                    continue
                measure_memory(
                    comparison.results, comparison.mounter, side, store, comparison.settle
                )


def identity(comparison: Comparison) -> None:
    """Check that our files are those that the peer's converter wrote, byte for byte."""
    if not {OURS, PEER} <= set(comparison.sides):
        return
    for name in comparison.chosen("wide", "tall"):
        real = comparison.maker.real(name)
        with comparison.mounter.mount(OURS, comparison.maker.store(name)) as mount:
            for suffix in (".bed", ".bim", ".fam"):
                files = mount.stem.with_suffix(suffix), real.with_suffix(suffix)
                if not filecmp.cmp(*files, shallow=False):
                    raise RuntimeError(f"{name}{suffix} on the mount is not the real file")
        comparison.results.facts[f"{name} is byte-identical"] = True


MEASUREMENTS: dict[str, Callable[[Comparison], None]] = {
    "identity": identity,
    "throughput": throughput,
    "freq": frequencies,
    "random": random_access,
    "mount": mount_times,
    "memory": memory,
}


def _read_ahead(side: str) -> int:
    """Return the read-ahead that a side has by default, in KiB; the null file has ours."""
    raised = side != PEER and can_set_read_ahead()
    return RAISED_READ_AHEAD_KIB if raised else KERNEL_READ_AHEAD_KIB


def _percentile(values: list[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of the values don't exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
