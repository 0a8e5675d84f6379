"""One mount from beginning to end."""

import contextlib
import errno
import fcntl
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from biofuse import signals
from biofuse.address import parse_address
from biofuse.durable import MARK, settle
from biofuse.errors import BiofuseError
from biofuse.fuse import mounting
from biofuse.fuse.directory import Directory, Read
from biofuse.fuse.session import MAX_READ, Session
from biofuse.manifest import (
    DEPENDENCIES,
    MANIFEST,
    PACK,
    Plan,
    PlanFolder,
    StaticFile,
    StreamedFile,
)
from biofuse.memory import budget_warning
from biofuse.mounts import Mount, find_mount, set_read_ahead
from biofuse.open_files import check_open_files
from biofuse.runtime import MountRecord, path_for, remove_record, write_record
from biofuse.serve.config import ServeConfig
from biofuse.serve.counters import Counters
from biofuse.serve.direct import DirectPrograms
from biofuse.serve.exposition import render
from biofuse.serve.http import MetricsEndpoint
from biofuse.serve.journal import Journal
from biofuse.serve.keeper import start_keeper
from biofuse.serve.link import WorkerConfig, WorkerLink
from biofuse.serve.loop import Loop
from biofuse.serve.notify import notify
from biofuse.serve.orphans import end_command
from biofuse.serve.router import ReadError, Router, Wanted
from biofuse.serve.status import Status, serve_status
from biofuse.table import Table

logger = logging.getLogger("biofuse.serve")

# Seconds between looks at deadlines and idleness, and where a look is wanted soon.
_TICK = 0.5
_HURRIED_TICK = 0.02


class _File(NamedTuple):
    """A file of the mount: streamed, or a sidecar that a plan's file holds from a byte on."""

    name: str
    size: int
    streamed: int | None
    fd: int
    start: int


def _lock(mountpoint: str) -> int:
    """Wait until no other process mounts there. Returns what is to be closed afterwards."""
    directory = os.open(mountpoint, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    return directory


class MountedView:
    """A plan, served.

    Parameters
    ----------
    config : ServeConfig

    Attributes
    ----------
    plan_size : int
        Bytes of the plan's files, which they take on disk as long as they are open.
    metrics : MetricsEndpoint or None
    orphaned : bool
        Whether the run that this mount is for was killed.
    """

    router: Router
    link: WorkerLink

    def __init__(self, config: ServeConfig):
        self._config = config
        self._opened_ns = time.time_ns()
        self._fds: dict[str, int] = {}
        with PlanFolder(config.plan_dir) as folder:
            names = [name for name in os.listdir(folder.fd) if name != MARK]
            self.plan_size = sum(os.stat(name, dir_fd=folder.fd).st_size for name in names)
            self.plan = self._open_plan(folder)
        self._files = self._list_files()
        self._direct = DirectPrograms(config.direct_io)
        self.counters = Counters()
        self.table = Table()
        self.metrics: MetricsEndpoint | None = None
        self.orphaned = False
        self._journal = Journal(
            self.counters, [file.name for file in self.plan.streamed], config.access_log
        )
        warning = budget_warning(self.plan.decoded_chunk, config.memory)
        if warning is not None:
            logger.warning("%s", warning)
        self._loop = Loop()
        # The mount's device number, once it is known.
        self._device: str | None = None
        self._announced = False
        self._record = MountRecord(
            config.mountpoint,
            config.store,
            os.getpid(),
            path_for(config.mountpoint, f".{os.getpid()}.sock"),
            config.log_file,
        )

    def _open_plan(self, folder: PlanFolder) -> Plan:
        """Open every file of the plan, so that it may be removed."""
        names = folder.plan.on_disk(folder.plan.file_names())
        check_open_files(len(names))
        for name in (MANIFEST, *names):
            self._fds[name] = folder.open(name)
        if self._config.remove_plan:
            # It takes half a mebibyte, and few mounts come to this.
            import shutil

            shutil.rmtree(self._config.plan_dir, ignore_errors=True)
        return folder.plan

    def _list_files(self) -> list[_File]:
        """The files that are shown, in the order of their names."""

        def shows(file: StreamedFile | StaticFile) -> bool:
            return file.format not in self._config.left_out

        files = [
            _File(file.name, file.size, number, -1, 0)
            for number, file in enumerate(self.plan.streamed)
            if shows(file)
        ]
        files += [
            _File(file.name, file.size, None, *self._place(file.path))
            for file in filter(shows, self.plan.static)
        ]
        return sorted(files)

    def _place(self, name: str) -> tuple[int, int]:
        """The descriptor of a file of the plan, and where it begins there."""
        if name in self.plan.packed:
            return self._fds[PACK], self.plan.packed[name][0]
        return self._fds[name], 0

    def run(self, on_ready: Callable[[], None]) -> None:
        """Serve until unmounted or told to stop."""
        config = self._config
        if config.metrics is not None:
            self.metrics = MetricsEndpoint(parse_address(config.metrics))
        try:
            # Before signals are caught: who waits here can be told to end.
            lock = None if config.session_fd is not None else _lock(config.mountpoint)
            # From before there is a mount to be left behind.
            self._loop.catch(signals.wanted(signal.SIGINT), self._stop)
            session = self._mount(lock)
            self._open_worker(session)
            try:
                self._serve(session, on_ready)
            finally:
                self._end(session)
        finally:
            if self.metrics is not None:
                self.metrics.close()

    def _mount(self, lock: int | None) -> Session:
        """Mount, unless another process was faster, and give up the lock."""
        config = self._config
        try:
            # First of all: what a plan says wrongly leaves no dead mount.
            directory = Directory(
                [(os.fsencode(file.name), file.size) for file in self._files],
                self.plan.modified_ns,
                self._read,
                self._is_direct,
                self._interrupt,
            )
            if config.session_fd is not None:
                # Nobody else is to hold it on.
                os.set_inheritable(config.session_fd, False)
                return Session(config.session_fd, directory.handlers)
            if find_mount(config.mountpoint) is not None:
                raise BiofuseError(f"{config.mountpoint} is in use: something is mounted there")
            # First, so that there is never a mount of which nothing is known.
            write_record(self._record)
            fd = mounting.mount(
                config.mountpoint,
                f"biofuse:{self._shown_stem()}",
                "biofuse",
                MAX_READ,
                config.allow_other,
            )
        except BaseException:
            remove_record(config.mountpoint, os.getpid())
            raise
        finally:
            if lock is not None:
                os.close(lock)
        return Session(fd, directory.handlers)

    def _shown_stem(self) -> str:
        """The stem, fit for the table of mounts."""
        return "".join(
            c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in self.plan.stem
        )

    def _open_worker(self, session: Session) -> None:
        """Make what reads are routed by."""
        config = self._config
        self.router = Router(
            self.table,
            self.counters,
            session.fail,
            config.timeout,
            config.idle_timeout,
            self._read_failed,
            self._journal.answered if self._journal.wants_reads else None,
        )
        self.link = self.router.link = WorkerLink(
            self._loop,
            WorkerConfig(
                plan_fd=self._fds[MANIFEST],
                fuse_fd=session.fd,
                table_fd=self.table.fd,
                plan_tables={
                    name: self._fds[name] for name in self.plan.on_disk(self.plan.table_names())
                },
                threads=config.threads,
                memory=config.memory,
                ahead_bytes=config.ahead_bytes,
                opened_ns=self._opened_ns,
                allocator=config.allocator,
                trim=config.trim,
                timeout=config.timeout,
                log_level=config.log_level,
                chunk_cache=config.chunk_cache,
                chunk_cache_size=config.chunk_cache_size,
            ),
            self.router.on_message,
            self.router.send,
            self.router.on_death,
        )

    def _serve(self, session: Session, on_ready: Callable[[], None]) -> None:
        config = self._config
        status = Status(self, config)
        if config.session_fd is None:
            serve_status(self._loop, self._record.socket, status)
        if self.metrics is not None:
            self.metrics.serve(self._loop, lambda: render(status.to_json()))
        if config.lifeline_fd is not None:
            self._loop.watch(config.lifeline_fd, self._stop_for_want_of_a_run)

        def pump() -> None:
            session.pump()
            if session.ended:
                self._loop.stop()
            elif session.ready and not self._announced:
                self._announced = True
                self._announce(on_ready)

        self._loop.watch(session.fd, pump)
        self._tick()
        self._loop.run()

    def _tick(self) -> None:
        self.router.tick()
        seconds = _HURRIED_TICK if self.router.is_hurried else _TICK
        self._loop.call_later(seconds, self._tick)

    def _read(self, read: Read) -> bytes | None:
        """Answer a read of a sidecar; have the worker answer one of a streamed file."""
        file = self._files[read.file]
        if file.streamed is not None:
            self.router.read(
                Wanted(read.unique, file.streamed, read.opening, read.offset, read.size, read.pid)
            )
            return None
        began = time.monotonic()
        try:
            data = _read_all(file.fd, file.start + read.offset, read.size)
        except OSError as error:
            self._journal.failed(file.name, error.strerror or str(error))
            raise
        if self._journal.wants_reads:
            self._journal.read(file.name, read.opening, read.offset, read.size, began)
        return data

    def _is_direct(self, file: int, thread: int) -> bool:
        """Whether a thread that opens a file reads past the page cache."""
        return self._files[file].streamed is not None and thread in self._direct

    def _interrupt(self, unique: int) -> None:
        self.router.interrupt(unique)

    def _read_failed(self, file: int, error: ReadError) -> None:
        """Tell of a read that failed; a plan of a store that was changed is not used again."""
        self._journal.error(file, error)
        if error.errno == errno.ESTALE:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self._config.plan_dir, DEPENDENCIES))

    def _announce(self, on_ready: Callable[[], None]) -> None:
        """Say that the mount is ready: the kernel has taken the answer to its first request."""
        # That has lowered the value to the kernel's own default.
        mountpoint = self._config.mountpoint
        mount = self._find_mount()
        if mount is not None:
            self._device = mount.device
            if self._config.read_ahead_kb:
                set_read_ahead(mount, self._config.read_ahead_kb)
        if self._config.auto_unmount:
            # Open until this process ends.
            start_keeper(mountpoint, self._device)
        # The first read mostly follows at once.
        self.router.warm_up()
        on_ready()
        if os.path.exists(os.path.join(self._config.plan_dir, MARK)):
            # From a thread, since it waits for the disk.
            threading.Thread(target=settle, args=(self._config.plan_dir,), daemon=True).start()

    def _stop_for_want_of_a_run(self) -> None:
        """Stop: the process that holds the other end of a pipe is gone."""
        config = self._config
        assert config.lifeline_fd is not None
        self._loop.unwatch(config.lifeline_fd)
        # A run that ends by itself has removed it.
        self.orphaned = config.private_dir is not None and os.path.isdir(config.private_dir)
        if self.orphaned:
            logger.debug("the run was killed: its command is ended")
            end_command(self._loop, config.mountpoint, self._stop)
        else:
            self._stop()

    def _stop(self) -> None:
        """End the mount; reads that still wait fail."""
        self.router.shut_down()
        self._loop.stop()

    def _end(self, session: Session) -> None:
        """Unmount, where nobody else has; nothing and nobody is left waiting."""
        notify("STOPPING=1")
        self.router.shut_down()
        self.link.close()
        # Whoever looks at the mount while it is unmounted is told at once that it is gone.
        os.close(session.fd)
        if self._is_mounted():
            try:
                mounting.unmount(self._config.mountpoint, lazy=True)
            except mounting.MountError as error:
                logger.warning("cannot unmount %s: %s", self._config.mountpoint, error)
        remove_record(self._config.mountpoint, os.getpid())

    def _find_mount(self) -> Mount | None:
        """What is at the mountpoint, where this process has one."""
        config = self._config
        return None if config.session_fd is not None else find_mount(config.mountpoint)

    def _is_mounted(self) -> bool:
        """Whether it is this mount that is at the mountpoint, and not a later one."""
        mount = self._find_mount()
        return mount is not None and self._device in (None, mount.device)


def _read_all(fd: int, offset: int, size: int) -> bytes:
    """Bytes of a plan's file, all of them.

    Raises
    ------
    OSError
        If there are not so many.
    """
    data = os.pread(fd, size, offset)
    while len(data) < size:
        more = os.pread(fd, size - len(data), offset + len(data))
        if not more:
            raise OSError(errno.EIO, "a file of the plan is shorter than it was")
        data += more
    return data
