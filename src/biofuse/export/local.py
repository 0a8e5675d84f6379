"""Write a view's files to a folder: whole under their names, or not at all."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from biofuse.api.fileset import Fileset
from biofuse.durable import sync_folder
from biofuse.encode.records import Records
from biofuse.errors import BiofuseError, NoRoomError
from biofuse.export.cluster import Cluster, Package
from biofuse.export.compress import CompressedFile, Compression, write_index
from biofuse.export.csi import moved_index
from biofuse.export.journal import Journal
from biofuse.export.parts import INDEXES, BcfParts, BgenParts, Parts
from biofuse.export.spans import write_spans, write_spans_on
from biofuse.export.verify import verify_file
from biofuse.memory import format_size

_FULL = (errno.ENOSPC, errno.EDQUOT)
# Of a compressed file, what it is at least of the one that a mount shows, and may be.
_GUESS = 50
_COPY = 1 << 20


@dataclass(frozen=True)
class Job:
    """What is written.

    Attributes
    ----------
    fileset : Fileset
    folder : str
        Where to.
    compression : Compression or None
        Of the `.bgen` and `.bcf`.
    threads : int
    files : dict of str to int
        Names, and sizes as a mount shows them.
    durable : bool
    cluster : Cluster or None
    """

    fileset: Fileset
    folder: str
    compression: Compression | None
    threads: int
    files: dict[str, int]
    durable: bool
    cluster: Cluster | None = None

    def is_compressed(self, name: str) -> bool:
        """Whether a file is compressed."""
        return self.compression is not None and name.endswith(tuple(INDEXES))

    def is_index(self, name: str) -> bool:
        """Whether a file is the index of one that is compressed."""
        return self.compression is not None and name.endswith(tuple(INDEXES.values()))

    def part(self, name: str) -> str:
        """Where a file is as long as it is not complete."""
        return os.path.join(self.folder, f".{name}.part")

    @property
    def journal_path(self) -> str:
        return os.path.join(self.folder, f".{self.fileset.stem}.export")

    @property
    def streamed(self) -> list[str]:
        """Names of the streamed files."""
        return [name for name in self.files if self.fileset.number_of(name) is not None]


def export_to_folder(
    fileset: Fileset,
    folder: str,
    view_digest: str,
    *,
    compression: Compression | None = None,
    verify: bool = False,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    names: Collection[str] | None = None,
    durable: bool = True,
    cluster: Cluster | None = None,
) -> dict[str, int]:
    """Write a view's files to a folder.

    They are there under their names once they are on disk whole; until then, they are hidden
    files beside, with which the same call goes on after whatever ended it.

    Parameters
    ----------
    fileset : Fileset
    folder : str
    view_digest : str
        Of the view's options.
    compression : Compression, optional
        Of the `.bgen` and `.bcf`.
    verify : bool
        Whether what is on disk is compared with what it should be.
    progress : callable
        Called with what is done, and with the bytes so far and in all.
    names : collection of str, optional
        The files to write; all of them where None.
    durable : bool
        Whether they are on disk at the end, not in memory alone.
    cluster : Cluster, optional
        Whose workers make and write them; the folder must be one that all see.

    Returns
    -------
    dict of str to int
        The files' paths, and their sizes.

    Raises
    ------
    BiofuseError
        If they cannot be made or written.
    """
    stamp = json.dumps(
        {
            "view": view_digest,
            "store": [fileset.opening.plan.signature, fileset.opening.plan.modified_ns],
            "pins": _digest_of_pins(fileset),
            "compression": str(compression),
            "files": dict(fileset.files),
        }
    )
    key = hashlib.sha256(stamp.encode()).hexdigest()
    files = {n: s for n, s in fileset.files.items() if names is None or n in names}
    job = Job(fileset, folder, compression, fileset.opening.threads, files, durable, cluster)
    with _no_room(job):
        journal = Journal(job.journal_path, key, durable)
        try:
            _check_room(job)
            fileset.open_as_of(journal.began_ns)
            written = _write(job, journal, verify, progress)
            journal.remove()
        except BiofuseError as error:
            if error.errno == errno.ESTALE:
                # What was written is of no use with what the store has now.
                journal.remove()
            raise
        finally:
            journal.close()
    return written


def _digest_of_pins(fileset: Fileset) -> str:
    """What tells the versions of a store's objects, where the plan knows them."""
    name = fileset.opening.plan.pins
    tables = fileset.opening.tables.views
    return hashlib.sha256(tables[name]).hexdigest() if name else ""


@contextlib.contextmanager
def _no_room(job: Job) -> Iterator[None]:
    """Say in one line what could not be written."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            why = "the disk is full" if error.errno == errno.ENOSPC else "the quota is used up"
            raise NoRoomError(
                f"{why} at {job.folder}; what was written stays in hidden files "
                f"(.{job.fileset.stem}.*): make room, and the same command goes on, or remove them"
            ) from error
        raise BiofuseError(f"cannot write to {job.folder}: {error.strerror or error}") from error


def _check_room(job: Job) -> None:
    """Raise `NoRoomError` if the files cannot have room."""
    need = 0
    for name, size in job.files.items():
        part = job.part(name)
        have = os.stat(part).st_blocks * 512 if os.path.exists(part) else 0
        need += max(0, (size // _GUESS if job.is_compressed(name) else size) - have)
    status = os.statvfs(job.folder)
    free = status.f_bavail * status.f_frsize
    if need > free:
        raise NoRoomError(
            f"there is no room in {job.folder}: the files take {format_size(need)}, and "
            f"{format_size(free)} are free"
        )


def _write(
    job: Job, journal: Journal, verify: bool, progress: Callable[[str, int, int], None]
) -> dict[str, int]:
    fileset = job.fileset
    total = sum(job.files[name] for name in job.streamed)
    counter = _Counter(lambda done: progress("writing", done, total))
    checked = _Counter(lambda done: progress("verifying", done, total))
    written, beside = [], []
    package = None
    if job.cluster is not None:
        package = job.cluster.send(Package.of(fileset.opening))
    # Indexes are of the files that they are beside.
    for name in [*job.streamed, *(name for name in job.files if name not in job.streamed)]:
        part = job.part(name)
        if job.is_compressed(name):
            file = _compressed(job, journal, name, package)
            file.write(job.threads, counter)
            beside += file.paths
            if verify:
                file.verify(job.threads, checked)
        elif job.is_index(name):
            _index(job, journal, name)
        elif (number := fileset.number_of(name)) is not None:
            size = job.files[name]
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(part, flags, 0o666)
            try:
                if job.cluster is not None:
                    write_spans_on(
                        *(job.cluster, package, number, size, fd, part, journal, name, counter)
                    )
                else:
                    write_spans(
                        *(fileset.maker, number, size, fd, journal, name, job.threads, counter)
                    )
                if verify:
                    verify_file(fileset.maker, number, size, fd, name, job.threads, checked)
            finally:
                os.close(fd)
            # The index has the time stamp.
            _set_time(part, fileset)
        else:
            _copy(fileset, name, part)
            _set_time(part, fileset)
        if job.durable:
            _sync(part)
        written.append(name)
    found = {}
    for name in written:
        path = os.path.join(job.folder, name)
        os.replace(job.part(name), path)
        found[path] = os.path.getsize(path)
    if job.durable:
        _sync_folder(job.folder)
    for path in beside:
        os.unlink(path)
    return found


class _Counter:
    """Sums what it is called with."""

    def __init__(self, show: Callable[[int], None]):
        self._show = show
        self._done = 0

    def __call__(self, more: int) -> None:
        self._done += more
        self._show(self._done)


def _records(job: Job, name: str) -> tuple[int, Records]:
    number = job.fileset.number_of(name)
    assert number is not None
    opening = job.fileset.opening
    return number, Records(opening.plan.streamed[number], opening.tables.views)


def _compressed(job: Job, journal: Journal, name: str, package: Any = None) -> CompressedFile:
    number, records = _records(job, name)
    assert job.compression is not None
    opening = job.fileset.opening
    parts: Parts
    if name.endswith(".bcf"):
        parts = BcfParts(opening.plan.streamed[number].size)
    else:
        header = opening.plan.streamed[number].header
        parts = BgenParts(records, bytes(opening.tables.views[header]))
    return CompressedFile(
        package or job.fileset.maker,
        number,
        parts,
        job.compression,
        job.part(name),
        journal,
        name,
        job.cluster if package else None,
    )


def _index(job: Job, journal: Journal, name: str) -> None:
    main = os.path.splitext(name)[0]
    offsets = _compressed(job, journal, main).offsets()
    if main.endswith(".bcf"):
        with job.fileset.open(name) as sidecar:
            data = sidecar.read()
        with open(job.part(name), "wb") as file:
            file.write(moved_index(data, offsets))
        return
    _, records = _records(job, main)
    # SQLite opens no file that has no name any more.
    source = f"{job.part(name)}-old"
    _copy(job.fileset, name, source)
    try:
        write_index(source, job.part(name), main, job.part(main), records, offsets)
    finally:
        os.unlink(source)


def _copy(fileset: Fileset, name: str, path: str) -> None:
    with fileset.open(name) as source, open(path, "wb", buffering=0) as target:
        shutil.copyfileobj(source, target, _COPY)


def _set_time(path: str, fileset: Fileset) -> None:
    modified_ns = fileset.opening.plan.modified_ns
    os.utime(path, ns=(modified_ns, modified_ns))


def _sync(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_folder(fd)
    finally:
        os.close(fd)
