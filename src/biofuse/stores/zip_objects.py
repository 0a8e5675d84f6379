"""Stores in one zip file in an object store or on a web server."""

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from biofuse.errors import BiofuseError, one_line
from biofuse.stores.base import Part, Piece, Range
from biofuse.stores.hints import Hints
from biofuse.stores.link import LinkUse
from biofuse.stores.listing import Listing
from biofuse.stores.objects import HINTED, USED, ObjectStore

# A member's header in the file; its name and more, of lengths that it ends with, follow.
_HEADER = struct.Struct("<4s22xHH")
_SIGNATURE = b"PK\x03\x04"
# What a header has beside the name, mostly: Zip64 sizes, time stamps.
_EXTRA = 64
# What is read of the file's end, which has the directory or tells where it is.
_TAIL = 1 << 20
# A directory may not be larger.
_MAX_DIRECTORY = 1 << 30
_SMALLEST = 22


class _Tail(io.RawIOBase):
    """A file of which only the end can be read, fetched once, and more of it where it must."""

    def __init__(self, store: ObjectStore, key: str):
        self._store = store
        self._key = key
        [piece] = store.get_many([Range(key, 0, 1)])
        if piece is None:
            raise FileNotFoundError(key)
        self.size = piece.size
        self._start = max(0, self.size - _TAIL)
        self._data = self._fetch(self._start, self.size)
        self._position = 0

    def _fetch(self, start: int, stop: int) -> memoryview:
        if stop - start > _MAX_DIRECTORY:
            raise zipfile.BadZipFile("its directory is too large")
        [piece] = self._store.get_many([Range(self._key, start, stop)])
        data = None if piece is None else piece.slice(start, stop)
        if data is None:
            raise zipfile.BadZipFile("it ends early")
        return data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError("before the file's begin")
        self._position = base + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        stop = self.size if size < 0 else min(self._position + size, self.size)
        if self._position >= stop:
            return b""
        if self._position < self._start:
            more = self._fetch(self._position, self._start)
            self._data = memoryview(b"".join((more, self._data)))
            self._start = self._position
        found = bytes(self._data[self._position - self._start : stop - self._start])
        self._position = stop
        return found


class ZipObjects:
    """A store whose objects are members of a zip file at some distance.

    The directory is read once, and each member in one request. Members should be stored as
    they are, as Zarr's are; others are fetched whole.

    Parameters
    ----------
    store : ObjectStore
        That the file is in.
    key : str
        The file's.

    Raises
    ------
    BiofuseError
        If there is no zip file.
    """

    far = True
    # The names of all that it has were read with its directory.
    knows_all = True
    lists = True

    def __init__(self, store: ObjectStore, key: str):
        self._store = store
        self._key = key
        try:
            tail = _Tail(store, key)
            with zipfile.ZipFile(tail) as archive:
                self._members = {info.filename: info for info in archive.infolist()}
        except BiofuseError:
            raise
        except FileNotFoundError:
            raise BiofuseError(f"there is no object {key}") from None
        except Exception as error:
            raise BiofuseError(f"cannot read {key} as a zip file: {one_line(error)}") from error
        self._size = tail.size
        self._hints = Hints(self._ahead, store.link, HINTED, USED)
        self.pins = store.pins
        self.link = store.link

    @property
    def use(self) -> LinkUse:
        """What was asked for."""
        return self._store.use

    @property
    def bytes_per_delay(self) -> int:
        """As an `ObjectStore`'s."""
        return self._store.bytes_per_delay

    @property
    def names(self) -> list[str]:
        """All keys."""
        return list(self._members)

    def begin(self) -> None:
        """The directory is there."""

    def get_many(self, ranges: Sequence[Range]) -> list[Piece | None]:
        futures = [
            self._hints.take(r.key) or self._begin(r.key, r.start, r.stop, False) for r in ranges
        ]
        return [None if future is None else future.result() for future in futures]

    def size(self, key: str) -> int | None:
        """Bytes of a member, 0 if there is none."""
        info = self._members.get(key)
        return 0 if info is None else info.file_size

    def get(self, key: str, most: int, ahead: bool = False) -> "Future[Piece | None]":
        """As of an `ObjectStore`."""
        info = self._members.get(key)
        future = self._begin(key, 0, most, ahead) if info and info.file_size <= most else None
        if future is None:
            future = Future()
            future.set_result(None if info is None else Piece(b"", 0, info.file_size, None))
        return future

    def signature_soon(self, keys: Sequence[str], known: str = "") -> "Future[str] | None":
        """As of an `ObjectStore`."""
        return self._store.signature_soon([self._key], known)

    def _begin(
        self, key: str, start: int, stop: int | None, ahead: bool
    ) -> "Future[Piece | None] | None":
        info = self._members.get(key)
        if info is None:
            return None
        result: Future[Piece | None] = Future()
        stored = info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1
        stop = info.file_size if stop is None else min(stop, info.file_size)
        if not stored:
            start, stop = 0, info.file_size
        # Up to a part's end; the header, of which the length is not known, lies before.
        room = _HEADER.size + len(info.orig_filename.encode()) + _EXTRA
        end = min(self._size, info.header_offset + room + (stop if stored else info.compress_size))
        fetched = self._store.request(self._key, info.header_offset, end, ahead)

        def take(done: "Future[Piece | None]") -> None:
            try:
                result.set_result(self._take(info, start, max(start, stop), done.result()))
            except BaseException as error:
                result.set_exception(error)

        fetched.add_done_callback(take)
        return result

    def _take(self, info: zipfile.ZipInfo, start: int, stop: int, piece: Piece | None) -> Piece:
        """The part of a member, from its header on, that was fetched."""
        name = info.filename
        if piece is None:
            raise BiofuseError(f"{name} cannot be read: {self._key} is gone")
        base = info.header_offset
        header = piece.slice(base, base + _HEADER.size)
        if header is None or bytes(header[:4]) != _SIGNATURE:
            raise BiofuseError(f"{name} cannot be read: its header is damaged")
        _, name_size, extra_size = _HEADER.unpack(header)
        first = base + _HEADER.size + name_size + extra_size
        stored = info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1
        size = stop if stored else info.compress_size
        data = piece.slice(first, first + size)
        if data is None:
            if first + size > self._size:
                raise BiofuseError(f"{name} cannot be read: it is longer than the archive")
            # More in its header than is usual.
            [more] = self._store.get_many([Range(self._key, first, first + size)])
            data = None if more is None else more.slice(first, first + size)
            if data is None:
                raise BiofuseError(f"{name} cannot be read: it ends early")
        if not stored:
            data = memoryview(_decompress(info, data))
        if start == 0 and stop == info.file_size and zlib.crc32(data) != info.CRC:
            raise BiofuseError(f"{name} cannot be read: its checksum does not match its content")
        return Piece(data[start:stop], start, info.file_size, piece.version)

    def _ahead(self, key: str) -> "Future[Piece | None]":
        return self.get(key, self._size, ahead=True)

    def hint(self, keys: Sequence[str]) -> None:
        self._hints.add([key for key in keys if key in self._members])

    def hold(self, size: int) -> None:
        """As of an `ObjectStore`."""
        self._hints = Hints(self._ahead, self.link, size, 0)

    def part(self, key: str) -> Part | None:
        return None

    def is_absent(self, key: str) -> bool:
        """Whether there is no such member."""
        return key not in self._members

    def listing(self, folder: str) -> Listing | None:
        prefix = f"{folder}/" if folder else ""
        return Listing([n[len(prefix) :] for n in self._members if n.startswith(prefix)])

    def list_names(self, key: str) -> list[str]:
        """As of an `ObjectStore`."""
        return []

    def list_folders(self, key: str) -> list[str]:
        """Names of the folders in a folder."""
        prefix = f"{key}/" if key else ""
        rest = (n[len(prefix) :] for n in self._members if n.startswith(prefix))
        return sorted({name.partition("/")[0] for name in rest if "/" in name})

    def versions(
        self, roots: Sequence[str], folders: Sequence[str], keys: Sequence[str]
    ) -> list[str]:
        """As of an `ObjectStore`: that of the file."""
        return self._store.versions([self._key], (), ())

    def signature(self, keys: Sequence[str]) -> str | None:
        return self._store.signature([self._key])

    def close(self) -> None:
        self._store.close()


def _decompress(info: zipfile.ZipInfo, data: memoryview) -> bytes:
    """A member's bytes, no more than its directory entry says."""
    if info.flag_bits & 1:
        raise BiofuseError(f"{info.filename} cannot be read: it is encrypted")
    decompressor: Any
    if info.compress_type == zipfile.ZIP_STORED:
        return bytes(data)
    if info.compress_type != zipfile.ZIP_DEFLATED:
        raise BiofuseError(
            f"{info.filename} cannot be read: its compression in the zip file is not known"
        )
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found: bytes = decompressor.decompress(data, info.file_size + 1)
    except zlib.error as error:
        raise BiofuseError(f"{info.filename} cannot be read: {one_line(error)}") from error
    if len(found) != info.file_size:
        raise BiofuseError(f"{info.filename} cannot be read: it is of another size than it says")
    return found
