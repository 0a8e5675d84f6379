"""Records of streamed files, made from a plan and its store."""

import threading
from array import array
from collections import deque
from collections.abc import Iterator

from biofuse import native
from biofuse.errors import BiofuseError, StoreChangedError
from biofuse.formats import get_format
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.reader import GenotypeReader
from biofuse.manifest import Plan
from biofuse.stores import Location, open_store


class Encoder:
    """Writes records of a plan's streamed files. Thread-safe.

    Parameters
    ----------
    plan : Plan
    tables : dict of str to memoryview
        The plan's tables by file name, as bytes.
    cache_bytes : int
        What may be kept between calls.
    opened_ns : int
        When the store was mounted, in nanoseconds since 1970.
    """

    def __init__(self, plan: Plan, tables: dict[str, memoryview], cache_bytes: int, opened_ns: int):
        location = Location(**plan.store)
        samples = tables[plan.samples].cast("I") if plan.samples else None
        self._plan = plan
        self._store = open_store(location, opened_ns)
        self._genotypes = GenotypeReader(
            self._store, location, GenotypeArray.from_json(plan.genotypes), samples, cache_bytes
        )
        self._variants = tables[plan.variants].cast("I") if plan.variants else None
        self._offsets = [tables[f.offsets].cast("Q") if f.offsets else None for f in plan.streamed]
        self._encoders = [get_format(f.format).record_encoder(f.params) for f in plan.streamed]
        self._local = threading.local()
        self._ends: deque[tuple[int, int]] = deque(maxlen=16)
        self._hinted: deque[int] = deque(maxlen=16)

    def encode(self, file: int, first: int, last: int, out: memoryview) -> None:
        """Write records first to last, exclusive, of a streamed file to `out`.

        Raises
        ------
        BiofuseError
            If they cannot be made; the text has the chunk's key.
        """
        rows = getattr(self._local, "rows", None)
        if rows is None:
            rows = self._local.rows = self._genotypes.rows()
        streamed = self._plan.streamed[file]
        offsets = self._offsets[file]
        record_size = streamed.record_size or 0
        position = 0
        self._hint_next(file, first, last)
        try:
            for chunk_row, wanted in self._by_chunk_row(first, last):
                # What the row before held goes before more is read.
                rows.release()
                self._genotypes.load(rows, chunk_row, wanted)
                count = len(wanted)
                starts = None
                if offsets is None:
                    size = count * record_size
                else:
                    base = offsets[first]
                    starts = array("Q", (x - base for x in offsets[first : first + count + 1]))
                    size = starts[-1]
                try:
                    rows.encode(
                        self._encoders[file],
                        wanted,
                        first,
                        record_size,
                        out[position : position + size],
                        starts,
                    )
                except native.NativeError as error:
                    raise self._genotypes.error(error, chunk_row) from error
                position += size
                first += count
        except BiofuseError as error:
            if not isinstance(error, StoreChangedError) and self._changed():
                raise StoreChangedError(
                    f"the store changed while it was mounted: {error}"
                ) from error
            raise
        finally:
            rows.release()
        if self._changed():
            raise StoreChangedError("the store changed while it was mounted; mount it again")

    def _hint_next(self, file: int, first: int, last: int) -> None:
        """Have the store begin to read what follows, if these records follow others."""
        follows = (file, first) in self._ends
        self._ends.append((file, last))
        following = last + 2 * (last - first)
        if not follows or following >= self._plan.streamed[file].records:
            return
        variant = following if self._variants is None else self._variants[following]
        chunk_row = variant // self._genotypes.genotypes.chunks[0]
        if chunk_row not in self._hinted:
            self._hinted.append(chunk_row)
            self._genotypes.hint(chunk_row)

    def _changed(self) -> bool:
        return self._store.signature(self._plan.watched) != self._plan.signature

    def _by_chunk_row(self, first: int, last: int) -> Iterator[tuple[int, array]]:
        """Store rows of the view's variants, by chunk row."""
        chunk_rows = self._genotypes.genotypes.chunks[0]
        if self._variants is None:
            while first < last:
                chunk_row, row = divmod(first, chunk_rows)
                count = min(last - first, chunk_rows - row)
                yield chunk_row, array("I", range(row, row + count))
                first += count
            return
        kept = self._variants[first:last]
        start = 0
        while start < len(kept):
            chunk_row = kept[start] // chunk_rows
            base = chunk_row * chunk_rows
            wanted = array("I")
            while start < len(kept) and kept[start] < base + chunk_rows:
                wanted.append(kept[start] - base)
                start += 1
            yield chunk_row, wanted
