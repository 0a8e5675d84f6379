"""One mount from beginning to end."""

import contextlib
import fcntl
import json
import logging
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator

import pyfuse3
import trio

from biofuse import signals
from biofuse.address import parse_address
from biofuse.durable import MARK, settle
from biofuse.errors import BiofuseError
from biofuse.manifest import MANIFEST, Plan, PlanFolder, StaticFile, StreamedFile
from biofuse.memory import SCRATCH_PART, budget_warning
from biofuse.mounts import find_mount, set_read_ahead
from biofuse.runtime import MountRecord, path_for, remove_record, write_record
from biofuse.serve.config import ServeConfig
from biofuse.serve.counters import Counters
from biofuse.serve.exposition import render
from biofuse.serve.handshake import shake_hands
from biofuse.serve.http import MetricsEndpoint
from biofuse.serve.link import WorkerConfig, WorkerLink
from biofuse.serve.operations import ReadOnlyOperations, StaticContent
from biofuse.serve.orphans import end_command
from biofuse.serve.records import Records, Table
from biofuse.serve.scheduler import Scheduler
from biofuse.serve.status import Status, serve_status
from biofuse.serve.stream import ReadError, Stream
from biofuse.serve.window import Window, shape_window, window_bytes

logger = logging.getLogger("biofuse.serve")

_READ_AHEAD_BLOCKS = 6
# Each read that waits is a task. Where there are as many as may be, nothing is answered.
_MAX_TASKS = 1 << 16


@contextlib.contextmanager
def _ending_signals() -> Iterator[AsyncIterator[int]]:
    """Receive the signals that end a mount, from which it is not to be torn."""
    wanted = signals.wanted(signal.SIGINT)
    if not wanted:
        yield _nothing()
        return
    # None is lost between the one handler and the other.
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    # A second one that comes while the mount ends is given to these handlers at last.
    for number in wanted:
        signal.signal(number, lambda *_: None)
    with trio.open_signal_receiver(*wanted) as received:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, wanted)
        yield received


def _lock(mountpoint: str) -> int:
    """Wait until no other process mounts there. Returns what is to be closed afterwards."""
    directory = os.open(mountpoint, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    return directory


async def _nothing() -> AsyncIterator[int]:
    await trio.sleep_forever()
    yield 0


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

    def __init__(self, config: ServeConfig):
        self._config = config
        self._fds: dict[str, int] = {}
        with PlanFolder(config.plan_dir) as folder:
            names = [name for name in os.listdir(folder.fd) if name != MARK]
            self.plan_size = sum(os.stat(name, dir_fd=folder.fd).st_size for name in names)
            self.plan = self._open_plan(folder)
        self.counters = Counters()
        largest = max((f.max_record for f in self.plan.streamed if self._shows(f)), default=0)
        cache_share = 2 if self.plan.decoded_chunk else 4
        size = window_bytes(config.memory, self.plan.decoded_chunk)
        self.window = Window(shape_window(size, largest))
        self.scheduler = Scheduler(
            self.window,
            self.counters,
            max_sent=config.threads + 1,
            timeout=config.timeout,
            idle_timeout=config.idle_timeout,
        )
        self.link = WorkerLink(
            WorkerConfig(
                plan_fd=self._fds[MANIFEST],
                window_fd=self.window.fd,
                table_fds={name: self._fds[name] for name in self.plan.table_names()},
                threads=config.threads,
                cache_bytes=config.memory // cache_share,
                scratch_bytes=config.memory // SCRATCH_PART,
                opened_ns=time.time_ns(),
                allocator=config.allocator,
                trim=config.trim,
                log_level=config.log_level,
            ),
            self.scheduler.on_reply,
            self.scheduler.on_death,
        )
        self.scheduler.link = self.link
        warning = budget_warning(self.plan.decoded_chunk, config.memory)
        if warning is not None:
            logger.warning("%s", warning)
        self.metrics: MetricsEndpoint | None = None
        self.orphaned = False
        # The mount's device number, once it is known.
        self._device: str | None = None
        self._logged: set[tuple[str, str]] = set()
        self._access_log = None
        if config.access_log:
            # Open as long as the process lives.
            self._access_log = open(config.access_log, "a", buffering=1)  # noqa: SIM115

    def _shows(self, file: StreamedFile | StaticFile) -> bool:
        return file.format not in self._config.left_out

    def _open_plan(self, folder: PlanFolder) -> Plan:
        """Open every file of the plan, so that it may be removed."""
        for name in (MANIFEST, *folder.plan.file_names()):
            if name not in self._fds:
                self._fds[name] = folder.open(name)
        if self._config.remove_plan:
            shutil.rmtree(self._config.plan_dir, ignore_errors=True)
        return folder.plan

    def operations(self) -> ReadOnlyOperations:
        """The file system, ready to be mounted."""
        files: list = []
        chunk_starts = Table(self._fds[self.plan.chunk_starts])
        for i, streamed in enumerate(self.plan.streamed):
            if not self._shows(streamed):
                continue
            offsets = Table(self._fds[streamed.offsets]) if streamed.offsets else None
            header = os.pread(self._fds[streamed.header], streamed.header_size, 0)
            stream = Stream(
                i,
                header,
                Records(streamed, offsets),
                chunk_starts,
                self.window,
                self.scheduler,
                self.counters,
                self._ahead(),
            )
            files.append((streamed.name, stream))
        for static in filter(self._shows, self.plan.static):
            files.append((static.name, StaticContent(self._fds[static.path], static.size)))
        files.sort(key=lambda item: item[0])
        on_read = self._log_access if self._access_log else None
        return ReadOnlyOperations(files, self.plan.modified_ns, self._note_error, on_read)

    def _ahead(self) -> int:
        """Blocks to read ahead of a run, at most."""
        wanted = self._config.ahead_bytes
        if wanted is None:
            return _READ_AHEAD_BLOCKS
        return min(_READ_AHEAD_BLOCKS, -(-wanted // self.window.shape.run_slot))

    def _note_error(self, name: str, error: BaseException) -> None:
        """Count a failed read, and log it if it is the first of its kind."""
        self.counters.errors += 1
        text = " ".join(str(error).split())
        if (name, text) in self._logged or len(self._logged) > 1000:
            return
        self._logged.add((name, text))
        where = f" from variant {error.record} of the view" if isinstance(error, ReadError) else ""
        if isinstance(error, BiofuseError):
            logger.error("cannot read %s%s: %s", name, where, text)
        else:
            logger.error("cannot read %s%s", name, where, exc_info=error)

    def _log_access(self, name: str, fh: int, offset: int, size: int, began: float) -> None:
        if self._access_log is None:
            return
        row = {
            "path": name,
            "fh": fh,
            "offset": offset,
            "size": size,
            "t_start": began,
            "t_end": time.monotonic(),
            "kind": "read",
        }
        try:
            self._access_log.write(json.dumps(row) + "\n")
        except OSError as error:
            logger.error("the access log ends here: %s", error)
            self._access_log = None

    async def run(self, on_ready) -> None:
        """Serve until unmounted or told to stop."""
        config = self._config
        if config.metrics is not None:
            self.metrics = MetricsEndpoint(parse_address(config.metrics))
        try:
            # Before signals are received: who waits here can be told to end.
            lock = _lock(config.mountpoint)
            # From before there is a mount to be left behind.
            with _ending_signals() as received:
                self._mount(lock)
                await self._serve(on_ready, received)
        finally:
            if self.metrics is not None:
                self.metrics.close()

    async def _serve(self, on_ready, received: AsyncIterator[int]) -> None:
        config = self._config
        try:
            record = MountRecord(
                config.mountpoint,
                config.store,
                os.getpid(),
                path_for(config.mountpoint, f".{os.getpid()}.sock"),
                config.log_file,
            )
            status = Status(self, config)
            await shake_hands()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._stop_on_signal, received)
                if config.lifeline_fd is not None:
                    nursery.start_soon(self._stop_on_end, config.lifeline_fd)
                nursery.start_soon(self.link.run)
                nursery.start_soon(self.scheduler.watch)
                nursery.start_soon(self.scheduler.pump_when_kicked)
                await nursery.start(serve_status, record.socket, status)
                if self.metrics is not None:
                    nursery.start_soon(self.metrics.run, lambda: render(status.to_json()))
                nursery.start_soon(self._announce, record, on_ready)
                await pyfuse3.main(max_tasks=_MAX_TASKS)
                nursery.cancel_scope.cancel()
        finally:
            pyfuse3.close(unmount=self._is_mounted())
            remove_record(config.mountpoint, os.getpid())

    def _is_mounted(self) -> bool:
        """Whether it is this mount that is at the mountpoint, and not a later one."""
        mount = find_mount(self._config.mountpoint)
        return mount is not None and self._device in (None, mount.device)

    def _mount(self, lock: int) -> None:
        """Mount, unless another process was faster, and give up the lock."""
        config = self._config
        try:
            operations = self.operations()
            if find_mount(config.mountpoint) is not None:
                raise BiofuseError(f"{config.mountpoint} is in use: something is mounted there")
            pyfuse3.init(operations, config.mountpoint, self._options())
        finally:
            os.close(lock)

    async def _announce(self, record: MountRecord, on_ready) -> None:
        """Say that the mount is ready, once it has answered a first request."""
        # From a thread, since it is this process that answers; or does not, if told to stop.
        await trio.to_thread.run_sync(os.stat, record.mountpoint, abandon_on_cancel=True)
        # The kernel lowers the value to its own default when the mount is set up.
        mount = find_mount(record.mountpoint)
        if mount is not None:
            self._device = mount.device
            if self._config.read_ahead_kb:
                set_read_ahead(mount, self._config.read_ahead_kb)
        write_record(record)
        # The first read mostly follows at once.
        self.scheduler.warm_up()
        on_ready()
        await trio.to_thread.run_sync(settle, self._config.plan_dir, abandon_on_cancel=True)

    def _options(self) -> set[str]:
        options = set(pyfuse3.default_options)
        # A comma or white space would be taken for the end of the option.
        name = "".join(
            c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in self.plan.stem
        )
        options |= {f"fsname=biofuse:{name}", "subtype=biofuse", "ro"}
        options |= {"default_permissions"}
        if self._config.allow_other:
            options.add("allow_other")
        return options

    async def _stop_on_end(self, fd: int) -> None:
        """Stop when the process that holds the other end of a pipe is gone."""
        await trio.lowlevel.wait_readable(fd)
        private = self._config.private_dir
        # A run that ends by itself has removed it.
        self.orphaned = private is not None and os.path.isdir(private)
        if self.orphaned:
            logger.debug("the run was killed: its command is ended")
            await end_command(self._config.mountpoint)
        self._stop()

    async def _stop_on_signal(self, received: AsyncIterator[int]) -> None:
        async for _ in received:
            self._stop()

    def _stop(self) -> None:
        """End the mount; reads that still wait fail."""
        self.scheduler.shut_down()
        pyfuse3.terminate()
