"""Libraries that take the place of the C library's memory allocation in the worker."""

import glob
import os
import sys

from biofuse.errors import BiofuseError

# Name that users give: names of the library, and Debian's package.
_LIBRARIES = {
    "jemalloc": (("jemalloc",), "libjemalloc2"),
    "tcmalloc": (("tcmalloc_minimal", "tcmalloc"), "libtcmalloc-minimal4"),
    "mimalloc": (("mimalloc",), "libmimalloc2.0"),
}
NAMES = ("system", *_LIBRARIES)


def find_allocator(name: str) -> str | None:
    """What to preload for an allocator.

    Parameters
    ----------
    name : str
        One of `NAMES`; "system" is the C library's own.

    Returns
    -------
    str or None
        A library's path or name, as LD_PRELOAD takes it.

    Raises
    ------
    BiofuseError
        If it is not installed.
    """
    if name == "system":
        return None
    # It takes a while, and every command imports this module.
    from ctypes.util import find_library

    names, package = _LIBRARIES[name]
    for library in names:
        # The environment of a conda package comes before the system.
        inside = sorted(glob.glob(os.path.join(sys.prefix, "lib", f"lib{library}.so*")))
        found = inside[0] if inside else find_library(library)
        if found is not None:
            return found
    raise BiofuseError(
        f"--allocator {name}: lib{names[0]} is not installed; "
        f"it is in Debian's package {package} and conda's {name}"
    )
