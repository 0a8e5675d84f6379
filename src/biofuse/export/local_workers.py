"""`python -m biofuse.export.local_workers FOLDER FD`: workers of Dask on this machine, one a core.

What they keep on disk is in FOLDER, which is this user's alone, and in it the key without which
nobody connects to them: they do what they are told. This process says the address of their
scheduler to FD, and ends, and its workers with it, when its standard input does.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import IO, Any

from biofuse import temporary
from biofuse.children import child_environment, python_command
from biofuse.errors import BiofuseError

# Seconds in which workers end whose process is gone.
_PATIENCE = 5
# In their folder.
_KEY, _CERTIFICATE = "key.pem", "certificate.pem"


@contextlib.contextmanager
def local_workers() -> Iterator[tuple[str, Any]]:
    """Start workers on this machine for the time of a block.

    They are in a session of their own, out of reach of what a terminal or scheduler sends to
    this process's group: nobody but this process ends them, and then removes their folder.

    Yields
    ------
    address : str
        The scheduler's.
    security : distributed.Security
        With which it is connected to.

    Raises
    ------
    BiofuseError
        If they cannot be started.
    """
    with temporary.folder("dask") as folder:
        log = os.path.join(folder, "log")
        reading, writing = os.pipe()
        with open(reading, "rb") as said, open(log, "wb") as file:
            try:
                process = subprocess.Popen(
                    python_command("biofuse.export.local_workers", folder, str(writing)),
                    stdin=subprocess.PIPE,
                    # For its end alone: what is printed here is by whatever is imported.
                    stdout=subprocess.PIPE,
                    stderr=file,
                    start_new_session=True,
                    env=child_environment(),
                    pass_fds=[writing],
                )
            finally:
                os.close(writing)
            assert process.stdout is not None
            ending = threading.Thread(target=_read_away, args=[process.stdout], daemon=True)
            ending.start()
            try:
                address = said.read().decode()
                if not address:
                    raise BiofuseError(f"cannot start Dask's workers here: {_last_line(log)}")
                yield address, security(folder)
            finally:
                _end(process, ending)


def _read_away(file: IO[bytes]) -> None:
    while file.read(1 << 16):
        pass


def _last_line(log: str) -> str:
    with open(log, errors="replace") as said:
        lines = [line for line in said.read().splitlines() if line.strip()]
    return lines[-1] if lines else "they ended"


def _end(process: "subprocess.Popen[bytes]", ending: threading.Thread) -> None:
    """End a process, and all that it has started."""
    # Its workers end as they see that it is gone, and what is left of semaphores is removed.
    os.kill(process.pid, signal.SIGKILL)
    # As long as it is not waited for no other process, and no group, has its number.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    # All of them hold the other end.
    ending.join(_PATIENCE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    ending.join()
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    process.stdout.close()


def security(folder: str) -> Any:
    """What a connection to or between workers takes, by the files in their folder."""
    from distributed.security import Security

    key, certificate = (os.path.join(folder, name) for name in (_KEY, _CERTIFICATE))
    return Security(
        require_encryption=True,
        tls_ca_file=certificate,
        tls_client_key=key,
        tls_client_cert=certificate,
        tls_scheduler_key=key,
        tls_scheduler_cert=certificate,
        tls_worker_key=key,
        tls_worker_cert=certificate,
    )


def _make_security(folder: str) -> Any:
    from distributed.security import Security

    made = Security.temporary()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    for name, text in ((_KEY, made.tls_client_key), (_CERTIFICATE, made.tls_client_cert)):
        with open(os.open(os.path.join(folder, name), flags, 0o600), "w") as file:
            file.write(text)
    return security(folder)


def main() -> int:
    """Start the workers, and stay until standard input ends. Returns the exit code."""
    import dask
    import distributed

    folder, fd = sys.argv[1], int(sys.argv[2])
    os.set_inheritable(fd, False)
    with (
        dask.config.set(
            {
                "temporary-directory": folder,
                # Pages that anybody on this machine could read.
                "distributed.scheduler.http.routes": [],
                "distributed.worker.http.routes": [],
            }
        ),
        distributed.LocalCluster(
            n_workers=len(os.sched_getaffinity(0)),
            threads_per_worker=1,
            processes=True,
            # It listens in any case, and would at a port that others may have.
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            local_directory=folder,
            security=_make_security(folder),
            silence_logs=logging.ERROR,
        ) as cluster,
    ):
        with open(fd, "w") as file:
            file.write(cluster.scheduler_address)
        sys.stdin.read()
    # Whoever has started this was killed.
    temporary.remove_folder(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
