"""Plans kept between mounts.

An entry is a directory named by everything that the plan depends on but the store,
and has the store's fingerprint in it; it is used only if that still holds. Entries
appear whole, by renaming, so that mounts that start at once don't meet.

Several users may have one directory for their plans. Each has a folder in it; root's
plans are for all who may read them.
"""

import contextlib
import errno
import json
import os
import re
import shutil
import tempfile
import time
from typing import TYPE_CHECKING

import platformdirs

from biofuse.durable import is_intact, mark_unsettled
from biofuse.manifest import DEPENDENCIES, MANIFEST, PlanFolder
from biofuse.plan.fingerprint import Fingerprint
from biofuse.stores.location import Location
from biofuse.trust import UntrustedError, open_folder, read_file

if TYPE_CHECKING:
    from biofuse.plan.far_fingerprint import FarFingerprint

DEFAULT_LIMIT = 4 << 30
# An entry that was used just now may be about to be opened.
_GRACE = 600
# Seconds after which an unfinished plan is taken for abandoned.
_ABANDONED = 86400
# A user's folder within the one that is named, by the user's number.
_FOLDER = "biofuse-plans-{}"
_ROOT = 0
_ENTRY = re.compile(r"[0-9a-f]{32}")
_UNFINISHED = re.compile(r"(new|old)-[a-z0-9_]{8}")


def default_cache_dir() -> str | None:
    """The user's cache directory for plans; None where the user has no home."""
    try:
        return platformdirs.user_cache_dir("biofuse")
    except (RuntimeError, KeyError):
        return None


def write_dependencies(directory: str, fingerprint: "Fingerprint | FarFingerprint") -> None:
    """Record in a plan what of the store it depends on."""
    with open(os.path.join(directory, DEPENDENCIES), "w") as f:
        json.dump(fingerprint.to_json(), f)


def is_current(directory: str, location: Location | None = None) -> bool:
    """Whether a plan can be used: nobody else can have changed it, and it is intact.

    And the store is as it was when it was made.
    """
    return _still_holds(directory, location) and is_intact(directory)


def _still_holds(directory: str, location: Location | None) -> bool:
    try:
        with PlanFolder(directory) as folder:
            folder.check()
            value = json.loads(read_file(DEPENDENCIES, folder.fd))
        if value.get("far"):
            if location is None:
                return False
            from biofuse.plan.far_fingerprint import FarFingerprint

            return FarFingerprint.still_holds(value, location)
        return Fingerprint.still_holds(value)
    except Exception:
        # Whatever a damaged entry makes of itself, it is not used.
        return False


def _is_plan(path: str) -> bool:
    return all(os.path.exists(os.path.join(path, name)) for name in (MANIFEST, DEPENDENCIES))


def _is_trusted(folder: str) -> bool:
    """Whether nobody but this user and root may put plans into a folder."""
    try:
        os.close(open_folder(folder))
    except (OSError, UntrustedError):
        return False
    return True


class PlanCache:
    """The plans of this user, in a folder of their own within a directory.

    Parameters
    ----------
    parent : str
        The directory, which others may use for theirs.
    limit : int
        Bytes; when more is kept, the entries unused for longest go.
    """

    def __init__(self, parent: str, limit: int = DEFAULT_LIMIT):
        self.path = os.path.join(parent, _FOLDER.format(os.geteuid()))
        self._for_all = os.path.join(parent, _FOLDER.format(_ROOT))
        self._limit = limit

    def find(self, key: str, location: Location | None = None) -> str | None:
        """The directory of a plan that still holds, this user's or root's, or None."""
        for folder in dict.fromkeys((self.path, self._for_all)):
            entry = os.path.join(folder, key)
            if _is_trusted(folder) and is_current(entry, location):
                with contextlib.suppress(OSError):
                    os.utime(entry)
                return entry
        return None

    def new(self) -> str:
        """A new directory to make a plan in.

        Raises
        ------
        OSError
            If the cache cannot be written to, or what is written there is not this user's.
        """
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        if not _is_trusted(self.path):
            raise PermissionError(errno.EPERM, "others may write there", self.path)
        made = tempfile.mkdtemp(prefix="new-", dir=self.path)
        if not _is_trusted(made):
            # As on file systems that make all files one user's.
            os.rmdir(made)
            raise PermissionError(errno.EPERM, "files there are not one's own", self.path)
        return made

    def keep(self, directory: str, key: str, location: Location | None = None) -> str:
        """Make a finished plan the entry for a key. Returns where it is now.

        It stays where it is if it cannot be kept.
        """
        try:
            mark_unsettled(directory)
            kept = self._put(directory, os.path.join(self.path, key), location)
        except OSError:
            return directory
        if kept != directory:
            with contextlib.suppress(OSError):
                self.prune()
        return kept

    def _put(self, directory: str, entry: str, location: Location | None) -> str:
        for _ in range(3):
            try:
                os.rename(directory, entry)
            except OSError:
                if is_current(entry, location):
                    # Another mount was faster.
                    shutil.rmtree(directory, ignore_errors=True)
                    return entry
                if self._is_of_another_machine(entry, location):
                    return directory
                stale = tempfile.mkdtemp(prefix="old-", dir=self.path)
                with contextlib.suppress(OSError):
                    os.rename(entry, os.path.join(stale, "plan"))
                shutil.rmtree(stale, ignore_errors=True)
            else:
                return entry
        return directory

    def _is_of_another_machine(self, entry: str, location: Location | None) -> bool:
        """Whether another machine has just made this entry, and may be opening it."""
        with contextlib.suppress(OSError):
            return time.time() - os.stat(entry).st_mtime < _GRACE and _still_holds(entry, location)
        return False

    def prune(self) -> None:
        """Remove the entries unused for longest until the rest fits the limit."""
        entries = []
        now = time.time()
        for entry in os.scandir(self.path):
            # Never touch what a plan cache did not make, whatever folder this is.
            if not entry.is_dir(follow_symlinks=False):
                continue
            with contextlib.suppress(OSError):
                used = entry.stat().st_mtime
                if _UNFINISHED.fullmatch(entry.name) and now - used > _ABANDONED:
                    shutil.rmtree(entry.path, ignore_errors=True)
                elif _ENTRY.fullmatch(entry.name) and _is_plan(entry.path):
                    size = sum(f.stat().st_size for f in os.scandir(entry.path))
                    entries.append((used, size, entry.path))
        total = sum(size for _, size, _ in entries)
        for used, size, path in sorted(entries):
            if total <= self._limit or now - used < _GRACE:
                break
            shutil.rmtree(path, ignore_errors=True)
            total -= size
