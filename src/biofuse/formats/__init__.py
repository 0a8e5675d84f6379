"""One module a format: its layout, its sidecars, its record encoder, its options.

`base.Format` says what a module provides. A new format is one module here, one entry
in `_MODULES` and one kernel file under native/.
"""

import importlib
from typing import Any

_MODULES = {"plink": "plink1", "bgen": "bgen", "plink2": "plink2", "bcf": "bcf"}

NAMES = tuple(_MODULES)
# Shown where no format is named. Others are made from every field of a store's sites, which
# takes long to read.
BY_DEFAULT = ("plink", "bgen")


def get_format(name: str) -> Any:
    """The module of a format, a `base.Format`."""
    return importlib.import_module(f"biofuse.formats.{_MODULES[name]}")


def main_suffix(name: str) -> str:
    """What follows the stem in the name of a format's streamed file."""
    return get_format(name).FILES[0].suffix
