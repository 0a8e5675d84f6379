"""The faces of a view: how each of them does an operation.

    operation   mount                               Python's API
    open        open, with O_DIRECT or without      Fileset.open
    seek        lseek                               seek
    holes       lseek to SEEK_DATA or SEEK_HOLE     seek to where that would be: it has no such
    read        read                                read
    readinto    readv of one buffer                 readinto
    pread       pread                               pread
    readv       preadv                              seek, and readinto of one buffer after another
    mmap        a private mapping, from which the   pread: it has no mapping
                kernel copies
    sendfile    sendfile to a file in memory        seek and read: it has no descriptor
    splice      splice to a pipe                    seek and readinto, for the same reason
    copy        copy_file_range to a file in        pread, for the same reason
                memory; pread where the kernel
                refuses that between file systems
                (EXDEV, since Linux 5.19)
    burst       pread                               pread
    stat        fstat                               size
    listdir     scandir, and stat of each           Fileset.files
    forget      POSIX_FADV_DONTNEED                 nothing: what biofuse keeps stays

There is no io_uring here: `test_posix_reads` has that, without faults.
"""

import contextlib
import errno
import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

# Seconds from which on a right answer is told of, too.
SLOW = 1.0


class Got(NamedTuple):
    """What came of a read: bytes, and the error that ended it, if one did."""

    data: bytes
    errno: int | None = None
    text: str = ""


class Burst(NamedTuple):
    """What came of many small reads.

    Attributes
    ----------
    done : int
        How many were right and quick.
    got : Got
        What came of the one after those, if there is one.
    began : float
        When that began.
    """

    done: int
    got: Got
    began: float


class Handle(Protocol):
    """An open file of a face."""

    def seek(self, offset: int, whence: int) -> int | None: ...
    def holes(self, offset: int, whence: int) -> int | None: ...
    def read(self, size: int) -> Got: ...
    def readinto(self, size: int) -> Got: ...
    def pread(self, size: int, offset: int) -> Got: ...
    def readv(self, sizes: tuple[int, ...], offset: int) -> Got: ...
    def map(self, size: int, offset: int) -> Got: ...
    def sendfile(self, size: int, offset: int) -> Got: ...
    def splice(self, size: int, offset: int) -> Got: ...
    def copy(self, size: int, offset: int) -> Got: ...
    def burst(self, size: int, offsets: list[int], expected: Any) -> "Burst": ...
    def size(self) -> int: ...
    def forget(self) -> None: ...
    def close(self) -> None: ...


class Face(Protocol):
    """A view, however it is shown."""

    def open(self, name: str, direct: bool) -> Handle: ...
    def listdir(self) -> dict[str, int]: ...


class MountHandle:
    """A descriptor of a file of a mount."""

    def __init__(self, path: Path, direct: bool):
        self._fd = os.open(path, os.O_RDONLY | (os.O_DIRECT if direct else 0))
        self._map: mmap.mmap | None = None
        self._copied_to: int | None = None
        self._pipe: tuple[int, int] | None = None

    def seek(self, offset: int, whence: int) -> int | None:
        """The new position; None where there is no such one."""
        try:
            return os.lseek(self._fd, offset, whence)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return None

    def holes(self, offset: int, whence: int) -> int | None:
        """Where data or a hole begins, which is the new position; None behind the end."""
        try:
            return os.lseek(self._fd, offset, whence)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return None

    def read(self, size: int) -> Got:
        try:
            return Got(os.read(self._fd, size))
        except OSError as error:
            return _failed(error)

    def readinto(self, size: int) -> Got:
        buffer = bytearray(size)
        try:
            count = os.readv(self._fd, [buffer])
        except OSError as error:
            return _failed(error)
        return Got(bytes(buffer[:count]))

    def pread(self, size: int, offset: int) -> Got:
        try:
            return Got(os.pread(self._fd, size, offset))
        except OSError as error:
            return _failed(error)

    def readv(self, sizes: tuple[int, ...], offset: int) -> Got:
        buffers = [bytearray(size) for size in sizes]
        try:
            count = os.preadv(self._fd, buffers, offset)
        except OSError as error:
            return _failed(error)
        return Got(b"".join(buffers)[:count])

    def map(self, size: int, offset: int) -> Got:
        """Pages of the file's mapping, copied by the kernel: an error is EFAULT, not SIGBUS."""
        if self._map is None:
            self._map = mmap.mmap(self._fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
        size = max(0, min(size, len(self._map) - offset))
        memory = self._memory()
        with memoryview(self._map) as view, view[offset : offset + size] as part:
            return self._copied(size, lambda done: os.pwrite(memory, part[done:], done))

    def sendfile(self, size: int, offset: int) -> Got:
        memory = self._memory()
        os.lseek(memory, 0, os.SEEK_SET)
        return self._copied(
            size, lambda done: os.sendfile(memory, self._fd, offset + done, size - done)
        )

    def splice(self, size: int, offset: int) -> Got:
        if self._pipe is None:
            self._pipe = os.pipe()
        reader, writer = self._pipe
        memory = self._memory()

        def step(done: int) -> int:
            count = os.splice(self._fd, writer, size - done, offset_src=offset + done)
            os.pwrite(memory, os.read(reader, count) if count else b"", done)
            return count

        return self._copied(size, step)

    def copy(self, size: int, offset: int) -> Got:
        memory = self._memory()
        got = self._copied(
            size,
            lambda done: os.copy_file_range(
                self._fd, memory, size - done, offset_src=offset + done, offset_dst=done
            ),
        )
        return self.pread(size, offset) if got.errno == errno.EXDEV else got

    def _memory(self) -> int:
        """A file in memory that is copied to."""
        if self._copied_to is None:
            self._copied_to = os.memfd_create("copied")
        return self._copied_to

    def _copied(self, size: int, step: Callable[[int], int]) -> Got:
        """What has come to the file in memory, by steps, up to an error or to a file's end.

        Each step is told how many bytes there are, and returns how many more it has copied.
        """
        done = 0
        failed: Got | None = None
        while done < size and failed is None:
            try:
                count = step(done)
            except OSError as error:
                failed = _failed(error)
            else:
                if not count:
                    break
                done += count
        data = os.pread(self._memory(), done, 0) if done else b""
        return Got(data) if failed is None else failed._replace(data=data)

    def burst(self, size: int, offsets: list[int], expected: Any) -> Burst:
        """Small reads, until one is wrong, or fails, or takes long."""
        fd, pread, clock = self._fd, os.pread, time.monotonic
        done, began = 0, clock()
        try:
            for done, offset in enumerate(offsets):
                data = pread(fd, size, offset)
                ended = clock()
                if data != expected[offset : offset + size] or ended - began > SLOW:
                    return Burst(done, Got(data), began)
                began = ended
        except OSError as error:
            return Burst(done, _failed(error), began)
        return Burst(len(offsets), Got(b""), began)

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def forget(self) -> None:
        """Have the kernel forget what it has of the file."""
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        if self._map is not None:
            self._map.close()
        others = [] if self._copied_to is None else [self._copied_to]
        for fd in (self._fd, *others, *(self._pipe or ())):
            os.close(fd)


def _failed(error: OSError) -> Got:
    return Got(b"", error.errno or errno.EIO, str(error))


class MountFace:
    """A mount's directory."""

    def __init__(self, directory: Path):
        self._directory = directory

    def open(self, name: str, direct: bool) -> MountHandle:
        return MountHandle(self._directory / name, direct)

    def listdir(self) -> dict[str, int]:
        """Names and sizes."""
        with os.scandir(self._directory) as entries:
            return {entry.name: entry.stat().st_size for entry in entries}


class ApiHandle:
    """A file object of `biofuse.open`."""

    def __init__(self, file: Any):
        self._file = file

    def seek(self, offset: int, whence: int) -> int | None:
        try:
            return int(self._file.seek(offset, whence))
        except ValueError:
            return None

    def holes(self, offset: int, whence: int) -> int | None:
        size = self.size()
        if offset >= size:
            return None
        return int(self._file.seek(offset if whence == os.SEEK_DATA else size))

    def read(self, size: int) -> Got:
        return self._try(lambda: self._file.read(size))

    def readinto(self, size: int) -> Got:
        buffer = bytearray(size)
        return self._try(lambda: bytes(buffer[: self._file.readinto(buffer)]))

    def pread(self, size: int, offset: int) -> Got:
        return self._try(lambda: self._file.pread(size, offset))

    def readv(self, sizes: tuple[int, ...], offset: int) -> Got:
        """One buffer after another, which is what there is for it."""

        def read() -> Got:
            got, data = Got(b""), b""
            for size in sizes:
                got = self.readinto(size)
                data += got.data
                if got.errno is not None:
                    break
            return got._replace(data=data)

        return self._at(offset, read)

    def map(self, size: int, offset: int) -> Got:
        return self.pread(size, offset)

    def sendfile(self, size: int, offset: int) -> Got:
        return self._at(offset, lambda: self.read(size))

    def splice(self, size: int, offset: int) -> Got:
        return self._at(offset, lambda: self.readinto(size))

    def copy(self, size: int, offset: int) -> Got:
        return self.pread(size, offset)

    def _at(self, offset: int, read: Callable[[], Got]) -> Got:
        """What is read at a position; that of before stays."""
        before = self._file.tell()
        self._file.seek(offset)
        got = read()
        self._file.seek(before)
        return got

    def burst(self, size: int, offsets: list[int], expected: Any) -> Burst:
        """Small reads, until one is wrong, or fails, or takes long."""
        for done, offset in enumerate(offsets):
            began = time.monotonic()
            got = self.pread(size, offset)
            late = time.monotonic() - began > SLOW
            if late or got.errno is not None or got.data != expected[offset : offset + size]:
                return Burst(done, got, began)
        return Burst(len(offsets), Got(b""), time.monotonic())

    def size(self) -> int:
        return int(self._file.size)

    def forget(self) -> None:
        """Nobody but biofuse itself keeps anything."""

    def close(self) -> None:
        self._file.close()

    @staticmethod
    def _try(read: Any) -> Got:
        from biofuse import BiofuseError

        try:
            return Got(read())
        except BiofuseError as error:
            return Got(b"", error.errno, str(error))


class ApiFace:
    """A store, opened with `biofuse.open`."""

    def __init__(self, store: str, options: dict[str, Any]):
        import biofuse

        self._fileset = biofuse.open(store, **options)

    def open(self, name: str, direct: bool) -> ApiHandle:
        return ApiHandle(self._fileset.open(name))

    def listdir(self) -> dict[str, int]:
        return dict(self._fileset.files)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._fileset.close()
