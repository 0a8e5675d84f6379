"""Stores of which a part was saved in a file: metadata, and all that sites are made from.

The file is a zip archive of stored objects under their keys, and of a manifest. So a node that
has it asks the store itself for calls only.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from biofuse.errors import BiofuseError
from biofuse.manifest_check import fits
from biofuse.stores.base import Part, Piece, Range, Store
from biofuse.stores.files import StoreFiles
from biofuse.stores.listing import Listing
from biofuse.stores.metadata import MAX_BYTES, is_metadata

if TYPE_CHECKING:
    from biofuse.stores.zip import ZipStore
    from biofuse.stores.zip_objects import ZipObjects

MANIFEST = "biofuse-plan.json"
PINS = "pins.u64"
# Changes whenever a file made by one version cannot be used by another.
FORMAT = 4
# What a manifest says, and of which type.
_KINDS: dict[str, Any] = {
    "made": int | float,
    "options": dict[str, Any],
    "folders": list[str],
    "arrays": list[str],
    "roots": dict[str, str],
    "absent": dict[str, list[list[int]]],
    "unlisted": list[str],
    "warnings": dict[str, list[str]],
    "phase": Literal["YES", "NO", "UNKNOWN"],
    "phased_calls": bool,
    "haploid": bool,
    "members": int,
}


def with_checksum(about: dict[str, Any]) -> dict[str, Any]:
    """What a manifest says, with the checksum by which it is known to say what was written."""
    return {**about, "checksum": zlib.crc32(json.dumps(about, sort_keys=True).encode())}


class SavedPlan:
    """What a file has.

    Parameters
    ----------
    objects : ZipStore or ZipObjects
        Its members.
    name : str
        The file's.

    Attributes
    ----------
    about : dict
        The manifest: `folders` of the store, `arrays` of which all objects are here, `roots`
        with the versions of the store's own metadata, what was found when it was made, and how
        many `members` there are beside it.

    Raises
    ------
    BiofuseError
        If it is no such file.
    """

    def __init__(self, objects: "ZipStore | ZipObjects", name: str):
        self.objects = objects
        self.name = name
        [piece] = objects.get_many([Range(MANIFEST, 0, MAX_BYTES)])
        if piece is None:
            raise BiofuseError(f"{name} is no plan: 'biofuse plan STORE -o FILE' makes one")
        try:
            self.about: dict[str, Any] = json.loads(bytes(piece.data))
            made_for = self.about["format"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BiofuseError(f"the plan {name} is damaged: {MANIFEST} is no manifest") from error
        if made_for != FORMAT:
            raise BiofuseError(
                f"the plan {name} was made by biofuse {self.about.get('version')}, and cannot be "
                "used by this one: make it again with 'biofuse plan'"
            )
        found = self.about.pop("checksum", None)
        if with_checksum(self.about)["checksum"] != found:
            raise BiofuseError(f"the plan {name} is damaged: {MANIFEST} is not as it was written")
        for key, kind in _KINDS.items():
            if not fits(self.about.get(key), kind):
                raise BiofuseError(
                    f"the plan {name} is damaged: {key} in {MANIFEST} is not of its kind"
                )
        if len(objects.names) != self.about["members"] + 1:
            # A chunk that is not there would be shown as its fill value.
            raise BiofuseError(f"the plan {name} is damaged: it has not the members that it had")

    def pins(self) -> bytes:
        """The versions of the store's objects; none if empty."""
        [piece] = self.objects.get_many([Range(PINS)])
        return b"" if piece is None else bytes(piece.data)


class SavedStore:
    """A store, of which a file answers for what it has.

    Everything but what is below is the store's own.

    Parameters
    ----------
    store : Store
    saved : SavedPlan
    """

    def __init__(self, store: Store, saved: SavedPlan):
        self._store = store
        self.far = store.far
        self.saved = saved
        self._arrays = frozenset(saved.about["arrays"])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _has(self, key: str) -> bool:
        return is_metadata(key) or key.partition("/")[0] in self._arrays

    def get_many(self, ranges: Sequence[Range]) -> list[Piece | None]:
        """As of any store."""
        ours = [r for r in ranges if self._has(r.key)]
        others = [r for r in ranges if not self._has(r.key)]
        found = iter(self.saved.objects.get_many(ours) if ours else [])
        fetched = iter(self._store.get_many(others) if others else [])
        return [next(found if self._has(r.key) else fetched) for r in ranges]

    def part(self, key: str) -> Part | None:
        """As of any store."""
        return None if self._has(key) else self._store.part(key)

    def hint(self, keys: Sequence[str]) -> None:
        """As of any store."""
        self.saved.objects.hint([key for key in keys if self._has(key)])
        self._store.hint([key for key in keys if not self._has(key)])

    def listing(self, folder: str) -> Listing | None:
        """As of any store; of calls in a store at some distance nothing is asked."""
        if folder in self._arrays:
            return self.saved.objects.listing(folder)
        return None if self._store.far else self._store.listing(folder)

    def list_folders(self, key: str) -> list[str]:
        """Names of the folders in a folder."""
        if not key:
            return list(self.saved.about["folders"])
        return self._store.list_folders(key)  # type: ignore[attr-defined, no-any-return]

    def versions(
        self, roots: Sequence[str], folders: Sequence[str], keys: Sequence[str]
    ) -> list[str]:
        """As of an `ObjectStore`; the plan's file stands for what it has."""
        return [self._store.signature(list(roots)) or "", self.saved.name]

    def signature(self, keys: Sequence[str]) -> str | None:
        """As of any store."""
        return self._store.signature(keys)

    def close(self) -> None:
        """As of any store."""
        self.saved.objects.close()
        self._store.close()


class SavedFiles(StoreFiles):
    """The metadata of such a store.

    Parameters
    ----------
    store : SavedStore
    """

    def __init__(self, store: SavedStore):
        super().__init__(store)
        self._roots: Mapping[str, str] = store.saved.about["roots"]

    @property
    def root_keys(self) -> list[str]:
        """Keys of the documents that tell what the store is."""
        return list(self._roots)

    @property
    def root_signature(self) -> str | None:
        """`Store.signature` of these when they were saved."""
        return " ".join(self._roots.values()) or None
