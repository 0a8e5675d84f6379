"""Metadata that is not what Zarr asks for, and what may be said of it."""

import copy
import re

# In place of what is there; an ellipsis has it removed.
ODD = (..., None, 0, 1 << 60, "x", [], {})
DOCUMENTS = {
    "nothing": b"",
    "not-utf-8": b"\xff\xfe{",
    "half": b'{"zarr_format":',
    "list": b"[]",
    "number": b"3",
    "null": b"null",
    "text": b'"x"',
    "empty": b"{}",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep-objects": b'{"a":' * 100_000,
    "long-number": b'{"zarr_format": ' + b"9" * 5000 + b"}",
}
# What Python calls its own things, and what it says of them.
INTERNAL = re.compile(
    r"Error|object has no|subscript|unpack|NoneType|recursion|unhashable|out of range|"
    r"positional|<class|Traceback|0x[0-9a-f]{4}"
)


def paths(value, path=()):
    """Where in a value there are others."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value[:2])
    for key, inner in items if isinstance(value, (dict, list)) else ():
        if isinstance(inner, (dict, list)):
            yield from paths(inner, (*path, key))
        else:
            yield (*path, key)


def put(value, path, new):
    """A copy of a value with another one in place of one of those in it."""
    value = copy.deepcopy(value)
    at = value
    for key in path[:-1]:
        at = at[key]
    if new is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = new
    return value


def check_said(text: str) -> None:
    """Raise AssertionError unless this is one line, for users."""
    assert not INTERNAL.search(text), text
    assert "\n" not in text
    assert len(text) < 600, text
