"""What is asked of a store at some distance, told to serve as it goes on."""

import threading

from biofuse.stores.link import LinkUse
from biofuse.table import COUNTERS, UNDER_WAY, Table

# Totals, as `LinkUse` names them.
_TOTALS = {
    name: COUNTERS.index(f"store_{name}")
    for name in ("requests", "bytes", "retries", "kept", "bytes_kept")
}
_DELAY = COUNTERS.index("store_delay_us")
_BANDWIDTH = COUNTERS.index("store_bandwidth")
_MICROSECONDS = 1_000_000


class RequestReport:
    """Keeps the table's counters of requests, to which each worker adds its own. Thread-safe.

    Parameters
    ----------
    table : Table
    """

    def __init__(self, table: Table):
        self._table = table
        self._lock = threading.Lock()
        self._last = LinkUse()

    def update(self, use: LinkUse) -> None:
        """Take note of what there was until now; a few words of memory are written."""
        with self._lock:
            last, self._last = self._last, use
            for name, number in _TOTALS.items():
                self._table.add(number, getattr(use, name) - getattr(last, name))
            self._table.set_counter(UNDER_WAY, use.under_way)
            # What this worker has not measured yet is as the one before has seen it.
            if use.delay:
                self._table.set_counter(_DELAY, round(use.delay * _MICROSECONDS))
            if use.bandwidth:
                self._table.set_counter(_BANDWIDTH, round(use.bandwidth))
