"""A view made in this process, from the words of a command line and without a mount.

The same parser, plan and encoder as a mount's, a tenth of its time: for tests that try
many selections. What only a mount can show is tested on mounts.
"""

import time
from pathlib import Path

from biofuse.cli.mount import command
from biofuse.cli.options import view_options_from
from biofuse.encode.encoder import Encoder
from biofuse.encode.worker import map_file
from biofuse.manifest import Plan
from biofuse.options import ViewOptions
from biofuse.plan.build import build_plan
from support.oracles import Fileset


def parse(store: Path, *options) -> ViewOptions:
    """The view that `biofuse mount STORE DIR OPTIONS` asks for."""
    words = [str(word) for word in (store, "unused", *options)]
    with command.make_context("mount", words) as context:
        kwargs = dict(context.params)
    return view_options_from(kwargs.pop("store"), ["plink"], kwargs)


def plan_view(store: Path, directory: Path, *options) -> Plan:
    """Make the plan of a view in a directory."""
    directory.mkdir()
    return build_plan(parse(store, *options), str(directory), lambda done, total: None)


def make_view(store: Path, directory: Path, *options) -> Fileset:
    """All bytes of a view, made a few records at a time as a mount does."""
    plan = plan_view(store, directory, *options)
    tables = {}
    for name in plan.table_names():
        with open(directory / name, "rb") as f:
            tables[name] = map_file(f.fileno())
    encoder = Encoder(plan, tables, 8 << 20, time.time_ns())
    streamed = plan.streamed[0]
    bed = (directory / streamed.header).read_bytes()
    for first in range(0, streamed.records, 10):
        last = min(first + 10, streamed.records)
        out = bytearray((last - first) * streamed.record_size)
        encoder.encode(0, first, last, memoryview(out))
        bed += out
    assert len(bed) == streamed.size
    text = {f.name.rpartition(".")[2]: (directory / f.path).read_text() for f in plan.static}
    return Fileset(bed, text["bim"], text["fam"])
