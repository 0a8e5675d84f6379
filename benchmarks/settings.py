"""The ways to run a side whose memory is probed, and which of them on which store."""

from collections.abc import Sequence
from dataclasses import dataclass

from .mounts import OURS, PEER

WORKER_OPTIONS = {OURS: "--threads", PEER: "--readahead-workers"}
ALLOCATORS = ("jemalloc", "tcmalloc", "mimalloc")
ARENAS = "MALLOC_ARENA_MAX"


@dataclass(frozen=True)
class Setting:
    """One way to run a side.

    Attributes
    ----------
    name : str
    workers : int or None
        Threads that encode or read ahead; None for the side's default.
    arenas : str or None
        ``MALLOC_ARENA_MAX``; None to leave it alone. Zero is a value that the C library does
        not take, so that it has its own number.
    trim : bool
        Whether freed memory is given back; of ours.
    allocator : str or None
        Another one than the C library's.
    """

    name: str
    workers: int | None = None
    arenas: str | None = None
    trim: bool = True
    allocator: str | None = None

    def options(self, side: str) -> list[str]:
        """Return the options of the side's command that mounts.

        Parameters
        ----------
        side : str
            ``ours`` or ``peer``.

        Returns
        -------
        list of str
            The options.
        """
        words = [] if self.workers is None else [WORKER_OPTIONS[side], str(self.workers)]
        if side == OURS:
            words += ["--no-cache", *([] if self.trim else ["--no-trim"])]
            words += ["--allocator", self.allocator] if self.allocator else []
        return words

    def environment(self, side: str, mounted: bool) -> dict[str, str]:
        """Return the variables to set.

        Parameters
        ----------
        side : str
            ``ours`` or ``peer``.
        mounted : bool
            Whether a mount is made, which itself sees to our worker's variables.

        Returns
        -------
        dict
            The variables.

        Raises
        ------
        BiofuseError
            If the allocator is not installed.
        """
        from biofuse.allocators import find_allocator

        variables = {} if self.arenas is None else {ARENAS: self.arenas}
        if side == OURS and not mounted:
            # As serve does for the worker.
            variables = {ARENAS: "2", **variables}
        if self.allocator and not (side == OURS and mounted):
            variables["LD_PRELOAD"] = find_allocator(self.allocator) or ""
        return variables


SETTINGS = {
    OURS: (
        Setting("default"),
        Setting("4 workers", 4),
        Setting("32 workers", 32),
        Setting("no trim", trim=False),
        Setting("arenas not capped", arenas="0"),
        Setting("32 workers, no trim, arenas not capped", 32, "0", trim=False),
        *(Setting(name, allocator=name) for name in ALLOCATORS),
    ),
    PEER: (
        Setting("default (32 workers)"),
        Setting("4 workers", 4),
        Setting("32 workers, 2 arenas", 32, "2"),
        *(Setting(name, allocator=name) for name in ALLOCATORS),
    ),
}
# How often the peer may fill the machine: chunks of 1 GiB, 32 workers.
_WORKERS_ONLY = {OURS: SETTINGS[OURS][:3], PEER: SETTINGS[PEER][:2]}
_FEW = {OURS: SETTINGS[OURS][:3], PEER: SETTINGS[PEER][1:2]}
# Stores of the fast path and the slow one, and chunks of 1,000 x 10,000 and 5,000 x 100,000.
MATRIX: dict[str, dict[str, Sequence[Setting]]] = {
    "wide_bench": SETTINGS,
    "wide_slow": _WORKERS_ONLY,
    "wide_bench_big": _FEW,
}
