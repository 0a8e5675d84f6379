"""Whether what a plan's manifest says can be of a plan: else it is damage, or another version's.

Of a kept plan's, and the types in a saved one's.

A manifest's checksum tells of what was changed since it was written. This tells of what nobody
has written, before anything is opened, mapped or allocated because of it.
"""

import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from biofuse.bgzf import framed_size
from biofuse.trust import is_plain_name

if TYPE_CHECKING:
    from biofuse.manifest import Plan, StreamedFile

# Of `stores.Location`, but for its secrets.
_STORE: dict[str, Any] = {
    "path": str,
    "backend": str | None,
    "options": dict[str, Any],
    "plan": str | None,
}
# Numbers that may be below 0: times before 1970, and values.
_SIGNED = ("modified_ns", "as_of_ns", "fill")
_MOST = (1 << 63) - 1
# Of a file's name.
_LONGEST_NAME = 255


def fits(value: object, kind: Any) -> bool:
    """Whether a value that was read from JSON is of an annotated type."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin is UnionType:
        return any(fits(value, each) for each in inner)
    if origin is Literal:
        return isinstance(value, str) and value in inner
    if origin is list:
        return isinstance(value, list) and all(fits(each, inner[0]) for each in value)
    if origin is tuple and inner[-1] is ...:
        return isinstance(value, tuple) and all(fits(each, inner[0]) for each in value)
    if origin is tuple:
        return isinstance(value, tuple) and [*map(type, value)] == [*inner]
    if origin is dict:
        return isinstance(value, dict) and all(
            fits(key, inner[0]) and fits(each, inner[1]) for key, each in value.items()
        )
    if isinstance(kind, type) and is_dataclass(kind):
        return isinstance(value, kind) and all(
            fits(getattr(value, each.name), each.type) for each in fields(kind)
        )
    if kind is int:
        return type(value) is int and abs(value) <= _MOST
    return isinstance(value, kind)


def check_types(thing: Any) -> None:
    """Raise ValueError unless a dataclass's fields are of their types, and numbers not below 0."""
    for field in fields(thing):
        value = getattr(thing, field.name)
        if not fits(value, field.type):
            raise ValueError(f"{field.name} is {value!r:.100}")
        if isinstance(value, int) and value < 0 and field.name not in _SIGNED:
            raise ValueError(f"{field.name} is {value}")


def check_plan(plan: "Plan", sizes: Mapping[str, int]) -> None:
    """Raise ValueError if this cannot be a plan whose files have these sizes."""
    for thing in (*plan.static, *plan.streamed, plan):
        check_types(thing)
    if not fits(sizes, dict[str, int]):
        raise ValueError(f"sizes is {sizes!r:.100}")
    _check_names(plan)
    _check_store(plan)
    parts = _parts(plan, sizes)
    _check_static(plan, parts)
    for streamed in plan.streamed:
        _check_streamed(plan, streamed, parts)


def _check_names(plan: "Plan") -> None:
    for name in (*plan.on_disk(plan.file_names()), *plan.shown_names()):
        if not is_plain_name(name):
            raise ValueError(f"it has {name!r:.100} where the name of a file is to be")
    shown = plan.shown_names()
    if len(set(shown)) < len(shown):
        raise ValueError("two of its files have one name")
    if any(len(os.fsencode(name)) > _LONGEST_NAME for name in shown):
        raise ValueError("a file's name is too long")


def _check_store(plan: "Plan") -> None:
    if "path" not in plan.store:
        raise ValueError("it has no store")
    for name, value in plan.store.items():
        if name not in _STORE or not fits(value, _STORE[name]):
            raise ValueError(f"{name} of the store is {value!r:.100}")


def _parts(plan: "Plan", sizes: Mapping[str, int]) -> dict[str, int]:
    """Sizes of the plan's files, wherever they are."""
    if any(min(place) < 0 for place in plan.packed.values()):
        raise ValueError("packed has a number below 0")
    places = plan.packed.values()
    whole = plan.on_disk(plan.packed)
    held = sum(sizes.get(name, 0) for name in whole)
    if held < max((start + size for start, size in places), default=0):
        raise ValueError("the file that holds others is shorter than what is in it")
    alone = {name: size for name, size in sizes.items() if name not in whole}
    return alone | {name: size for name, (_, size) in plan.packed.items()}


def _check_size(parts: Mapping[str, int], name: str, size: int) -> None:
    if parts.get(name) != size:
        raise ValueError(f"{name} has {parts.get(name, 'no')} bytes, and {size} are wanted")


def _check_static(plan: "Plan", parts: Mapping[str, int]) -> None:
    for each in plan.static:
        _check_size(parts, each.path, each.size)
    if plan.samples is not None:
        _check_size(parts, plan.samples, 4 * plan.num_samples)
    if plan.pins is not None and plan.pins not in parts:
        raise ValueError(f"{plan.pins} is not there")


def _check_streamed(plan: "Plan", streamed: "StreamedFile", parts: Mapping[str, int]) -> None:
    _check_size(parts, streamed.header, streamed.header_size)
    size = streamed.size
    if streamed.stream is not None:
        size = streamed.stream
        if framed_size(size) != streamed.size:
            raise ValueError(f"the stream of {streamed.name} is of another size")
    if streamed.offsets is not None:
        _check_size(parts, streamed.offsets, 8 * (streamed.records + 1))
    elif streamed.record_size is None or (
        streamed.header_size + streamed.records * streamed.record_size != size
    ):
        raise ValueError(f"the records of {streamed.name} are of another size")
    if not set(streamed.fields) <= set(plan.fields):
        raise ValueError(f"{streamed.name} is made from what the plan does not have")
    last = streamed.first + streamed.records
    for name, width in ((streamed.variants, 4), (streamed.alts, 4)):
        if name is not None and parts.get(name, 0) < last * width:
            raise ValueError(f"{name} is too short")
    if streamed.heads is not None and streamed.heads not in parts:
        raise ValueError(f"{streamed.heads} is not there")
