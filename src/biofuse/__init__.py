"""biofuse: a VCF Zarr store as the files that genetics programs read."""

# As typing has it, which takes longer to import than all of this.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from biofuse.api.file import ViewFile as ViewFile
    from biofuse.api.fileset import Fileset as Fileset
    from biofuse.api.fileset import open_fileset as open
    from biofuse.api.mounting import Mount as Mount
    from biofuse.api.mounting import mounted as mounted
    from biofuse.api.options import MountOptions as MountOptions
    from biofuse.api.options import Options as Options
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

# Where each name is: to import this imports none of them, and to open files nothing of FUSE.
_PLACES = {
    "BiofuseError": ("biofuse.errors", "BiofuseError"),
    "Fileset": ("biofuse.api.fileset", "Fileset"),
    "Mount": ("biofuse.api.mounting", "Mount"),
    "MountOptions": ("biofuse.api.options", "MountOptions"),
    "Options": ("biofuse.api.options", "Options"),
    "ViewFile": ("biofuse.api.file", "ViewFile"),
    "mounted": ("biofuse.api.mounting", "mounted"),
    "open": ("biofuse.api.fileset", "open_fileset"),
}


def __getattr__(name: str) -> "Any":
    if name not in _PLACES:
        raise AttributeError(f"module 'biofuse' has no attribute {name!r}")
    import importlib

    module, attribute = _PLACES[name]
    value = globals()[name] = getattr(importlib.import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
