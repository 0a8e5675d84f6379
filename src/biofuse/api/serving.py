"""Start a mount: checks, and the serving process."""

import contextlib
import dataclasses
import os
import signal
import subprocess

from biofuse.api.live import end_mount
from biofuse.children import child_environment, python_command
from biofuse.errors import BiofuseError, MountRefusedError
from biofuse.fuse import mounting
from biofuse.mounts import find_mount, is_dead, resolve_mountpoint
from biofuse.plan.client import PlanDirectory
from biofuse.runtime import open_log, path_for, runtime_dir
from biofuse.serve.config import ServeConfig
from biofuse.signals import ignore_signals
from biofuse.stores.secrets import Secrets, secret_variables
from biofuse.temporary import remove_folder

# Seconds that a serving process has to end in once it is told to.
_PATIENCE = 15
# How the line begins that a serving process says where it may not mount.
_REFUSED = "refused: "


def check_mountpoint(path: str) -> str:
    """A mountpoint's absolute path.

    Raises
    ------
    BiofuseError
        If nothing can be mounted there, or at all.
    """
    target = resolve_mountpoint(path)
    mount = find_mount(target)
    if mount is not None:
        hint = f"; end it with 'biofuse umount {path}'" if "biofuse" in mount.fs_type else ""
        raise BiofuseError(f"{path} is in use: something is mounted there{hint}")
    if not os.path.exists(target):
        raise BiofuseError(f"the mountpoint {path} does not exist; make it with 'mkdir {path}'")
    if not os.path.isdir(target):
        raise BiofuseError(f"the mountpoint {path} is not a directory")
    if os.listdir(target):
        raise BiofuseError(f"the mountpoint {path} is not empty")
    if not os.access(target, os.W_OK):
        raise BiofuseError(f"the mountpoint {path} is not writable for you, which FUSE asks for")
    check_fuse()
    return target


def check_fuse() -> None:
    """Raise `MountRefusedError` if FUSE is not available."""
    try:
        mounting.check(os.environ.get("BIOFUSE_FUSE_DEVICE", mounting.DEVICE))
    except mounting.MountError as error:
        raise MountRefusedError(str(error)) from error


class ServingProcess:
    """A serving process, started before its plan is made: its imports take as long.

    Use as a context manager; a process that was not told to serve ends with it.

    Parameters
    ----------
    config : ServeConfig
        Without the plan.
    bound : bool
        Whether the mount ends with this process, however that ends.
    secrets : dict
        Of the store's location, for the worker.

    Attributes
    ----------
    pid : int
    lifeline : int or None
        If it is bound, a descriptor: the mount ends when that is closed.
    """

    def __init__(self, config: ServeConfig, bound: bool, secrets: Secrets):
        log_file = config.log_file or path_for(config.mountpoint, ".log")
        self._bound = bound
        self._reader, writer = os.pipe()
        fds = [writer]
        lifeline = self.lifeline = None
        if bound:
            lifeline, self.lifeline = os.pipe()
            fds.append(lifeline)
        self._config = dataclasses.replace(
            config, ready_fd=writer, lifeline_fd=lifeline, log_file=log_file
        )
        private = () if config.private_dir is None else ("--private", config.private_dir)
        try:
            with open_log(log_file) as log:
                self._log_offset = log.tell()
                self._process = subprocess.Popen(
                    python_command("biofuse.serve", *private),
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    pass_fds=fds,
                    start_new_session=True,
                    cwd="/",
                    # It may be relative to the directory that the process leaves.
                    env={
                        **child_environment(),
                        **secret_variables(secrets),
                        "BIOFUSE_RUNTIME_DIR": runtime_dir(),
                    },
                )
        except OSError as error:
            os.close(self._reader)
            self.let_go()
            raise BiofuseError(f"cannot start: {error}") from error
        finally:
            for fd in fds:
                os.close(fd)
        self.pid = self._process.pid
        self._serving = False

    def __enter__(self) -> "ServingProcess":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._reader)
        assert self._process.stdin is not None
        if not self._serving:
            self.let_go()
            self._process.stdin.close()
            self._process.terminate()
            self._wait_for_end()
            if self._config.log_file == path_for(self._config.mountpoint, ".log"):
                with contextlib.suppress(OSError):
                    os.unlink(self._config.log_file)

    def let_go(self) -> None:
        """Have the mount end that is bound to this process, unless it has been let go."""
        if self.lifeline is not None:
            os.close(self.lifeline)
            self.lifeline = None

    def _wait_for_end(self) -> None:
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            # It may hang where it mounts.
            self._process.kill()
            self._process.wait()
            self._end_dead_mount()

    def _end_dead_mount(self) -> None:
        """End a mount that has no process; another process's is left alone."""
        if is_dead(self._config.mountpoint):
            with contextlib.suppress(BiofuseError):
                end_mount(self._config.mountpoint, lazy=True)

    def serve(self, plan: PlanDirectory) -> None:
        """Have it mount a plan; returns when the files are there.

        Raises
        ------
        BiofuseError
            If that fails; nothing is left mounted then. A `MountRefusedError` if the system
            does not let this user mount here.
        """
        assert self._process.stdin is not None
        config = with_plan(self._config, plan)
        try:
            with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:
                stdin.write(config.to_json().encode())
            message = _wait_ready(self._reader)
            if message == "ready":
                if not self._bound:
                    # A mount that stays is not to be told as one that failed.
                    ignore_signals(signal.SIGINT)
                self._serving = True
                return
        finally:
            # A process that serves has its files open.
            if plan.temporary:
                remove_folder(plan.path)
        self._process.wait()
        assert self._config.log_file is not None
        reason = _reason(message, self._config.log_file, self._log_offset)
        if message.startswith(_REFUSED):
            raise MountRefusedError(reason)
        raise BiofuseError(reason)


def with_plan(config: ServeConfig, plan: PlanDirectory) -> ServeConfig:
    """The same, of a plan."""
    return dataclasses.replace(
        config, plan_dir=plan.path, remove_plan=plan.temporary, left_out=plan.left_out
    )


def _wait_ready(reader: int) -> str:
    """The line that the serving process says, without its end; empty if it says none."""
    data = b""
    while not data.endswith(b"\n"):
        more = os.read(reader, 4096)
        if not more:
            break
        data += more
    return data.decode(errors="replace").strip()


def _reason(message: str, log_file: str, offset: int) -> str:
    """One line on why a mount failed: the last of the log if the process says none."""
    text = message.removeprefix("error: ").removeprefix(_REFUSED)
    if not text:
        with contextlib.suppress(OSError), open(log_file, errors="replace") as f:
            f.seek(offset)
            lines = [line.strip() for line in f if line.strip()]
            text = lines[-1] if lines else ""
    return f"cannot mount: {text or 'the serving process ended'}"
