"""What a mount has done so far."""

from dataclasses import asdict, dataclass


@dataclass
class Counters:
    """Totals since the mount began.

    Attributes
    ----------
    reads, bytes_served : int
        Of streamed files, as the kernel asked for them.
    hits : int
        Blocks that were in the window when a read came.
    waits : int
        Blocks that a read had to wait for.
    blocks_encoded, bytes_encoded : int
    worker_starts, worker_deaths : int
    errors : int
        Reads that were answered with an error.
    """

    reads: int = 0
    bytes_served: int = 0
    hits: int = 0
    waits: int = 0
    blocks_encoded: int = 0
    bytes_encoded: int = 0
    worker_starts: int = 0
    worker_deaths: int = 0
    errors: int = 0

    def to_json(self) -> dict[str, int]:
        return asdict(self)
