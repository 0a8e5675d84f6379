"""Small files of a plan, one after another in one: thousands of contigs have as many."""

import os
from collections.abc import Iterable
from typing import IO

from biofuse.manifest import PACK

# Larger files stay what they are: they would take long to copy.
_SMALL = 1 << 20
# Each begins at a multiple of this many bytes, for what is read as numbers.
_ALIGNMENT = 8


class Pack:
    """The file `manifest.PACK` of a plan that is being written.

    Parameters
    ----------
    directory : str
        The plan's.

    Attributes
    ----------
    parts : dict of str to (int, int)
        As in `manifest.Plan.packed`.
    """

    def __init__(self, directory: str):
        self._directory = directory
        self._out: IO[bytes] | None = None
        self._end = 0
        self.parts: dict[str, tuple[int, int]] = {}

    def add(self, names: Iterable[str]) -> None:
        """Put files of the directory into it, if they are small."""
        if self._out is None:
            # Open until it is closed.
            self._out = open(os.path.join(self._directory, PACK), "wb")  # noqa: SIM115
        for name in names:
            path = os.path.join(self._directory, name)
            if os.path.getsize(path) > _SMALL:
                continue
            with open(path, "rb") as file:
                data = file.read()
            os.unlink(path)
            self.parts[name] = self._end, len(data)
            self._end += self._out.write(data)
            self._end += self._out.write(bytes(-self._end % _ALIGNMENT))
        self._out.flush()

    def close(self) -> None:
        """Close the file."""
        if self._out is not None:
            self._out.close()
