"""A view of every format in this process, whose plan is made once and opened for each case."""

import errno
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.views import plan_view, record_offsets

from biofuse.encode.maker import Maker
from biofuse.encode.opening import Opening
from biofuse.encode.tables import MappedTables
from biofuse.errors import BiofuseError
from biofuse.manifest import Plan
from biofuse.stores import Location

from .case import check_refused

MEMORY = 64 << 20
FORMATS = ("plink", "bgen", "plink2", "bcf")
ALL_FORMATS = tuple(word for name in FORMATS for word in ("--format", name))


@dataclass(frozen=True)
class View:
    """A plan, and where it is."""

    plan: Plan
    folder: Path

    @classmethod
    def make(cls, store: Path, folder: Path, *options: str) -> "View":
        return cls(plan_view(store, folder, *options), folder)

    @contextmanager
    def opened(self) -> Iterator[Maker]:
        """What makes its bytes, opened now."""
        with ExitStack() as stack:
            opening = Opening(
                self.plan,
                Location(**self.plan.store),
                MappedTables.of_plan(self.plan, str(self.folder)),
                MEMORY,
                2,
                time.time_ns(),
                60.0,
            )
            maker = Maker(opening)
            stack.callback(maker.close)
            yield maker

    def spans(self, first: int, last: int) -> dict[int, tuple[int, int]]:
        """By streamed file, where records first to last lie; of a framed one, all of it."""
        found = {}
        for number, streamed in enumerate(self.plan.streamed):
            if streamed.stream is not None:
                found[number] = (0, streamed.size)
                continue
            starts = record_offsets(self.plan, self.folder, number)
            found[number] = (starts[first], starts[last])
        return found

    def whole(self) -> dict[int, bytes]:
        """Every streamed file, which is sound."""
        with self.opened() as maker:
            return {
                number: read(maker, number, 0, streamed.size)
                for number, streamed in enumerate(self.plan.streamed)
            }


def read(maker: Maker, number: int, offset: int, size: int) -> bytes:
    """Bytes of a streamed file."""
    out = bytearray(size)
    maker.read_into(number, offset, memoryview(out))
    return bytes(out)


def try_to_read(maker: Maker, number: int, offset: int, size: int, *names: str) -> bytes | None:
    """The same; None if it fails as a read of what is damaged does, naming one of these."""
    try:
        return read(maker, number, offset, size)
    except BiofuseError as error:
        check_refused(error, *names)
        assert error.errno == errno.EIO, error
        return None
