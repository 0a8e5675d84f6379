"""Stores in object stores and on web servers, through obstore."""

import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from biofuse.errors import BiofuseError
from biofuse.stores.base import Part, Piece, Range
from biofuse.stores.hints import Hints
from biofuse.stores.link import Link, LinkUse
from biofuse.stores.listing import Listing
from biofuse.stores.pins import Pins, number_of, version_of
from biofuse.stores.requests import Objects, Requests

if TYPE_CHECKING:
    from biofuse.stores.chunk_cache import ChunkCache
    from biofuse.stores.kept import KeptObjects

# Bytes of objects that are fetched before anybody asks, and of those that somebody has asked for
# and may again.
HINTED, USED = 64 << 20, 16 << 20
# Objects of a store that is listed as a whole: some answers, one after another.
_FEW = 3000
# Seconds for which what a store's metadata was holds.
_FRESH = 1.0


class ObjectStore:
    """A store whose objects are those below a place's root. Thread-safe.

    Parameters
    ----------
    requests : Requests
    link : Link
        Theirs.
    pins : Pins
        Theirs, which listings add to.
    lists : bool
        Whether the place can tell what is in it.
    """

    far = True

    def __init__(self, requests: Requests, link: Link, pins: Pins, lists: bool):
        self.link = link
        self.pins = pins
        self.lists = lists
        self._requests = requests
        self._lock = threading.Lock()
        self._hints = Hints(self._ahead, link, HINTED, USED)
        self._listings: dict[str, Future[Objects | None]] = {}
        self._known: dict[str, list[str]] | None = None
        self._signatures: dict[tuple[str, ...], tuple[float, str]] = {}
        self._signing: dict[tuple[str, ...], Future[str]] = {}
        self._kept: KeptObjects | None = None

    def keep(self, cache: "ChunkCache", place: str) -> None:
        """Have chunks kept on disk, and taken from there.

        Parameters
        ----------
        cache : ChunkCache
        place : str
            What tells this store's place from all others.
        """
        from biofuse.stores.kept import KeptObjects

        if self._kept is None:
            self._kept = KeptObjects(
                cache,
                place,
                self._requests,
                self.pins,
                lambda: self._objects("") if self.lists else None,
            )

    def doubt(self, keys: Iterable[str]) -> bool:
        """Say that what came of chunks was damaged; whether that may have been on disk."""
        if self._kept is None:
            return False
        self._kept.doubt(keys)
        return True

    def _fetch(
        self,
        key: str,
        start: int = 0,
        stop: int | None = None,
        ahead: bool = False,
        whole: bool = False,
    ) -> "Future[Piece | None]":
        """`Requests.get`, or what is on disk."""
        return (self._kept or self._requests).get(key, start, stop, ahead, whole)

    @property
    def use(self) -> LinkUse:
        """What was asked for."""
        return self.link.use

    @property
    def bytes_per_delay(self) -> int:
        """Bytes that come in the time that another request takes to be answered."""
        return self.link.bytes_per_delay

    def get_many(self, ranges: Sequence[Range]) -> list[Piece | None]:
        futures = [None if self.is_absent(r.key) else self._hinted_or_new(r) for r in ranges]
        return [None if future is None else future.result() for future in futures]

    def size(self, key: str) -> int | None:
        """Bytes of an object that a listing has told of."""
        return self.pins.size(key)

    def get(self, key: str, most: int, ahead: bool = False) -> "Future[Piece | None]":
        """Have a whole object fetched; nothing of it but its size if that is larger.

        Parameters
        ----------
        key : str
        most : int
        ahead : bool
            Whether nobody waits for it yet.
        """
        return self._fetch(key, 0, most, ahead, whole=True)

    def request(
        self, key: str, start: int, stop: int, ahead: bool = False
    ) -> "Future[Piece | None]":
        """Have a part of an object fetched."""
        return self._fetch(key, start, stop, ahead)

    def _hinted_or_new(self, wanted: Range) -> "Future[Piece | None]":
        found = self._hints.take(wanted.key)
        return found or self._fetch(wanted.key, wanted.start, wanted.stop)

    def _ahead(self, key: str) -> "Future[Piece | None]":
        return self._fetch(key, ahead=True)

    def hint(self, keys: Sequence[str]) -> None:
        if self.lists:
            self._overview()
        self._hints.add([key for key in keys if not self.is_absent(key)])

    def hold(self, size: int) -> None:
        """Have no more bytes of what was hinted, of both kinds together, than these."""
        self._hints = Hints(self._ahead, self.link, size, 0)

    def part(self, key: str) -> Part | None:
        return None

    def begin(self) -> None:
        """Have the store listed, if it has few objects, before anybody asks."""
        if self.lists:
            self._objects("")

    def _objects(self, folder: str) -> "Future[Objects | None]":
        with self._lock:
            if folder not in self._listings:
                prefix, most = (f"{folder}/", None) if folder else ("", _FEW)
                self._listings[folder] = self._requests.list(prefix, most)
            return self._listings[folder]

    def _overview(self) -> dict[str, list[str]] | None:
        """Names below each folder of the root, and of the root's own objects below ""; None
        of a store of too many objects."""
        if not self.lists:
            return None
        with self._lock:
            if self._known is not None:
                return self._known or None
        try:
            found = self._objects("").result()
        except BiofuseError:
            # Who may read objects may not be allowed to list them.
            self.lists = False
            return None
        known: dict[str, list[str]] = {}
        for each in found or ():
            folder, slash, name = str(each["path"]).partition("/")
            known.setdefault(folder if slash else "", []).append(name if slash else folder)
        self.pins.add(found or ())
        with self._lock:
            self._known = known
        return known or None

    def is_absent(self, key: str) -> bool:
        """Whether a listing has told that there is no such object."""
        with self._lock:
            known = self._known
        if not known:
            return False
        return not self.pins.has(key)

    def listing(self, folder: str) -> Listing | None:
        if not self.lists:
            return None
        known = self._overview()
        if known is not None:
            return Listing(list(known.get(folder, ())))
        if not self.lists:
            return None
        found = self._objects(folder).result()
        self.pins.add(found or ())
        return Listing([str(each["path"])[len(folder) + 1 :] for each in found or ()])

    def versions(
        self, roots: Sequence[str], folders: Sequence[str], keys: Sequence[str]
    ) -> list[str]:
        """What tells the versions of a store's objects, as they are now.

        Parameters
        ----------
        roots : sequence of str
            Keys that are looked at in any case.
        folders : sequence of str
            Of the root, whose objects all count where the store is listed as a whole.
        keys : sequence of str
            Those that count where it is not.
        """
        self._overview()
        metas = self._objects("").result() if self.lists else None
        if metas is None:
            return self._versions([*roots, *keys])
        wanted = set(folders)
        found = sorted(
            f"{each['path']}\t{version_of(each)}"
            for each in metas
            if str(each["path"]).partition("/")[0] in wanted
        )
        return self._versions(roots) + found

    def _versions(self, keys: Sequence[str]) -> list[str]:
        """Keys, and the versions that answers have told, now or before."""
        seen = {key: self.pins.known(key) for key in keys}
        futures = {key: self._requests.version(key) for key in keys if seen[key] is None}
        for key, future in futures.items():
            version = future.result()
            seen[key] = None if version is None else number_of(version)
        return [f"{key}\t{seen[key]}" for key in keys]

    def signature(self, keys: Sequence[str]) -> str | None:
        """What tells the versions of some objects, as it was a second ago or later."""
        future = self.signature_soon(keys)
        if future is not None:
            future.result()
        with self._lock:
            found = self._signatures.get(tuple(keys))
        return None if found is None else found[1]

    def prime(self, keys: Sequence[str], text: str) -> None:
        """Say what `signature` of some objects is, which were read just now."""
        with self._lock:
            self._signatures[tuple(keys)] = time.monotonic(), text

    def signature_soon(self, keys: Sequence[str], known: str = "") -> "Future[str] | None":
        """Have `signature` found out anew; None if it is as new as it has to be."""
        named = tuple(keys)
        if not keys:
            return None
        with self._lock:
            found = self._signatures.get(named)
            if found is not None and time.monotonic() - found[0] < _FRESH:
                return None
            if named in self._signing:
                return self._signing[named]
            future = self._signing[named] = self._requests.versions(
                named, _words(found[1] if found else known)
            )

        def keep(done: "Future[str]") -> None:
            with self._lock:
                del self._signing[named]
                if done.exception() is None:
                    self._signatures[named] = time.monotonic(), done.result()

        future.add_done_callback(keep)
        return future

    def list_folders(self, key: str) -> list[str]:
        """Names of the folders in a folder.

        Raises
        ------
        BiofuseError
            If the place cannot tell.
        """
        if not self.lists:
            raise BiofuseError(
                "a web server does not tell what arrays a store has: its metadata must be "
                "consolidated (zarr.consolidate_metadata)"
            )
        known = None if key else self._overview()
        if known is not None:
            return sorted(folder for folder in known if folder)
        folders, _ = self._requests.list_folder(key).result()
        return list(folders)

    def list_names(self, key: str) -> list[str]:
        """Names of all that is directly in a folder; none where the place cannot tell."""
        if not self.lists:
            return []
        folders, names = self._requests.list_folder(key).result()
        return [*folders, *names]

    def close(self) -> None:
        pass


def _words(signature: str) -> list[str]:
    """The versions that a signature has, of servers that tell them as ETags."""
    return [word for word in signature.split(" ") if word != "-"]
