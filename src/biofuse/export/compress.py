"""Write a `.bgen` or `.bcf` that is compressed, and the index of the former.

A mount cannot: where a record begins would depend on the genotypes of all before it.
"""

import contextlib
import os
import re
import sqlite3
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from biofuse.durable import write_all
from biofuse.encode.records import Records
from biofuse.errors import BiofuseError
from biofuse.export.cluster import Cluster, made_by, outcome
from biofuse.export.journal import Journal
from biofuse.export.parts import Parts, compress_parts
from biofuse.export.verify import DifferentError
from biofuse.formats.bgi import FIRST_BYTES, new_index

# Bytes of parts that are compressed at a time, by each thread.
_BLOCK = 4 << 20
# Blocks under way for each thread, so that all are busy while one is waited for.
_UNDER_WAY = 3
# Bytes after which what is written is had on disk.
_SYNC_BYTES = 256 << 20
_LEVELS = {"zlib": (1, 6, 12), "zstd": (1, 3, 22)}
_ROWS = 10_000
# What is counted.
_WHAT = {"bgen": "variants", "bcf": "blocks"}


@dataclass(frozen=True)
class Compression:
    """How a file is compressed.

    Attributes
    ----------
    method : str
        zlib or zstd.
    level : int
    """

    method: str
    level: int

    @classmethod
    def parse(cls, text: str) -> "Compression":
        """The meaning of METHOD[:LEVEL].

        Raises
        ------
        BiofuseError
            If it has none.
        """
        found = re.fullmatch(r"(zlib|zstd)(?::(\d{1,2}))?", text)
        if found is None:
            raise BiofuseError(
                f"{text!r} is no way to compress: write zlib, zstd, or with a level zlib:6"
            )
        least, usual, most = _LEVELS[found[1]]
        level = usual if found[2] is None else int(found[2])
        if not least <= level <= most:
            raise BiofuseError(f"the level of {found[1]} is {least} to {most}, not {level}")
        return cls(found[1], level)


class CompressedFile:
    """A compressed file that is being written.

    Parameters
    ----------
    source : Maker or Package
        The latter, as a cluster has it, for its workers.
    file : int
        The file's number in the plan.
    parts : Parts
        Of it.
    compression : Compression
    path : str
        What is written to.
    sizes_path : str
        What the parts' sizes are written to.
    journal : Journal
    name : str
        As the journal has it.
    cluster : Cluster, optional
        Whose workers compress.
    """

    def __init__(
        self,
        source: Any,
        file: int,
        parts: Parts,
        compression: Compression,
        path: str,
        sizes_path: str,
        journal: Journal,
        name: str,
        cluster: Cluster | None = None,
    ):
        self._cluster = cluster
        self._source = source
        self._file = file
        self._parts = parts
        self._compression = compression
        self._header = parts.header(compression.method)
        self._path = path
        self._sizes_path = sizes_path
        self._journal = journal
        self._name = name

    def write(self, threads: int, progress: Callable[[int], None]) -> None:
        """Write what is not yet written.

        Parameters
        ----------
        threads : int
        progress : callable
            Called with bytes of the file as a mount shows it.

        Raises
        ------
        BiofuseError
            If bytes cannot be made.
        OSError
            If they cannot be written.
        """
        record, size = self._begin()
        progress(self._parts.start(record))
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        with (
            open(os.open(self._path, flags), "wb", buffering=0) as out,
            open(os.open(self._sizes_path, flags), "wb", buffering=0) as sizes,
        ):
            os.ftruncate(out.fileno(), size)
            os.ftruncate(sizes.fileno(), 8 * record)
            out.seek(size)
            sizes.seek(8 * record)
            if size == 0:
                write_all(out.fileno(), self._header)
                size = len(self._header)
            synced = size
            for first, last, data, each in self._blocks(record, threads):
                write_all(out.fileno(), data)
                write_all(sizes.fileno(), memoryview(each))
                size += len(data)
                progress(self._parts.start(last) - self._parts.start(first))
                if size - synced >= _SYNC_BYTES:
                    self._journal.sync(out.fileno())
                    self._journal.sync(sizes.fileno())
                    self._journal.add({"file": self._name, "records": last, "size": size})
                    synced = size
            write_all(out.fileno(), self._parts.tail)
            self._journal.sync(out.fileno())
            self._journal.sync(sizes.fileno())
            self._journal.add({"file": self._name, "records": self._parts.count, "size": size})

    def _begin(self) -> tuple[int, int]:
        """How many records are written, and in how many bytes."""
        noted = [entry for entry in self._journal.of(self._name) if "records" in entry]
        if not noted:
            return 0, 0
        record, size = noted[-1]["records"], noted[-1]["size"]
        if os.path.getsize(self._path) < size or os.path.getsize(self._sizes_path) < 8 * record:
            # What was noted is not to count for what is written now.
            self._journal.add({"file": self._name, "records": 0, "size": 0})
            return 0, 0
        return record, size

    @property
    def has_sizes(self) -> bool:
        """Whether all parts' sizes are there."""
        return os.path.getsize(self._sizes_path) == 8 * self._parts.count

    def _blocks(
        self, record: int, threads: int
    ) -> Iterator[tuple[int, int, memoryview, "array[int]"]]:
        """Compressed records from one on, some at a time, and the bytes of each."""
        with contextlib.ExitStack() as stack:
            executor: Executor
            if self._cluster is None:
                executor = stack.enter_context(ThreadPoolExecutor(threads, "compress"))
            else:
                executor = stack.enter_context(self._cluster.executor())
                threads = self._cluster.threads
            waiting: deque[tuple[int, int, Future[tuple[bytes, array[int]]]]] = deque()
            try:
                for first, last in self._spans(record):
                    start = self._parts.start(first)
                    ends = (self._parts.start(each) - start for each in range(first + 1, last + 1))
                    words: tuple[Any, ...] = (self._source, self._file, start, array("Q", ends))
                    words = (*words, self._compression, self._parts.format)
                    waiting.append((first, last, executor.submit(compress_block, *words)))
                    if len(waiting) >= _UNDER_WAY * threads:
                        yield self._result(*waiting.popleft())
                while waiting:
                    yield self._result(*waiting.popleft())
            finally:
                for _, _, future in waiting:
                    future.cancel()

    def _result(
        self, first: int, last: int, future: "Future[tuple[bytes, array[int]]]"
    ) -> tuple[int, int, memoryview, "array[int]"]:
        try:
            data, sizes = future.result() if self._cluster is None else outcome(future)
        except BiofuseError as error:
            raise BiofuseError(
                f"{self._name} cannot be compressed: {error}", error.errno
            ) from error
        return first, last, memoryview(data), sizes

    def _spans(self, record: int) -> Iterator[tuple[int, int]]:
        count = self._parts.count
        while record < count:
            enough = self._parts.start(record) + _BLOCK
            last = max(record + 1, self._parts.at(min(enough, self._parts.start(count) - 1)))
            yield record, last
            record = last

    def offsets(self) -> "array[int]":
        """Where each part begins in the file that was written, and the last one ends."""
        found = array("Q", [len(self._header)])
        with open(self._sizes_path, "rb") as file:
            sizes = array("Q")
            sizes.frombytes(file.read())
        at = found[0]
        for size in sizes:
            at += size
            found.append(at)
        return found

    def verify(self, threads: int, progress: Callable[[int], None]) -> None:
        """Compress again, and compare with what is on disk.

        Raises
        ------
        DifferentError
            If they differ.
        """
        offsets = self.offsets()
        with open(self._path, "rb", buffering=0) as file:
            fd = file.fileno()
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            tail = self._parts.tail
            good = os.fstat(fd).st_size == offsets[-1] + len(tail)
            good = good and os.pread(fd, len(tail), offsets[-1]) == tail
            good = good and os.pread(fd, len(self._header), 0) == self._header
            for first, last, data, _ in self._blocks(0, threads):
                size = offsets[last] - offsets[first]
                good = good and len(data) == size and os.pread(fd, size, offsets[first]) == data
                if not good:
                    raise DifferentError(
                        f"{self._name} is not on disk what was written: it differs among "
                        f"{_WHAT[self._parts.format]} {first:,} to {last - 1:,}"
                    )
                progress(self._parts.start(last) - self._parts.start(first))
            if not good:
                raise DifferentError(f"{self._name} is not on disk what was written")


def compress_block(
    source: Any,
    file: int,
    start: int,
    ends: "array[int]",
    compression: Compression,
    format_name: str,
) -> tuple[bytes, "array[int]"]:
    """Make parts of a file, here or on a worker of a cluster, and compress them.

    Parameters
    ----------
    source : Maker or Package
    file : int
        Its number in the plan.
    start : int
        Where in the file that a mount shows they begin.
    ends : array of uint64
        Where each ends, counted from there.
    compression : Compression
    format_name : str

    Returns
    -------
    parts : bytes
    sizes : array of uint64
        Bytes of each.

    Raises
    ------
    BiofuseError
        If they cannot be made.
    """
    data = memoryview(bytearray(ends[-1]))
    with made_by(source) as maker:
        maker.read_into(file, start, data)
    return compress_parts(format_name, data, ends, compression.method, compression.level)


def write_index(
    source: str, path: str, name: str, bgen: str, old: Records, new: "array[int]"
) -> None:
    """Write the `.bgi` of a compressed file from that of the file that a mount shows.

    Parameters
    ----------
    source : str
        The latter.
    path : str
        What is written: an empty file.
    name : str
        Of the `.bgen`.
    bgen : str
        Where that is.
    old : Records
        Of the file that a mount shows.
    new : array of uint64
        Where the same records begin in the `.bgen`, and its end.

    Raises
    ------
    BiofuseError
        If it cannot be written.
    """
    with open(bgen, "rb") as file:
        first_bytes = file.read(FIRST_BYTES)
        status = os.fstat(file.fileno())
    try:
        with (
            contextlib.closing(sqlite3.connect(f"file:{_quoted(source)}?mode=ro", uri=True)) as was,
            contextlib.closing(
                new_index(path, name, status.st_size, status.st_mtime_ns, first_bytes)
            ) as index,
        ):
            rows = was.execute(
                "SELECT chromosome, position, rsid, number_of_alleles, allele1, allele2, "
                "file_start_position FROM Variant"
            )
            while some := rows.fetchmany(_ROWS):
                index.executemany(
                    "INSERT INTO Variant VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    ((*row[:6], new[at := old.at(row[6])], new[at + 1] - new[at]) for row in some),
                )
            index.execute("COMMIT")
    except sqlite3.Error as error:
        raise BiofuseError(f"the .bgi index cannot be written: {error}") from error


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(os.path.abspath(path))
