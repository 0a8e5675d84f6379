"""What the files of a plan begin with, and whether they have phased variants."""

import os
import time

from biofuse.encode.encoder import Encoder
from biofuse.encode.tables import MappedTables
from biofuse.errors import BiofuseError, StoreChangedError
from biofuse.formats.base import PHASED
from biofuse.manifest import Plan

_CACHE = 1 << 20
# Variants that are looked at for phase.
_LOOKS = 8


class Preview:
    """Records of a plan before it is served.

    Parameters
    ----------
    plan : Plan
        Of which all but the sidecars is written.
    directory : str
        Its directory.
    """

    def __init__(self, plan: Plan, directory: str):
        self._plan = plan
        self._directory = directory
        self._tables = MappedTables.open(directory, plan.table_names()).views
        self._encoder: Encoder | None = None

    def _open(self) -> Encoder:
        if self._encoder is None:
            self._encoder = Encoder(self._plan, self._tables, _CACHE, time.time_ns())
        return self._encoder

    def read_first(self, number: int, size: int) -> bytes:
        """The first bytes of a streamed file, or all that can be read."""
        streamed = self._plan.streamed[number]
        with open(os.path.join(self._directory, streamed.header), "rb") as f:
            data = f.read(size)
        if streamed.offsets is not None:
            offsets = self._tables[streamed.offsets].cast("Q")
        else:
            assert streamed.record_size is not None
            step = streamed.record_size
            offsets = range(streamed.header_size, streamed.size + 1, step)
        record = 0
        while len(data) < size and record < streamed.records:
            out = bytearray(offsets[record + 1] - offsets[record])
            try:
                self._open().encode(number, record, record + 1, memoryview(out))
            except StoreChangedError:
                raise
            except BiofuseError:
                # What cannot be shown cannot be read from the mount either.
                break
            data += out
            record += 1
        return data[:size]

    def has_phased(self) -> bool:
        """Whether phased variants are found among a few that are spread over the view."""
        if not any(PHASED in streamed.fields for streamed in self._plan.streamed):
            return False
        count = self._plan.num_variants
        looks = sorted({i * count // _LOOKS for i in range(_LOOKS)}) if count else []
        return any(self._open().is_phased(variant) for variant in looks)
