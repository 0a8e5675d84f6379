"""The status of a mount in the text format of Prometheus, version 0.0.4."""

from collections.abc import Iterator
from typing import Any

from biofuse import __version__

# Of `Counters.to_json`: the metric and what it counts.
COUNTERS = {
    "reads": ("biofuse_reads_total", "Reads of streamed files, as the kernel asked."),
    "bytes_served": ("biofuse_served_bytes_total", "Bytes that these reads returned."),
    "records_encoded": ("biofuse_encoded_records_total", "Records that the worker made."),
    "bytes_encoded": ("biofuse_encoded_bytes_total", "Bytes that the worker made."),
    "worker_starts": ("biofuse_worker_starts_total", "Times a worker was started."),
    "worker_deaths": ("biofuse_worker_deaths_total", "Times a worker ended unexpectedly."),
    "errors": ("biofuse_read_errors_total", "Reads that were answered with an error."),
}
# Of `caches_to_json`.
CACHE_COUNTERS = {
    "plane_hits": ("biofuse_plane_cache_hits_total", "Blosc blocks that were decompressed before."),
    "plane_misses": ("biofuse_plane_cache_misses_total", "Blosc blocks that were not."),
    "planes_ahead": (
        "biofuse_plane_cache_ahead_total",
        "Blosc blocks that were decompressed before a read wanted them.",
    ),
    "chunk_hits": ("biofuse_chunk_cache_hits_total", "Tables and parts of chunks kept before."),
    "chunk_misses": (
        "biofuse_chunk_cache_misses_total",
        "Those that were not kept.",
    ),
}
# Of `requests_to_json`.
STORE_COUNTERS = {
    "requests": ("biofuse_store_requests_total", "Requests to a store that is not local."),
    "bytes": ("biofuse_store_received_bytes_total", "Bytes that these brought."),
    "retries": ("biofuse_store_retries_total", "Requests that were made again."),
    "kept": ("biofuse_store_kept_objects_total", "Objects found in the cache on disk."),
    "bytes_kept": ("biofuse_store_kept_bytes_total", "Bytes read of that."),
}
STORE_GAUGES = {
    "under_way": ("biofuse_store_requests_under_way", "Requests that wait for the store."),
    "delay": ("biofuse_store_delay_seconds", "Time until an answer of the store begins."),
    "bandwidth": ("biofuse_store_bandwidth_bytes_per_second", "What has come from the store."),
}
_MEMORY = {
    "rss": ("biofuse_process_resident_memory_bytes", "Memory resident in a process."),
    "pss": (
        "biofuse_process_proportional_memory_bytes",
        "The same, with what processes share divided among them.",
    ),
    "anonymous": ("biofuse_process_anonymous_memory_bytes", "Memory that no file is behind."),
    "peak": ("biofuse_process_peak_memory_bytes", "The most that was ever resident."),
}


def render(status: dict[str, Any]) -> str:
    """The metrics of a mount.

    Parameters
    ----------
    status : dict
        As `Status.to_json` has it.
    """
    return "".join(f"{line}\n" for line in _lines(status))


def _lines(status: dict[str, Any]) -> Iterator[str]:
    info = {name: status[name] for name in ("mountpoint", "store")}
    info["version"] = __version__
    yield from _metric("biofuse_info", "gauge", "What is mounted where.", [(info, 1)])
    gauges = [
        ("biofuse_start_time_seconds", "When the mount began.", status["started"]),
        ("biofuse_samples", "Samples of the view.", status["num_samples"]),
        ("biofuse_variants", "Variants of the view.", status["num_variants"]),
        ("biofuse_memory_budget_bytes", "What --memory allows.", status["budget"]),
        ("biofuse_reads_under_way", "Reads of streamed files that wait.", status["under_way"]),
        ("biofuse_cache_size_bytes", "What the worker's caches hold.", status["caches"]["size"]),
        ("biofuse_plan_size_bytes", "Size of the plan's files on disk.", status["plan"]["size"]),
        *((*names, status["requests"][key]) for key, names in STORE_GAUGES.items()),
    ]
    for name, text, value in gauges:
        yield from _metric(name, "gauge", text, [({}, value)])
    sizes: list[tuple[dict[str, str], float]] = [
        ({"file": n}, s) for n, s in status["files"].items()
    ]
    yield from _metric("biofuse_file_size_bytes", "gauge", "Size of a file of the mount.", sizes)
    for key, (name, text) in _MEMORY.items():
        samples = [({"role": process["role"]}, process[key]) for process in status["processes"]]
        yield from _metric(name, "gauge", text, samples)
    for key, (name, text) in COUNTERS.items():
        yield from _metric(name, "counter", text, [({}, status["counters"][key])])
    for key, (name, text) in CACHE_COUNTERS.items():
        yield from _metric(name, "counter", text, [({}, status["caches"][key])])
    for key, (name, text) in STORE_COUNTERS.items():
        yield from _metric(name, "counter", text, [({}, status["requests"][key])])


def _metric(
    name: str, kind: str, text: str, samples: list[tuple[dict[str, str], float]]
) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        inside = ",".join(f'{key}="{_escape(label)}"' for key, label in labels.items())
        yield f"{name}{{{inside}}} {value!r}" if inside else f"{name} {value!r}"


def _escape(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
