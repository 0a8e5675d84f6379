"""Rows of genotypes for the encoders, from whichever path a chunk needs."""

from array import array

from biofuse import native
from biofuse.errors import BiofuseError, DamagedError
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.cache import ByteCache
from biofuse.genotypes.frames import FrameReader
from biofuse.genotypes.packed import PackedReader
from biofuse.genotypes.samples import plan_sample_chunks
from biofuse.genotypes.whole import WholeChunks
from biofuse.stores import Store

_NARROW, _WIDE = 2, 8


class GenotypeReader:
    """Gives a thread's `native.Rows` the content of a chunk row.

    Parameters
    ----------
    store : Store
    whole : WholeChunks
        For chunks off the fast path.
    genotypes : GenotypeArray
    samples : sequence of int, optional
        Kept samples in output order; None for all.
    cache : ByteCache
        Encoded bytes that are kept between calls.
    blocks : native.Cache, optional
        Planes of the fast path that are; of this array alone.
    wide : bool
        Whether allele indices above 1 may occur.
    """

    def __init__(
        self,
        store: Store,
        whole: WholeChunks,
        genotypes: GenotypeArray,
        samples,
        cache: ByteCache,
        blocks: native.Cache | None = None,
        wide: bool = False,
    ):
        self.genotypes = genotypes
        self._kept = samples
        self._store = store
        self._blocks = blocks
        self._planes = _WIDE if wide else _NARROW
        self._samples = plan_sample_chunks(genotypes.shape[1], genotypes.chunks[1], samples)
        self._frames = FrameReader(store, genotypes, self._samples.chunks, cache)
        self._packed = PackedReader(whole, genotypes, sum(self._samples.sizes) * genotypes.shape[2])

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

    def scratch_bytes(self, chunk_row: int) -> int:
        """What a thread's rows take: one block, decompressed, and planes of one a sample chunk.

        Parameters
        ----------
        chunk_row : int
            One that will be read: its frames tell the size of blocks.
        """
        if not self.genotypes.fast:
            return 0
        block = self._frames.block_size(chunk_row)
        return 2 * block + len(self._samples.chunks) * self._planes * (block // 8)

    def rows_within(self, chunk_row: int, row: int, size: int) -> int:
        """How many rows, from this one on, can be loaded at once in so many bytes; at least one.

        Raises
        ------
        BiofuseError
            If a chunk cannot be read; the text has its key.
        """
        if self.genotypes.fast:
            try:
                return self._frames.rows_within(chunk_row, row, size)
            except native.NativeError as error:
                if not error.unsupported:
                    raise self.error(error, chunk_row) from error
        return min(max(1, size // self._packed.row_bytes), self._packed.rows_left(row))

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
        # Of a store at some distance, frames are read in parts here.
        if not (self._store.far and self.genotypes.fast):
            self._store.hint(self.keys(chunk_row))

    def _load_frames(self, rows: native.Rows, chunk_row: int, first: int, last: int) -> None:
        frames = self._frames.read(chunk_row, self._samples.sizes, first, last)
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
        """A kernel's error with the chunk's key, the variant and the sample in its text."""
        text = str(error)
        keys = self.keys(chunk_row)
        if error.chunk >= 0:
            keys = [keys[error.chunk]]
            text = f"{keys[0]}: {text}"
        if error.row >= 0:
            variant = chunk_row * self.genotypes.chunks[0] + error.row
            place = f"variant {variant} of the store"
            if error.sample >= 0:
                sample = error.sample if self._kept is None else self._kept[error.sample]
                place += f" and sample {sample}"
            text += f" ({place}, counted from 0)"
        # What is decoded well may be what a format does not show.
        return BiofuseError(text) if error.allele else DamagedError(text, keys)
