"""What is written of reads: errors in the log, all of them in the access log."""

import json
import logging
import time
from collections.abc import Sequence

from biofuse.serve.counters import Counters
from biofuse.serve.router import ReadError
from biofuse.table import Slot

logger = logging.getLogger("biofuse.serve")

# Kinds of errors that are told; more would fill the disk.
_MAX_KINDS = 1000


class Journal:
    """Counts and logs.

    Parameters
    ----------
    counters : Counters
    names : sequence of str
        Streamed files by their index.
    access_log : str or None
        File to append a row of JSON to for each read.
    """

    def __init__(self, counters: Counters, names: Sequence[str], access_log: str | None):
        self._counters = counters
        self._names = names
        self._logged: set[tuple[str, str]] = set()
        self._access_log = None
        if access_log:
            # Open as long as the process lives.
            self._access_log = open(access_log, "a", buffering=1)  # noqa: SIM115

    @property
    def wants_reads(self) -> bool:
        """Whether reads that went well are to be told of."""
        return self._access_log is not None

    def error(self, file: int, error: ReadError) -> None:
        """A read of a streamed file has failed."""
        self.failed(self._names[file], error.text, error.record)

    def failed(
        self, name: str, text: str, record: int | None = None, cause: Exception | None = None
    ) -> None:
        """Count a failed read, and log it if it is the first of its kind."""
        self._counters.errors += 1
        text = " ".join(text.split())
        if (name, text) in self._logged or len(self._logged) > _MAX_KINDS:
            return
        self._logged.add((name, text))
        where = f" from variant {record} of the view" if record is not None else ""
        logger.error("cannot read %s%s: %s", name, where, text, exc_info=cause)

    def answered(self, slot: Slot) -> None:
        """A read of a streamed file was answered."""
        self.read(
            self._names[slot.file],
            slot.opening,
            slot.offset,
            slot.size,
            slot.asked_ns / 1e9,
            slot.answered_ns / 1e9,
        )

    def read(
        self,
        name: str,
        opening: int,
        offset: int,
        size: int,
        began: float,
        ended: float | None = None,
    ) -> None:
        """Write a row of the access log; times are monotonic."""
        if self._access_log is None:
            return
        row = {
            "path": name,
            "fh": opening,
            "offset": offset,
            "size": size,
            "t_start": began,
            "t_end": time.monotonic() if ended is None else ended,
            "kind": "read",
        }
        try:
            self._access_log.write(json.dumps(row) + "\n")
        except OSError as error:
            logger.error("the access log ends here: %s", error)
            self._access_log = None
