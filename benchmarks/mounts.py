"""Mounts of each side: biofuse itself, the peer, and the null file."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .environments import HERE
from .processes import Process, alive, tree
from .views import PLINK, View

READY_SECONDS = 300
END_SECONDS = 20
KERNEL_READ_AHEAD_KIB = 128
OURS, PEER, NULL = "ours", "peer", "null"
SIDES = (OURS, PEER, NULL)


# Memory is warmed between mounting and a timed read, which takes longer than our worker stays.
TIMED_OPTIONS = {"ours": ("--no-cache", "--idle-timeout", "120")}


class MountError(RuntimeError):
    """A mount did not come up."""


@dataclass
class Mount:
    """A mount that is up.

    Attributes
    ----------
    directory : Path
        Its mountpoint.
    file : Path
        The streamed file on it.
    ready_seconds : float
        Time from the command to the file's being there.
    roots : set of int
        Numbers of the processes that it started with.
    """

    directory: Path
    file: Path
    ready_seconds: float
    roots: set[int]
    seen: set[Process] = field(default_factory=set)

    @property
    def stem(self) -> Path:
        """The file set's stem, as PLINK's ``--bfile`` takes it."""
        return self.file.with_suffix("")

    def processes(self) -> set[Process]:
        """Return all processes of the mount that are alive now.

        Returns
        -------
        set of Process
            Its first processes and their descendants.
        """
        members = tree(self.roots)
        self.seen |= members
        return members


@dataclass(frozen=True)
class Mounter:
    """Knows how to mount each side.

    Attributes
    ----------
    ours : str
        The program ``biofuse`` under test.
    peer : str or None
        The peer's program ``biofuse``; None if the peer is left out.
    python : str
        The Python that runs the null file.
    scratch : Path
        Directory for mountpoints.
    """

    ours: str
    peer: str | None
    python: str
    scratch: Path

    @contextmanager
    def mount(
        self,
        side: str,
        store: Path | str,
        view: View = PLINK,
        read_ahead: int = KERNEL_READ_AHEAD_KIB,
        options: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[Mount]:
        """Mount a store for the length of a ``with`` block.

        Parameters
        ----------
        side : str
            ``ours``, ``peer`` or ``null``.
        store : Path or str
            The store, or its URL.
        view : View
            What to show of it.
        read_ahead : int
            The mount's kernel read-ahead in KiB.
        options : sequence of str, optional
            More options for the side's program; ours has ``--no-cache`` if none are given.
        environment : mapping of str to str, optional
            Variables to set for it.

        Yields
        ------
        Mount
            The mount, gone with all its processes when the block ends.
        """
        self.scratch.mkdir(parents=True, exist_ok=True)
        directory = Path(tempfile.mkdtemp(prefix=f"{side}-", dir=self.scratch))
        file = directory / f"{Path(store).stem}{view.suffix}"
        variables = {**os.environ, **(environment or {})}
        if side == OURS:
            options = [
                *(["--no-cache"] if options is None else options),
                f"--format={view.name}",
                f"--read-ahead-kb={read_ahead}",
            ]
            opened = self._ours(store, file, options, variables)
        elif side == PEER:
            command = [self.peer, view.peer_command, *(options or ()), str(store), str(directory)]
            opened = _foreground(command, file, variables)
        else:
            command = [
                self.python,
                str(HERE / os.environ.get("NULL_FUSE", "null_fuse.py")),
                str(directory),
            ]
            size = ["--name", file.name, "--size", str(self.file_size(store, view))]
            opened = _foreground([*command, *size], file, variables)
        try:
            with opened as mount:
                if side != OURS and read_ahead != KERNEL_READ_AHEAD_KIB:
                    read_ahead_file(directory).write_text(str(read_ahead))
                yield mount
        finally:
            directory.rmdir()

    @contextmanager
    def _ours(
        self, store: Path | str, file: Path, options: Sequence[str], variables: Mapping[str, str]
    ) -> Iterator[Mount]:
        """Mount in the background with ``biofuse mount``, and end it with ``biofuse umount``."""
        directory = file.parent
        started = time.perf_counter()
        mount = Mount(directory, file, 0, set())
        try:
            command = [self.ours, "mount", *options, str(store), str(directory)]
            # Output goes to a file: a pipe would stay open in the background process.
            with tempfile.TemporaryFile() as output:
                code = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=variables,
                    timeout=READY_SECONDS,
                ).returncode
                mount.ready_seconds = time.perf_counter() - started
                output.seek(0)
                said = output.read().decode(errors="replace").strip()
            if code != 0 or not file.exists():
                raise MountError(f"biofuse mount returned {code}: {said}")
            mount.roots = {entry["pid"] for entry in self.status(directory)["processes"]}
            mount.processes()
            yield mount
        finally:
            mount.processes()
            if _is_mounted(directory):
                _clean_up([self.ours, "umount", str(directory)])
            _end(mount)

    def file_size(self, store: Path | str, view: View) -> int:
        """Return the size of a view's streamed file, as ``biofuse info`` tells it.

        Parameters
        ----------
        store : Path
            The store.
        view : View
            The view.

        Returns
        -------
        int
            Bytes; of a BGEN file about those.
        """
        command = [self.ours, "info", str(store), "--json"]
        answer = subprocess.run(command, check=True, capture_output=True, timeout=READY_SECONDS)
        return json.loads(answer.stdout)["views"][view.name]["size"]

    def status(self, directory: Path) -> dict:
        """Return what ``biofuse status --json`` says about a mount of ours.

        Parameters
        ----------
        directory : Path
            The mountpoint.

        Returns
        -------
        dict
            The status.
        """
        command = [self.ours, "status", str(directory), "--json"]
        answer = subprocess.run(command, check=True, capture_output=True, timeout=END_SECONDS)
        status = json.loads(answer.stdout)
        return status[0] if isinstance(status, list) else status


@contextmanager
def _foreground(
    command: Sequence[str], file: Path, variables: Mapping[str, str]
) -> Iterator[Mount]:
    """Run a program that serves a mount in the foreground, until the ``with`` block ends."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=variables,
            start_new_session=True,
        )
        mount = Mount(file.parent, file, 0, {server.pid})
        try:
            while not file.exists():
                waited = time.perf_counter() - started
                if server.poll() is not None or waited > READY_SECONDS:
                    output.seek(0)
                    said = output.read().decode(errors="replace").strip()
                    raise MountError(f"{Path(command[0]).name} did not mount: {said}")
                time.sleep(0.002)
            mount.ready_seconds = time.perf_counter() - started
            yield mount
        finally:
            mount.processes()
            server.send_signal(signal.SIGINT)
            try:
                server.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            _end(mount)


def _end(mount: Mount) -> None:
    """Leave nothing of a mount behind, neither the mount nor a process."""
    deadline = time.monotonic() + END_SECONDS
    while alive(mount.seen) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in alive(mount.seen):
        print(f"process {process.pid} outlived its mount by {END_SECONDS} s: killed")
        os.kill(process.pid, signal.SIGKILL)
    if _is_mounted(mount.directory):
        print(f"{mount.directory.name} was still mounted: unmounted lazily")
        _clean_up(["fusermount3", "-u", "-z", str(mount.directory)])


def _is_mounted(directory: Path) -> bool:
    """Tell whether a directory is a mountpoint, also if the mount is dead."""
    table = os.fsdecode(Path("/proc/self/mountinfo").read_bytes())
    points = (line.split(" ")[4] for line in table.split("\n") if line)
    return str(directory.absolute()).replace(" ", "\\040") in points


def _clean_up(command: Sequence[str]) -> None:
    """Run a clean-up command; its failure is said, and what it leaves is cleared later."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=END_SECONDS)
    except (subprocess.TimeoutExpired, FileNotFoundError) as error:
        print(error)
        return
    if done.returncode != 0:
        print(f"{' '.join(command[:2])} returned {done.returncode}: {done.stderr.strip()}")


def read_ahead_file(directory: Path) -> Path:
    """Return the file of the kernel that holds a mount's read-ahead in KiB.

    Parameters
    ----------
    directory : Path
        The mountpoint.

    Returns
    -------
    Path
        ``read_ahead_kb`` of the mount's backing device.
    """
    device = os.stat(directory).st_dev
    return Path(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb")


def can_set_read_ahead() -> bool:
    """Tell whether this user may change a mount's read-ahead.

    Returns
    -------
    bool
        True for root where ``/sys`` is writable.
    """
    devices = Path("/sys/class/bdi")
    files = [device / "read_ahead_kb" for device in devices.iterdir()] if devices.exists() else []
    return any(os.access(path, os.W_OK) for path in files) and bool(shutil.which("fusermount3"))
