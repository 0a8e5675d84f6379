"""What a mount holds over time."""

import threading
import time
from dataclasses import asdict, dataclass, field

from .mounts import Mount
from .processes import held_by_each, memory

STEP_SECONDS = 0.25


def snapshot(mount: Mount) -> dict:
    """Measure a mount now: all processes together, and each of them.

    Parameters
    ----------
    mount : Mount
        The mount.

    Returns
    -------
    dict
        Bytes.
    """
    processes = mount.processes()
    return {
        **asdict(memory(processes)),
        "processes": [asdict(held) for held in held_by_each(processes)],
    }


@dataclass
class Timeline:
    """What a mount holds over time, sampled by a thread.

    Attributes
    ----------
    mount : Mount
    rows : list of dict
        Seconds since the start, and bytes.
    high_water : dict of str to int
        The largest VmHWM of each role's processes.
    """

    mount: Mount
    rows: list[dict] = field(default_factory=list)
    high_water: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> "Timeline":
        self._stopped = threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            row = snapshot(self.mount)
            for held in row.pop("processes"):
                role = held["role"]
                self.high_water[role] = max(self.high_water.get(role, 0), held["high_water"])
            self.rows.append({"seconds": round(time.monotonic() - self._began, 2), **row})
            if self._stopped.wait(STEP_SECONDS):
                return

    def peak(self) -> dict[str, int]:
        """Return the largest value of each figure, which need not be of one moment."""
        names = [name for name in self.rows[0] if name != "seconds"]
        return {name: max(row[name] for row in self.rows) for name in names}
