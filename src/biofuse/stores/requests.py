"""Requests for objects: many at a time, tried again, and doubled where one stalls.

All are run by one thread with an event loop; whoever wants an answer holds a future. What
somebody waits for goes before what is read ahead.
"""

import asyncio
import itertools
import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from biofuse.errors import BiofuseError
from biofuse.stores.base import Piece
from biofuse.stores.explain import is_absent, is_refused, is_wrong_region, server_status
from biofuse.stores.link import Link
from biofuse.stores.loop import Gate, Progress, answer, event_loop
from biofuse.stores.pins import Pins, tells_version, version_of

T = TypeVar("T")
# What obstore says of objects.
Objects: TypeAlias = list[dict[str, Any]]

# Seconds before a request is made again, doubled each time.
_BACKOFF, _MAX_BACKOFF = 0.1, 5.0
# Of the time that a read has, what requests for it may take.
_PART = 0.8
# A store that never answered is not there rather than busy: seconds.
_FIRST_ANSWER = 8.0
# A request that has come no further for so many times as long as others take in all has stalled,
# and for so many seconds at least; at most, and where nothing is known.
_STALLED, _LEAST_STALL, _MOST_STALL, _UNKNOWN_STALL = 6.0, 1.0, 10.0, 4.0
# The same request at a time.
_MOST_COPIES = 3
# Bodies of this many bytes and more are taken in parts, whose coming tells that it goes on.
_LARGE = 1 << 20
_PIECE = 256 << 10
# Ranges from an object's first byte on of so many bytes and more are asked for as the object.
_WHOLE = 256 << 10
# Objects that a server tells of in an answer.
_PAGE = 1000
_SLOW_DOWN = re.compile(r"\b(503|429)\b|SlowDown")
_NO_RANGES = re.compile(r"non-partial response|range request not supported", re.IGNORECASE)
# Of a server without ranges, no larger object is fetched for a part of it.
_LARGEST_WHOLE = 64 << 20
_BEYOND = re.compile(r"\b416\b|InvalidRange")
# Answers that will be the same again: that a request is wrong, or of a kind that is not known.
_FINAL = (*range(400, 408), *range(409, 429), *range(430, 500), 501, 505)
_STATUS = re.compile(r"\bstatus(?: code)?:? \d{3}|HTTP error: \d{3}")


class RefusedError(BiofuseError):
    """A server wants other credentials, or none will do."""


class Requests:
    """Gets objects of one place.

    Parameters
    ----------
    client : obstore store
        Its root is the place; it makes each request once.
    link : Link
    pins : Pins
    timeout : float
        Seconds in which a read must be answered.
    explain : callable
        One line on an error of the client.
    reopen : callable, optional
        Called once if the server says that the place is in another region: gives a client of
        that one, or None.
    """

    def __init__(
        self,
        client: Any,
        link: Link,
        pins: Pins,
        timeout: float,
        explain: Callable[[BaseException], str],
        reopen: Callable[[], Any] | None = None,
    ):
        import obstore
        import obstore.exceptions

        self._obstore: Any = obstore
        self._hopeless = (
            obstore.exceptions.InvalidPathError,
            obstore.exceptions.NotSupportedError,
            obstore.exceptions.UnknownConfigurationKeyError,
        )
        self._not_modified = obstore.exceptions.NotModifiedError
        self._client = client
        self.link = link
        self._pins = pins
        self._timeout = timeout
        self._explain = explain
        self._reopen = reopen
        self._moving = asyncio.Lock()
        self._has_moved = False
        self._gate = Gate(link)
        self._has_ranges = True

    def get(
        self,
        key: str,
        start: int = 0,
        stop: int | None = None,
        ahead: bool = False,
        whole: bool = False,
    ) -> "Future[Piece | None]":
        """Have bytes of an object fetched; None if it does not exist. See `fetch`.

        Returns
        -------
        Future
            Whose exception is a `BiofuseError`.
        """
        return event_loop().submit(self.fetch(key, start, stop, ahead, whole))

    async def fetch(
        self,
        key: str,
        start: int = 0,
        stop: int | None = None,
        ahead: bool = False,
        whole: bool = False,
        unless: str | None = None,
    ) -> "Answer | None":
        """Bytes of an object; None if it does not exist.

        Parameters
        ----------
        key : str
        start : int
        stop : int or None
            None, or one past the end, means to the end.
        ahead : bool
            Whether nobody waits for it yet.
        whole : bool
            Whether nothing is wanted of an object that is larger.
        unless : str, optional
            An ETag; nothing is wanted of an object that has it.

        Raises
        ------
        NotModifiedError
            If the object has that ETag.
        BiofuseError
            If it cannot be read.
        """
        async with self._gate.passing(ahead):
            try:
                found: Answer = await self._persist(
                    lambda progress: self._once(key, start, stop, whole, unless, progress), key
                )
            except FileNotFoundError:
                self._pins.check_absent(key)
                return None
            return found

    def list(self, prefix: str, most: int | None = None) -> "Future[Objects | None]":
        """What obstore says of all objects whose keys begin so; None if there are more."""
        return event_loop().submit(
            self._persist(lambda _: self._list(prefix, most), prefix or "the store")
        )

    def list_folder(self, folder: str) -> "Future[tuple[Sequence[str], Sequence[str]]]":
        """Names of the folders, and of the objects, directly in a folder."""
        return event_loop().submit(
            self._persist(lambda _: self._list_folder(folder), folder or "the store")
        )

    def version(self, key: str) -> "Future[str | None]":
        """What tells the version of an object; None if it does not exist."""
        return event_loop().submit(self._version(key))

    def versions(self, keys: Sequence[str], known: Sequence[str] = ()) -> "Future[str]":
        """Those of some objects as one text, with a dash for one that does not exist.

        Parameters
        ----------
        keys : sequence of str
        known : sequence of str
            Their versions as they were, in their order, if those are known.
        """

        async def ask() -> str:
            before = known if len(known) == len(keys) else [""] * len(keys)
            pairs = zip(keys, before, strict=True)
            found = await asyncio.gather(*(self._version(key, was) for key, was in pairs))
            return " ".join(each or "-" for each in found)

        return event_loop().submit(ask())

    async def _version(self, key: str, known: str = "") -> str | None:
        async def ask(progress: Progress) -> str:
            began = self.link.began()
            try:
                if not known:
                    meta = await answer(lambda: self._obstore.head_async(self._client, key))
                    return version_of(meta)
                options = {"if_none_match": f'"{known}"'}
                # A server that has it still says no more than that.
                found = await answer(
                    lambda: self._obstore.get_async(self._client, key, options=options)
                )
                return version_of(found.meta)
            except self._not_modified:
                return known
            finally:
                self.link.ended(began, None)

        try:
            return await self._persist(ask, key)
        except FileNotFoundError:
            return None

    async def _list(self, prefix: str, most: int | None) -> Objects | None:
        found: Objects = []
        stream = self._obstore.list(self._client, prefix=prefix or None, chunk_size=_PAGE)
        pages = aiter(stream)
        while True:
            began = self.link.began()
            try:
                page = await answer(lambda: anext(pages, None))
            finally:
                self.link.ended(began, None)
            if page is None:
                return found
            found.extend(page)
            if most is not None and len(found) > most:
                return None

    async def _list_folder(self, folder: str) -> tuple[Sequence[str], Sequence[str]]:
        began = self.link.began()
        try:
            found = await answer(
                lambda: self._obstore.list_with_delimiter_async(self._client, prefix=folder)
            )
        finally:
            self.link.ended(began, None)
        names = [str(each["path"]).rpartition("/")[2] for each in found["objects"]]
        return [str(p).rstrip("/").rpartition("/")[2] for p in found["common_prefixes"]], names

    async def _persist(self, ask: Callable[[Progress], Awaitable[T]], key: str) -> T:
        """Ask again, later and later, as long as there is time and it may help."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        refused = moved = False
        for attempt in itertools.count():
            try:
                return await self._doubled(ask)
            except BiofuseError:
                raise
            except self._hopeless as error:
                raise BiofuseError(f"{key} cannot be read: {self._explain(error)}") from error
            except Exception as error:
                if is_absent(error):
                    raise FileNotFoundError(key) from error
                if is_wrong_region(error) and not moved:
                    moved = True
                    if await self._move():
                        continue
                if isinstance(error, FileNotFoundError):
                    # Not an object but all that it could be in is missing.
                    raise BiofuseError(self._explain(error)) from error
                if is_refused(error):
                    # A token that has expired may have been renewed by now.
                    if refused:
                        text = f"{key} cannot be read: {self._explain(error)}"
                        raise RefusedError(text) from error
                    refused = True
                elif server_status(error) in _FINAL:
                    raise BiofuseError(f"{key} cannot be read: {self._explain(error)}") from error
                last: BaseException = error
                if _SLOW_DOWN.search(str(error)):
                    self.link.spare()
            most = self._timeout * _PART
            if not self.link.is_known and not _STATUS.search(str(last)):
                most = min(most, _FIRST_ANSWER)
            backoff = min(_MAX_BACKOFF, _BACKOFF * 2**attempt) * random.uniform(0.75, 1.25)
            if loop.time() + backoff - began > most:
                raise BiofuseError(
                    f"{key} cannot be read: {self._explain(last)} ({attempt + 1} attempts)"
                ) from last
            self.link.retried()
            await asyncio.sleep(backoff)
        raise AssertionError

    async def _move(self) -> bool:
        """Ask in another region from now on, if the place is in one that can be found out."""
        async with self._moving:
            if self._reopen is not None:
                reopen, self._reopen = self._reopen, None
                moved = await asyncio.to_thread(reopen)
                if moved is not None:
                    self._client, self._has_moved = moved, True
        return self._has_moved

    async def _doubled(self, ask: Callable[[Progress], Awaitable[T]]) -> T:
        """Ask, and once more where nothing comes; the first answer counts."""
        loop = asyncio.get_running_loop()
        progress = Progress()
        took = self.link.took
        patience = max(_LEAST_STALL, min(_MOST_STALL, _STALLED * took)) if took else _UNKNOWN_STALL
        tasks = {loop.create_task(_awaited(ask(progress)))}
        last: BaseException = TimeoutError("no answer")
        deadline = loop.time() + self._timeout * _PART
        try:
            while tasks:
                left = min(progress.at + patience, deadline) - loop.time()
                done, _ = await asyncio.wait(
                    tasks, timeout=max(0.01, left), return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    tasks.discard(task)
                    error = task.exception()
                    if error is None:
                        return task.result()
                    if isinstance(error, BiofuseError) or is_absent(error):
                        raise error
                    last = error
                if loop.time() >= deadline:
                    raise TimeoutError("no answer")
                stalled = loop.time() >= progress.at + patience
                if not done and stalled and len(tasks) < _MOST_COPIES:
                    self.link.retried()
                    progress.note()
                    patience *= 2
                    tasks.add(loop.create_task(_awaited(ask(progress))))
            raise last
        finally:
            for task in tasks:
                task.cancel()

    async def _once(
        self,
        key: str,
        start: int,
        stop: int | None,
        only_whole: bool,
        unless: str | None,
        progress: Progress,
    ) -> "Answer":
        if start == 0 and (stop is None or stop >= _WHOLE or only_whole):
            try:
                return await self._request(key, None, stop, unless, progress)
            except _TooLargeError as large:
                if only_whole:
                    return Answer(b"", 0, large.size, large.version)
        return await self._part(key, start, stop, unless, progress)

    async def _part(
        self, key: str, start: int, stop: int | None, unless: str | None, progress: Progress
    ) -> "Answer":
        """A part of an object; all of it, of a server that gives no parts."""
        if self._has_ranges:
            try:
                return await self._request(key, (start, stop), None, unless, progress)
            except (FileNotFoundError, BiofuseError, asyncio.CancelledError):
                raise
            except Exception as error:
                if _BEYOND.search(str(error)):
                    meta = await answer(lambda: self._obstore.head_async(self._client, key))
                    self._pins.check(key, meta)
                    return Answer(b"", start, int(meta["size"]), version_of(meta))
                if not _NO_RANGES.search(str(error)):
                    raise
            self._has_ranges = False
        try:
            return await self._request(key, None, _LARGEST_WHOLE, unless, progress)
        except _TooLargeError as large:
            raise BiofuseError(
                f"{key} cannot be read: it has {large.size:,} bytes, and the server does not "
                "give parts of objects (HTTP range requests)"
            ) from None

    async def _request(
        self,
        key: str,
        wanted: tuple[int, int | None] | None,
        most: int | None,
        unless: str | None,
        progress: Progress,
    ) -> "Answer":
        """One request. Raises `_TooLargeError` if the whole object is larger than wanted."""
        options: dict[str, Any] = {} if unless is None else {"if_none_match": unless}
        if wanted is not None:
            start, stop = wanted
            options["range"] = {"offset": start} if stop is None else (start, stop)
        began = self.link.began()
        size = answered = None
        try:
            result = await answer(
                lambda: self._obstore.get_async(self._client, key, options=options or None)
            )
            answered = self.link.answered(began)
            progress.note()
            meta = result.meta
            self._pins.check(key, meta)
            first, last = result.range
            if wanted is None and most is not None and meta["size"] > most:
                raise _TooLargeError(int(meta["size"]), version_of(meta))
            data = await self._body(result, last - first, progress)
            if len(data) != last - first:
                raise ConnectionError(f"{len(data)} bytes came of {last - first}")
            size = len(data)
        except self._not_modified:
            self.link.answered(began)
            raise NotModifiedError(key) from None
        finally:
            self.link.ended(began, size, answered)
        version = version_of(meta) if tells_version(meta) else None
        return Answer(data, first, int(meta["size"]), version, meta)

    async def _body(self, result: Any, size: int, progress: Progress) -> memoryview | bytes:
        if size < _LARGE:
            data = await answer(result.bytes_async)
            self.link.received(len(data))
            return memoryview(data).cast("B")
        parts = []
        stream = aiter(result.stream(min_chunk_size=_PIECE))
        while (part := await answer(lambda: anext(stream, None))) is not None:
            parts.append(part)
            self.link.received(len(part))
            progress.note()
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Answer(Piece):
    """Bytes of an object as a server told them.

    Attributes
    ----------
    meta : mapping or None
        What obstore says of the object, where bytes were wanted.
    """

    meta: Mapping[str, Any] | None = None


class NotModifiedError(BiofuseError):
    """An object is what it was."""


class _TooLargeError(Exception):
    """An object has more bytes than are wanted of it."""

    def __init__(self, size: int, version: str):
        super().__init__(size)
        self.size = size
        self.version = version


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable
