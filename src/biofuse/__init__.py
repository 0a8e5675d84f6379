"""biofuse: a VCF Zarr store as the files that genetics programs read."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from biofuse.api import Fileset as Fileset
    from biofuse.api import Mount as Mount
    from biofuse.api import MountOptions as MountOptions
    from biofuse.api import Options as Options
    from biofuse.api import ViewFile as ViewFile
    from biofuse.api import mounted as mounted
    from biofuse.api import open_fileset as open
    from biofuse.errors import BiofuseError as BiofuseError

# The build puts the version in, which meson.build has.
__version__ = "@VERSION@"

__all__ = [
    "BiofuseError",
    "Fileset",
    "Mount",
    "MountOptions",
    "Options",
    "ViewFile",
    "mounted",
    "open",
]

# Where each name is, so that to import this imports none of them.
_PLACES = {name: ("biofuse.api", name) for name in __all__} | {
    "BiofuseError": ("biofuse.errors", "BiofuseError"),
    "open": ("biofuse.api", "open_fileset"),
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'biofuse' has no attribute {name!r}")
    import importlib

    module, attribute = _PLACES[name]
    value = globals()[name] = getattr(importlib.import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
