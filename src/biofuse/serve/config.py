"""What the serving process is started with, as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class ServeConfig:
    """Options of a mount that the plan does not depend on.

    Attributes
    ----------
    plan_dir : str
    mountpoint : str
        Absolute.
    store : str
        As the user named it, for messages.
    memory : int
        Bytes of window, caches and scratch together.
    threads : int
        Of the worker.
    allocator : str or None
        Library that the worker preloads.
    trim : bool
        Whether the worker gives freed memory back when it has nothing to do.
    ahead_bytes : int or None
        What is read ahead of a run, at most; None for as much as the window allows.
    idle_timeout, timeout : float
        Seconds.
    read_ahead_kb : int
        The kernel's read-ahead where it may be set; 0 to leave it alone.
    direct_io : sequence of str
        Programs whose reads go past the page cache, as `DirectPrograms` takes them.
    allow_other : bool
        Whether other users may read the mount.
    auto_unmount : bool
        Whether it is unmounted where this process is killed.
    lifeline_fd : int or None
        A pipe; the mount ends when nobody holds its other end.
    ready_fd : int or None
        Where to say "ready" or why not.
    remove_plan : bool
        Whether the plan's directory is this mount's alone, to be removed once open.
    access_log, log_file : str or None
    log_level : str
    metrics : str or None
        Where to listen for whoever asks for metrics, as `parse_address` takes it.
    left_out : sequence of str
        Formats of the plan that are not shown.
    private_dir : str or None
        Folder of a `biofuse run`, with the mountpoint in it, that goes with the run.
    chunk_cache : str or None
        Directory in which chunks of a store at some distance are kept.
    chunk_cache_size : int
        Bytes that may be kept there.
    session_fd : int or None
        A session's descriptor where somebody else has mounted it, and will unmount it.
    """

    plan_dir: str
    mountpoint: str
    store: str
    memory: int
    threads: int
    allocator: str | None
    trim: bool
    ahead_bytes: int | None
    idle_timeout: float
    timeout: float
    read_ahead_kb: int
    direct_io: Sequence[str]
    allow_other: bool
    lifeline_fd: int | None
    ready_fd: int | None
    remove_plan: bool
    access_log: str | None
    log_file: str | None
    log_level: str
    metrics: str | None = None
    left_out: Sequence[str] = ()
    private_dir: str | None = None
    chunk_cache: str | None = None
    chunk_cache_size: int = 0
    auto_unmount: bool = False
    session_fd: int | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "ServeConfig":
        return cls(**json.loads(text))
