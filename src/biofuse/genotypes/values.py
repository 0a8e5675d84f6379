"""Rows of floating-point fields of calls, such as call_GP and call_DS."""

import threading
from array import array

from biofuse import native
from biofuse.errors import BiofuseError, one_line
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.cache import ByteCache
from biofuse.genotypes.frames import FrameReader
from biofuse.genotypes.samples import plan_sample_chunks
from biofuse.stores import Location, Range, Store

# Bytes of the values that are read at a time, however many rows are asked for.
_MAX_BYTES = 4 << 20
_VALUE = 4


class ValueReader:
    """Reads values of the kept samples, a sample chunk at a time. Thread-safe.

    Parameters
    ----------
    store : Store
    location : Location
        The same store, for zarr-python.
    values : GenotypeArray
    samples : sequence of int, optional
        Kept samples in output order; None for all.
    cache : ByteCache
    """

    def __init__(
        self,
        store: Store,
        location: Location,
        values: GenotypeArray,
        samples,
        cache: ByteCache,
    ):
        self.genotypes = values
        self.num_values = values.shape[2]
        self._kept = samples
        self._store = store
        self._location = location
        self._samples = plan_sample_chunks(values.shape[1], values.chunks[1], samples)
        self._frames = FrameReader(store, values, cache)
        self._total = sum(self._samples.sizes)
        self._zarr_array = None
        self._lock = threading.Lock()
        self._local = threading.local()

    @property
    def max_rows(self) -> int:
        """Rows to read at a time."""
        return max(1, _MAX_BYTES // max(1, self._total * self.num_values * _VALUE))

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
        memoryview of float32, shape (rows, samples * num_values)

        Raises
        ------
        BiofuseError
            If a chunk cannot be read; the text has its key.
        """
        out = _matrix(len(wanted), self._total * self.num_values)
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
        kept = _matrix(len(wanted), len(index) * self.num_values)
        native.gather_values(out, index, self.num_values, kept)
        return kept

    def error(self, text: str, variant: int, sample: int, row: memoryview) -> BiofuseError:
        """What a kernel says of a sample's values, with the place and the values.

        Parameters
        ----------
        text : str
        variant : int
            Of the store.
        sample : int
            Of the view.
        row : memoryview of float32, shape (1, samples * num_values)
        """
        first = sample * self.num_values
        values = ", ".join(f"{row[0, first + i]:g}" for i in range(self.num_values))
        sample = sample if self._kept is None else self._kept[sample]
        chunk_rows, chunk_samples, _ = self.genotypes.chunks
        key = self.genotypes.key(variant // chunk_rows, sample // chunk_samples)
        return BiofuseError(
            f"{key}: {text}: {values} (variant {variant} of the store and sample {sample}, "
            "counted from 0); --bgen-field GT shows its calls instead"
        )

    def _read_frames(self, chunk_row: int, wanted: array) -> list:
        """A frame for every sample chunk, None where it is not stored or of another kind."""
        chunks = self._samples.chunks
        if self.genotypes.fast:
            try:
                return self._frames.read(
                    chunk_row, chunks, self._samples.sizes, wanted[0], wanted[-1]
                )
            except native.NativeError as error:
                if not error.unsupported:
                    raise BiofuseError(f"{self.genotypes.path}: {error}") from error
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
        decoder = getattr(self._local, "decoder", None)
        if decoder is None:
            rows, samples, values = self.genotypes.chunks
            decoder = self._local.decoder = native.Values(rows, samples * values)
        try:
            decoder.read(
                frame.index, frame.span, frame.span_start, frame.size, wanted, count, out, column
            )
        except native.NativeError as error:
            if error.unsupported:
                return False
            key = self.genotypes.key(chunk_row, sample_chunk)
            raise BiofuseError(f"{key}: {error}") from error
        return True

    def _read_slowly(
        self, chunk_row: int, sample_chunk: int, wanted: array, out: memoryview, column: int
    ) -> None:
        """Read a chunk's values through zarr-python, one decoded chunk at a time."""
        import numpy as np

        chunk_rows, chunk_samples, _ = self.genotypes.chunks
        start = chunk_row * chunk_rows
        samples = slice(sample_chunk * chunk_samples, (sample_chunk + 1) * chunk_samples)
        key = self.genotypes.key(chunk_row, sample_chunk)
        with self._lock:
            try:
                values = self._open()[start + wanted[0] : start + wanted[-1] + 1, samples]
            except Exception as error:
                self._check_unchanged(key)
                raise BiofuseError(
                    f"{key}: zarr cannot read the chunk: {one_line(error)}"
                ) from error
            self._check_unchanged(key)
        rows = np.asarray(values, dtype=np.float32)[np.asarray(wanted) - wanted[0]]
        rows = rows.reshape(len(wanted), -1)
        np.asarray(out)[:, column : column + rows.shape[1]] = rows

    def _check_unchanged(self, key: str) -> None:
        """Raise `StoreChangedError` if the chunk was changed since the store was mounted."""
        self._store.get_many([Range(key, 0, 1)])

    def _open(self):
        if self._zarr_array is None:
            from biofuse.stores.location import zarr_group

            self._zarr_array = zarr_group(self._location)[self.genotypes.path]
        return self._zarr_array


def _matrix(rows: int, columns: int) -> memoryview:
    """Zeroed float32 of this shape, both above 0."""
    return memoryview(bytearray(rows * columns * _VALUE)).cast("f", (rows, columns))
