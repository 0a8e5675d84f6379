"""The status of a mount, as JSON over a Unix socket."""

import contextlib
import json
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from biofuse.memory import process_memory
from biofuse.runtime import full_folder_named
from biofuse.serve.config import ServeConfig
from biofuse.serve.counters import caches_to_json, requests_to_json
from biofuse.serve.listen import Connection, Listener, Steps
from biofuse.serve.loop import Loop

if TYPE_CHECKING:
    from biofuse.serve.mount import MountedView


class Status:
    """Gathers what `biofuse status` shows.

    Parameters
    ----------
    view : MountedView
    config : ServeConfig
    """

    def __init__(self, view: "MountedView", config: ServeConfig):
        self._view = view
        self._config = config
        self._started = time.time()
        self._began = time.monotonic()

    def to_json(self) -> dict[str, Any]:
        """The status; sizes are in bytes."""
        view = self._view
        view.counters.worker_starts = view.link.starts
        plan = view.plan
        return {
            "mountpoint": self._config.mountpoint,
            "store": self._config.store,
            "log": self._config.log_file,
            "started": self._started,
            "uptime": time.monotonic() - self._began,
            "metrics": view.metrics.url if view.metrics is not None else None,
            "num_samples": plan.num_samples,
            "num_variants": plan.num_variants,
            "files": {f.name: f.size for f in plan.streamed}
            | {f.name: f.size for f in plan.static},
            "processes": self._processes(),
            "plan": {"size": view.plan_size},
            "budget": self._config.memory,
            "under_way": view.router.under_way,
            "caches": caches_to_json(view.table),
            "requests": requests_to_json(view.table),
            "counters": view.counters.to_json(view.table),
        }

    def _processes(self) -> list[dict[str, Any]]:
        found = []
        for role, pid in (("serve", os.getpid()), ("encode", self._view.link.pid)):
            memory = process_memory(pid) if pid is not None else None
            if memory is not None:
                found.append({"pid": pid, "role": role, **memory.to_json()})
        return found


def serve_status(loop: Loop, path: str, status: Status) -> None:
    """Answer every connection to a Unix socket with the status, while the loop runs."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with full_folder_named():
        listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(8)

    def answer(connection: Connection) -> Steps:
        yield from connection.send(json.dumps(status.to_json()).encode())

    Listener(loop, listener, answer)
