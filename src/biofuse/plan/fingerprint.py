"""Tell whether a local store is what it was, from its files' sizes and times."""

import contextlib
import hashlib
import os
from collections.abc import Sequence


def fingerprint(root: str, shallow: Sequence[str], deep: Sequence[str]) -> str:
    """A digest that changes when the store does.

    Parameters
    ----------
    root : str
        The store: a directory or a zip file.
    shallow : sequence of str
        Arrays of which the folder and its metadata are looked at, as the worker does
        while the store is mounted. A chunk that is added, removed or replaced by renaming
        changes its folder.
    deep : sequence of str
        Arrays of which every file is looked at.
    """
    lines: list[str] = []
    if not os.path.isdir(root):
        _add(lines, "", os.stat(root))
    else:
        for entry in os.scandir(root):
            if entry.is_file():
                _add(lines, entry.name, entry.stat())
            else:
                # An array that is added may have a part in the view.
                lines.append(f"{entry.name}\tfolder")
        for name in shallow:
            path = os.path.join(root, name)
            _add(lines, name, os.stat(path))
            for entry in (".zarray", "zarr.json", "c"):
                with contextlib.suppress(FileNotFoundError):
                    _add(lines, f"{name}/{entry}", os.stat(os.path.join(path, entry)))
        for name in deep:
            _walk(lines, root, name)
    return hashlib.sha256("\n".join(sorted(lines)).encode(errors="surrogateescape")).hexdigest()


def _walk(lines: list[str], root: str, name: str) -> None:
    with os.scandir(os.path.join(root, name)) as entries:
        for entry in entries:
            if entry.is_dir():
                _walk(lines, root, f"{name}/{entry.name}")
            else:
                _add(lines, f"{name}/{entry.name}", entry.stat())


def _add(lines: list[str], name: str, status: os.stat_result) -> None:
    lines.append(f"{name}\t{status.st_size}\t{status.st_mtime_ns}\t{status.st_ino}")
