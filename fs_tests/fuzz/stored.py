"""Targets of what is read from stores: Zarr metadata, zip files."""

import io
import json
import tempfile
import zipfile
from collections.abc import Sequence

import numpy as np
from zarr.core.metadata import ArrayV2Metadata, ArrayV3Metadata

from biofuse.stores import Location, limits, open_store
from biofuse.stores.arrays import open_plain
from biofuse.stores.base import Piece, Range
from biofuse.stores.metadata import check_metadata

from .texts import refused

# Elements of an array that is read, which has no chunks.
FEW = 4096


class Nothing:
    """A store without objects."""

    far = False

    def get_many(self, ranges: Sequence[Range]) -> list[Piece | None]:
        return [None for _ in ranges]


def metadata(data: bytes) -> None:
    """The first byte chooses the Zarr format; the others are an array's metadata.

    What is taken for an array has the shape, chunks, type and fill value that zarr-python sees.
    """
    if not data:
        return
    zarr_format = 2 + data[0] % 2
    key = "a/.zarray" if zarr_format == 2 else "a/zarr.json"
    refused(lambda: check_metadata("a/.zattrs", data[1:]))

    def read(name: str) -> bytes | None:
        if name != key:
            return None
        check_metadata(key, data[1:])
        return data[1:]

    def use():
        array = open_plain(Nothing(), "a", read, zarr_format)
        if array is not None:
            limits.allow("a", array)
            if np.prod(array.shape, dtype=object) <= FEW:
                _ = array[...]
        return array

    array = refused(use)
    if array is None:
        return
    value = json.loads(data[1:])
    try:
        kind = ArrayV2Metadata if zarr_format == 2 else ArrayV3Metadata
        theirs = kind.from_dict(value)
    except Exception:
        return
    assert tuple(theirs.shape) == array.shape
    assert theirs.to_dict().get("attributes", {}) == array.attrs or zarr_format == 2
    if zarr_format == 2:
        assert tuple(theirs.chunks) == array.chunks
    if array.dtype.kind != "O":
        kind = theirs.dtype if zarr_format == 2 else theirs.data_type
        assert kind.to_native_dtype().newbyteorder("=") == array.dtype.newbyteorder("="), array
    ours = array.fill_value
    if ours is not None and array.dtype.kind != "O":
        assert np.array_equal(np.asarray(theirs.fill_value), np.asarray(ours), equal_nan=True), ours


def metadata_seeds() -> list[bytes]:
    two = {
        "zarr_format": 2,
        "shape": [30, 9, 2],
        "chunks": [20, 5, 2],
        "dtype": "|i1",
        "fill_value": -1,
        "order": "C",
        "filters": None,
        "compressor": {"id": "blosc", "cname": "zstd", "clevel": 5, "shuffle": 2, "blocksize": 0},
        "dimension_separator": "/",
    }
    three = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [30],
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [20]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": "NaN",
        "codecs": [
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "zstd", "configuration": {"level": 1, "checksum": False}},
        ],
        "attributes": {"description": "x"},
        "dimension_names": ["variants"],
    }
    texts = {"dtype": "|O", "fill_value": "", "filters": [{"id": "vlen-utf8"}]}
    of_texts = {
        "data_type": "string",
        "fill_value": "",
        "codecs": [{"name": "vlen-utf8", "configuration": {}}],
    }
    values = [two, two | texts, two | {"dtype": "<f4", "fill_value": "NaN", "compressor": None}]
    seeds = [b"\0" + json.dumps(value).encode() for value in values]
    values = [three, three | of_texts, three | {"data_type": "int8", "fill_value": 0}]
    return seeds + [b"\1" + json.dumps(value).encode() for value in values]


def zip_file(data: bytes) -> None:
    """What is read of a member is what zipfile reads of it, which looks at its checksum."""
    with tempfile.NamedTemporaryFile(suffix=".zip", dir="/dev/shm") as file:
        file.write(data)
        file.flush()
        store = refused(lambda: open_store(Location(file.name)))
        if store is None:
            return
        try:
            for name in list(dict.fromkeys(store.names))[:8]:
                _check_member(store, name, data)
            refused(lambda: store.listing("call_genotype"))
            refused(lambda: store.list_folders(""))
        finally:
            store.close()


def _check_member(store, name: str, data: bytes) -> None:
    size = store._archive.getinfo(name).file_size
    if size > 1 << 20:
        refused(lambda: store.get_many([Range(name, 5, 9)]))
        return
    store.part(name)
    found = refused(lambda: store.get_many([Range(name)]))
    refused(lambda: store.get_many([Range(name, 1, 3)]))
    if found is None:
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            theirs = archive.read(name)
    except Exception:
        return
    assert bytes(found[0].data) == theirs, name


def zip_seeds() -> list[bytes]:
    seeds = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        for comment in (b"", b"made by hand"):
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", method) as archive:
                archive.comment = comment
                archive.writestr(".zgroup", b'{"zarr_format": 2}')
                archive.writestr("call_genotype/0.0", bytes(range(60)) * 2)
                archive.writestr("é/0", b"")
            seeds.append(out.getvalue())
    return seeds
