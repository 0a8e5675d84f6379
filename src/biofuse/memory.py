"""What processes hold, and what they may hold."""

import re
from dataclasses import asdict, dataclass

from biofuse.cgroup import memory_limit
from biofuse.errors import BiofuseError

_DEFAULT_BUDGET = 128 << 20
# Caches and scratch cannot be divided further with any use.
MIN_BUDGET = 4 << 20
# Beyond any machine's.
MAX_SIZE = 1 << 60
# Of the budget.
SCRATCH_PART = 4
# Records are made whole, and more than one thread makes some.
_RECORD_PART = 8
# Of a control group's limit, which the program that reads shares.
_BUDGET_PART = 4
_UNITS = {
    "": 1,
    "b": 1,
    "k": 10,
    "kb": 10,
    "kib": 10,
    "m": 20,
    "mb": 20,
    "mib": 20,
    "g": 30,
    "gb": 30,
    "gib": 30,
}


@dataclass(frozen=True)
class ProcessMemory:
    """Memory of one process, in bytes.

    Attributes
    ----------
    rss, pss, anonymous : int
        Resident, its share of it where pages are shared, and what no file is behind.
    peak : int
        The most that was ever resident.
    """

    rss: int
    pss: int
    anonymous: int
    peak: int

    def to_json(self) -> dict[str, int]:
        return asdict(self)


def process_memory(pid: int) -> ProcessMemory | None:
    """Memory of a process; None if it is gone or not ours to look at."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as f:
            rollup = f.read()
        with open(f"/proc/{pid}/status", "rb") as f:
            status = f.read()
    except OSError:
        return None

    def field(text: bytes, name: bytes) -> int:
        found = re.search(rb"^%s:\s+(\d+) kB" % name, text, re.MULTILINE)
        return int(found[1]) * 1024 if found else 0

    return ProcessMemory(
        field(rollup, b"Rss"),
        field(rollup, b"Pss"),
        field(rollup, b"Anonymous"),
        field(status, b"VmHWM"),
    )


def default_budget() -> int:
    """Bytes that a mount takes unless told: less where a batch job or container is small."""
    limit = memory_limit()
    if limit is None:
        return _DEFAULT_BUDGET
    return max(MIN_BUDGET, min(_DEFAULT_BUDGET, limit // _BUDGET_PART))


def budget_warning(decoded_chunk: int, budget: int) -> str | None:
    """What a user should know of a store whose chunks are decoded whole.

    Parameters
    ----------
    decoded_chunk : int
        Bytes that decoding the largest such chunk takes; 0 if there is none.
    budget : int
        Bytes.

    Returns
    -------
    str or None
        A line, if a chunk does not fit the part of the budget that is for scratch.
    """
    if decoded_chunk <= budget // SCRATCH_PART:
        return None
    return (
        f"chunks are decoded whole here, which takes {format_size(decoded_chunk)} and does not "
        f"fit --memory {format_size(budget)}: reading takes up to that much beyond it"
    )


def check_records(max_record: int, budget: int) -> None:
    """Raise `BiofuseError` if records of up to so many bytes do not fit a budget."""
    need = _RECORD_PART * max_record
    if need > budget:
        raise BiofuseError(
            f"the memory budget is too small for records of {max_record} bytes: "
            f"use --memory {-(-need // (1 << 20))}MiB or more"
        )


def parse_size(text: str) -> int:
    """Bytes of a size such as 128MiB, 1G or 65536; units are powers of 1024.

    Raises
    ------
    BiofuseError
        If it is not one.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    if not found or found[2].lower() not in _UNITS:
        raise BiofuseError(f"{text!r} is not a size; write it as 128MiB or 1GiB")
    shift = _UNITS[found[2].lower()]
    size = float(found[1]) * (1 if shift == 1 else 1 << shift)
    if size > MAX_SIZE:
        raise BiofuseError(f"{text!r} is more than any machine has; write it as 128MiB or 1GiB")
    return int(size)


def format_size(size: float) -> str:
    """A size for people: 1.5 GiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
