"""What is asked of a store at some distance, told to serve as it goes on."""

import threading

from biofuse.stores.link import LinkUse
from biofuse.table import COUNTERS, UNDER_WAY, Table

_REQUESTS = COUNTERS.index("store_requests")
_BYTES = COUNTERS.index("store_bytes")
_RETRIES = COUNTERS.index("store_retries")
_KEPT = COUNTERS.index("store_kept")
_BYTES_KEPT = COUNTERS.index("store_bytes_kept")
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
            self._table.add(_REQUESTS, use.requests - last.requests)
            self._table.add(_BYTES, use.bytes_fetched - last.bytes_fetched)
            self._table.add(_RETRIES, use.retries - last.retries)
            self._table.add(_KEPT, use.kept - last.kept)
            self._table.add(_BYTES_KEPT, use.bytes_kept - last.bytes_kept)
            self._table.set_counter(UNDER_WAY, use.under_way)
            # What this worker has not measured yet is as the one before has seen it.
            if use.delay:
                self._table.set_counter(_DELAY, round(use.delay * _MICROSECONDS))
            if use.bandwidth:
                self._table.set_counter(_BANDWIDTH, round(use.bandwidth))
