"""The comparisons: each repetition measures every side once, one after the other."""

import filecmp
import math
import shutil
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .measure import children_seconds, drop_caches, random_reads, read_file, warm_memory
from .memory import measure_memory
from .mounts import (
    KERNEL_READ_AHEAD_KIB,
    NULL,
    OURS,
    PEER,
    TIMED_OPTIONS,
    Mounter,
    can_set_read_ahead,
)
from .processes import processor_seconds
from .report import Results
from .stores import Maker
from .views import BGEN, PLINK, View

RAISED_READ_AHEAD_KIB = 1024


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
    views : tuple of View
        Views to measure.
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
    views: tuple[View, ...]
    stores: tuple[str, ...]
    repeats: int
    memory_repeats: int
    settle: float
    reads: int
    read_seconds: float
    scratch: Path

    def chosen(self, *names: str) -> list[tuple[View, str]]:
        """Return those views and stores of a measurement that are to be measured."""
        return [(view, name) for view in self.views for name in names if name in self.stores]

    def without(self, *sides: str) -> list[str]:
        """Return the sides to measure, but for some."""
        return [side for side in self.sides if side not in sides]


def copy_from_mount(mounter: Mounter, store: Path, view: View, stem: Path) -> None:
    """Write a store's real files of a view by copying them from a mount of ours.

    Parameters
    ----------
    mounter : Mounter
        Mounts the store.
    store : Path
        The store.
    view : View
        The view.
    stem : Path
        Stem of the files to write.
    """
    with mounter.mount(OURS, store, view, default_read_ahead(OURS)) as mount:
        for suffix in (view.suffix, *view.sidecars):
            shutil.copyfile(mount.stem.with_suffix(suffix), stem.with_suffix(suffix))


def throughput(comparison: Comparison) -> None:
    """Read the whole file, cold, with the kernel's own read-ahead and a raised one."""
    windows = [KERNEL_READ_AHEAD_KIB]
    if can_set_read_ahead():
        windows.append(RAISED_READ_AHEAD_KIB)
    cases = [
        (side, window)
        for side in comparison.sides
        for window in (windows if side != PEER else windows[:1])
    ]
    for view, name in comparison.chosen("wide", "tall"):
        if view == BGEN and name == "tall":
            continue
        store = comparison.maker.store(name)
        for _ in range(comparison.repeats):
            for side, window in cases:
                drop_caches(store)
                options = TIMED_OPTIONS.get(side)
                with comparison.mounter.mount(side, store, view, window, options) as mount:
                    size = mount.file.stat().st_size
                    warm_memory(size)
                    before = processor_seconds(mount.processes()) + children_seconds()
                    seconds = read_file(mount.file)
                    used = processor_seconds(mount.processes()) + children_seconds() - before
                conditions = f"read-ahead {window} KiB"
                measure = f"whole {view.suffix}"
                comparison.results.add(
                    measure, name, side, conditions, "MB/s", size / 1e6 / seconds
                )
                measure = f"core-seconds of whole {view.suffix}"
                comparison.results.add(measure, name, side, conditions, "s", used)


def random_access(comparison: Comparison) -> None:
    """Read 25 KB at random offsets of ``wide_bench``: the same offsets for each side."""
    for view, name in comparison.chosen("wide_bench"):
        store = comparison.maker.store(name)
        measure = f"random 25 KB of {view.suffix}"

        def add(side: str, conditions: str, value: float, measure=measure, name=name) -> None:
            comparison.results.add(measure, name, side, conditions, "ms", value)

        for repetition in range(comparison.repeats):
            for side in comparison.sides:
                drop_caches(store)
                window, options = default_read_ahead(side), TIMED_OPTIONS.get(side)
                with comparison.mounter.mount(side, store, view, window, options) as mount:
                    warm_memory(0)
                    latencies = random_reads(
                        mount.file, repetition, comparison.reads, comparison.read_seconds
                    )
                first, *rest = [1000 * latency for latency in latencies]
                add(side, "first after mount", first)
                if rest:
                    add(side, "median", statistics.median(rest))
                    add(side, "99th percentile", _percentile(rest, 99))
                fact = f"random reads of {view.suffix} a repetition, {side}"
                comparison.results.facts[fact] = len(latencies)


def mount_times(comparison: Comparison) -> None:
    """Time mounting, from the command to the file's being there."""
    for view, name in comparison.chosen("wide", "wide_bench"):
        store = comparison.maker.store(name)

        def timed(side: str, conditions: str, *options: str, store=store, view=view) -> None:
            with comparison.mounter.mount(side, store, view, options=options) as mount:
                seconds = mount.ready_seconds
            if conditions:
                measure = f"mount {view.suffix}"
                comparison.results.add(measure, store.stem, side, conditions, "s", seconds)

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
    for view, name in comparison.chosen("wide", "wide_bench", "wide_big"):
        store = comparison.maker.store(name)
        for _ in range(comparison.memory_repeats):
            for side in comparison.sides:
                if side == NULL and name != "wide":
                    continue
                measure_memory(
                    comparison.results, comparison.mounter, side, store, view, comparison.settle
                )


def identity(comparison: Comparison) -> None:
    """Check that our PLINK files are those that the peer's converter wrote, byte for byte."""
    if not {OURS, PEER} <= set(comparison.sides):
        return
    for view, name in comparison.chosen("wide", "tall"):
        if view != PLINK:
            continue
        real = comparison.maker.real(name)
        with comparison.mounter.mount(OURS, comparison.maker.store(name)) as mount:
            for suffix in (view.suffix, *view.sidecars):
                files = mount.stem.with_suffix(suffix), real.with_suffix(suffix)
                if not filecmp.cmp(*files, shallow=False):
                    raise RuntimeError(f"{name}{suffix} on the mount is not the real file")
        comparison.results.facts[f"{name} is byte-identical"] = True


def default_read_ahead(side: str) -> int:
    """Return the read-ahead that a side has by default.

    Parameters
    ----------
    side : str
        ``ours``, ``peer`` or ``null``, which has ours.

    Returns
    -------
    int
        KiB.
    """
    raised = side != PEER and can_set_read_ahead()
    return RAISED_READ_AHEAD_KIB if raised else KERNEL_READ_AHEAD_KIB


def _percentile(values: list[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of the values don't exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
