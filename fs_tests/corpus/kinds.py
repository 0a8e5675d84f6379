"""Kinds of what is broken, by name."""

from .case import Maker
from .frames import chunks, frames

KINDS: dict[str, Maker] = {
    "frames": frames,
    "chunks": chunks,
}
