"""Zarr metadata, held against what it must be before zarr-python takes it for granted."""

import json
from collections.abc import Callable
from typing import Any

from biofuse.errors import BiofuseError

# Objects of these names are metadata, whatever folder they are in.
NAMES = (".zarray", ".zgroup", ".zattrs", ".zmetadata", "zarr.json")
# The header of a VCF with very many contigs takes a few MiB.
MAX_BYTES = 64 << 20
# Codecs that execute what they read.
_UNSAFE = {"pickle"}
_MAX_DIMENSIONS = 32
_SHOWN = 60


def is_metadata(key: str) -> bool:
    """Whether a key is one of metadata."""
    return key.rpartition("/")[2] in NAMES


def check_metadata(key: str, data: bytes) -> None:
    """Raise `BiofuseError` if a metadata object is not of the form that Zarr asks for.

    Parameters
    ----------
    key : str
        Whose last part tells what it must be.
    data : bytes
    """
    value = _parse(key, data)
    if not isinstance(value, dict):
        raise BiofuseError(f"{key} is damaged: it has {_name_of(value)}, not an object")
    check = _CHECKS.get(key.rpartition("/")[2])
    if check is not None:
        check(_Object(key, value))


def _parse(key: str, data: bytes) -> Any:
    try:
        return json.loads(data)
    except RecursionError:
        problem = "it is nested too deeply"
    except UnicodeDecodeError:
        problem = "it is not UTF-8"
    except json.JSONDecodeError as error:
        problem = f"it is not JSON (line {error.lineno}, column {error.colno})"
    except ValueError:
        # A number of thousands of digits.
        problem = "it is not JSON"
    raise BiofuseError(f"{key} is damaged: {problem}")


class _Object:
    """An object of metadata, whose entries are asked for by what they must be."""

    def __init__(self, key: str, value: dict[str, Any], path: str = ""):
        self.key = key
        self.value = value
        self._path = path

    def refuse(self, name: str, wanted: str) -> BiofuseError:
        """The error that says what an entry must be."""
        where = f"{self._path}{name}"
        if name not in self.value:
            return BiofuseError(f"{self.key} is damaged: it has no {where}")
        shown = json.dumps(self.value[name], default=str)
        shown = shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + "..."
        return BiofuseError(f"{self.key} is damaged: {where} is {shown}, not {wanted}")

    def need(self, name: str, holds: Callable[[Any], bool], wanted: str) -> Any:
        """An entry that must be there and for which something holds."""
        if name not in self.value or not holds(self.value[name]):
            raise self.refuse(name, wanted)
        return self.value[name]

    def may(self, name: str, holds: Callable[[Any], bool], wanted: str) -> Any:
        """The same of one that may be left out or null."""
        return None if self.value.get(name) is None else self.need(name, holds, wanted)

    def object(self, name: str) -> "_Object":
        """An entry that is an object."""
        return _Object(self.key, self.need(name, _is_object, "an object"), f"{self._path}{name}.")

    def shape(self) -> list[int]:
        """The entry that has the sizes of an array."""
        return self._sizes("shape", None)

    def chunks(self, name: str, shape: list[int]) -> None:
        """Check an entry that has the sizes of chunks; 0 is one only where there is nothing."""
        found = self._sizes(name, len(shape))
        if any(n == 0 and size > 0 for n, size in zip(found, shape, strict=True)):
            raise self.refuse(name, "sizes above 0")

    def _sizes(self, name: str, count: int | None) -> list[int]:
        wanted = "a list of sizes" if count is None else f"a list of {count} sizes"

        def holds(value: Any) -> bool:
            return (
                isinstance(value, list)
                and len(value) <= _MAX_DIMENSIONS
                and (count is None or len(value) == count)
                and all(_is_int(n) and 0 <= n < 1 << 63 for n in value)
            )

        found: list[int] = self.need(name, holds, wanted)
        return found


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))


def _has_text(name: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and isinstance(value.get(name), str)


def _is_named(value: Any) -> bool:
    """Whether it is an extension of Zarr v3 as metadata has it: a name, perhaps with options."""
    if not _has_text("name")(value):
        return False
    return isinstance(value.get("configuration", {}), dict)


def _list_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(holds(each) for each in value)


def _name_of(value: Any) -> str:
    kinds = {list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")


def _check_group2(metadata: _Object) -> None:
    metadata.need("zarr_format", lambda value: _is_int(value) and value == 2, "2")


def _check_array2(metadata: _Object) -> None:
    _check_group2(metadata)
    metadata.chunks("chunks", metadata.shape())
    metadata.need("dtype", lambda v: _is_text(v) or isinstance(v, list), "the name of a type")
    codec = "a codec with its id"
    compressor = metadata.may("compressor", _has_text("id"), codec)
    filters = metadata.may("filters", _list_of(_has_text("id")), "a list of codecs with their ids")
    for each in [compressor, *(filters or [])]:
        _check_safe(metadata, each and each["id"])
    metadata.need("order", lambda value: value in ("C", "F"), '"C" or "F"')
    metadata.may("dimension_separator", lambda value: value in (".", "/"), '"." or "/"')
    metadata.may("fill_value", _is_scalar, "a number or a text")


def _check_json3(metadata: _Object) -> None:
    metadata.need("zarr_format", lambda value: _is_int(value) and value == 3, "3")
    kind = metadata.need("node_type", lambda v: v in ("array", "group"), '"array" or "group"')
    metadata.may("attributes", _is_object, "an object")
    if kind == "array":
        _check_array3(metadata)


def _check_array3(metadata: _Object) -> None:
    shape = metadata.shape()
    named = "a name, or an object with one"
    metadata.need("data_type", lambda v: _is_text(v) or _is_named(v), named)
    grid = metadata.object("chunk_grid")
    grid.need("name", lambda value: value == "regular", '"regular"')
    grid.object("configuration").chunks("chunk_shape", shape)
    keys = metadata.object("chunk_key_encoding")
    keys.need("name", lambda value: value in ("default", "v2"), '"default" or "v2"')
    if keys.may("configuration", _is_object, "an object") is not None:
        keys.object("configuration").may("separator", lambda v: v in (".", "/"), '"." or "/"')
    _check_codecs(metadata, shape)
    metadata.need("fill_value", lambda v: _is_scalar(v) or isinstance(v, list), "a value")
    names = metadata.may("dimension_names", _list_of(lambda v: v is None or _is_text(v)), "names")
    if names is not None and len(names) != len(shape):
        raise metadata.refuse("dimension_names", f"{len(shape)} names")
    metadata.may("storage_transformers", lambda value: value == [], "empty")


def _check_codecs(metadata: _Object, shape: list[int]) -> None:
    codecs = metadata.need("codecs", _list_of(_is_named), "a list of codecs with their names")
    if not codecs:
        raise metadata.refuse("codecs", "a list of at least one codec")
    for i, codec in enumerate(codecs):
        _check_safe(metadata, codec["name"])
        if codec["name"] == "sharding_indexed":
            inner = _Object(metadata.key, codec, f"codecs[{i}].").object("configuration")
            inner.chunks("chunk_shape", shape)
            _check_codecs(inner, shape)
            inner.need("index_codecs", _list_of(_is_named), "a list of codecs with their names")


def _check_safe(metadata: _Object, codec: str | None) -> None:
    if codec is not None and codec.removeprefix("numcodecs.") in _UNSAFE:
        raise BiofuseError(
            f"{metadata.key} names the codec {codec}, which runs what a chunk has as a program: "
            "such chunks are not read"
        )


_CHECKS = {".zarray": _check_array2, ".zgroup": _check_group2, "zarr.json": _check_json3}
