"""Rows of genotypes for the encoders, from whichever path a chunk needs."""

from array import array

from biofuse import native
from biofuse.errors import BiofuseError
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.cache import ByteCache
from biofuse.genotypes.frames import FrameReader
from biofuse.genotypes.packed import PackedReader
from biofuse.genotypes.samples import plan_sample_chunks
from biofuse.stores import Location, Store

# What c-blosc makes of chunks that are large.
_BLOSC_BLOCK = 512 << 10


class GenotypeReader:
    """Gives a thread's `native.Rows` the content of a chunk row.

    Parameters
    ----------
    store : Store
    location : Location
        The same store, for zarr-python.
    genotypes : GenotypeArray
    samples : sequence of int, optional
        Kept samples in output order; None for all.
    cache : ByteCache, optional
        Encoded bytes, and planes of the slow path, that are kept between calls.
    blocks : native.BlockCache, optional
        Planes of the fast path that are; of this array alone.
    """

    def __init__(
        self,
        store: Store,
        location: Location,
        genotypes: GenotypeArray,
        samples=None,
        cache: ByteCache | None = None,
        blocks: native.BlockCache | None = None,
    ):
        self.genotypes = genotypes
        self._store = store
        self.cache = ByteCache(32 << 20) if cache is None else cache
        self._blocks = blocks
        self._samples = plan_sample_chunks(genotypes.shape[1], genotypes.chunks[1], samples)
        self._frames = FrameReader(store, genotypes, self.cache)
        self._packed = PackedReader(store, location, genotypes, self.cache)

    def rows(self) -> native.Rows:
        """A new object for one thread to read through."""
        chunk_rows, chunk_samples, _ = self.genotypes.chunks
        return native.Rows(
            chunk_rows,
            chunk_samples,
            self.genotypes.ploidy,
            self._samples.sizes,
            self._samples.index,
            self._blocks,
        )

    @property
    def scratch_bytes(self) -> int:
        """About what a thread's rows take: of every sample chunk, two planes of a block."""
        chunk_rows, chunk_samples, ploidy = self.genotypes.chunks
        block = min(chunk_rows * chunk_samples * ploidy, _BLOSC_BLOCK)
        return 2 * block + len(self._samples.chunks) * (block // 4)

    def row_bytes(self, chunk_row: int) -> float:
        """Encoded bytes a row, about; 0 where they are not read by the row.

        Raises
        ------
        BiofuseError
            If a chunk cannot be read; the text has its key.
        """
        if not self.genotypes.fast or not self._store.ranged:
            return 0
        try:
            return self._frames.row_bytes(chunk_row, self._samples.chunks)
        except native.NativeError as error:
            if not error.unsupported:
                raise self.error(error, chunk_row) from error
            return 0

    def load(self, rows: native.Rows, chunk_row: int, wanted: array) -> None:
        """Make these rows of a chunk row readable.

        Parameters
        ----------
        wanted : array of uint32
            Rows within the chunk row, not empty.

        Raises
        ------
        BiofuseError
            If a chunk cannot be read; the text has its key.
        """
        first, last = min(wanted), max(wanted)
        if not self._samples.chunks:
            return
        if self.genotypes.fast:
            try:
                self._load_frames(rows, chunk_row, first, last)
            except native.NativeError as error:
                if not error.unsupported:
                    raise self.error(error, chunk_row) from error
            else:
                return
        self._load_packed(rows, chunk_row, first, last)

    def keys(self, chunk_row: int) -> list[str]:
        """Keys of the chunks that are read of a chunk row."""
        return [self.genotypes.key(chunk_row, c) for c in self._samples.chunks]

    def hint(self, chunk_row: int) -> None:
        """Say that a chunk row will be read soon."""
        self._store.hint(self.keys(chunk_row))

    def _load_frames(self, rows: native.Rows, chunk_row: int, first: int, last: int) -> None:
        frames = self._frames.read(
            chunk_row, self._samples.chunks, self._samples.sizes, first, last
        )
        for i, frame in enumerate(frames):
            if frame is None:
                rows.set_constant(i, self.genotypes.fill)
            else:
                rows.set_frame(
                    i,
                    frame.index,
                    frame.span,
                    frame.span_start,
                    frame.size,
                    chunk_row << 32 | self._samples.chunks[i],
                    frame.version,
                )

    def _load_packed(self, rows: native.Rows, chunk_row: int, first: int, last: int) -> None:
        for i, sample_chunk in enumerate(self._samples.chunks):
            rows.set_packed(i, self._packed.read(chunk_row, sample_chunk, first, last))

    def error(self, error: native.NativeError, chunk_row: int) -> BiofuseError:
        """A kernel's error with the chunk's key and the variant in its text."""
        text = str(error)
        if error.chunk >= 0:
            text = f"{self.genotypes.key(chunk_row, self._samples.chunks[error.chunk])}: {text}"
        if error.row >= 0:
            variant = chunk_row * self.genotypes.chunks[0] + error.row
            text += f" (variant {variant} of the store, counted from 0)"
        return BiofuseError(text)
