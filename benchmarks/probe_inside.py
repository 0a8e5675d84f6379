"""Drive an encoder in this process, without FUSE or sockets, and tell what it holds.

Run with the Python of the side that is probed; prints JSON. It needs nothing but
the standard library and that side's packages.
"""

import argparse
import ctypes
import gc
import json
import re
import sys
import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PASSES = 5
READ_BYTES = 16 << 20
LARGE_ARRAY = 1 << 20
# Types of either side that hold memory, or handles on something that does.
HOLDERS = [
    "BedEncoder",
    "BgenEncoder",
    "VczReader",
    "Encoder",
    "GenotypeReader",
    "ValueReader",
    "ByteCache",
    "BlockCache",
    "Rows",
    "PackedRows",
    "ThreadPoolExecutor",
    "Array",
    "Group",
    "mmap",
    "memoryview",
]


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
    """

    def __init__(self, store: str, view: str, workers: int):
        from dataclasses import asdict

        from biofuse.encode.encoder import Encoder
        from biofuse.encode.tables import MappedTables
        from biofuse.manifest import MANIFEST, read_plan
        from biofuse.options import ViewOptions
        from biofuse.plan.client import get_plan
        from biofuse.serve.records import Records
        from biofuse.stores.location import Location

        location = asdict(Location(store))
        made = get_plan(ViewOptions(location, "x", [view]), None, lambda done, total: None)
        folder = Path(made.path)
        plan = read_plan((folder / MANIFEST).read_text())
        tables = MappedTables.open(str(folder), plan.table_names()).views
        streamed = plan.streamed[0]
        offsets = tables[streamed.offsets].cast("Q") if streamed.offsets else None
        self.records = Records(streamed, offsets)
        self.count = streamed.records
        self.encoder = Encoder(plan, tables, 32 << 20, sys.maxsize, 32 << 20, workers)
        self.workers = workers

    def read(self, part: int, parts: int) -> int:
        """Encode 16 MiB from a part of the file on, in blocks, and drop them."""
        first = part * self.count // parts
        size = self.records.start(first + 1) - self.records.start(first)
        block = max(1, (4 << 20) // size)
        blocks = -(-READ_BYTES // (block * size))

        def encode(number: int) -> int:
            start = min(first + number * block, self.count - 1)
            stop = min(start + block, self.count)
            out = memoryview(bytearray(self.records.start(stop) - self.records.start(start)))
            self.encoder.encode(0, start, stop, out)
            return len(out)

        with ThreadPoolExecutor(self.workers) as pool:
            return sum(pool.map(encode, range(blocks)))


class Peer:
    """vcztools' encoder, as biofuse 0.1.0 opens it: for every pass anew.

    Parameters
    ----------
    store, view, workers
        As of `Ours`; the workers read ahead.
    """

    def __init__(self, store: str, view: str, workers: int):
        import vcztools

        self.make = vcztools.BedEncoder if view == "plink" else vcztools.BgenEncoder
        self.reader = vcztools.VczReader(vcztools.open_zarr(store), readahead_workers=workers)

    def read(self, part: int, parts: int) -> int:
        """Read 16 MiB from a part of the file on, and drop them."""
        with self.make(self.reader) as encoder:
            return len(encoder.read(part * (encoder.total_size // parts), READ_BYTES))


def large_arrays() -> list[int]:
    """Bytes of the live numpy arrays above 1 MiB."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return []
    found = {}
    for holder in gc.get_objects():
        for value in (holder, *gc.get_referents(holder)):
            if type(value) is numpy.ndarray and value.nbytes > LARGE_ARRAY and value.base is None:
                found[id(value)] = value.nbytes
    return sorted(found.values(), reverse=True)


def holders() -> dict[str, dict[str, int]]:
    """Number and bytes, as far as they tell, of live readers, handles and caches."""
    counts: Counter = Counter()
    sizes: Counter = Counter()
    seen = set()
    for holder in gc.get_objects():
        for value in (holder, *gc.get_referents(holder)):
            name = type(value).__name__
            if name not in HOLDERS or id(value) in seen:
                continue
            seen.add(id(value))
            counts[name] += 1
            size = getattr(value, "used", None) or getattr(value, "nbytes", None) or 0
            sizes[name] += size if isinstance(size, int) else 0
    return {name: {"count": counts[name], "bytes": sizes[name]} for name in sorted(counts)}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("side", choices=["ours", "peer"])
    parser.add_argument("store")
    parser.add_argument("--view", choices=["plink", "bgen"], default="plink")
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--trace", action="store_true", help="trace allocations; costs memory")
    args = parser.parse_args()
    if args.side == "ours":
        import biofuse.encode.worker  # noqa: F401
    else:
        import vcztools  # noqa: F401
    moments = {"post-import": memory()}
    side = (Ours if args.side == "ours" else Peer)(args.store, args.view, args.workers)
    moments["post-open"] = memory()
    if args.trace:
        tracemalloc.start()
        before = tracemalloc.take_snapshot()
    read = 0
    for number in range(PASSES):
        read += side.read(number, PASSES)
        moments[f"post-pass-{number + 1}"] = memory()
    gc.collect()
    gc.collect()
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
    found = {"moments": moments, "bytes_read": read, "sites": sites}
    found |= {"large_arrays": large_arrays(), "holders": holders()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
