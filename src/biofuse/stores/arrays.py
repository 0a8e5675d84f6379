"""Arrays of the kinds that most stores have, for which zarr-python need not be imported.

That import takes half a second. What is read here is read in the same way: chunks of one
codec or none, of numbers or of texts. An array of any other kind is zarr-python's business.

Specifications: Zarr v2 and v3, and numcodecs' vlen-utf8.
"""

import functools
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biofuse.errors import BiofuseError, one_line
from biofuse.stores import inflate
from biofuse.stores.base import Store, read_whole
from biofuse.stores.decompress import CODECS, decompress
from biofuse.stores.limits import most_decoded, most_encoded

# What Zarr v2 calls them, after NumPy.
_NUMBER2 = re.compile(r"[<>|](b1|[iu][1248]|f[248])")
_SIZES = (8, 16, 32, 64)
_TYPES3 = frozenset(["bool", *(f"{kind}{n}" for kind in ("int", "uint") for n in _SIZES)]).union(
    f"float{n}" for n in _SIZES[1:]
)
_CODECS3 = frozenset({"blosc", "gzip", "zstd"})
_TEXTS = "vlen-utf8"


@dataclass(frozen=True)
class KeyEncoding:
    """How chunks of a Zarr v3 array are named."""

    name: str
    separator: str


@dataclass(frozen=True)
class Codec:
    """A step of an array's encoding, with the words that numcodecs and zarr-python have for it."""

    config: dict[str, Any]

    @property
    def codec_id(self) -> str:
        return str(self.config["id"])

    def get_config(self) -> dict[str, Any]:
        """Its configuration, with its `id`."""
        return dict(self.config)

    def to_dict(self) -> dict[str, Any]:
        """Its name and configuration, as Zarr v3 metadata has them."""
        rest = {key: value for key, value in self.config.items() if key != "id"}
        return {"name": self.config["id"], **({"configuration": rest} if rest else {})}

    def decode(self, data: Any) -> Any:
        """What it makes of a chunk; texts as an array of objects."""
        if self.codec_id != _TEXTS:
            # A compressed chunk says how it is read, but for LZMA's.
            needed = {key: self.config.get(key) for key in ("id", "format", "filters")}
            return decompress(
                needed if self.codec_id == "lzma" else {"id": self.codec_id}, data, most_decoded()
            )
        from numcodecs.vlen import VLenUTF8

        inflate.check_texts(data)
        return VLenUTF8().decode(data)


@dataclass(frozen=True)
class Metadata:
    """Of an array, in zarr-python's words.

    Attributes
    ----------
    zarr_format : int
    fill_value : number, str or None
    order : str
    dimension_separator : str
        Of Zarr v2.
    compressor : Codec or None
        Of Zarr v2.
    filters : tuple of Codec
        Of Zarr v2.
    chunk_key_encoding : KeyEncoding or None
        Of Zarr v3.
    codecs : tuple of Codec
        Of Zarr v3: the whole chain.
    native : numpy dtype
    """

    zarr_format: int
    fill_value: Any
    native: np.dtype[Any]
    order: str = "C"
    dimension_separator: str = "."
    compressor: Codec | None = None
    filters: tuple[Codec, ...] = ()
    chunk_key_encoding: KeyEncoding | None = None
    codecs: tuple[Codec, ...] = ()

    @property
    def dtype(self) -> "Metadata":
        """What tells the native type."""
        return self

    def to_native_dtype(self) -> np.dtype[Any]:
        """The type of decoded chunks."""
        return self.native


class PlainArray:
    """An array whose chunks are decoded here.

    It has those attributes of zarr-python's arrays that are asked for in this package.

    Parameters
    ----------
    store : Store
    path : str
    shape, chunks : tuple of int
    metadata : Metadata
    read_attrs : callable
        Gives its attributes.
    """

    shards: tuple[int, ...] | None = None

    def __init__(
        self,
        store: Store,
        path: str,
        shape: tuple[int, ...],
        chunks: tuple[int, ...],
        metadata: Metadata,
        read_attrs: Callable[[], dict[str, Any]],
    ):
        self._store = store
        self.path = path
        self.shape = shape
        self.chunks = chunks
        self.metadata = metadata
        self._read_attrs = read_attrs

    @functools.cached_property
    def attrs(self) -> dict[str, Any]:
        """Its attributes."""
        return self._read_attrs()

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.metadata.native

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def fill_value(self) -> Any:
        return self.metadata.fill_value

    def __getitem__(self, selection: Any) -> NDArray[Any]:
        """A part of the array: integers, slices of step 1 and an ellipsis, by dimension.

        Raises
        ------
        BiofuseError
            If a chunk cannot be read.
        """
        parts, dropped = self._parts(selection)
        sizes = [part.stop - part.start for part in parts]
        out = np.full(sizes, self._fill(), dtype=self.dtype)
        wanted = [
            range(part.start // size, -(-part.stop // size)) if part.stop > part.start else range(0)
            for part, size in zip(parts, self.chunks, strict=True)
        ]
        for index in product(*wanted):
            self._copy(index, parts, out)
        return out[tuple(0 if d in dropped else slice(None) for d in range(self.ndim))]

    def _parts(self, selection: Any) -> tuple[list[slice], set[int]]:
        """A slice for each dimension, and the dimensions that are left out of the result."""
        given = list(selection) if isinstance(selection, tuple) else [selection]
        if Ellipsis in given:
            at = given.index(Ellipsis)
            given[at : at + 1] = [slice(None)] * (self.ndim + 1 - len(given))
        given += [slice(None)] * (self.ndim - len(given))
        if len(given) > self.ndim:
            raise IndexError(f"{self.path} has {self.ndim} dimensions")
        parts = []
        dropped = set()
        for d, (each, n) in enumerate(zip(given, self.shape, strict=True)):
            if isinstance(each, slice):
                start, stop, step = each.indices(n)
                if step != 1:
                    raise IndexError("only slices of step 1 are read")
                parts.append(slice(start, max(start, stop)))
                continue
            i = int(each) + (n if each < 0 else 0)
            if not 0 <= i < n:
                raise IndexError(f"{self.path} has no entry {each}")
            parts.append(slice(i, i + 1))
            dropped.add(d)
        return parts, dropped

    def _copy(self, index: tuple[int, ...], parts: list[slice], out: NDArray[Any]) -> None:
        """Copy what is wanted of a chunk to its place."""
        key = self._key(index)
        [piece] = read_whole(self._store, [key], most_encoded())
        if piece is None:
            return
        try:
            values = self._decode(piece.data)
        except Exception as error:
            raise BiofuseError(f"{key} cannot be decoded: {one_line(error)}") from error
        source, target = [], []
        for i, size, part in zip(index, self.chunks, parts, strict=True):
            first, last = max(part.start, i * size), min(part.stop, (i + 1) * size)
            source.append(slice(first - i * size, last - i * size))
            target.append(slice(first - part.start, last - part.start))
        out[tuple(target)] = values[tuple(source)]

    def _key(self, index: tuple[int, ...]) -> str:
        encoding = self.metadata.chunk_key_encoding
        separator = encoding.separator if encoding else self.metadata.dimension_separator
        numbers = [str(i) for i in index]
        if encoding is not None and encoding.name == "default":
            numbers.insert(0, "c")
        return f"{self.path}/{separator.join(numbers) or '0'}"

    def _decode(self, data: Any) -> NDArray[Any]:
        metadata = self.metadata
        steps = [step for step in metadata.codecs if step.codec_id != "bytes"]
        if metadata.zarr_format == 2:
            steps = [*metadata.filters, *([metadata.compressor] if metadata.compressor else [])]
        for step in reversed(steps):
            data = step.decode(data)
        if not isinstance(data, np.ndarray) or data.dtype != object:
            data = np.frombuffer(data, dtype=metadata.native)
        return np.reshape(data, self.chunks)

    def _fill(self) -> Any:
        if self.metadata.fill_value is not None:
            return self.metadata.fill_value
        return "" if self.dtype.kind in "OU" else self.dtype.type(0)


def open_plain(
    store: Store, path: str, read_metadata: Callable[[str], bytes | None], zarr_format: int
) -> PlainArray | None:
    """The array at a path of a store, if it is of a kind that is read here.

    Parameters
    ----------
    store : Store
    path : str
    read_metadata : callable
        Gives a metadata object that was checked, or None.
    zarr_format : int
    """
    name = "zarr.json" if zarr_format == 3 else ".zarray"
    text = read_metadata(f"{path}/{name}")
    if text is None:
        return None
    value = json.loads(text)
    if zarr_format == 3 and value["node_type"] != "array":
        return None
    metadata = _metadata3(value) if zarr_format == 3 else _metadata2(value)
    if metadata is None:
        return None
    if zarr_format == 3:
        chunks = value["chunk_grid"]["configuration"]["chunk_shape"]
    else:
        chunks = value["chunks"]
    if len(value["shape"]) == 0 or 0 in chunks:
        return None

    def read_attrs() -> dict[str, Any]:
        if zarr_format == 3:
            return value.get("attributes") or {}
        found = read_metadata(f"{path}/.zattrs")
        return {} if found is None else json.loads(found)

    found = PlainArray(store, path, tuple(value["shape"]), tuple(chunks), metadata, read_attrs)
    if not store.far:
        # Damaged ones are told even if nobody asks for any; far away that is a request.
        _ = found.attrs
    return found


def _metadata2(value: dict[str, Any]) -> Metadata | None:
    filters = [Codec(each) for each in value.get("filters") or ()]
    compressor = value.get("compressor")
    if compressor is not None and compressor["id"] not in CODECS:
        return None
    if value["order"] != "C":
        return None
    native = _native2(value["dtype"], [each.codec_id for each in filters])
    if native is None:
        return None
    known, fill = _fill_value(value.get("fill_value"), native)
    if not known:
        return None
    return Metadata(
        2,
        fill,
        native,
        "C",
        value.get("dimension_separator") or ".",
        Codec(compressor) if compressor is not None else None,
        tuple(filters),
    )


def _native2(name: Any, filters: list[str]) -> np.dtype[Any] | None:
    """The type of an array of numbers, or of texts; None if it is of another."""
    if name == "|O":
        return np.dtype(object) if filters == [_TEXTS] else None
    if not isinstance(name, str) or filters or not _NUMBER2.fullmatch(name):
        return None
    return np.dtype(name)


def _metadata3(value: dict[str, Any]) -> Metadata | None:
    if value.get("storage_transformers"):
        return None
    codecs = [_codec3(each) for each in value["codecs"]] if _is_chain(value.get("codecs")) else []
    names = [each.codec_id for each in codecs]
    if len(names) not in (1, 2) or not set(names[1:]) <= _CODECS3:
        return None
    # A type with parameters, such as a text's length, is an object.
    kind = value["data_type"]
    if kind == "string" and names[0] == _TEXTS:
        native = np.dtype(object)
    elif isinstance(kind, str) and kind in _TYPES3 and names[0] == "bytes":
        endian = codecs[0].config.get("endian", "little")
        if endian not in ("little", "big"):
            return None
        native = np.dtype(kind).newbyteorder("<" if endian == "little" else ">")
    else:
        return None
    known, fill = _fill_value(value.get("fill_value"), native)
    if not known:
        return None
    encoding = value["chunk_key_encoding"]
    options = encoding.get("configuration") or {}
    default = "/" if encoding["name"] == "default" else "."
    keys = KeyEncoding(encoding["name"], options.get("separator") or default)
    return Metadata(3, fill, native, chunk_key_encoding=keys, codecs=tuple(codecs))


def _is_chain(codecs: Any) -> bool:
    return isinstance(codecs, list) and all(
        isinstance(each, dict)
        and isinstance(each.get("name"), str)
        and isinstance(each.get("configuration", {}), dict)
        for each in codecs
    )


def _codec3(value: dict[str, Any]) -> Codec:
    return Codec({"id": value["name"], **(value.get("configuration") or {})})


def _fill_value(value: Any, native: np.dtype[Any]) -> tuple[bool, Any]:
    """Whether a fill value is understood here, and what it is."""
    if native.kind == "O":
        return value is None or isinstance(value, str), value
    if value is None:
        return True, None
    if isinstance(value, str):
        names = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
        if native.kind != "f" or value not in names:
            return False, None
        return True, native.type(names[value])
    if not isinstance(value, (bool, int, float)):
        return False, None
    try:
        found = native.type(value)
    except (OverflowError, ValueError):
        return False, None
    return bool(found == value or native.kind == "f"), found
