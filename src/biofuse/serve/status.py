"""The status of a mount, as JSON over a Unix socket."""

import contextlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

import trio

from biofuse.memory import process_memory
from biofuse.runtime import full_folder_named
from biofuse.serve.config import ServeConfig
from biofuse.serve.listen import accept_connections

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
            "window": {
                "size": view.window.shape.size,
                "resident": view.window.resident(),
                "blocks": sum(1 for _ in view.scheduler.blocks),
            },
            "caches": view.scheduler.caches.to_json(),
            "counters": view.counters.to_json(),
        }

    def _processes(self) -> list[dict[str, Any]]:
        found = []
        for role, pid in (("serve", os.getpid()), ("encode", self._view.link.pid)):
            memory = process_memory(pid) if pid is not None else None
            if memory is not None:
                found.append({"pid": pid, "role": role, **memory.to_json()})
        return found


async def serve_status(path: str, status: Status, task_status=trio.TASK_STATUS_IGNORED) -> None:
    """Answer every connection to a Unix socket with the status."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    with trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM) as listener:
        with full_folder_named():
            await listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(8)
        task_status.started()

        async def answer(connection: trio.socket.SocketType) -> None:
            data = json.dumps(status.to_json()).encode()
            while data:
                data = data[await connection.send(data) :]

        await accept_connections(listener, answer)
