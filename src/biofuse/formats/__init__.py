"""One module a format: its layout, its sidecars, its record encoder.

`base.Format` says what a module provides. A new format is one module here, one entry
in `_MODULES` and one kernel file under native/.
"""

import importlib

_MODULES = {"plink": "plink1", "bgen": "bgen"}

NAMES = tuple(_MODULES)


def get_format(name: str):
    """The module of a format, a `base.Format`."""
    return importlib.import_module(f"biofuse.formats.{_MODULES[name]}")
