"""What the files of a plan begin with."""

import time
from collections.abc import Callable, Iterable, Sequence

from biofuse.encode.encoder import Encoder
from biofuse.encode.tables import MappedTables
from biofuse.errors import BiofuseError, StoreChangedError
from biofuse.manifest import Plan

_CACHE = 1 << 20


class Preview:
    """Records of a plan before it is served.

    Parameters
    ----------
    plan : Plan
        Of which all but the sidecars is written.
    directory : str
        Its directory.
    look_at : callable
        Called with the keys of chunks before they are read.

    Attributes
    ----------
    errors : list of BiofuseError
        Why something could not be read.
    """

    def __init__(self, plan: Plan, directory: str, look_at: Callable[[Iterable[str]], None]):
        self.errors: list[BiofuseError] = []
        self._plan = plan
        self._look_at = look_at
        self._opened_ns = time.time_ns()
        self._tables = MappedTables.of_plan(plan, directory).views
        self._encoder: Encoder | None = None

    def _open(self) -> Encoder:
        if self._encoder is None:
            self._encoder = Encoder(self._plan, self._tables, _CACHE, self._opened_ns)
        return self._encoder

    def read_first(self, number: int, size: int) -> bytes:
        """The first bytes of a streamed file, or all that can be read."""
        streamed = self._plan.streamed[number]
        data = bytes(self._tables[streamed.header][:size])
        if streamed.offsets is not None:
            offsets: Sequence[int] = self._tables[streamed.offsets].cast("Q")
        else:
            assert streamed.record_size is not None
            step = streamed.record_size
            offsets = range(streamed.header_size, streamed.size + 1, step)
        record = 0
        while len(data) < size and record < streamed.records:
            out = bytearray(offsets[record + 1] - offsets[record])
            try:
                encoder = self._open()
                self._look_at(encoder.keys(number, record))
                encoder.encode(number, record, record + 1, memoryview(out))
            except StoreChangedError:
                raise
            except BiofuseError as error:
                # What cannot be shown cannot be read from the mount either.
                self.errors.append(error)
                break
            data += out
            record += 1
        return data[:size]
