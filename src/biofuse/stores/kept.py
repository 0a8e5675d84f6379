"""Objects of a store at some distance, of which those that were fetched before are on disk.

What is on disk is used if the store has that very version now: of an object that a listing of
this process tells of, or an answer has told of, that is known; else the server is asked, which
answers in a few bytes that the object is what it was.
"""

import asyncio
import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from biofuse.errors import BiofuseError
from biofuse.stores.base import Piece
from biofuse.stores.chunk_cache import ChunkCache, Kept
from biofuse.stores.loop import event_loop
from biofuse.stores.metadata import is_metadata
from biofuse.stores.pins import Pins, number_of, version_of
from biofuse.stores.requests import Answer, NotModifiedError, Objects, Requests

# Threads that read and write.
_THREADS = 4
# Bytes that wait to be written; what is beyond is not kept.
_MOST_WAITING = 16 << 20
# What tells one place from another of the same URL, in options and variables.
_PLACE = re.compile(r"endpoint|account_?name|base_?url", re.IGNORECASE)
_CLOUDS = ("AWS_", "AZURE_", "GOOGLE_")
# Of URLs: what signs them, and changes from one day to the next.
_SIGNED = re.compile(
    r"x-(amz|goog|ms)-.*|s[verptis]|sig|srt|spr|sip|skoid|sktid|skt|ske|sks|skv|sdd|"
    r"awsaccesskeyid|googleaccessid|expires|signature|policy|key-pair-id|.*token.*|.*secret.*",
    re.IGNORECASE,
)


def place_name(url: str, options: Mapping[str, Any], env: Mapping[str, str] = os.environ) -> str:
    """What tells a place from all others, without what gives access to it.

    Parameters
    ----------
    url : str
    options : mapping
        The client's.
    env : mapping
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2] if parts.scheme.startswith("http") else parts.netloc
    query = [(k, v) for k, v in parse_qsl(parts.query, True) if not _SIGNED.fullmatch(k)]
    told = {name: str(value) for name, value in options.items() if _PLACE.search(name)}
    told |= {
        name: value
        for name, value in env.items()
        if name.upper().startswith(_CLOUDS) and _PLACE.search(name)
    }
    return repr((parts.scheme, host, parts.path.rstrip("/"), sorted(query), sorted(told.items())))


class KeptObjects:
    """Gets objects of one place from disk, or from their server.

    Parameters
    ----------
    cache : ChunkCache
    place : str
        As `place_name` has it.
    requests : Requests
    pins : Pins
    listed : callable
        Has the store listed, if the place can tell and there are few objects; a future of
        what obstore says of them, else of None.
    """

    def __init__(
        self,
        cache: ChunkCache,
        place: str,
        requests: Requests,
        pins: Pins,
        listed: "Callable[[], Future[Objects | None] | None]",
    ):
        self._cache = cache
        self._place = place
        self._requests = requests
        self._pins = pins
        self._listed = listed
        self._pool = ThreadPoolExecutor(_THREADS, "chunks")
        self._now: dict[int, int] | None = None
        self._lock = threading.Lock()
        self._waiting = 0
        self._doubted: set[str] = set()

    def get(
        self, key: str, start: int, stop: int | None, ahead: bool, whole: bool
    ) -> "Future[Piece | None]":
        """As `Requests.get`."""
        if is_metadata(key) or key in self._doubted:
            return self._requests.get(key, start, stop, ahead, whole)
        return event_loop().submit(self._get(key, start, stop, ahead, whole))

    def doubt(self, keys: Iterable[str]) -> None:
        """Neither keep objects any more nor take them from disk: what came of them was damaged."""
        doubted = [key for key in keys if key not in self._doubted]
        self._doubted.update(doubted)
        for key in doubted:
            version = self._pins.known(key)
            if version is not None:
                self._cache.remove(self._place, key, version)

    async def _get(
        self, key: str, start: int, stop: int | None, ahead: bool, whole: bool
    ) -> Piece | None:
        version = self._pins.seen(key)
        is_current = version is not None
        if version is None:
            version = self._pins.listed(key)
            is_current = version is not None and await self._is_current(key, version)
        found = await self._run(self._cache.find, self._place, key, version)
        unless = None
        if found is not None and not is_current:
            unless = str(found.meta["e_tag"])
        elif found is not None:
            return self._take(key, found, stop, whole)
        try:
            answer = await self._requests.fetch(key, start, stop, ahead, whole, unless)
        except NotModifiedError:
            assert found is not None
            return self._take(key, found, stop, whole)
        if answer is not None:
            self._keep(key, answer)
        return answer

    async def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    async def _is_current(self, key: str, version: int) -> bool:
        """Whether a listing of this process tells that an object has this version."""
        if self._now is None:
            future = self._listed()
            try:
                metas = None if future is None else await asyncio.wrap_future(future)
            except BiofuseError:
                # Who may read need not be allowed to list.
                metas = None
            self._now = {
                number_of(each["path"]): number_of(version_of(each)) for each in metas or ()
            }
        return self._now.get(number_of(key)) == version

    def _take(self, key: str, found: Kept, stop: int | None, whole: bool) -> Piece:
        """What was found, if it is of the version that is pinned; raises as `Pins.check`."""
        self._pins.check(key, found.meta)
        size, version = len(found.data), version_of(found.meta)
        if whole and stop is not None and size > stop:
            return Piece(b"", 0, size, version)
        self._requests.link.found_kept(size)
        return Piece(found.data, 0, size, version)

    def _keep(self, key: str, answer: Answer) -> None:
        """Have a whole object kept, in a while."""
        meta, size = answer.meta, len(answer.data)
        if meta is None or not meta.get("e_tag") or answer.start != 0 or size != answer.size:
            return
        with self._lock:
            if self._waiting + size > _MOST_WAITING and self._waiting:
                return
            self._waiting += size
        self._pool.submit(self._put, key, meta, answer.data)

    def _put(self, key: str, meta: Mapping[str, Any], data: bytes | memoryview) -> None:
        try:
            if key not in self._doubted:
                self._cache.put(self._place, key, meta, data)
            if key in self._doubted:
                # Since it was begun.
                self._cache.remove(self._place, key, number_of(version_of(meta)))
        finally:
            with self._lock:
                self._waiting -= len(data)
