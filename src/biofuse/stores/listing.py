"""What is stored below a folder of a store, by name alone."""

import os
import stat
from dataclasses import dataclass, field

from biofuse.errors import BiofuseError

# What is said of a folder, in whose place an object may be wanted.
FOLDER = "a folder"
_LOST = "a link that leads nowhere"
# The keys of an array's chunks have no more parts than it has dimensions.
_MAX_DEPTH = 34


@dataclass
class Listing:
    """What is below a folder.

    Attributes
    ----------
    names : list of str
        Of stored objects, relative to the folder.
    broken : dict of str to str
        Names of what is there and is no object that can be opened, and what it is.
    """

    names: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)

    def lost_folders(self) -> list[str]:
        """Names of links directly in the folder that lead nowhere, as folders may have been."""
        return [
            name for name, what in self.broken.items() if "/" not in name and what.startswith(_LOST)
        ]


def list_local(root: str, folder: str) -> Listing:
    """List a folder of a local store; one that is not there has nothing in it.

    Nothing is opened, and only what is neither a plain file nor a folder is looked at:
    one call a folder, whatever the number of files.

    Raises
    ------
    BiofuseError
        If a folder cannot be read.
    """
    found = Listing()
    if os.path.isdir(os.path.join(root, folder)):
        _scan(os.path.join(root, folder), folder, "", found, _MAX_DEPTH)
    return found


def _scan(path: str, folder: str, prefix: str, found: Listing, depth: int) -> None:
    try:
        with os.scandir(path) as entries:
            folders = [entry for entry in entries if not _add(entry, prefix, found)]
    except OSError as error:
        raise BiofuseError(f"{folder}/{prefix} cannot be read: {error.strerror}") from error
    for entry in folders:
        # A file may lie where only folders should, and the other way round.
        found.broken[f"{prefix}{entry.name}"] = FOLDER
        if depth:
            _scan(entry.path, folder, f"{prefix}{entry.name}/", found, depth - 1)


def _add(entry: os.DirEntry[str], prefix: str, found: Listing) -> bool:
    """Add what is no folder. Returns whether it is none."""
    name = f"{prefix}{entry.name}"
    if entry.is_file(follow_symlinks=False):
        found.names.append(name)
        return True
    if entry.is_dir():
        return False
    try:
        mode = os.stat(entry.path).st_mode
    except OSError as error:
        found.broken[name] = f"{_LOST} ({error.strerror})"
        return True
    if stat.S_ISREG(mode):
        found.names.append(name)
    else:
        found.broken[name] = "no regular file"
    return True
