"""A view of every format in this process, whose plan is made once and opened for each case."""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from support.views import plan_file, plan_view, record_offsets

from biofuse.bgzf import BLOCK, END, PAYLOAD
from biofuse.encode.maker import Maker
from biofuse.encode.opening import Opening
from biofuse.encode.tables import MappedTables
from biofuse.errors import BiofuseError
from biofuse.fuse.directory import Directory
from biofuse.manifest import Plan, PlanFolder
from biofuse.stores import Location

from .case import check_refused

MEMORY = 64 << 20
FORMATS = ("plink", "bgen", "plink2", "bcf")
ALL_FORMATS = tuple(word for name in FORMATS for word in ("--format", name))
FIRST_FORMAT = ALL_FORMATS[:2]


@dataclass(frozen=True)
class View:
    """A plan, and where it is."""

    plan: Plan
    folder: Path

    @classmethod
    def make(cls, store: Path, folder: Path, *options: str) -> "View":
        return cls(plan_view(store, folder, *options), folder)

    def opened(self) -> AbstractContextManager[Maker]:
        """What makes its bytes, opened now."""
        return opened(self.plan, MappedTables.of_plan(self.plan, str(self.folder)))

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Every file that is shown, by its suffix."""
        found = {
            each.name: plan_file(self.plan, self.folder, each.path) for each in self.plan.static
        }
        found |= {self.plan.streamed[n].name: data for n, data in self.whole().items()}
        return {name.rpartition(".")[2]: data for name, data in found.items()}

    def spans(self, first: int, last: int) -> dict[int, tuple[int, int]]:
        """By streamed file, where records first to last lie; of a framed one, their blocks."""
        found = {}
        for number, streamed in enumerate(self.plan.streamed):
            starts = record_offsets(self.plan, self.folder, number)
            begin, end = starts[first], starts[last]
            if streamed.stream is not None:
                begin, end = begin // PAYLOAD * BLOCK, -(-end // PAYLOAD) * BLOCK
                end = min(end, streamed.size - len(END))
            found[number] = (begin, end)
        return found

    def whole(self) -> dict[int, bytes]:
        """Every streamed file, which is sound."""
        with self.opened() as maker:
            return {
                number: read(maker, number, 0, streamed.size)
                for number, streamed in enumerate(self.plan.streamed)
            }


@contextmanager
def opened(plan: Plan, tables: MappedTables, threads: int = 2) -> Iterator[Maker]:
    """What makes a plan's bytes, for the time of a block."""
    location = Location.planned(plan.store)
    maker = Maker(Opening(plan, location, tables, MEMORY, threads, time.time_ns(), 60.0))
    try:
        yield maker
    finally:
        maker.close()


def read(maker: Maker, number: int, offset: int, size: int) -> bytes:
    """Bytes of a streamed file."""
    out = bytearray(size)
    maker.read_into(number, offset, memoryview(out))
    return bytes(out)


def try_to_read(
    maker: Maker, number: int, offset: int, size: int, *names: str, stale: bool = False
) -> bytes | None:
    """The same; None if it fails as a read of what is damaged does, naming one of these.

    Or as one of a store that was changed, where it may be taken for that.
    """
    try:
        return read(maker, number, offset, size)
    except BiofuseError as error:
        check_refused(error, *names)
        assert error.errno == errno.EIO or (stale and error.errno == errno.ESTALE), error
        return None


def show(folder: PlanFolder) -> None:
    """What serve does: the files that are shown, and the bytes of sidecars."""
    plan = folder.plan
    shown = [(os.fsencode(each.name), each.size) for each in (*plan.static, *plan.streamed)]
    Directory(shown, plan.modified_ns, lambda read: None)
    for each in plan.static:
        start, _ = plan.packed.get(each.path, (0, 0))
        fd = folder.open(*plan.on_disk([each.path]))
        try:
            assert len(os.pread(fd, each.size, start)) == each.size, each
        finally:
            os.close(fd)
