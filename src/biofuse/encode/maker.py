"""A view's bytes, made in the process that wants them."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

from biofuse.encode.opening import Opening
from biofuse.encode.ranges import AnswerError, Answers
from biofuse.errors import BiofuseError, as_errno, one_line
from biofuse.native import Wanted

# Bytes that are made at a time, which stay in the processor's cache.
PIECE = 1 << 20
# Bytes after which the pages of the plan's tables that were read are given up.
_RELEASE = 64 << 20


class Maker:
    """Makes bytes of a view's streamed files. Thread-safe.

    Parameters
    ----------
    opening : Opening
    """

    def __init__(self, opening: Opening):
        self._opening = opening
        self._fast = opening.fast()
        self._lock = threading.Lock()
        self._made = 0
        self._closed = False

    @cached_property
    def _answers(self) -> Answers:
        """The other way, opened when something is first refused."""
        return self._opening.answers()

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._opening.all_threads, "biofuse")

    def read_into(self, file: int, offset: int, out: memoryview) -> None:
        """Put bytes of a file where they are wanted.

        Parameters
        ----------
        file : int
            Its number in the plan.
        offset : int
        out : memoryview of uint8
            As many as it holds are put there; all are within the file.

        Raises
        ------
        BiofuseError
            If any of them cannot be made.
        """
        starts = range(0, len(out), PIECE)

        def put(start: int) -> None:
            part = out[start : start + PIECE]
            self._make(
                file,
                offset + start,
                len(part),
                lambda: self._fast.engine.read_into(file, offset + start, part),
                lambda at, data: _copy(data, part[at - offset - start :]),
            )

        if len(starts) <= 1:
            for start in starts:
                put(start)
        else:
            with self._lock:
                pool = self._pool
            for _ in pool.map(put, starts):
                pass

    def write(self, file: int, offset: int, size: int, fd: int) -> None:
        """Write bytes of a file to their place in another.

        Raises
        ------
        BiofuseError
            If any of them cannot be made.
        OSError
            If they cannot be written.
        """

        def put(at: int, data: memoryview) -> None:
            while data:
                done = os.pwrite(fd, data, at)
                data, at = data[done:], at + done

        def write(at: int, count: int) -> None:
            engine = self._fast.engine
            self._make(file, at, count, lambda: engine.write(file, at, count, fd, at), put)

        for start in range(offset, offset + size, PIECE):
            write(start, min(PIECE, offset + size - start))

    def _make(
        self,
        file: int,
        offset: int,
        size: int,
        quickly: Callable[[], int | Wanted],
        slowly: Callable[[int, memoryview], None],
    ) -> None:
        """Make bytes by the engine, given what it wants, or else in the other way."""
        if self._closed:
            raise ValueError("the fileset is closed")
        try:
            for _ in range(self._fast.most_gifts):
                found = quickly()
                if isinstance(found, int):
                    if found != size:
                        raise BiofuseError(f"{found} bytes were made in place of {size}")
                    break
                if not self._fast.give(found):
                    self._make_slowly(file, offset, size, slowly)
                    break
            else:
                self._make_slowly(file, offset, size, slowly)
        except (BiofuseError, AnswerError) as error:
            record = getattr(error, "record", None)
            if record is None:
                record = self._fast.record_at(file, offset)
            name = self._opening.plan.streamed[file].name
            raise BiofuseError(
                f"cannot read {name} from variant {record} of the view: {one_line(error)}",
                as_errno(error) if isinstance(error, BiofuseError) else error.errno,
            ) from error
        with self._lock:
            self._made += size
            release = self._made >= _RELEASE
            if release:
                self._made = 0
        if release:
            self._opening.tables.release_pages()

    def _make_slowly(
        self, file: int, offset: int, size: int, put: Callable[[int, memoryview], None]
    ) -> None:
        with self._lock:
            answers = self._answers
        for piece in answers.answer(file, offset, size):
            put(offset, memoryview(piece))
            offset += len(piece)

    def close(self) -> None:
        """Make nothing any more; what is being made is waited for."""
        self._closed = True
        self._fast.close()
        if "_pool" in self.__dict__:
            self._pool.shutdown()


def _copy(data: memoryview, out: memoryview) -> None:
    out[: len(data)] = data
