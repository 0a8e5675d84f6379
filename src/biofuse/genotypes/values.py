"""Rows of fields of calls beside genotypes, such as call_GP, call_DS and call_AD."""

from array import array
from bisect import bisect_left
from struct import calcsize
from typing import Any, Literal

from biofuse import native
from biofuse.errors import BiofuseError, DamagedError
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.cache import ByteCache
from biofuse.genotypes.floats import float32
from biofuse.genotypes.frames import FrameReader
from biofuse.genotypes.samples import plan_sample_chunks
from biofuse.genotypes.texts import TextChunk
from biofuse.genotypes.whole import WholeChunks
from biofuse.stores import Store

# Bytes of the values that are read at a time, however many rows are asked for.
_MAX_BYTES = 4 << 20
_BYTE: Literal["B"] = "B"


class ValueReader:
    """Reads values of the kept samples, a sample chunk at a time. Thread-safe.

    Parameters
    ----------
    store : Store
    whole : WholeChunks
        For chunks off the fast path.
    values : GenotypeArray
    samples : sequence of int, optional
        Kept samples in output order; None for all.
    cache : ByteCache
    kept_bytes : int
        Bytes of values that may be kept at a time for what is read next.

    Attributes
    ----------
    num_values : int
        A sample's: numbers, or bytes of its text.
    """

    def __init__(
        self,
        store: Store,
        whole: WholeChunks,
        values: GenotypeArray,
        samples,
        cache: ByteCache,
        kept_bytes: int = 0,
    ):
        self.genotypes = values
        self.num_values = values.row_items
        self._code = _BYTE if values.code == "s" else values.code
        self._item_size = calcsize(self._code)
        self._kept = samples
        self._store = store
        self._whole = whole
        self._samples = plan_sample_chunks(values.shape[1], values.chunks[1], samples)
        self._frames = FrameReader(store, values, self._samples.chunks, cache)
        self._total = sum(self._samples.sizes)
        self._row_bytes = max(1, self._total * self.num_values * self._item_size)
        self._cache = cache
        self._kept_rows = min(kept_bytes, _MAX_BYTES) // self._row_bytes
        self._idle_decoders: list[native.Values] = []

    @property
    def max_rows(self) -> int:
        """Rows to read at a time."""
        return max(1, _MAX_BYTES // self._row_bytes)

    def block_bytes(self, chunk_row: int) -> int:
        """What each thread's decoder takes: one block, decompressed.

        Parameters
        ----------
        chunk_row : int
            One that will be read: its frames tell the size of blocks.
        """
        return 2 * self._frames.block_size(chunk_row) if self.genotypes.fast else 0

    @property
    def read_bytes(self) -> int:
        """What the values of `max_rows` take, and of those that are kept."""
        rows = (1 if self._samples.index is None else 2) * self.max_rows
        return (rows + self._kept_rows) * self._row_bytes

    def rows_within(self, chunk_row: int, row: int, size: int) -> int:
        """How many rows, from this one on, can be loaded at once in so many bytes; at least one.

        Raises
        ------
        BiofuseError
            If a chunk cannot be read; the text has its key.
        """
        if self.genotypes.fast:
            try:
                return min(self.max_rows, self._frames.rows_within(chunk_row, row, size))
            except native.NativeError as error:
                if not error.unsupported:
                    raise self._damaged(error, chunk_row) from error
        kept = self._whole.range_rows(self.genotypes, self._row_bytes)
        return min(self.max_rows, kept - row % kept)

    def keys(self, chunk_row: int) -> list[str]:
        """Keys of the chunks that are read of a chunk row."""
        return [self.genotypes.key(chunk_row, c) for c in self._samples.chunks]

    def hint(self, chunk_row: int) -> None:
        """Say that a chunk row will be read soon."""
        self._store.hint(self.keys(chunk_row))

    def read(self, chunk_row: int, wanted: array) -> memoryview:
        """Values of these rows of a chunk row.

        Parameters
        ----------
        wanted : array of uint32
            Rows within the chunk row, ascending, at most `max_rows`.

        Returns
        -------
        memoryview, shape (rows, samples * num_values)
            Of the array's `code`; of bytes if it is of texts, with zeros behind each.

        Raises
        ------
        BiofuseError
            If a chunk cannot be read; the text has its key.
        """
        step = self._rows_of_a_block(chunk_row)
        if len(wanted) >= step:
            return self._read(chunk_row, wanted)
        samples = self._total if self._samples.index is None else len(self._samples.index)
        size = samples * self.num_values * self._item_size
        found = self._matrix(len(wanted), samples)
        out = found.cast(_BYTE)
        for i, row in enumerate(wanted):
            start = row // step * step
            values = self._kept_values(chunk_row, start, step)
            at = (row - start) * size
            out[i * size : (i + 1) * size] = values[at : at + size]
        return found

    def _rows_of_a_block(self, chunk_row: int) -> int:
        """Rows that are read at once and kept, since a block that is decompressed has them."""
        if self._kept_rows <= 1 or not self.genotypes.fast:
            return 1
        _, samples, values = self.genotypes.chunks
        row = samples * values * self._item_size
        return min(self._kept_rows, self._frames.block_size(chunk_row) // row)

    def _kept_values(self, chunk_row: int, start: int, count: int) -> memoryview:
        """Bytes of the values of some rows, kept for those who want others of them."""
        key = ("values", self.genotypes.path, chunk_row, start)
        found = self._cache.get(key)
        if found is None:
            first = chunk_row * self.genotypes.chunks[0]
            stop = min(start + count, self.genotypes.chunks[0], self.genotypes.shape[0] - first)
            found = self._read(chunk_row, array("I", range(start, stop))).cast(_BYTE)
            self._cache.put(key, found, found.nbytes)
        assert isinstance(found, memoryview)
        return found

    def _read(self, chunk_row: int, wanted: array) -> memoryview:
        out = self._matrix(len(wanted), self._total)
        frames = self._read_frames(chunk_row, wanted)
        column = 0
        for i, sample_chunk in enumerate(self._samples.chunks):
            count = self._samples.sizes[i] * self.num_values
            if not self._decode(frames[i], chunk_row, sample_chunk, wanted, count, out, column):
                self._read_slowly(chunk_row, sample_chunk, wanted, out, column)
            column += count
        index = self._samples.index
        if index is None:
            return out
        kept = self._matrix(len(wanted), len(index))
        native.gather_values(out, index, self.num_values, kept)
        return kept

    def _matrix(self, rows: int, samples: int) -> memoryview:
        """Zeros for so many rows and samples, both above 0."""
        columns = samples * self.num_values
        zeros = memoryview(bytearray(rows * columns * self._item_size))
        code: Any = self._code
        return zeros.cast(code, (rows, columns))

    def error(self, text: str, variant: int, sample: int, row: memoryview) -> BiofuseError:
        """What a kernel says of a sample's values, with the place and the values.

        Parameters
        ----------
        text : str
        variant : int
            Of the store.
        sample : int
            Of the view.
        row : memoryview, shape (1, samples * num_values)
        """
        first = sample * self.num_values
        found = [row[0, first + i] for i in range(self.num_values)]
        values = ", ".join(f"{x:g}" if isinstance(x, float) else str(x) for x in found)
        sample = sample if self._kept is None else self._kept[sample]
        chunk_rows, chunk_samples, _ = self.genotypes.chunks
        key = self.genotypes.key(variant // chunk_rows, sample // chunk_samples)
        return BiofuseError(
            f"{key}: {text}: {values} (variant {variant} of the store and sample {sample}, "
            "counted from 0)"
        )

    def _damaged(self, error: native.NativeError, chunk_row: int) -> DamagedError:
        return DamagedError(f"{self.genotypes.path}: {error}", self.keys(chunk_row))

    def _read_frames(self, chunk_row: int, wanted: array) -> list:
        """A frame for every sample chunk, None where it is not stored or of another kind."""
        chunks = self._samples.chunks
        if self.genotypes.fast:
            try:
                return self._frames.read(chunk_row, self._samples.sizes, wanted[0], wanted[-1])
            except native.NativeError as error:
                if not error.unsupported:
                    raise self._damaged(error, chunk_row) from error
        return [None] * len(chunks)

    def _decode(
        self,
        frame,
        chunk_row: int,
        sample_chunk: int,
        wanted: array,
        count: int,
        out: memoryview,
        column: int,
    ) -> bool:
        """Read a frame's values into `out`. Returns whether it is of a kind that this takes."""
        if frame is None:
            return False
        try:
            decoder = self._idle_decoders.pop()
        except IndexError:
            rows, samples, values = self.genotypes.chunks
            decoder = native.Values(rows, samples * values, self._item_size)
        try:
            decoder.read(
                frame.index, frame.span, frame.span_start, frame.size, wanted, count, out, column
            )
        except native.NativeError as error:
            if error.unsupported:
                return False
            key = self.genotypes.key(chunk_row, sample_chunk)
            raise DamagedError(f"{key}: {error}", [key]) from error
        finally:
            self._idle_decoders.append(decoder)
        return True

    def _read_slowly(
        self,
        chunk_row: int,
        sample_chunk: int,
        wanted: array,
        out: memoryview,
        column: int,
    ) -> None:
        """Read a chunk's values through zarr-python."""
        import numpy as np

        into = np.asarray(out)
        done = 0
        while done < len(wanted):
            try:
                with self._whole.alone():
                    first, rows = self._whole.kept(
                        self.genotypes,
                        chunk_row,
                        sample_chunk,
                        wanted[done],
                        lambda: self._row_bytes,
                        _KeptValues,
                    )
            except native.NativeError as error:
                key = self.genotypes.key(chunk_row, sample_chunk)
                raise DamagedError(f"{key}: {error}", [key]) from error
            stop = bisect_left(wanted, first + len(rows), done)
            found = rows[np.asarray(wanted[done:stop]) - first]
            into[done:stop, column : column + rows.shape[1]] = found
            done = stop


class _KeptValues(tuple):
    """The first of some rows of a chunk, and their values."""

    def __new__(cls, values, begin):
        first, last = begin()
        if isinstance(values, TextChunk):
            return super().__new__(cls, (first, values.rows(first, last)))
        rows = _items(values[first:last])
        return super().__new__(cls, (first, rows.reshape(last - first, -1)))

    @property
    def nbytes(self) -> int:
        return self[1].nbytes


def _items(values):
    """A copy of the values in this machine's order of bytes, floats of 32 bits."""
    import numpy as np

    if values.dtype.kind == "f":
        return np.array(float32(values))
    return np.array(values, dtype=values.dtype.newbyteorder("="))
