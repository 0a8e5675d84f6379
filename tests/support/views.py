"""A view made in this process, from the words of a command line and without a mount.

The same parser, plan and encoder as a mount's, a tenth of its time: for tests that try
many selections. What only a mount can show is tested on mounts.
"""

import dataclasses
import time
from array import array
from collections.abc import Iterator
from pathlib import Path

from biofuse.api.views import view_options
from biofuse.cli import mount, mount_bgen
from biofuse.encode.encoder import Encoder
from biofuse.encode.fast import FastPath
from biofuse.encode.tables import MappedTables
from biofuse.manifest import PACK, Plan
from biofuse.options import ViewOptions
from biofuse.plan.build import build_plan
from biofuse.stores import Location, open_store
from support.oracles import Fileset

_STEP = 10


def parse(
    store: Path, *options, like: str = "mount", formats: tuple[str, ...] = ("plink",)
) -> ViewOptions:
    """The view that a command asks for: `biofuse LIKE STORE DIR OPTIONS`.

    Without `--format`, that of `mount` is in these.
    """
    words = [str(word) for word in (store, "unused", *options)]
    command = {"mount": mount.command, "mount-bgen": mount_bgen.command}[like]
    with command.make_context(like, words) as context:
        given = command.collect(context.params)
    location = given["source"].location(given["store"])
    if like == "mount-bgen":
        names = ("view", "selection", "format_options", "variant_id_field")
        return mount_bgen.bgen_view(location, **{name: given[name] for name in names})
    view = given["view"]
    if not view.format_names:
        view = dataclasses.replace(view, format_names=formats)
    return view_options(location, view, given["selection"], given["format_options"])


def plan_view(store: Path, directory: Path, *options, like: str = "mount") -> Plan:
    """Make the plan of a view in a directory."""
    directory.mkdir()
    view = parse(store, *options, like=like)
    return build_plan(view, str(directory), lambda done, total: None)


def open_encoder(plan: Plan, directory: Path, cache_bytes: int, **limits) -> Encoder:
    """The encoder of a plan in a directory, as a worker opens it."""
    tables = MappedTables.of_plan(plan, str(directory))
    return Encoder(plan, tables.views, cache_bytes, time.time_ns(), **limits)


def open_fast_path(plan: Plan, directory: Path, memory: int, threads: int = 2, **more) -> FastPath:
    """The native engine of a plan in a directory, as a worker opens it."""
    tables = MappedTables.of_plan(plan, str(directory))
    opened_ns = time.time_ns()
    store = open_store(Location(**plan.store), opened_ns)
    ahead = more.get("ahead_bytes", 2 << 20)
    return FastPath(plan, tables.views, store, memory, threads, ahead, opened_ns)


def plan_file(plan: Plan, directory: Path, name: str) -> bytes:
    """A file of a plan in a directory."""
    if name not in plan.packed:
        return (directory / name).read_bytes()
    start, size = plan.packed[name]
    return (directory / PACK).read_bytes()[start : start + size]


def record_offsets(plan: Plan, directory: Path, number: int = 0) -> array:
    """Where each record of a streamed file begins, and its size."""
    streamed = plan.streamed[number]
    if streamed.offsets is None:
        return array("Q", range(streamed.header_size, streamed.size + 1, streamed.record_size))
    return array("Q", plan_file(plan, directory, streamed.offsets))


def encoded_parts(plan: Plan, directory: Path, number: int = 0) -> Iterator[bytes]:
    """A streamed file's header, then a few records at a time, as a mount makes them."""
    encoder = open_encoder(plan, directory, 8 << 20)
    streamed = plan.streamed[number]
    offsets = record_offsets(plan, directory, number)
    yield plan_file(plan, directory, streamed.header)
    for first in range(0, streamed.records, _STEP):
        last = min(first + _STEP, streamed.records)
        out = bytearray(offsets[last] - offsets[first])
        encoder.encode(number, first, last, memoryview(out))
        yield bytes(out)


def make_view(store: Path, directory: Path, *options) -> Fileset:
    """All bytes of a view, made a few records at a time as a mount does."""
    plan = plan_view(store, directory, *options)
    bed = b"".join(encoded_parts(plan, directory))
    assert len(bed) == plan.streamed[0].size
    text = {f.name.rpartition(".")[2]: (directory / f.path).read_text() for f in plan.static}
    return Fileset(bed, text["bim"], text["fam"])


def make_files(store: Path, directory: Path, *options, like: str = "mount") -> Path:
    """Write the files that a mount would show to a new directory. Returns their stem."""
    directory.mkdir()
    folder = directory / "plan"
    plan = plan_view(store, folder, *options, like=like)
    for number, streamed in enumerate(plan.streamed):
        path = directory / streamed.name
        path.write_bytes(b"".join(encoded_parts(plan, folder, number)))
        assert path.stat().st_size == streamed.size
    for static in plan.static:
        (directory / static.name).write_bytes(plan_file(plan, folder, static.path))
    return directory / plan.stem
