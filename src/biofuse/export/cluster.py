"""Spans of files, made and written by the workers of a Dask cluster.

What a worker needs of the plan goes to it once; then it is told which bytes to write where: in
place, in a file that it shares with the others, or as a part of an upload to S3. A worker that
is lost has its spans done again by another, to the same bytes.
"""

import contextlib
import os
import tempfile
import threading
import time
import uuid
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any

from biofuse import __version__, temporary
from biofuse.encode.maker import PIECE, Maker
from biofuse.encode.opening import Opening
from biofuse.encode.tables import MappedTables
from biofuse.errors import BiofuseError, one_line
from biofuse.export.journal import Span
from biofuse.export.local_workers import local_workers
from biofuse.manifest import Plan
from biofuse.stores import Location
from biofuse.stores.secrets import Secrets

# Bytes of a span: long, since who reads on in a store has its next chunks fetched ahead, and
# more than one for each thread, so that all end at about the same time.
_LEAST, _MOST, _SHARE = 4 << 20, 256 << 20, 2
# Spans under way, for each thread of the cluster.
_UNDER_WAY = 2
# Seconds in which a worker must be there.
_PATIENCE = 60
# How often the plan is sent at most, and the seconds between.
_TRIALS, _PAUSE = 4, 0.5


@dataclass(frozen=True)
class Package:
    """What a worker needs to make bytes.

    Attributes
    ----------
    name : str
        Differs from export to export.
    version : str
        Of the biofuse that has made it.
    plan : Plan
    secrets : dict
        Of the store's location.
    tables : dict of str to bytes
        Files of the plan.
    memory : int
        Bytes that a worker's process may take.
    timeout : float
    opened_ns : int
        When the view was opened: what was changed in the store later is refused.
    """

    name: str
    version: str
    plan: Plan
    secrets: Secrets = field(repr=False)
    tables: dict[str, bytes] = field(repr=False)
    memory: int
    timeout: float
    opened_ns: int

    @classmethod
    def of(cls, opening: Opening) -> "Package":
        """What an opened view consists of."""
        plan = opening.plan
        return cls(
            uuid.uuid4().hex,
            __version__,
            plan,
            opening.location.secrets,
            {name: bytes(view) for name, view in opening.tables.files.items()},
            opening.memory,
            opening.timeout,
            opening.opened_ns,
        )

    def open(self) -> Maker:
        """Open it on a worker.

        Raises
        ------
        BiofuseError
            If another version of biofuse is there, or the store cannot be opened.
        """
        if self.version != __version__:
            raise BiofuseError(
                f"a worker has biofuse {__version__}, and this is {self.version}: install the same"
            )
        cores = len(os.sched_getaffinity(0))
        tables = MappedTables(self.plan)
        for name, data in self.tables.items():
            with tempfile.TemporaryFile(dir=temporary.place()) as file:
                file.write(data)
                file.flush()
                tables.add(name, file.fileno())
        opening = Opening(
            self.plan,
            Location.planned(self.plan.store, self.secrets).scoped(),
            tables,
            self.memory,
            cores,
            self.opened_ns,
            self.timeout,
        )
        try:
            return Maker(opening)
        except OSError as error:
            raise BiofuseError(f"a worker cannot open the store: {error}") from error


# Of a worker's process: what was opened last, for all of its threads. Several exports may share
# a cluster.
_opened: OrderedDict[str, Maker] = OrderedDict()
_MAX_OPENED = 4
# How many threads use each.
_users: Counter[str] = Counter()
_opening = threading.Lock()


@contextlib.contextmanager
def made_by(source: Any) -> Iterator[Maker]:
    """What makes bytes, for the time of a block: itself, or what a package is opened to."""
    if not isinstance(source, Package):
        yield source
        return
    name = source.name
    with _opening:
        if name not in _opened:
            _opened[name] = source.open()
        _opened.move_to_end(name)
        _users[name] += 1
        maker = _opened[name]
    try:
        yield maker
    finally:
        with _opening:
            _users[name] -= 1
            idle = [each for each in _opened if not _users[each]]
            for each in idle[: max(0, len(_opened) - _MAX_OPENED)]:
                _opened.pop(each).close()
                del _users[each]


def write_span(package: Package, file: int, span: Span, path: str) -> Span:
    """On a worker: write a span of a file to its place, and have it on disk.

    Raises
    ------
    BiofuseError
        If it cannot be made or written.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise BiofuseError(
            f"a worker does not see {path}: the folder must be on a file system that all share"
        ) from None
    try:
        with made_by(package) as maker:
            maker.write(file, span[0], span[1] - span[0], fd)
        os.fdatasync(fd)
    finally:
        os.close(fd)
    return span


def upload_span(package: Package, file: int, span: Span, upload: Any, number: int) -> Any:
    """On a worker: upload a span of a file as a part. Returns what the upload's end wants."""
    data = memoryview(bytearray(span[1] - span[0]))
    with made_by(package) as maker:
        maker.read_into(file, span[0], data)
    return upload.put(number, data)


class Cluster:
    """A Dask cluster.

    Use as a context manager.

    Parameters
    ----------
    address : str
        A scheduler's, such as tcp://host:8786, or "local" to start workers on this machine.

    Raises
    ------
    BiofuseError
        If Dask is not installed, or the address is none, or the scheduler does not answer.
    """

    def __init__(self, address: str):
        try:
            import distributed
        except ImportError:
            raise BiofuseError(
                "--dask takes Dask: pip install 'biofuse[dask]' here and on the workers"
            ) from None
        if address != "local":
            _check_address(address)
        with contextlib.ExitStack() as stack:
            security = None
            if address == "local":
                address, security = stack.enter_context(local_workers())
            try:
                self._client: Any = stack.enter_context(
                    distributed.Client(
                        address, timeout=_PATIENCE, set_as_default=False, security=security
                    )
                )
            except (OSError, ValueError) as error:
                raise BiofuseError(
                    f"the Dask scheduler at {address} does not answer: {error}"
                ) from error
            self._stack = stack.pop_all()

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def threads(self) -> int:
        """Of all workers; those that come later have their share too.

        Raises
        ------
        BiofuseError
            If there is no worker.
        """
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        except Exception as error:
            raise BiofuseError("the Dask scheduler has no workers") from error
        found: int = sum(self._client.nthreads().values())
        return max(1, found)

    def send(self, package: Package) -> Any:
        """Give every worker what it needs; returns what stands for it as an argument.

        Raises
        ------
        BiofuseError
            If that fails again and again; once it may, of a worker that is lost meanwhile.
        """
        for left in reversed(range(_TRIALS)):
            try:
                return self._client.scatter(package, broadcast=True)
            except Exception as error:
                if left == 0:
                    raise BiofuseError(
                        f"the Dask workers cannot be sent the plan: {one_line(error)}"
                    ) from error
                time.sleep(_PAUSE)
        raise AssertionError("nothing was tried")

    def span_size(self, size: int) -> int:
        """Bytes of the spans of a file of so many bytes."""
        share = size // (_SHARE * self.threads)
        return max(_LEAST, min(_MOST, -(-share // PIECE) * PIECE))

    def executor(self) -> Any:
        """The workers as an executor of `concurrent.futures`."""
        return self._client.get_executor(pure=False, retries=2)

    def each(
        self, things: Iterator[tuple[Any, ...]], do: Callable[..., Any]
    ) -> Iterator[tuple[tuple[Any, ...], Any]]:
        """Have the workers do things, some at a time; yields each with what came of it.

        Raises
        ------
        BiofuseError
            What one of them has met.
        """
        most = _UNDER_WAY * self.threads
        under_way: dict[Future[Any], tuple[Any, ...]] = {}
        with self.executor() as executor:
            try:
                for thing in things:
                    under_way[executor.submit(do, *thing)] = thing
                    if len(under_way) >= most:
                        yield from _some(under_way)
                while under_way:
                    yield from _some(under_way)
            finally:
                for future in under_way:
                    future.cancel()


def _check_address(address: str) -> None:
    """Raise `BiofuseError` if this is no address of a scheduler.

    A client of Dask's that is made with such a one does not end.
    """
    from distributed.comm import addressing, registry

    try:
        scheme, place = addressing.parse_address(address)
        registry.get_backend(scheme)
        _, port = addressing.parse_host_port(place)
        if not 0 < port < 1 << 16:
            raise ValueError(f"there is no port {port}")
    except ValueError as error:
        raise BiofuseError(
            f"--dask {address!r} is no address of a scheduler, such as tcp://host:8786, nor "
            f"'local': {error}"
        ) from error


def _some(under_way: dict[Future[Any], tuple[Any, ...]]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """What is done by now, once anything is."""
    done, _ = wait(under_way, return_when=FIRST_COMPLETED)
    for future in done:
        yield under_way.pop(future), outcome(future)


def outcome(future: Any) -> Any:
    """What came of something that a worker was to do.

    Raises
    ------
    BiofuseError
        What it has met, or that it failed.
    OSError
        Of its disk.
    """
    try:
        return future.result()
    except BiofuseError:
        raise
    except Exception as error:
        # Those of Dask's connections have no number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BiofuseError(f"a Dask worker failed: {one_line(error)}") from error
