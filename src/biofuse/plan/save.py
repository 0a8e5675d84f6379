"""Save what plans of a store are made from in one file, for other mounts and other machines."""

import dataclasses
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

from biofuse import __version__, temporary
from biofuse.errors import BiofuseError
from biofuse.formats.base import CALL_FIELDS
from biofuse.options import Selection, ViewOptions
from biofuse.plan.absent import AbsentChunks
from biofuse.plan.build import build_plan
from biofuse.plan.call_fields import format_names
from biofuse.plan.checks import REQUIRED, check_fields
from biofuse.plan.findings import CallFindings
from biofuse.plan.grid import Grid
from biofuse.plan.hints import hint
from biofuse.plan.saved import local_version
from biofuse.plan.sites import need_sites, site_fields
from biofuse.stores import Location, Range, Store, open_store
from biofuse.stores.located import located
from biofuse.stores.location import open_group
from biofuse.stores.members import Members
from biofuse.stores.saved import FORMAT, MANIFEST, PINS, with_checksum
from biofuse.stores.uploads import write_object

# Arrays of which all is saved, of those that a store has.
_SAVED = (*REQUIRED, "variant_id", "variant_length", "variant_END", "region_index")
_METADATA2, _METADATA3 = (".zarray", ".zattrs"), ("zarr.json",)
_ROOT2, _ROOT3 = (".zgroup", ".zattrs"), ("zarr.json",)
# Objects that are read at a time.
_AT_ONCE = 256


def save_plan(options: ViewOptions, out: str, progress: Callable[[int, int], None]) -> int:
    """Save what plans of a store need.

    Parameters
    ----------
    options : ViewOptions
        What is shown where nothing else is asked for.
    out : str
        A path, or the URL of an object.
    progress : callable
        Called with the objects saved so far and their number.

    Returns
    -------
    int
        Bytes of the file.

    Raises
    ------
    BiofuseError
        If the store cannot be shown as asked.
    """
    began = time.time()
    location = located(Location.planned(options.store, options.secrets))
    if location.engine not in (None, "obstore"):
        raise BiofuseError(
            f"a plan of {location.path} cannot be saved: it is read through {location.engine}"
        )
    is_url = Location(out).is_url
    folder = None if is_url else os.path.dirname(os.path.abspath(out))
    if folder is not None and not os.path.isdir(folder):
        raise BiofuseError(f"there is no folder {folder} to write {out} to")
    with temporary.folder("plan", folder) as work:
        path = os.path.join(work, "plan.zip")
        _write(location, options, path, began, progress)
        # Which tells what a mount would.
        trial = dataclasses.replace(options, store={**options.store, "plan": path})
        os.mkdir(os.path.join(work, "trial"))
        build_plan(trial, os.path.join(work, "trial"), lambda done, total: None)
        size = os.path.getsize(path)
        if is_url:
            write_object(location.beside(out), path)
        else:
            os.replace(path, out)
        return size


def _write(
    location: Location,
    options: ViewOptions,
    path: str,
    began: float,
    progress: Callable[[int, int], None],
) -> None:
    group = open_group(location)
    check_fields(location, group)
    store = open_store(location)
    files: Any = group.files
    absent = AbsentChunks(group, store, fill=True)
    absent.check_sites(Selection())
    fields = [name for name in CALL_FIELDS if name in group]
    fields += [name for name in map("call_{}".format, format_names(group)) if name not in fields]
    runs, warnings = {}, {}
    for name in fields:
        told = len(absent.warnings)
        runs.update(absent.check_calls([name]))
        warnings[name] = absent.warnings[told:]
    findings = CallFindings(location, group)
    wanted = [*_SAVED, *(site_fields(group) if need_sites(options) else [])]
    arrays = [name for name in dict.fromkeys(wanted) if name in group]
    about = {
        "format": FORMAT,
        "version": __version__,
        "made": began,
        "options": json.loads(dataclasses.replace(options, store={}).to_json()),
        "folders": sorted(files.list_folders()),
        "arrays": arrays,
        "roots": _roots(location, group, store),
        "absent": runs,
        "unlisted": list(filter(absent.is_unlisted, fields)),
        "warnings": warnings,
        "phase": findings.phase().name,
        "phased_calls": findings.phased_calls(),
        "haploid": findings.haploid(),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for key, data in _metadata(group, about["folders"]):
            archive.writestr(key, data)
        grids = [Grid(group[name]) for name in arrays]
        total = sum(len(grid) for grid in grids)
        done = 0
        hint(store, [grid.key(number) for grid in grids for number in range(len(grid))])
        for grid in grids:
            for start in range(0, len(grid), _AT_ONCE):
                keys = [grid.key(n) for n in range(start, min(start + _AT_ONCE, len(grid)))]
                for key, piece in zip(
                    keys, store.get_many([Range(key) for key in keys]), strict=True
                ):
                    if piece is not None:
                        archive.writestr(key, bytes(piece.data))
                done += len(keys)
                progress(done, total)
        pins = getattr(store, "pins", None)
        if pins:
            archive.writestr(PINS, pins.to_bytes())
        about["members"] = len(archive.namelist())
        archive.writestr(MANIFEST, json.dumps(with_checksum(about)))


def _roots(location: Location, group: Members, store: Store) -> dict[str, str]:
    """What tells the versions of the store's own metadata."""
    files: Any = group.files
    if location.engine == "obstore" and not location.is_zip:
        keys = list(files.root_keys)
        return dict(zip(keys, (files.root_signature or "").split(" "), strict=bool(keys)))
    if location.is_zip:
        return {"": store.signature([]) or ""}
    names = [name for name in (*_ROOT2, *_ROOT3) if files.read_metadata(name) is not None]
    names += [
        f"{folder}/{name}"
        for folder in CALL_FIELDS
        for name in (".zarray", "zarr.json")
        if files.read_metadata(f"{folder}/{name}") is not None
    ]
    return {name: local_version(location, name) for name in names}


def _metadata(group: Members, folders: list[str]) -> Iterator[tuple[str, bytes]]:
    """The metadata of a store and of all its arrays."""
    files = group.files
    three = group.zarr_format == 3
    keys = list(_ROOT3 if three else _ROOT2)
    keys += [f"{f}/{name}" for f in folders for name in (_METADATA3 if three else _METADATA2)]
    for key in keys:
        data = files.read_metadata(key)
        if data is not None:
            yield key, data
