"""The status of a mount in words."""

from typing import Any

from biofuse.memory import format_size


def status_lines(status: dict[str, Any]) -> list[str]:
    """Lines that tell a mount's status, or why there is none; the first one is its directory."""
    if "error" in status:
        return [status["mountpoint"], f"  {status['error']}"]
    counters = status["counters"]
    lines = [
        status["mountpoint"],
        f"  store      {status['store']}: {status['num_samples']:,} samples, "
        f"{status['num_variants']:,} variants",
    ]
    lines += [f"  file       {name}  {format_size(size)}" for name, size in status["files"].items()]
    lines.append(f"  plan       {format_size(status['plan']['size'])} on disk")
    if status["metrics"]:
        lines.append(f"  metrics    {status['metrics']}")
    for process in status["processes"]:
        lines.append(
            f"  {process['role']:<9}  pid {process['pid']}, resident {format_size(process['rss'])} "
            f"(share {format_size(process['pss'])}, anonymous {format_size(process['anonymous'])}, "
            f"peak {format_size(process['peak'])})"
        )
    caches = status["caches"]
    planes = _rate(caches["plane_hits"], caches["plane_misses"])
    chunks = _rate(caches["chunk_hits"], caches["chunk_misses"])
    lines.append(
        f"  caches     {format_size(caches['size'])} (budget {format_size(status['budget'])}); "
        f"found there: {planes} of blocks, {chunks} of tables and decoded chunks"
    )
    if status["requests"]["requests"]:
        lines.append(f"  requests   {requests_text(status['requests'])}")
    waiting = f", {status['under_way']} wait" if status["under_way"] else ""
    lines.append(
        f"  served     {format_size(counters['bytes_served'])} in {counters['reads']:,} reads"
        + waiting
    )
    lines.append(
        f"  errors     {counters['errors']}"
        + (f", see {status['log']}" if counters["errors"] and status["log"] else "")
    )
    return lines


def requests_text(requests: dict[str, Any]) -> str:
    """What a store at some distance was asked for, as `serve.counters.requests_to_json` has it."""
    words = [
        f"{requests['requests']:,} ({requests['retries']:,} again)",
        format_size(requests["bytes"]),
        f"delay {1000 * requests['delay']:.{0 if requests['delay'] >= 0.01 else 1}f} ms",
    ]
    if requests["bandwidth"]:
        words.append(f"{requests['bandwidth'] / 1e6:.3g} MB/s")
    if requests["under_way"]:
        words.append(f"{requests['under_way']:,} under way")
    if requests["kept"]:
        words.append(f"{format_size(requests['bytes_kept'])} from --chunk-cache")
    return ", ".join(words)


def _rate(hits: int, misses: int) -> str:
    return f"{100 * hits / (hits + misses):.0f}%" if hits + misses else "none"


def total_memory(status: dict[str, Any]) -> int:
    """What a mount's processes hold together: pages that they share count once."""
    return sum(process["pss"] for process in status["processes"])
