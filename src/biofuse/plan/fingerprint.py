"""Tell whether a local store is what it was, from its files' sizes and times."""

import hashlib
import os
from collections.abc import Iterable, Sequence


class Fingerprint:
    """What of a store a plan depends on, and how that was when it was looked at.

    Parameters
    ----------
    root : str
        The store: a directory or a zip file.
    shallow : sequence of str
        Arrays of which the folder and its metadata are looked at, as the worker does
        while the store is mounted, or the absence is. A chunk that is added, removed or
        replaced by renaming changes its folder, but not one that folders lie between.
    deep : sequence of str
        Arrays of which every file is looked at.
    """

    def __init__(self, root: str, shallow: Sequence[str] = (), deep: Sequence[str] = ()):
        self._root = root
        self._shallow = list(shallow)
        self._deep = list(deep)
        self._files: list[str] = []
        # A zip file is one file, whatever is read of it.
        self._is_folder = os.path.isdir(root)
        self._lines: list[str] = []
        if not self._is_folder:
            self._add("", os.stat(root))
            return
        for entry in os.scandir(root):
            if entry.is_file(follow_symlinks=False) or entry.is_symlink():
                self._look_at(entry.name)
            else:
                # An array that is added may have a part in the view.
                self._lines.append(f"{entry.name}\tfolder")
        self._look_at_arrays(self._shallow)
        for name in self._deep:
            self._walk(name, ())

    def add_arrays(self, names: Iterable[str]) -> None:
        """Look at more arrays in a shallow way; to be called before they are read."""
        more = list(names)
        self._shallow += more
        if self._is_folder:
            self._look_at_arrays(more)

    def add_files(self, keys: Iterable[str]) -> None:
        """Look at single files too, or their absence; to be called before they are read."""
        for key in keys:
            self._files.append(key)
            if self._is_folder:
                self._look_at(key)

    def to_json(self) -> dict:
        return {
            "root": self._root,
            "shallow": self._shallow,
            "deep": self._deep,
            "files": self._files,
            "digest": self._digest(),
        }

    @staticmethod
    def still_holds(value: dict) -> bool:
        """Whether the store is what it was when this value of `to_json` was made.

        Raises
        ------
        OSError, KeyError, TypeError
            If the store is gone, or the value is of another kind.
        """
        now = Fingerprint(value["root"], value["shallow"], value["deep"])
        now.add_files(value["files"])
        return now._digest() == value["digest"]

    def _digest(self) -> str:
        text = "\n".join(sorted(set(self._lines)))
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()

    def _walk(self, name: str, above: tuple[tuple[int, int], ...]) -> None:
        """Look at all files below a folder; links may lead back to one that it lies in."""
        path = os.path.join(self._root, name)
        try:
            status = os.stat(path)
            with os.scandir(path) as entries:
                found = [(entry.name, entry.is_file(follow_symlinks=False)) for entry in entries]
        except NotADirectoryError:
            self._add(name, status)
            return
        except OSError as error:
            self._lines.append(f"{name}\terror {error.errno}")
            return
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            return
        for entry, is_file in found:
            if is_file:
                self._look_at(f"{name}/{entry}")
            else:
                self._walk(f"{name}/{entry}", (*above, identity))

    def _look_at_arrays(self, names: Iterable[str]) -> None:
        for name in names:
            for part in ("", "/.zarray", "/.zattrs", "/zarr.json", "/c"):
                self._look_at(f"{name}{part}")

    def _look_at(self, key: str) -> None:
        try:
            self._add(key, os.stat(os.path.join(self._root, key)))
        except (FileNotFoundError, NotADirectoryError):
            self._lines.append(f"{key}\t-")
        except OSError as error:
            self._lines.append(f"{key}\terror {error.errno}")

    def _add(self, name: str, status: os.stat_result) -> None:
        self._lines.append(f"{name}\t{status.st_size}\t{status.st_mtime_ns}\t{status.st_ino}")
