"""Drive an encoder in this process, without FUSE or sockets, and tell what it holds.

Run as ``python -m benchmarks.probe_inside`` with the Python of the side that is probed;
prints JSON. It needs nothing but the standard library and that side's packages.
"""

import argparse
import ctypes
import gc
import json
import re
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PASSES = 5
READ_BYTES = 16 << 20
LARGE_ARRAY = 1 << 20
# Types of either side that hold memory, or handles on something that does.
HOLDERS = (
    "BedEncoder",
    "BgenEncoder",
    "VczReader",
    "Encoder",
    "GenotypeReader",
    "ValueReader",
    "ByteCache",
    "Cache",
    "Rows",
    "PackedRows",
    "ThreadPoolExecutor",
    "Array",
    "Group",
    "mmap",
    "memoryview",
)


def memory() -> dict[str, int]:
    """Memory of this process in bytes: resident, its share, anonymous, shared."""
    text = Path("/proc/self/smaps_rollup").read_text()
    sizes = {name: int(kib) << 10 for name, kib in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}
    shared = sizes["Shared_Clean"] + sizes["Shared_Dirty"]
    return {
        "rss": sizes["Rss"],
        "pss": sizes["Pss"],
        "anonymous": sizes["Anonymous"],
        "shared": shared,
    }


class Ours:
    """Our encoder, as the worker opens it: once, for all passes.

    Parameters
    ----------
    store : str
    view : str
        "plink" or "bgen".
    workers : int
        Threads that encode.
    trim : bool
        Whether the heap is trimmed as the worker trims it: after opening, and when idle.
    """

    def __init__(self, store: str, view: str, workers: int, trim: bool):
        from benchmarks.driver import Driver

        self.driver = Driver(store, view, workers, trim=trim)

    def read(self, part: int, parts: int) -> int:
        """Make 16 MiB from a part of the file on, in requests, and drop them."""
        return self.driver.read(part * (self.driver.size // parts), READ_BYTES)

    def rest(self) -> None:
        """Do what is done when there are no more reads."""
        self.driver.trim()


class Peer:
    """vcztools' encoder, as biofuse 0.1.0 opens it: for every pass anew.

    Parameters
    ----------
    store, view, workers
        As of `Ours`; the workers read ahead.
    trim : bool
        Has no meaning here.
    """

    def __init__(self, store: str, view: str, workers: int, trim: bool):
        import vcztools

        self.make = vcztools.BedEncoder if view == "plink" else vcztools.BgenEncoder
        self.reader = vcztools.VczReader(vcztools.open_zarr(store), readahead_workers=workers)

    def read(self, part: int, parts: int) -> int:
        """Read 16 MiB from a part of the file on, and drop them."""
        with self.make(self.reader) as encoder:
            return len(encoder.read(part * (encoder.total_size // parts), READ_BYTES))

    def rest(self) -> None:
        """Do what is done when there are no more reads: nothing."""


def live_objects() -> Iterator[object]:
    """Every object that the collector knows, and what those refer to, which it may not know."""
    seen = set()
    for holder in gc.get_objects():
        for value in (holder, *gc.get_referents(holder)):
            if id(value) not in seen:
                seen.add(id(value))
                yield value


def owner_of(value: object) -> object:
    """The object whose memory an array or a memoryview shows, through views of any depth."""
    while True:
        below = value.obj if type(value) is memoryview else getattr(value, "base", None)
        if below is None or below is value:
            return value
        value = below


def size_of(value: object) -> int:
    """Bytes of memory that an owner has."""
    if hasattr(value, "nbytes"):
        return value.nbytes
    try:
        with memoryview(value) as view:
            return view.nbytes
    except (TypeError, ValueError):
        return sys.getsizeof(value)


def large_arrays() -> list[int]:
    """Bytes of the memory above 1 MiB behind live numpy arrays, each owner once."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return []
    owners = {}
    for value in live_objects():
        if isinstance(value, numpy.ndarray):
            owner = owner_of(value)
            owners[id(owner)] = size_of(owner)
    return sorted((size for size in owners.values() if size > LARGE_ARRAY), reverse=True)


def holders() -> dict[str, dict[str, int]]:
    """Number and bytes, as far as they tell, of live readers, handles and caches.

    Memory that several memoryviews show counts once. A zarr array holds none of what it
    stands for.
    """
    counts: Counter = Counter()
    sizes: Counter = Counter()
    shown = set()
    for value in live_objects():
        name = type(value).__name__
        if name not in HOLDERS:
            continue
        counts[name] += 1
        if name == "memoryview":
            try:
                owner = owner_of(value)
            except ValueError:
                # It was released.
                continue
            if id(owner) not in shown:
                shown.add(id(owner))
                sizes[name] += size_of(owner) if type(owner).__name__ != "mmap" else 0
        elif name == "mmap":
            sizes[name] += len(value)
        elif name not in ("Array", "Group"):
            size = getattr(value, "used", getattr(value, "nbytes", 0))
            sizes[name] += size if isinstance(size, int) else 0
    return {name: {"count": counts[name], "bytes": sizes[name]} for name in sorted(counts)}


def high_water() -> int:
    """The most that this process has had resident, in bytes."""
    text = Path("/proc/self/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB", text, re.M)[1]) << 10


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("side", choices=["ours", "peer"])
    parser.add_argument("store")
    parser.add_argument("--view", choices=["plink", "bgen"], default="plink")
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--no-trim", action="store_true", help="of ours; else as the worker does")
    parser.add_argument("--trace", action="store_true", help="trace allocations; costs memory")
    args = parser.parse_args()
    __import__("biofuse.encode.worker" if args.side == "ours" else "vcztools")
    moments = {"post-import": memory()}
    make = Ours if args.side == "ours" else Peer
    side = make(args.store, args.view, args.workers, not args.no_trim)
    moments["post-open"] = memory()
    if args.trace:
        tracemalloc.start()
        before = tracemalloc.take_snapshot()
    read = 0
    for number in range(PASSES):
        read += side.read(number, PASSES)
        moments[f"post-pass-{number + 1}"] = memory()
    peak = high_water()
    gc.collect()
    gc.collect()
    side.rest()
    moments["idle"] = memory()
    sites = []
    if args.trace:
        after = tracemalloc.take_snapshot()
        for one in after.compare_to(before, "lineno")[:10]:
            frame = one.traceback[0]
            where = "/".join(Path(frame.filename).parts[-2:])
            sites.append({"site": f"{where}:{frame.lineno}", "bytes": one.size_diff})
        tracemalloc.stop()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
    moments["after malloc_trim(0)"] = memory()
    found = {"moments": moments, "high_water": peak, "bytes_read": read, "sites": sites}
    found |= {"large_arrays": large_arrays(), "holders": holders()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
