"""Records of streamed files, made from a plan and its store."""

from array import array
from collections import deque
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from biofuse import native
from biofuse.encode.records import Records, open_encoder
from biofuse.encode.turns import Turns
from biofuse.errors import MOUNT_AGAIN, BiofuseError, DamagedError, StoreChangedError
from biofuse.formats.base import GENOTYPES, PHASED
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.cache import ByteCache
from biofuse.genotypes.reader import GenotypeReader
from biofuse.genotypes.values import ValueReader
from biofuse.genotypes.whole import WholeChunks
from biofuse.manifest import Plan, StreamedFile
from biofuse.stores import Location, open_store

_OF_CALLS = "--bgen-field GT and --dosage GT show its calls instead"
# Fields that are read as bit planes; others are values.
PLANES = (GENOTYPES, PHASED)
# More than the offset tables of a few thousand chunks take.
_MIN_CACHE = 1 << 20
# Of so many runs of reads values are kept for what is read next.
_RUNS = 4
# Of a framed file, what is made for a call beside its records.
_FRAMING = 3 << 20
# Of the scratch, at most this is for what calls take beside the chunks that they load.
_OWN_PART = 0.75


@dataclass(frozen=True)
class CacheUse:
    """What an encoder's caches hold, and what they have done since it began.

    Attributes
    ----------
    size : int
        Bytes that are kept.
    plane_hits, plane_misses : int
        Blocks whose planes were there, or had to be decompressed.
    chunk_hits, chunk_misses : int
        Offset tables, and parts of chunks that were decoded whole, that were there or not.
    """

    size: int = 0
    plane_hits: int = 0
    plane_misses: int = 0
    chunk_hits: int = 0
    chunk_misses: int = 0


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
    scratch_bytes : int
        What all calls that are under way may take together, as long as one can be made:
        encoded chunks, decompressed blocks, planes and values.
    threads : int
        Calls at a time, at most.
    location : Location, optional
        The store's, with its secrets; else that of the plan.
    """

    def __init__(
        self,
        plan: Plan,
        tables: dict[str, memoryview],
        cache_bytes: int,
        opened_ns: int,
        scratch_bytes: int = 32 << 20,
        threads: int = 1,
        location: Location | None = None,
    ):
        location = location or Location.planned(plan.store)
        samples = tables[plan.samples].cast("I") if plan.samples else None
        self._plan = plan
        self._store = open_store(location, opened_ns)
        arrays = {name: GenotypeArray.from_json(value) for name, value in plan.fields.items()}
        fast = sum(array.fast for name, array in arrays.items() if name in PLANES)
        share = cache_bytes // 4 // max(1, fast)
        cache = ByteCache(max(cache_bytes - fast * share, _MIN_CACHE))
        whole = WholeChunks(self._store, location, cache)
        self._cache = cache
        self._block_caches = {
            name: native.Cache(share)
            for name, array in arrays.items()
            if name in PLANES and array.fast
        }
        others = {name: array for name, array in arrays.items() if name not in PLANES}
        kept = cache.limit // (_RUNS * max(1, len(others)))
        self._values = {
            name: ValueReader(self._store, whole, array, samples, cache, kept)
            for name, array in others.items()
        }
        self._readers = {
            name: GenotypeReader(
                self._store,
                whole,
                array,
                samples,
                cache,
                self._block_caches.get(name),
                plan.wide and name == GENOTYPES,
            )
            for name, array in arrays.items()
            if name in PLANES
        }
        self._files = [self._open_file(streamed, tables) for streamed in plan.streamed]
        # One chunk may be decoded whole at a time.
        scratch_bytes = max(0, scratch_bytes - plan.decoded_chunk)
        own = self._scratch_of_a_call()
        if plan.decoded_chunk:
            # Chunks are decoded one at a time in any case, and calls that read different
            # rows of chunks would have each other's planes dropped between two of theirs.
            threads = 1
        self._calls = max(1, min(threads, int(_OWN_PART * scratch_bytes) // max(1, own)))
        self._loaded_bytes = max(0, scratch_bytes // self._calls - own)
        self._slots = Turns(self._calls)
        self._idle_rows: list[dict[str, native.Rows]] = []
        self._ends: deque[tuple[int, int]] = deque(maxlen=16)
        self._hinted: deque[tuple[str, int]] = deque(maxlen=32)

    @property
    def cache_use(self) -> CacheUse:
        """What the caches hold, and what they have done."""
        counts = [cache.counts for cache in self._block_caches.values()]
        return CacheUse(
            self._cache.used + sum(cache.nbytes for cache in self._block_caches.values()),
            sum(hits for hits, _ in counts),
            sum(misses for _, misses in counts),
            self._cache.hits,
            self._cache.misses,
        )

    def _scratch_of_a_call(self) -> int:
        """Bytes that a call takes beside what it loads."""
        file = next((file for file in self._files if file.records.count), None)
        if file is None:
            return 0
        first = file.records.variant(0)
        values = self._values.values()
        size = sum(r.scratch_bytes(_chunk_row(r, first)) for r in self._readers.values())
        size += sum(r.block_bytes(_chunk_row(r, first)) for r in values)
        # Values are read for one file at a time, and the fields of a .bcf one after another.
        size += max((reader.read_bytes for reader in values), default=0)
        large = [
            streamed.max_record
            for streamed, file in zip(self._plan.streamed, self._files, strict=True)
            if file.fields
        ]
        return size + (2 * max(large) + _FRAMING if large else 0)

    def _open_file(self, streamed: StreamedFile, tables: dict[str, memoryview]) -> "_File":
        encoder = open_encoder(streamed, tables)
        values = [self._values[name] for name in streamed.fields if name not in PLANES]
        return _File(
            Records(streamed, tables),
            tables[streamed.offsets].cast("Q") if streamed.offsets else None,
            streamed.record_size or 0,
            encoder,
            {name: self._readers[name] for name in streamed.fields if name in PLANES},
            values[0] if values and not encoder.num_fields else None,
            values if encoder.num_fields else [],
        )

    def encode(self, number: int, first: int, last: int, out: memoryview) -> None:
        """Write records first to last, exclusive, of a streamed file to `out`.

        Raises
        ------
        BiofuseError
            If they cannot be made; the text has the chunk's key.
        """
        self._hint_next(number, first, last)
        try:
            self._encode_undamaged(number, first, last, out)
        except BiofuseError as error:
            if not isinstance(error, StoreChangedError) and self._changed():
                raise StoreChangedError(
                    f"the store changed while it was mounted: {error}"
                ) from error
            raise
        if self._changed():
            raise StoreChangedError(f"the store changed while it was mounted; {MOUNT_AGAIN}")

    def _encode_undamaged(self, number: int, first: int, last: int, out: memoryview) -> None:
        """`_encode`, with each chunk that is damaged fetched once more if it may be from disk."""
        doubted: frozenset[str] = frozenset()
        while True:
            try:
                return self._encode(number, first, last, out)
            except DamagedError as error:
                if not self._doubt(error.keys - doubted):
                    raise
                doubted |= error.keys

    def _encode(self, number: int, first: int, last: int, out: memoryview) -> None:
        file = self._files[number]
        position = 0
        with self._borrow_rows() as rows:
            for start, stop in self._parts(file, first, last):
                size = self._encode_part(file, rows, start, stop, out[position:])
                position += size

    def _doubt(self, keys: Set[str]) -> bool:
        """Forget what came of damaged chunks; whether to try again.

        That is where it may have been on disk, from where it would come so for ever.
        """
        if not keys or not self._store.far:
            return False
        for key in keys:
            self._cache.drop(key)
        doubt = getattr(self._store, "doubt", None)
        return doubt is not None and bool(doubt(keys))

    def keys(self, number: int, record: int) -> list[str]:
        """Keys of the chunks that a record of a streamed file is made from."""
        file = self._files[number]
        variant = file.records.variant(record)
        readers = file.by_name.values()
        return [key for r in readers for key in r.keys(variant // r.genotypes.chunks[0])]

    @contextmanager
    def _borrow_rows(self) -> Iterator[dict[str, native.Rows]]:
        """What one call reads the fields through; waits where as many are under way as may be."""
        with self._slots:
            try:
                rows = self._idle_rows.pop()
            except IndexError:
                rows = {name: reader.rows() for name, reader in self._readers.items()}
            try:
                yield rows
            finally:
                for each in rows.values():
                    each.release()
                self._idle_rows.append(rows)

    def _encode_part(
        self, file: "_File", rows: dict[str, native.Rows], first: int, last: int, out: memoryview
    ) -> int:
        """Write records that lie in one chunk row of every field. Returns their size."""
        wanted = {}
        offsets = None
        size = (last - first) * file.record_size
        if file.offsets is not None:
            offsets = file.offsets[first : last + 1]
            size = offsets[-1] - offsets[0]
        for name, reader in file.readers.items():
            # What the part before held goes before more is read.
            rows[name].release()
            chunk_row, wanted[name] = file.rows_of(reader, first, last)
            reader.load(rows[name], chunk_row, wanted[name])
        values = None
        if file.values is not None:
            chunk_row, value_rows = file.rows_of(file.values, first, last)
            values = file.values.read(chunk_row, value_rows)
        try:
            rows[GENOTYPES].encode(
                file.encoder,
                wanted[GENOTYPES],
                first,
                file.record_size,
                out[:size],
                offsets,
                rows[PHASED] if PHASED in wanted else None,
                wanted.get(PHASED),
                values,
                file.values.num_values if file.values is not None else 0,
            )
        except native.NativeError as error:
            if error.sample >= 0 and file.values is not None and values is not None:
                i = wanted[GENOTYPES].index(error.row)
                found = file.values.error(
                    str(error), file.records.variant(first + i), error.sample, values[i : i + 1]
                )
                raise BiofuseError(f"{found}; {_OF_CALLS}") from error
            reader = file.readers[PHASED if error.phased else GENOTYPES]
            chunk_row, _ = file.rows_of(reader, first, last)
            raise reader.error(error, chunk_row) from error
        for number, field in enumerate(file.fields):
            self._put_field(file, number, field, first, last, out[:size])
        return size

    def _put_field(
        self,
        file: "_File",
        number: int,
        field: ValueReader,
        first: int,
        last: int,
        out: memoryview,
    ) -> None:
        """Write a field of FORMAT into records that lie in one chunk row of it."""
        chunk_row, rows = file.rows_of(field, first, last)
        values = field.read(chunk_row, rows)
        encoder = cast(native.BcfEncoder, file.encoder)
        ploidy = file.readers[GENOTYPES].genotypes.ploidy
        try:
            encoder.put_field(number, values, self._plan.num_samples, ploidy, first, out)
        except native.NativeError as error:
            if error.sample < 0:
                raise
            i = error.row
            found = field.error(
                str(error), file.records.variant(first + i), error.sample, values[i : i + 1]
            )
            key = field.genotypes.path.removeprefix("call_")
            raise BiofuseError(f"{found}; leave {key} out of --bcf-fields") from error

    def _hint_next(self, number: int, first: int, last: int) -> None:
        """Have the store begin to read what follows, if these records follow others."""
        follows = (number, first) in self._ends
        self._ends.append((number, last))
        following = last + 2 * (last - first)
        file = self._files[number]
        if not follows or following >= file.records.count:
            return
        variant = file.records.variant(following)
        for name, reader in file.by_name.items():
            chunk_row = variant // reader.genotypes.chunks[0]
            if (name, chunk_row) not in self._hinted:
                self._hinted.append((name, chunk_row))
                reader.hint(chunk_row)

    def _changed(self) -> bool:
        try:
            return self._store.signature(self._plan.watched) != self._plan.signature
        except FileNotFoundError:
            return True

    def _parts(self, file: "_File", first: int, last: int) -> Iterator[tuple[int, int]]:
        """Records, in runs that lie in one chunk row of every field."""
        heights = {reader.genotypes.chunks[0] for reader in file.by_name.values()}
        while first < last:
            variant = file.records.variant(first)
            edge = min((variant // height + 1) * height for height in heights)
            stop = file.records.record_from(edge, first, last)
            share = self._loaded_bytes // len(file.by_name)
            for reader in file.by_name.values():
                stop = file.cut(reader, first, stop, share)
            yield first, stop
            first = stop


@dataclass(frozen=True)
class _File:
    """A streamed file."""

    records: Records
    offsets: memoryview | None
    record_size: int
    encoder: native.RecordEncoder
    readers: dict[str, GenotypeReader]
    values: ValueReader | None
    # Which the encoder puts into records one after another.
    fields: list[ValueReader]

    @property
    def by_name(self) -> dict[str, GenotypeReader | ValueReader]:
        """The readers of all fields."""
        everything: dict[str, GenotypeReader | ValueReader] = dict(self.readers)
        for each in (self.values, *self.fields):
            if each is not None:
                everything[each.genotypes.path] = each
        return everything

    def cut(self, reader: GenotypeReader | ValueReader, first: int, stop: int, size: int) -> int:
        """Where a run in one chunk row ends so that what is loaded for it is not too much."""
        variant = self.records.variant(first)
        most = reader.rows_within(*divmod(variant, reader.genotypes.chunks[0]), size)
        # Records of one variant are of one row.
        return max(first + 1, self.records.record_from(variant + most, first, stop))

    def rows_of(
        self, reader: GenotypeReader | ValueReader, first: int, last: int
    ) -> tuple[int, array]:
        """A run's chunk row of a field, and its rows there."""
        height = reader.genotypes.chunks[0]
        chunk_row, row = divmod(self.records.variant(first), height)
        variants = self.records.variants
        if variants is None:
            return chunk_row, array("I", range(row, row + last - first))
        base = chunk_row * height
        return chunk_row, array("I", (v - base for v in variants[first:last]))


def _chunk_row(reader: GenotypeReader | ValueReader, variant: int) -> int:
    return variant // reader.genotypes.chunks[0]
