"""Encoded chunks on disk, for all mounts of a node.

An entry is a file named by hashes of the store, the key and the version; it has its version,
its size and a checksum in it, and is used only if all of them are right. Entries appear whole,
by renaming. Whoever writes one counts its bytes, under a lock, and first removes those unused
for longest where there would be too many.

Several users may have one directory for theirs. Each has a folder in it; root's is for all who
may read it.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from biofuse.durable import write_all
from biofuse.stores.pins import number_of, version_of
from biofuse.trust import UntrustedError, open_file, open_folder

logger = logging.getLogger("biofuse.stores")

# A user's folder within the one that is named, by the user's number.
_FOLDER = "biofuse-chunks-{}"
_ROOT = 0
# Of each folder in that: entries whose names begin so.
_PART = re.compile(r"[0-9a-f]{2}")
_ENTRY = re.compile(r"[0-9a-f]{40}-[0-9a-f]{16}")
_UNFINISHED = re.compile(r"new-[0-9a-f]{32}")
# Seconds after which an unfinished entry is taken for abandoned.
_ABANDONED = 3600
# Bytes of all entries, as they were counted.
_TOTAL, _LOCK = "total", "lock"
_COUNT = struct.Struct("<Q")
# Where there are too many, this part of them may stay: entries are not looked through often.
_KEPT = 0.9
# Space on disk is given in blocks.
_BLOCK = 4096
# When an entry was used last is told that exactly, in seconds.
_USED = 60
# Seconds in which the lock must be had.
_PATIENCE = 2.0
# What an entry begins with: these bytes, its content's size, a checksum of all that follows,
# the size of what tells its version, which comes next, and a hash of the store and the key.
_HEAD = struct.Struct("<8sQIH32s")
_MAGIC = b"bfchunk1"


@dataclass(frozen=True, slots=True)
class Kept:
    """An object that was kept.

    Attributes
    ----------
    data : memoryview
    meta : dict
        What obstore said of it.
    """

    data: memoryview
    meta: dict[str, Any]


class ChunkCache:
    """The chunks of this user, in a folder of their own within a directory. Thread-safe.

    Whatever goes wrong with the disk is logged, once, and nothing is kept any more.

    Parameters
    ----------
    parent : str
        The directory, which others may use for theirs.
    size : int
        Bytes that may be kept.
    """

    def __init__(self, parent: str, size: int):
        self.path = os.path.join(parent, _FOLDER.format(os.geteuid()))
        self._for_all = os.path.join(parent, _FOLDER.format(_ROOT))
        self._size = size
        self._usable = size > 0

    def find(self, store: str, key: str, version: int | None) -> Kept | None:
        """An object of a version; of any, the last that was used, if None.

        Parameters
        ----------
        store : str
            What tells the store from all others.
        key : str
        version : int or None
            `pins.number_of` it.
        """
        digest = _digest(store, key)
        for path in dict.fromkeys((self.path, self._for_all)):
            with contextlib.suppress(OSError, UntrustedError):
                found = self._find_in(path, digest, version)
                if found is not None:
                    return found
        return None

    def _find_in(self, path: str, digest: bytes, version: int | None) -> Kept | None:
        with _opened(path) as folder, _opened_part(digest.hex()[:2], folder) as part:
            if version is not None:
                return _read(_name(digest, version), part, digest)
            prefix = f"{digest.hex()[:40]}-"
            names = [name for name in os.listdir(part) if name.startswith(prefix)]
            if not names:
                return None
            times = {name: os.stat(name, dir_fd=part).st_mtime_ns for name in names}
            return _read(max(names, key=times.__getitem__), part, digest)

    def put(self, store: str, key: str, meta: Mapping[str, Any], data: Any) -> None:
        """Keep a whole object.

        Parameters
        ----------
        store, key : str
        meta : mapping
            What obstore says of it, with an ETag.
        data : bytes-like
        """
        if not self._usable:
            return
        digest = _digest(store, key)
        told = _pack_meta(meta)
        checksum = zlib.crc32(data, zlib.crc32(told))
        head = _HEAD.pack(_MAGIC, len(data), checksum, len(told), digest) + told
        if _charge(len(head) + len(data)) > self._size:
            return
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            with _opened(self.path) as folder:
                self._write(folder, _name(digest, number_of(version_of(meta))), [head, data])
        except (OSError, UntrustedError) as error:
            if self._usable:
                self._usable = False
                logger.warning("chunks are not kept in %s any more: %s", self.path, error)

    def remove(self, store: str, key: str, version: int) -> None:
        """Keep an object no longer.

        Parameters
        ----------
        store, key : str
        version : int
            As of `find`.
        """
        name = _name(_digest(store, key), version)
        with contextlib.suppress(OSError, UntrustedError), _opened(self.path) as folder:
            _remove(f"{name[:2]}/{name}", folder)

    def _write(self, folder: int, name: str, pieces: list[Any]) -> None:
        part = name[:2]
        with contextlib.suppress(FileExistsError):
            os.mkdir(part, mode=0o700, dir_fd=folder)
        path, unfinished = f"{part}/{name}", f"new-{os.urandom(16).hex()}"
        if _exists(path, folder):
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(unfinished, flags, 0o600, dir_fd=folder), "wb", buffering=0) as file:
            try:
                for piece in pieces:
                    write_all(file.fileno(), piece)
                charge = _charge(sum(map(len, pieces)))
                with _locked(folder) as has_lock:
                    # Another may have been faster, or nobody gives the lock back.
                    if has_lock and not _exists(path, folder):
                        self._make_room(folder, charge)
                        os.rename(unfinished, path, src_dir_fd=folder, dst_dir_fd=folder)
                        return
            except BaseException:
                _remove(unfinished, folder)
                raise
        _remove(unfinished, folder)

    def _make_room(self, folder: int, charge: int) -> None:
        """Count the bytes of an entry, and remove others where there are too many."""
        total = _read_total(folder)
        if total is None or total + charge > self._size:
            total = _prune(folder, int(self._size * _KEPT) - charge, self._size - charge)
        _write_total(folder, total + charge)


def _digest(store: str, key: str) -> bytes:
    return hashlib.sha256(f"{store}\0{key}".encode("utf-8", "surrogateescape")).digest()


def _name(digest: bytes, version: int) -> str:
    return f"{digest.hex()[:40]}-{version:016x}"


def _charge(size: int) -> int:
    """What a file takes on disk."""
    return -(-size // _BLOCK) * _BLOCK


def _pack_meta(meta: Mapping[str, Any]) -> bytes:
    changed = meta.get("last_modified")
    seconds = changed.timestamp() if isinstance(changed, datetime) else None
    return json.dumps({"e_tag": meta["e_tag"], "modified": seconds}).encode()


def _unpack_meta(told: bytes | memoryview, size: int) -> dict[str, Any]:
    value = json.loads(bytes(told))
    seconds = value["modified"]
    changed = None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return {"e_tag": value["e_tag"], "size": size, "last_modified": changed}


def _read(name: str, part: int, digest: bytes) -> Kept | None:
    """An entry; one that is damaged is removed."""
    with open(open_file(name, part), "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        content = memoryview(file.read())
        found = _parse(content, name, digest)
        if found is None:
            _remove(name, part)
        elif time.time() - status.st_mtime > _USED:
            # Root's is not for others to touch.
            with contextlib.suppress(OSError):
                os.utime(file.fileno())
        return found


def _parse(content: memoryview, name: str, digest: bytes) -> Kept | None:
    if len(content) < _HEAD.size:
        return None
    magic, size, checksum, told, of = _HEAD.unpack_from(content)
    rest = content[_HEAD.size :]
    right = (magic, len(rest), of) == (_MAGIC, told + size, digest)
    if not right or zlib.crc32(rest) != checksum:
        return None
    try:
        meta = _unpack_meta(rest[:told], size)
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
    if _name(digest, number_of(version_of(meta))) != name:
        return None
    return Kept(rest[told:], meta)


@contextmanager
def _opened(path: str) -> Iterator[int]:
    """A folder's descriptor, if nobody but this user and root may write there."""
    fd = open_folder(path)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _opened_part(name: str, folder: int) -> Iterator[int]:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(name, flags, dir_fd=folder)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _locked(folder: int) -> Iterator[bool]:
    """Hold the folder's lock; False if that cannot be had, since a process that has it was
    stopped."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(_LOCK, flags, 0o600, dir_fd=folder)
    try:
        yield _try_to_lock(fd)
    finally:
        os.close(fd)


def _try_to_lock(fd: int) -> bool:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.001)
        else:
            return True


def _read_total(folder: int) -> int | None:
    """Bytes of all entries as they were counted, at least; None if nobody has."""
    try:
        with open(os.open(_TOTAL, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder), "rb") as file:
            data = file.read(_COUNT.size)
    except FileNotFoundError:
        return None
    return int(_COUNT.unpack(data)[0]) if len(data) == _COUNT.size else None


def _write_total(folder: int, total: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    with open(os.open(_TOTAL, flags, 0o600, dir_fd=folder), "wb", buffering=0) as file:
        write_all(file.fileno(), _COUNT.pack(total))


def _prune(folder: int, few: int, most: int) -> int:
    """Remove the entries unused for longest, down to `few` bytes, if there are more than `most`.

    Nothing is touched that this cache has not made, whatever folder this is. Returns the bytes
    of those that stay.
    """
    entries = []
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            if _UNFINISHED.fullmatch(name):
                if time.time() - os.stat(name, dir_fd=folder).st_mtime > _ABANDONED:
                    _remove(name, folder)
            elif _PART.fullmatch(name):
                with _opened_part(name, folder) as part, os.scandir(part) as found:
                    for entry in found:
                        if _ENTRY.fullmatch(entry.name):
                            status = entry.stat(follow_symlinks=False)
                            path = f"{name}/{entry.name}"
                            entries.append((status.st_mtime_ns, _charge(status.st_size), path))
    total = sum(size for _, size, _ in entries)
    if total > most:
        for _, size, path in sorted(entries):
            if total <= few:
                break
            _remove(path, folder)
            total -= size
    return total


def _exists(path: str, folder: int) -> bool:
    try:
        os.stat(path, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _remove(path: str, folder: int) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path, dir_fd=folder)
