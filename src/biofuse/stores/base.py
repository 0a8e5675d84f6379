"""What every backend provides."""

from collections.abc import Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from biofuse.errors import DamagedError
from biofuse.stores.link import Link
from biofuse.stores.listing import Listing


@dataclass(frozen=True, slots=True)
class Range:
    """A part of a stored object.

    Attributes
    ----------
    key : str
        The object's key, relative to the store's root.
    start, stop : int, int or None
        Byte offsets; a stop of None or past the end means to the end.
    """

    key: str
    start: int = 0
    stop: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an open file.

    Attributes
    ----------
    fd : int
        Its descriptor.
    start, size : int
        In bytes.
    """

    fd: int
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a stored object.

    Attributes
    ----------
    data : bytes-like
        The bytes from `start` on: those asked for, or more of the object.
    start : int
        Their offset in the object.
    size : int
        Size of the whole object.
    version : hashable
        Differs from that of an earlier piece if the object was replaced in between.
    """

    data: bytes | memoryview
    start: int
    size: int
    version: Hashable

    def slice(self, start: int, stop: int) -> memoryview | None:
        """Bytes `start` to `stop` of the object, or None if they are not all here."""
        if start < self.start or stop > self.start + len(self.data):
            return None
        return memoryview(self.data)[start - self.start : stop - self.start]


class Store(Protocol):
    """Read access to a store's objects. Safe to use from several threads.

    Attributes
    ----------
    far : bool
        Whether each read takes its time, whatever its size: few large ones are better.
    """

    far: bool

    def get_many(self, ranges: Sequence[Range]) -> list[Piece | None]:
        """Read all of these, concurrently where that is faster.

        A backend may return more of an object than was asked for. None stands for an
        object that does not exist; any other failure is raised.
        """
        ...

    def part(self, key: str) -> "Part | None":
        """Where the object lies as it is in a file that the store keeps open; None elsewhere."""
        ...

    def hint(self, keys: Sequence[str]) -> None:
        """Say that these objects will be read soon; may do nothing."""
        ...

    def listing(self, folder: str) -> Listing | None:
        """What is stored below a folder; None where the backend cannot tell, or not soon."""
        ...

    def signature(self, keys: Sequence[str]) -> str | None:
        """A cheap text that changes when one of these objects or folders does.

        None where the backend has no cheap way to tell.
        """
        ...

    def close(self) -> None:
        """Give back whatever the backend holds."""
        ...


class FarStore(Store, Protocol):
    """A store at some distance.

    Attributes
    ----------
    link : Link
        What is known of the way to it.
    """

    link: Link

    @property
    def bytes_per_delay(self) -> int:
        """Bytes that come in the time that another request takes to be answered."""
        ...

    def get(self, key: str, most: int, ahead: bool = False) -> "Future[Piece | None]":
        """Have a whole object fetched; nothing of it but its size if that is larger.

        Parameters
        ----------
        key : str
        most : int
        ahead : bool
            Whether nobody waits for it yet.

        Returns
        -------
        Future
            None stands for an object that does not exist.
        """
        ...

    def size(self, key: str) -> int | None:
        """Bytes of an object; None if that is not known."""
        ...

    def hold(self, size: int) -> None:
        """Have no more bytes of what was hinted than these."""
        ...

    def signature_soon(self, keys: Sequence[str], known: str = "") -> "Future[str] | None":
        """Have `signature` found out anew; None if it is as new as it has to be.

        Parameters
        ----------
        keys : sequence of str
        known : str
            What it was, or nothing.
        """
        ...


class ListedStore(Store, Protocol):
    """A store that can tell what is in it."""

    def list_folders(self, key: str) -> list[str]:
        """Names of the folders directly in a folder, "" being the store's own."""
        ...


def read_whole(store: Store, keys: Sequence[str], most: int) -> list[Piece | None]:
    """Read whole objects that may not be larger than this; None for those that do not exist.

    Parameters
    ----------
    store : Store
    keys : sequence of str
    most : int
        Bytes.

    Raises
    ------
    DamagedError
        If one is larger, of which no more than that is read; or as `Store.get_many`.
    """
    pieces = store.get_many([Range(key, 0, most + 1) for key in keys])
    for key, piece in zip(keys, pieces, strict=True):
        if piece is not None and piece.size > most:
            raise DamagedError(
                f"{key} is damaged: it has {piece.size:,} bytes, and by the array's metadata "
                f"no more than {most:,} are possible",
                [key],
            )
    return pieces
