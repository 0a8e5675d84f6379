"""Memory of a mount's processes: after mounting, at its peak, and idle."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from .measure import drop_caches, read_file
from .mounts import Mount, Mounter
from .processes import Memory, high_water, memory
from .report import Results
from .views import View

SAMPLE_SECONDS = 0.1
CYCLES = 5
CYCLE_MIB = 16
PEAK_MIB = 2048
LABELS = {"rss": "RSS", "pss": "PSS", "anonymous": "anonymous"}


class Peak:
    """The most that a mount's processes held, as sampled, and by the kernel's own count."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.high_water = 0

    def sample(self, mount: Mount) -> None:
        """Measure once.

        Parameters
        ----------
        mount : Mount
            The mount.
        """
        processes = mount.processes()
        self.memory = self.memory.peak(memory(processes))
        self.high_water = max(self.high_water, sum(map(high_water, processes)))


@contextmanager
def sampling(mount: Mount, seconds: float = SAMPLE_SECONDS) -> Iterator[Peak]:
    """Sample a mount's memory for the length of a ``with`` block.

    Parameters
    ----------
    mount : Mount
        The mount.
    seconds : float
        Between two samples.

    Yields
    ------
    Peak
        The peak, complete when the block has ended.
    """
    peak = Peak()
    stopped = threading.Event()

    def sample() -> None:
        while not stopped.wait(seconds):
            peak.sample(mount)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stopped.set()
        thread.join()
        peak.sample(mount)


def measure_memory(
    results: Results, mounter: Mounter, side: str, store: Path, view: View, settle: float
) -> None:
    """Measure one mount through a session of short and long reads.

    Parameters
    ----------
    results : Results
        Where the measurements go, in MiB.
    mounter : Mounter
        Mounts the store.
    side : str
        ``ours``, ``peer`` or ``null``.
    store : Path
        The store.
    view : View
        What to show of it.
    settle : float
        Seconds to wait before memory counts as idle.
    """

    def add(moment: str, held: Memory) -> None:
        for field in fields(Memory):
            value = getattr(held, field.name) / 2**20
            label = LABELS[field.name]
            results.add(f"memory {view.suffix} {moment}", store.stem, side, label, "MiB", value)

    drop_caches(store)
    with mounter.mount(side, store, view) as mount:
        time.sleep(min(settle, 1))
        add("after mount", memory(mount.processes()))
        with sampling(mount) as peak:
            size = mount.file.stat().st_size >> 20
            for cycle in range(CYCLES):
                read_file(mount.file, CYCLE_MIB, skip=cycle * size // CYCLES)
            time.sleep(settle)
            add(f"idle after {CYCLES} reads", memory(mount.processes()))
            drop_caches(store, mount.file)
            read_file(mount.file, PEAK_MIB)
        add("peak", peak.memory)
        high = peak.high_water / 2**20
        results.add(f"memory {view.suffix} peak", store.stem, side, "VmHWM", "MiB", high)
        time.sleep(settle)
        add("idle after long read", memory(mount.processes()))
