"""Python's face: filesets, file objects, mounts for a while."""

from biofuse.api.file import ViewFile
from biofuse.api.fileset import Fileset, open_fileset
from biofuse.api.mounting import Mount, mounted
from biofuse.api.options import MountOptions, Options

__all__ = [
    "Fileset",
    "Mount",
    "MountOptions",
    "Options",
    "ViewFile",
    "mounted",
    "open_fileset",
]
