"""Whether the options of Python's functions are what they are declared as."""

import dataclasses
import json
import math
import reprlib
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from biofuse import formats
from biofuse.address import parse_address
from biofuse.allocators import NAMES as ALLOCATORS
from biofuse.api.settings import LOG_LEVELS, RANGES, SECONDS, SIZES
from biofuse.errors import BiofuseError
from biofuse.memory import MAX_SIZE, parse_size
from biofuse.options import CONTIG_NAMES, MISSING_CHUNKS_POLICIES, MULTIALLELIC_POLICIES

CHOICES: dict[str, Sequence[object]] = {
    "formats": formats.NAMES,
    "multiallelic": MULTIALLELIC_POLICIES,
    "contig_names": CONTIG_NAMES,
    "missing_chunks": MISSING_CHUNKS_POLICIES,
    "bgen_field": ("GT", "GP", "DS"),
    "bits": (8, 16),
    "dosage": ("GT", "DS", "GP"),
    "backend_storage": ("fsspec", "obstore", "icechunk"),
    "allocator": ALLOCATORS,
    "log_level": LOG_LEVELS,
}
# What is wanted, by what a value may be.
_WORDS = {
    frozenset({bool}): "True or False",
    frozenset({int}): "a whole number",
    frozenset({str}): "text",
    frozenset({int, str}): "a whole number, or text such as '3:minor',",
    frozenset({float, str}): "a number, or text such as '0.01:minor',",
    frozenset({str, Sequence[str]}): "text, or a list of it,",
    frozenset({Sequence[str]}): "a list of text",
    frozenset({str, PathLike[str]}): "a path",
}
# Such a list stands for none.
_MAY_BE_EMPTY = ("formats", "direct_io")


def check_options(options: Any) -> None:
    """Raise `BiofuseError` if a field of a dataclass of options is not what it may be."""
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value is not None or not _fits(None, field.type):
            _check(field.name, value, field.type)


def check_path(name: str, value: object) -> None:
    """Raise `BiofuseError` if this can be no path nor URL."""
    if not _fits(value, str | PathLike[str]):
        raise _wrong(name, value, "a path or URL")


def _check(name: str, value: Any, kind: Any) -> None:
    if name == "storage_options":
        _check_storage_options(value)
    elif name in SIZES:
        _check_size(name, value)
    elif name in RANGES:
        _check_range(name, value)
    elif name in SECONDS:
        _check_seconds(name, value)
    elif name == "metrics":
        _check_metrics(value)
    elif not _fits(value, kind):
        kinds = get_args(kind) if get_origin(kind) is UnionType else (kind,)
        raise _wrong(name, value, _WORDS[frozenset(kinds) - {NoneType}])
    elif value in ([], ()) and name not in _MAY_BE_EMPTY:
        raise _wrong(name, value, "a list of one at least, or None,")
    elif name in CHOICES:
        for each in value if isinstance(value, (list, tuple)) else [value]:
            if each not in CHOICES[name]:
                shown = ", ".join(map(repr, CHOICES[name]))
                raise BiofuseError(f"{name}={each!r} is not one of {shown}")


def _check_storage_options(value: object) -> None:
    """Raise `BiofuseError`, which shows no value, where there may be secrets."""
    try:
        fine = _fits(value, Mapping[str, Any])
        json.dumps(dict(value) if isinstance(value, Mapping) else None)
    except (TypeError, ValueError):
        fine = False
    if not fine:
        raise BiofuseError("storage_options: a mapping of names to what JSON has is wanted")


def _check_size(name: str, value: Any) -> None:
    size = parse_size(value) if isinstance(value, str) else value
    if not _fits(size, int) or not 0 <= size <= MAX_SIZE:
        raise _wrong(name, value, "a size such as 512MiB")
    if size < SIZES[name]:
        raise BiofuseError(f"{name}={value} is below the least, {SIZES[name]} bytes")


def _check_range(name: str, value: Any) -> None:
    least, most = RANGES[name]
    if not _fits(value, int) or value < least or (most is not None and value > most):
        limits = f"{least} or more" if most is None else f"{least} to {most}"
        raise _wrong(name, value, f"a whole number, {limits},")


def _check_seconds(name: str, value: Any) -> None:
    if not _fits(value, float) or not SECONDS[name] <= value < math.inf:
        raise _wrong(name, value, f"a number of seconds, {SECONDS[name]} or more,")


def _check_metrics(value: Any) -> None:
    if not _fits(value, int | str):
        raise _wrong("metrics", value, "a port, or the path of a socket,")
    parse_address(str(value))


def _wrong(name: str, value: object, wanted: str) -> BiofuseError:
    return BiofuseError(f"{name}={reprlib.repr(value)}: {wanted} is wanted")


def _fits(value: object, kind: Any) -> bool:
    """Whether a value is of an annotated type."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return any(_fits(value, each) for each in inner)
    if origin is not None and issubclass(origin, Sequence):
        return isinstance(value, (list, tuple)) and all(_fits(each, inner[0]) for each in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(_fits(key, inner[0]) for key in value)
    if origin is PathLike:
        return isinstance(value, PathLike) and isinstance(fspath(value), str)
    if kind in (int, float):
        kinds = int if kind is int else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool)
    return isinstance(value, kind)
