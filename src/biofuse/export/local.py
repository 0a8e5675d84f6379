"""Write a view's files to a folder: whole under their names, or not at all."""

import contextlib
import copy
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import IO, Any

from biofuse import __version__
from biofuse.api.fileset import Fileset
from biofuse.encode.records import Records
from biofuse.errors import BiofuseError, NoRoomError
from biofuse.export.cluster import Cluster, Package
from biofuse.export.compress import CompressedFile, Compression, write_index
from biofuse.export.csi import moved_index
from biofuse.export.drafts import Drafts
from biofuse.export.parts import INDEXES, BcfParts, BgenParts, Parts
from biofuse.export.spans import write_spans, write_spans_on
from biofuse.export.verify import DifferentError, verify_file
from biofuse.manifest import PLAN_FORMAT
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

    @property
    def in_order(self) -> list[str]:
        """Names of all files: indexes are of the files that they are beside, which are first."""
        return sorted(self.files, key=lambda name: self.fileset.number_of(name) is None)

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

    They are there under their names once they are on disk whole; until then, they are in a
    hidden folder beside, with which the same call goes on after whatever ended it.

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
        Whether they are on disk at the end, not in memory alone, and stay: what is not durable
        is of no use when the call has failed.
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
            "version": [__version__, PLAN_FORMAT],
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
    _check_names(job)
    with _one_line(job):
        drafts = Drafts(job.folder, fileset.stem, key, durable)
    try:
        with _one_line(job, drafts):
            _check_room(job, drafts)
            fileset.open_as_of(drafts.journal.began_ns)
            written = _write(job, drafts, verify, progress)
            drafts.remove()
    finally:
        drafts.close()
    return written


def _digest_of_pins(fileset: Fileset) -> str:
    """What tells the versions of a store's objects, where the plan knows them."""
    name = fileset.opening.plan.pins
    tables = fileset.opening.tables.views
    return hashlib.sha256(tables[name]).hexdigest() if name else ""


def _check_names(job: Job) -> None:
    """Raise `BiofuseError` if there is a folder where a file will be."""
    for name in job.files:
        path = os.path.join(job.folder, name)
        if os.path.isdir(path) and not os.path.islink(path):
            raise BiofuseError(
                f"{path} is a folder, and a file of that name is to be written: remove it, or "
                "choose another name"
            )


@contextlib.contextmanager
def _one_line(job: Job, drafts: Drafts | None = None) -> Iterator[None]:
    """Say in one line what could not be written, and what stays of it."""
    try:
        yield
    except BiofuseError as error:
        # What was written is of no use with what the store has now.
        stays = _stays(drafts, of_use=job.durable and error.errno != errno.ESTALE)
        if not stays:
            raise
        told = copy.copy(error)
        told.args = (f"{error}; {stays}",)
        raise told from error
    except OSError as error:
        stays = _stays(drafts, job.durable)
        if error.errno in _FULL:
            why = "the disk is full" if error.errno == errno.ENOSPC else "the quota is used up"
            raise NoRoomError(f"{why} at {job.folder}; {stays or 'make room there'}") from error
        why = f"cannot write to {job.folder}: {error.strerror or error}"
        raise BiofuseError(f"{why}; {stays}" if stays else why) from error
    except BaseException:
        _stays(drafts)
        raise


def _stays(drafts: Drafts | None, of_use: bool = True) -> str:
    """What is said of what stays. Removes it if it is of no use."""
    if drafts is None:
        return ""
    if drafts.is_empty or not of_use:
        with contextlib.suppress(OSError):
            drafts.remove()
        return ""
    return f"what was written stays in {drafts.path}: the same command goes on, or remove it"


def _check_room(job: Job, drafts: Drafts) -> None:
    """Raise `NoRoomError` if the files cannot have room."""
    need = 0
    for name, size in job.files.items():
        if drafts.where(name) is None:
            least = size // _GUESS if job.is_compressed(name) else size
            need += max(0, least - drafts.had(name))
    status = os.statvfs(job.folder)
    free = status.f_bavail * status.f_frsize
    if need > free:
        raise NoRoomError(
            f"there is no room in {job.folder}: the files take {format_size(need)}, and "
            f"{format_size(free)} are free"
        )


@dataclass(frozen=True)
class _Work:
    """An export under way.

    Attributes
    ----------
    job : Job
    drafts : Drafts
    verify : bool
    package : object
        What the job's cluster has given for the view; None without one.
    written, verified : callable
        Called with bytes that were.
    """

    job: Job
    drafts: Drafts
    verify: bool
    package: Any
    written: "_Counter"
    verified: "_Counter"


class _Counter:
    """Sums what it is called with."""

    def __init__(self, show: Callable[[int], None]):
        self._show = show
        self._done = 0

    def __call__(self, more: int) -> None:
        self._done += more
        self._show(self._done)


def _write(
    job: Job, drafts: Drafts, verify: bool, progress: Callable[[str, int, int], None]
) -> dict[str, int]:
    total = sum(job.files[name] for name in job.streamed)
    package = None
    if job.cluster is not None:
        package = job.cluster.send(Package.of(job.fileset.opening))
    written = _Counter(lambda done: progress("writing", done, total))
    verified = _Counter(lambda done: progress("verifying", done, total))
    work = _Work(job, drafts, verify, package, written, verified)
    for name in job.in_order:
        if not _is_whole(work, name):
            _make(work, name)
            as_shown = not (job.is_compressed(name) or job.is_index(name))
            drafts.finish(name, job.files[name] if as_shown else None)
        elif name in job.streamed:
            written(job.files[name])
        if verify and name in job.streamed:
            try:
                _verify(work, name)
            except DifferentError:
                drafts.discard(name)
                raise
    return drafts.place(job.in_order)


def _is_whole(work: _Work, name: str) -> bool:
    """Whether a file is there, and with it what else is still made of it."""
    if work.drafts.where(name) is None:
        return False
    index = _index_of(work.job, name)
    if index is None or not (work.verify or work.drafts.where(index) is None):
        return True
    return work.drafts.draft(_sizes(name)) is not None and _compressed(work, name).has_sizes


def _index_of(job: Job, name: str) -> str | None:
    """The index of a compressed file; None of another."""
    if not job.is_compressed(name):
        return None
    main, suffix = os.path.splitext(name)
    return main + INDEXES[suffix]


def _sizes(name: str) -> str:
    """What the sizes of a compressed file's parts have as a name among the drafts."""
    return f"{name}-sizes"


def _make(work: _Work, name: str) -> None:
    """Write a file's draft."""
    job, drafts = work.job, work.drafts
    if job.is_compressed(name):
        _make_compressed(work, name)
    elif job.is_index(name):
        _make_index(work, name)
    else:
        number = job.fileset.number_of(name)
        if number is None:
            path, fd = drafts.create(name)
            with open(fd, "wb") as target:
                _copy(job.fileset, name, target)
        else:
            path = _make_streamed(work, name, number)
        # Indexes have the time stamp.
        modified_ns = job.fileset.opening.plan.modified_ns
        os.utime(path, ns=(modified_ns, modified_ns))


def _make_streamed(work: _Work, name: str, number: int) -> str:
    job, drafts = work.job, work.drafts
    size = job.files[name]
    path, fd = drafts.resume(name, size)
    to = (drafts.journal, name)
    try:
        if job.cluster is not None:
            shared = drafts.as_others_see(path)
            write_spans_on(job.cluster, work.package, number, size, fd, shared, *to, work.written)
        else:
            maker = job.fileset.maker
            write_spans(maker, number, size, fd, *to, job.threads, work.written)
    finally:
        os.close(fd)
    return path


def _make_compressed(work: _Work, name: str) -> None:
    drafts = work.drafts
    index = _index_of(work.job, name)
    for each in (index, name):
        # The one has the time stamp of the other.
        if each is not None and drafts.where(each) is not None:
            drafts.forget(each)
    for each in (name, _sizes(name)):
        _, fd = drafts.resume(each)
        os.close(fd)
    _compressed(work, name).write(work.job.threads, work.written)


def _make_index(work: _Work, name: str) -> None:
    fileset, drafts = work.job.fileset, work.drafts
    main = next(each for each in work.job.files if _index_of(work.job, each) == name)
    offsets = _compressed(work, main).offsets()
    path, fd = drafts.create(name)
    with open(fd, "wb") as file:
        if main.endswith(".bcf"):
            with fileset.open(name) as sidecar:
                file.write(moved_index(sidecar.read(), offsets))
            return
    # SQLite opens no file that has no name any more.
    old = f"{name}-old"
    source, fd = drafts.create(old)
    with open(fd, "wb") as target:
        _copy(fileset, name, target)
    _, records = _records(work.job, main)
    write_index(source, path, main, _path(drafts, main), records, offsets)
    drafts.forget(old)


def _verify(work: _Work, name: str) -> None:
    """Raise `DifferentError` if a file is not what it should be."""
    job = work.job
    if job.is_compressed(name):
        _compressed(work, name).verify(job.threads, work.verified)
        return
    number = job.fileset.number_of(name)
    assert number is not None
    fd = os.open(_path(work.drafts, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        size = job.files[name]
        verify_file(job.fileset.maker, number, size, fd, name, job.threads, work.verified)
    finally:
        os.close(fd)


def _path(drafts: Drafts, name: str) -> str:
    """Where a file is, which may have its name already."""
    path = drafts.where(name) or drafts.draft(name)
    if path is None:
        raise BiofuseError(f"{name} was removed while it was written")
    return path


def _records(job: Job, name: str) -> tuple[int, Records]:
    number = job.fileset.number_of(name)
    assert number is not None
    opening = job.fileset.opening
    return number, Records(opening.plan.streamed[number], opening.tables.views)


def _compressed(work: _Work, name: str) -> CompressedFile:
    job, drafts = work.job, work.drafts
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
        job.fileset.maker if work.package is None else work.package,
        number,
        parts,
        job.compression,
        _path(drafts, name),
        _path(drafts, _sizes(name)),
        drafts.journal,
        name,
        job.cluster,
    )


def _copy(fileset: Fileset, name: str, target: IO[bytes]) -> None:
    with fileset.open(name) as source:
        shutil.copyfileobj(source, target, _COPY)
