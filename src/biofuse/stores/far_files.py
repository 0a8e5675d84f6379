"""What is read of a store at some distance before any array is: its metadata, in few requests."""

import json
from collections.abc import Sequence
from typing import Any

from biofuse.errors import BiofuseError
from biofuse.stores.base import Piece
from biofuse.stores.files import StoreFiles
from biofuse.stores.metadata import MAX_BYTES, check_metadata
from biofuse.stores.objects import ObjectStore
from biofuse.stores.requests import RefusedError
from biofuse.stores.zip_objects import ZipObjects

_CONSOLIDATED, _JSON3, _GROUP2, _ATTRS2 = ".zmetadata", "zarr.json", ".zgroup", ".zattrs"
# Those that a store is known by, the first that it has.
_ROOTS = (_JSON3, _CONSOLIDATED, _GROUP2)
# Arrays that every view asks for (VCF Zarr specification).
_USUAL = (
    "sample_id",
    "contig_id",
    "variant_contig",
    "variant_position",
    "variant_allele",
    "variant_id",
    "region_index",
    "variant_length",
    "call_genotype",
    "call_genotype_phased",
    "call_GP",
    "call_DS",
)
# Arrays whose metadata is fetched before somebody asks.
_MOST = 200


class FarFiles(StoreFiles):
    """The metadata of a store at some distance.

    Where the store has a document with the metadata of all arrays, that is all that is read.

    Parameters
    ----------
    store : ObjectStore or ZipObjects

    Raises
    ------
    BiofuseError
        If the place cannot be read, or that document is damaged.
    """

    def __init__(self, store: ObjectStore | ZipObjects):
        super().__init__(store)
        self.store: ObjectStore | ZipObjects = store
        self._consolidated = False
        self._versions: dict[str, str] = {}
        store.begin()
        names = (_CONSOLIDATED, _JSON3, _GROUP2, _ATTRS2)
        for name, piece in zip(names, self._read_roots(names), strict=True):
            data = None if piece is None else bytes(piece.data)
            if data is not None:
                check_metadata(name, data)
            self._read[name] = data
            if piece is not None and piece.version is not None:
                self._versions[name] = str(piece.version)
        if self.root_signature is not None and isinstance(store, ObjectStore):
            store.prime(self.root_keys, self.root_signature)
        if not self._take_consolidated():
            self._hint_arrays(_USUAL)

    def _read_roots(self, names: Sequence[str]) -> list[Piece | None]:
        """The documents of these names.

        A server that may not be asked what it has refuses those that it has not.
        """
        found: list[Piece | None] = []
        refused: BiofuseError | None = None
        futures = [self.store.get(name, MAX_BYTES) for name in names]
        for future in futures:
            try:
                found.append(future.result())
            except RefusedError as error:
                refused = refused or error
                found.append(None)
        if refused is not None and not any(found):
            raise refused
        for name, piece in zip(names, found, strict=True):
            if piece is not None and piece.size > len(piece.data):
                raise BiofuseError(f"{name} is damaged: it has {piece.size:,} bytes")
        return found

    @property
    def root_keys(self) -> list[str]:
        """Keys of the documents that tell what the store is; none of a server that does not
        tell of versions."""
        found = next((name for name in _ROOTS if self._read[name] is not None), None)
        return [found] if found in self._versions else []

    @property
    def root_signature(self) -> str | None:
        """`Store.signature` of these, as they were when they were read."""
        return " ".join(self._versions[key] for key in self.root_keys) or None

    def _take_consolidated(self) -> bool:
        """Take the metadata of all arrays from one document, if there is one."""
        text = self._read[_JSON3]
        if text is not None:
            found = json.loads(text).get("consolidated_metadata")
            if found is None:
                return False
            documents = self._documents(_JSON3, found)
            named = {f"{name}/{_JSON3}": value for name, value in documents.items()}
        else:
            text = self._read[_CONSOLIDATED]
            if text is None:
                return False
            named = self._documents(_CONSOLIDATED, json.loads(text))
        for key, value in named.items():
            data = json.dumps(value).encode()
            check_metadata(key, data)
            if self._read.get(key) is None:
                self._read[key] = data
        self._consolidated = True
        return True

    @staticmethod
    def _documents(key: str, value: Any) -> dict[str, Any]:
        found = value.get("metadata") if isinstance(value, dict) else None
        if not isinstance(found, dict):
            raise BiofuseError(f"{key} is damaged: it has no metadata")
        return found

    def _hint_arrays(self, folders: Sequence[str]) -> None:
        """Have the metadata of arrays fetched at once."""
        three = self._read[_JSON3] is not None
        if not three and self._read[_GROUP2] is None:
            return
        keys = [f"{folder}/{_JSON3 if three else '.zarray'}" for folder in folders]
        self.store.hint([key for key in keys if key not in self._read])

    def read_metadata(self, key: str) -> bytes | None:
        """As of any store; of one with a document for all arrays, from that."""
        if self._consolidated:
            return self._read.get(key)
        try:
            return super().read_metadata(key)
        except RefusedError:
            if self.store.lists:
                raise
            return None

    def list_folders(self) -> list[str]:
        """Names of the folders at the root."""
        if not self._consolidated:
            if not self.store.lists:
                # A web server does not tell: those that are known, not all that were asked for.
                found = (key for key, data in self._read.items() if data is not None)
                known = {key.partition("/")[0] for key in found if "/" in key}
                return sorted({*_USUAL, *known})
            folders = super().list_folders()
            self._hint_arrays(folders[:_MOST])
            return folders
        return sorted({key.partition("/")[0] for key in self._read if "/" in key})
