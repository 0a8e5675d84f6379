"""Faults of a mount's processes: of the worker, of serve's means to start one, of caches."""

import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

from fs_tests.model.history import History
from fs_tests.model.schedule import Planned
from fs_tests.model.squeeze import squeezed

DROP_CACHES = Path("/proc/sys/vm/drop_caches")
_TICK = 0.01


class WorkerFaults:
    """Does faults to a mount's processes and notes them.

    Parameters
    ----------
    serve : int
        The serving process.
    history : History
    timeout : float
        The mount's deadline in seconds.
    """

    def __init__(self, serve: int, history: History, timeout: float):
        self._serve = serve
        self._history = history
        self._timeout = timeout

    def do(self, planned: Planned) -> bool:
        """Do a fault, and wait for its end. Returns whether there was somebody to do it to."""
        acts: dict[str, Callable[[Planned], bool]] = {
            "killed": self._kill,
            "killed-often": self._kill_often,
            "stopped": self._stop,
            "slowed": self._slow,
            "stuck": self._stick,
            "starved": self._starve,
            "squeezed": self._squeeze,
            "barred": self._bar,
            "caches-dropped": self._drop_caches,
        }
        return acts[planned.kind](planned)

    def worker(self) -> int | None:
        """The worker's process, if there is one that runs its own program."""
        for task in _listed(f"/proc/{self._serve}/task"):
            for pid in _text(f"/proc/{self._serve}/task/{task}/children").split():
                if "biofuse.encode" in _text(f"/proc/{pid}/cmdline"):
                    return int(pid)
        return None

    def _found(self) -> int | None:
        """The worker, for whom is waited: who reads has serve start one."""
        _wait_for(lambda: self.worker() is not None, self._timeout)
        return self.worker()

    def _kill(self, planned: Planned) -> bool:
        return self._kill_it(self._found())

    def _kill_it(self, pid: int | None) -> bool:
        if pid is None:
            return False
        with self._history.during("killed"), contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            _wait_for(lambda: not _runs(pid), 5)
        return True

    def _kill_often(self, planned: Planned) -> bool:
        """Each worker, for a while, some as soon as they are there."""
        found = self._kill(planned)
        until = time.monotonic() + planned.seconds
        while time.monotonic() < until:
            found |= self._kill_it(self.worker())
            time.sleep(_TICK if planned.choice < 0.5 else 0.3)
        return found

    def _stop(self, planned: Planned) -> bool:
        pid = self._found()
        if pid is None:
            return False
        with self._history.during("stopped"):
            _signal(pid, signal.SIGSTOP)
            time.sleep(planned.seconds)
            _signal(pid, signal.SIGCONT)
        return True

    def _slow(self, planned: Planned) -> bool:
        pid = self._found()
        if pid is None:
            return False
        share = 0.1 + 0.5 * planned.choice
        with self._history.during("slowed"):
            until = time.monotonic() + planned.seconds
            while time.monotonic() < until:
                _signal(pid, signal.SIGSTOP)
                time.sleep(0.05 * (1 - share))
                _signal(pid, signal.SIGCONT)
                time.sleep(0.05 * share)
        return True

    def _stick(self, planned: Planned) -> bool:
        """Stop it, for good: serve has to replace it."""
        pid = self._found()
        if pid is None:
            return False
        with self._history.during("stuck"):
            _signal(pid, signal.SIGSTOP)
            # As long as somebody reads; if nobody does, it is let go.
            _wait_for(lambda: not _runs(pid), 3 * self._timeout)
            _signal(pid, signal.SIGCONT)
        return True

    def _starve(self, planned: Planned) -> bool:
        """Let it have no more memory than it has, or hardly more."""
        pid = self._found()
        if pid is None:
            return False
        kind = resource.RLIMIT_AS if planned.choice < 0.6 else resource.RLIMIT_DATA
        field = "VmSize" if planned.choice < 0.6 else "VmData"
        with self._history.during("starved"), contextlib.suppress(ProcessLookupError):
            more = int(4e6 * planned.choice)
            resource.prlimit(pid, kind, (_memory(pid, field) + more, resource.RLIM_INFINITY))
            time.sleep(planned.seconds)
            resource.prlimit(pid, kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return True

    def _squeeze(self, planned: Planned) -> bool:
        """Let a control group kill it, or take its pages away, once it gets more memory."""
        pid = self._found()
        if pid is None:
            return False
        with self._history.during("squeezed"), squeezed(pid, int(1e6 * planned.choice)) as is_done:
            if is_done:
                time.sleep(planned.seconds)
            return is_done

    def _bar(self, planned: Planned) -> bool:
        """Kill it, and let serve open nothing that the next one would need."""
        pid = self._found()
        if pid is None:
            return False
        before = resource.prlimit(self._serve, resource.RLIMIT_NOFILE)
        with self._history.during("barred"):
            few = (len(_listed(f"/proc/{self._serve}/fd")) // 2, before[1])
            resource.prlimit(self._serve, resource.RLIMIT_NOFILE, few)
            try:
                _signal(pid, signal.SIGKILL)
                time.sleep(planned.seconds)
            finally:
                resource.prlimit(self._serve, resource.RLIMIT_NOFILE, before)
        return True

    def _drop_caches(self, planned: Planned) -> bool:
        with self._history.during("caches-dropped"):
            try:
                DROP_CACHES.write_text("1" if planned.choice < 0.7 else "3")
            except OSError:
                return False
        return True


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _runs(pid: int) -> bool:
    state = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return bool(state) and state[0] not in "ZX"


def _memory(pid: int, field: str) -> int:
    """Bytes, as /proc tells them."""
    for line in _text(f"/proc/{pid}/status").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) << 10
    raise ProcessLookupError(pid)


def _wait_for(condition: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(_TICK)


def _text(path: str) -> str:
    try:
        return os.fsdecode(Path(path).read_bytes()).replace("\0", " ")
    except OSError:
        return ""


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []
