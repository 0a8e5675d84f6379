"""Plans kept between mounts.

An entry is a directory named by everything that the plan depends on but the store,
and has the store's fingerprint in it; it is used only if that still holds. Entries
appear whole, by renaming, so that mounts that start at once don't meet.
"""

import contextlib
import json
import os
import re
import shutil
import tempfile
import time

import platformdirs

from biofuse.durable import is_intact, mark_unsettled
from biofuse.manifest import MANIFEST, is_whole
from biofuse.plan.fingerprint import Fingerprint

DEFAULT_LIMIT = 4 << 30
_DEPENDENCIES = "store.json"
# An entry that was used just now may be about to be opened.
_GRACE = 600
# Seconds after which an unfinished plan is taken for abandoned.
_ABANDONED = 86400
# A folder of our own within the one that the user names.
_FOLDER = "biofuse-plans"
_ENTRY = re.compile(r"[0-9a-f]{32}")
_UNFINISHED = re.compile(r"(new|old)-[a-z0-9_]{8}")


def default_cache_dir() -> str | None:
    """The user's cache directory for plans; None where the user has no home."""
    try:
        return platformdirs.user_cache_dir("biofuse")
    except (RuntimeError, KeyError):
        return None


def write_dependencies(directory: str, fingerprint: Fingerprint) -> None:
    """Record in a plan what of the store it depends on."""
    with open(os.path.join(directory, _DEPENDENCIES), "w") as f:
        json.dump(fingerprint.to_json(), f)


def is_current(directory: str) -> bool:
    """Whether a plan can be used: the store is as it was when it was made, and it is intact."""
    return is_intact(directory) and _still_holds(directory)


def _still_holds(directory: str) -> bool:
    try:
        with open(os.path.join(directory, _DEPENDENCIES)) as f:
            value = json.load(f)
        return is_whole(directory) and Fingerprint.still_holds(value)
    except Exception:
        # Whatever a damaged entry makes of itself, it is not used.
        return False


def _is_plan(path: str) -> bool:
    return all(os.path.exists(os.path.join(path, name)) for name in (MANIFEST, _DEPENDENCIES))


class PlanCache:
    """The plans in a folder of their own within a directory.

    Parameters
    ----------
    parent : str
        The directory.
    limit : int
        Bytes; when more is kept, the entries unused for longest go.
    """

    def __init__(self, parent: str, limit: int = DEFAULT_LIMIT):
        self.path = os.path.join(parent, _FOLDER)
        self._limit = limit

    def find(self, key: str) -> str | None:
        """The directory of a plan that still holds, or None."""
        entry = os.path.join(self.path, key)
        if not is_current(entry):
            return None
        with contextlib.suppress(OSError):
            os.utime(entry)
        return entry

    def new(self) -> str:
        """A new directory to make a plan in.

        Raises
        ------
        OSError
            If the cache cannot be written to.
        """
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        return tempfile.mkdtemp(prefix="new-", dir=self.path)

    def keep(self, directory: str, key: str) -> str:
        """Make a finished plan the entry for a key. Returns where it is now.

        It stays where it is if it cannot be kept.
        """
        try:
            mark_unsettled(directory)
            kept = self._put(directory, os.path.join(self.path, key))
        except OSError:
            return directory
        if kept != directory:
            with contextlib.suppress(OSError):
                self.prune()
        return kept

    def _put(self, directory: str, entry: str) -> str:
        for _ in range(3):
            try:
                os.rename(directory, entry)
            except OSError:
                if is_current(entry):
                    # Another mount was faster.
                    shutil.rmtree(directory, ignore_errors=True)
                    return entry
                if self._is_of_another_machine(entry):
                    return directory
                stale = tempfile.mkdtemp(prefix="old-", dir=self.path)
                with contextlib.suppress(OSError):
                    os.rename(entry, os.path.join(stale, "plan"))
                shutil.rmtree(stale, ignore_errors=True)
            else:
                return entry
        return directory

    def _is_of_another_machine(self, entry: str) -> bool:
        """Whether another machine has just made this entry, and may be opening it."""
        with contextlib.suppress(OSError):
            return time.time() - os.stat(entry).st_mtime < _GRACE and _still_holds(entry)
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
