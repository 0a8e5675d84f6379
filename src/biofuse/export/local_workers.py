"""`python -m biofuse.export.local_workers FOLDER`: workers of Dask on this machine, one a core.

What they keep on disk is in FOLDER. This process says the address of their scheduler, and ends,
and its workers with it, when its standard input does.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

from biofuse import temporary
from biofuse.children import child_environment, python_command
from biofuse.errors import BiofuseError

# Seconds in which workers end whose process is gone.
_PATIENCE = 5


@contextlib.contextmanager
def local_workers() -> Iterator[str]:
    """Start workers on this machine for the time of a block; yields the scheduler's address.

    They are in a session of their own, out of reach of what a terminal or scheduler sends to
    this process's group: nobody but this process ends them, and then removes their folder.

    Raises
    ------
    BiofuseError
        If they cannot be started.
    """
    with temporary.folder("dask") as folder:
        log = os.path.join(folder, "log")
        with open(log, "wb") as file:
            process = subprocess.Popen(
                python_command("biofuse.export.local_workers", folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                start_new_session=True,
                env=child_environment(),
            )
        try:
            assert process.stdout is not None
            address = process.stdout.readline().decode().strip()
            if not address:
                with open(log, errors="replace") as said:
                    reason = [line for line in said.read().splitlines() if line.strip()][-1:]
                raise BiofuseError(
                    f"cannot start Dask's workers here: {''.join(reason) or 'they ended'}"
                )
            yield address
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process, and all that it has started."""
    # Its workers end as they see that it is gone, and what is left of semaphores is removed.
    process.kill()
    process.wait()
    assert process.stdin is not None and process.stdout is not None
    # All of them hold the other end.
    reading = threading.Thread(target=process.stdout.read, daemon=True)
    reading.start()
    reading.join(_PATIENCE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    reading.join()
    process.stdin.close()
    process.stdout.close()


def main() -> int:
    """Start the workers, and stay until standard input ends. Returns the exit code."""
    import dask
    import distributed

    folder = sys.argv[1]
    with (
        dask.config.set({"temporary-directory": folder}),
        distributed.LocalCluster(
            n_workers=len(os.sched_getaffinity(0)),
            threads_per_worker=1,
            processes=True,
            # It listens in any case, and would at a port that others may have.
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            local_directory=folder,
            silence_logs=logging.ERROR,
        ) as cluster,
    ):
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
    # Whoever has started this was killed.
    temporary.remove_folder(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
