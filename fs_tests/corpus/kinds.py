"""Kinds of what is broken, by name."""

from .case import Maker
from .frames import chunks, frames
from .messages import to_serve, to_session, to_worker
from .plans import kept, saves
from .stores import stores
from .zips import zips

KINDS: dict[str, Maker] = {
    "frames": frames,
    "chunks": chunks,
    "stores": stores,
    "zips": zips,
    "kept": kept,
    "saved": saves,
    "to-serve": to_serve,
    "to-worker": to_worker,
    "from-kernel": to_session,
}
