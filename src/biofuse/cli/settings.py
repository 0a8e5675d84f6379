"""What the options of a command come to: the store, the view, how to serve it."""

import dataclasses
import json
import os
from collections.abc import Sequence
from typing import Any

from biofuse import formats
from biofuse.allocators import find_allocator
from biofuse.cli.options import MAX_THREADS
from biofuse.errors import BiofuseError
from biofuse.memory import default_budget
from biofuse.options import Selection, ViewOptions
from biofuse.serve.config import ServeConfig
from biofuse.stores.location import Location, store_stem

_LOCAL_THREADS = 4
_REMOTE_THREADS = 8

_PLINK_FLAGS = ("no_bim", "no_fam")
# Format options whose presence is all that matters.
_FORMAT_FLAGS = (
    *_PLINK_FLAGS,
    "unphased",
    "haploid_as_diploid",
    "no_bgi",
    "no_sample_file",
    "no_header_samples",
    "sample_of_0_1_0",
)


def _format_options(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Options of formats that differ from the default."""
    options: dict[str, Any] = {name: True for name in _FORMAT_FLAGS if kwargs.get(name)}
    if kwargs.get("bgen_field", "GT") != "GT":
        options["bgen_field"] = kwargs["bgen_field"]
    if kwargs.get("bits", "8") != "8":
        options["bits"] = int(kwargs["bits"])
    if kwargs.get("variant_id_field") == "varid":
        options["varid"] = True
    return options


def parse_storage_options(pairs: tuple[str, ...]) -> dict[str, Any]:
    """The options of a backend from KEY=VALUE pairs."""
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BiofuseError(f"--storage-option {pair!r} is not of the form KEY=VALUE")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options


def location_from(store: str, kwargs: dict[str, Any]) -> Location:
    """The store's location, checked as far as it can be without opening it."""
    location = Location(
        store,
        kwargs.get("backend_storage"),
        parse_storage_options(kwargs.get("storage_options", ())),
    ).absolute()
    location.check()
    return location


def _formats(
    names: Sequence[str], used: Sequence[str], options: dict[str, Any]
) -> tuple[list[str], list[str]]:
    """Formats to show, and those of them that must be there.

    Those are the ones that are named, or that are used, or that an option is for.

    Raises
    ------
    BiofuseError
        If an option is for a format that is not to be shown.
    """
    made_for = {name: "plink" if name in _PLINK_FLAGS else "bgen" for name in options}
    if names:
        chosen = list(dict.fromkeys(names))
        for name, format_name in made_for.items():
            if format_name not in chosen:
                raise BiofuseError(
                    f"--{name.replace('_', '-')} is for --format {format_name}, which is not among "
                    "the formats to show: add the one or leave out the other"
                )
        return chosen, chosen
    asked = {*used, *made_for.values()}
    return list(formats.NAMES), [name for name in formats.NAMES if name in asked]


def view_options_from(
    store: str, names: Sequence[str], kwargs: dict[str, Any], used: Sequence[str] = ()
) -> ViewOptions:
    """The view that the options of a command ask for.

    Parameters
    ----------
    store : str
    names : sequence of str
        Formats that are named; none for all that can show the store.
    kwargs : dict
        The command's options.
    used : sequence of str
        Formats that the command is known to use files of.
    """
    location = location_from(store, kwargs)
    stem = kwargs.get("basename") or store_stem(location.path)
    if "/" in stem or stem in (".", ".."):
        raise BiofuseError(f"--basename {stem!r} is not a file name")
    selection: dict[str, Any] = {name: kwargs.get(name) for name in Selection.__dataclass_fields__}
    for name in ("regions_file", "targets_file", "samples_file"):
        if selection[name] is not None:
            mark = "^" if selection[name].startswith("^") else ""
            selection[name] = mark + os.path.abspath(selection[name].removeprefix("^"))
    format_options = _format_options(kwargs)
    chosen, required = _formats(names, used, format_options)
    return ViewOptions(
        store=dataclasses.asdict(location),
        stem=stem,
        formats=chosen,
        required=required,
        selection=Selection(**{**selection, "force_samples": bool(selection["force_samples"])}),
        multiallelic=kwargs.get("multiallelic", "error"),
        variant_id_template=kwargs.get("variant_id_template"),
        format_options=format_options,
    )


def _threads(kwargs: dict[str, Any]) -> int:
    """Threads of the worker.

    For a local store they compute, and more than there are cores bring nothing. Where each
    read takes its time they mostly wait; as many as serve has blocks under way are of use
    (benchmarks/latency.py).
    """
    if kwargs.get("threads") is not None:
        return kwargs["threads"]
    cores = len(os.sched_getaffinity(0))
    local = kwargs.get("backend_storage") is None
    wanted = kwargs.get("readahead_workers")
    if wanted is not None:
        return max(1, min(wanted, cores if local else MAX_THREADS))
    return min(_LOCAL_THREADS, cores) if local else _REMOTE_THREADS


def budget_from(kwargs: dict[str, Any]) -> int:
    """Bytes that a mount may take, as the options of a command say."""
    return default_budget() if kwargs["memory"] is None else kwargs["memory"]


def serve_config_from(store: str, mountpoint: str, kwargs: dict[str, Any]) -> ServeConfig:
    """How to serve, as the options of a command say; the plan is filled in later."""
    absolute = {
        name: os.path.abspath(kwargs[name]) if kwargs.get(name) else None
        for name in ("access_log", "log_file")
    }
    return ServeConfig(
        plan_dir="",
        mountpoint=mountpoint,
        store=store,
        memory=budget_from(kwargs),
        allocator=find_allocator(kwargs["allocator"]),
        trim=kwargs["trim"],
        threads=_threads(kwargs),
        ahead_bytes=kwargs.get("readahead_buffer_size"),
        idle_timeout=kwargs["idle_timeout"],
        timeout=kwargs["timeout"],
        read_ahead_kb=kwargs["read_ahead_kb"],
        allow_other=kwargs["allow_other"],
        lifeline_fd=None,
        ready_fd=None,
        remove_plan=False,
        access_log=absolute["access_log"],
        log_file=absolute["log_file"],
        log_level=kwargs["log_level"],
        metrics=kwargs.get("metrics"),
    )
