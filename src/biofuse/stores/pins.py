"""Which version of each object a store had, so that no other is read.

A server names versions by ETags. Those that a listing told when the plan was made are in a
table of the plan; of objects that it has not, the first answer counts, unless the object was
changed later than the plan was made.
"""

import hashlib
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from biofuse.errors import MOUNT_AGAIN, StoreChangedError

# Seconds by which a server's clock may be ahead.
_SLACK = 2.0
# Objects whose first answer is remembered.
_MAX_SEEN = 50_000
_COUNT = struct.Struct("<Q")


def version_of(meta: Mapping[str, Any]) -> str:
    """What tells a version of an object from others, of what obstore says of it."""
    tag = meta.get("e_tag")
    if tag:
        # Lists and answers differ in quotes, and proxies that compress make a tag weak.
        return str(tag).removeprefix("W/").strip('"')
    return f"{meta['size']} {_modified(meta) or 0:.0f}"


def tells_version(meta: Mapping[str, Any]) -> bool:
    """Whether an answer tells more of the object's version than its size."""
    return bool(meta.get("e_tag")) or _modified(meta) is not None


def _modified(meta: Mapping[str, Any]) -> float | None:
    """When an object was changed, in seconds since 1970, if that was said."""
    changed = meta.get("last_modified")
    if not isinstance(changed, datetime):
        return None
    # Which stands for none.
    return changed.timestamp() or None


def number_of(text: str) -> int:
    """A number of 64 bits that stands for a text."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


class Pins:
    """The versions of a store's objects.

    Parameters
    ----------
    table : bytes-like, optional
        What `to_bytes` of the plan's pins gave.
    planned_ns : int, optional
        When the plan was made, in nanoseconds since 1970.
    """

    def __init__(self, table: bytes | memoryview | None = None, planned_ns: int | None = None):
        self._planned = None if planned_ns is None else planned_ns / 1e9
        self._seen: dict[int, int] = {}
        self._listed: dict[int, tuple[int, int]] = {}
        self._keys = self._versions = self._sizes = memoryview(b"").cast("B")
        if table is not None and len(table):
            (count,) = _COUNT.unpack_from(table)
            numbers = memoryview(table)[_COUNT.size : _COUNT.size + 24 * count].cast("Q")
            self._keys, self._versions = numbers[:count], numbers[count : 2 * count]
            self._sizes = numbers[2 * count :]

    def add(self, metas: Iterable[Mapping[str, Any]]) -> None:
        """Take note of objects as a listing tells of them, by their keys.

        Those that the table has stay as it has them: a later listing tells what became of them.
        """
        for meta in metas:
            number = number_of(meta["path"])
            if self._in_table(number) is None:
                self._listed[number] = number_of(version_of(meta)), int(meta["size"])

    def __len__(self) -> int:
        return len(self._keys) + len(self._listed)

    def size(self, key: str) -> int | None:
        """Bytes of an object; None if that is not known."""
        found = self._find(key)
        return None if found is None else found[1]

    def has(self, key: str) -> bool:
        """Whether a listing has told of an object."""
        return self._find(key) is not None

    def _find(self, key: str) -> tuple[int, int] | None:
        number = number_of(key)
        return self._listed.get(number) or self._in_table(number)

    def _in_table(self, number: int) -> tuple[int, int] | None:
        i = bisect_left(self._keys, number)
        if i < len(self._keys) and self._keys[i] == number:
            return self._versions[i], self._sizes[i]
        return None

    def listed(self, key: str) -> int | None:
        """What tells the version of an object, of which a listing has told; else None."""
        found = self._find(key)
        return None if found is None else found[0]

    def seen(self, key: str) -> int | None:
        """What tells the version of an object, of which an answer has told; else None."""
        return self._seen.get(number_of(key))

    def known(self, key: str) -> int | None:
        """What tells the version of an object, of which a listing or an answer has told."""
        listed = self.listed(key)
        return self.seen(key) if listed is None else listed

    def check(self, key: str, meta: Mapping[str, Any]) -> None:
        """Raise `StoreChangedError` if an answer is of another version than is pinned.

        Parameters
        ----------
        key : str
        meta : mapping
            What obstore says of the object.
        """
        found = number_of(version_of(meta))
        pinned = self._find(key)
        if pinned is not None:
            if pinned[0] != found:
                raise self._changed(key)
            return
        changed = _modified(meta) or 0.0
        if self._planned is not None and changed > self._planned + _SLACK:
            raise self._changed(key)
        if len(self._seen) < _MAX_SEEN and self._seen.setdefault(number_of(key), found) != found:
            raise self._changed(key)

    def check_absent(self, key: str) -> None:
        """Raise `StoreChangedError` if an object that is not there was there."""
        if self._find(key) is not None or number_of(key) in self._seen:
            raise StoreChangedError(
                f"{key} was removed after the store was mounted, which has changed; {MOUNT_AGAIN}"
            )

    @staticmethod
    def _changed(key: str) -> StoreChangedError:
        return StoreChangedError(
            f"{key} was replaced after the store was mounted, which has changed; {MOUNT_AGAIN}"
        )

    def to_bytes(self) -> bytes:
        """All that listings told, as `Pins` takes it: a number of objects, then of each its
        key's hash, ascending, then its version's, then its size."""
        table = zip(self._keys, zip(self._versions, self._sizes, strict=True), strict=True)
        known = sorted({**dict(table), **self._listed}.items())
        columns = array("Q", (number for number, _ in known))
        columns.extend(version for _, (version, _) in known)
        columns.extend(size for _, (_, size) in known)
        return _COUNT.pack(len(known)) + columns.tobytes()
