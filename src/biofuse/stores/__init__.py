"""A VCZ store on any backend: its stored objects by key, many at a time.

`open_store` gives the right `Store` for a location; nothing else in the program
knows what lies behind one.
"""

from biofuse.stores.base import FarStore, ListedStore, Piece, Range, Store, read_whole
from biofuse.stores.location import Location, forget, keep_chunks, open_store, store_stem

__all__ = [
    "FarStore",
    "ListedStore",
    "Location",
    "Piece",
    "Range",
    "Store",
    "forget",
    "keep_chunks",
    "open_store",
    "read_whole",
    "store_stem",
]
